//go:build unix

package ocean

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ownerOf is the user to whom a file belongs.
func ownerOf(info os.FileInfo) uint32 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid
	}
	return 0
}

// isMount reports whether a volume is mounted at a directory. Where the system
// does not list its mounts, another device than that of the parent is one.
func isMount(dir string) bool {
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	// https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
	if list, err := os.ReadFile("/proc/self/mountinfo"); err == nil {
		escape := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`)
		for line := range strings.Lines(string(list)) {
			if f := strings.Fields(line); len(f) > 4 && f[4] == escape.Replace(path) {
				return true
			}
		}
		return false
	}
	at, err := os.Stat(path)
	above, err2 := os.Stat(filepath.Dir(path))
	if err != nil || err2 != nil {
		return false
	}
	a, ok := at.Sys().(*syscall.Stat_t)
	b, ok2 := above.Sys().(*syscall.Stat_t)
	return ok && ok2 && a.Dev != b.Dev
}
