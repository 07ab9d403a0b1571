//go:build linux || darwin

package ocean

import "syscall"

// freeBytes is what this process may still write to the volume of a directory; 0
// when that is unknown.
func freeBytes(dir string) uint64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil || s.Bsize == 0 {
		return 0
	}
	return s.Bavail * uint64(s.Bsize)
}
