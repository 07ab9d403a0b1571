package ocean

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestStateCandidates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		environ map[string]string
		want    []string
	}{
		{nil, []string{"/tmp/ocean/ado-port"}},
		{map[string]string{"HOME": "/", "XDG_STATE_HOME": "relative"}, []string{"/.local/state/ado-port", "/tmp/ocean/ado-port"}},
		{map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/x"}, []string{"/x/ado-port", "/home/u/.local/state/ado-port", "/tmp/ocean/ado-port"}},
	}
	for _, tt := range tests {
		if got := stateCandidates(tt.environ, "/tmp"); !slices.Equal(got, tt.want) {
			t.Errorf("stateCandidates(%v) = %q, want %q", tt.environ, got, tt.want)
		}
	}
}

// A state is a tree of files for a test: names that end with a slash are folders,
// "a -> b" are links.
func state(t *testing.T, entries ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, e := range entries {
		path := filepath.Join(root, e)
		if from, to, ok := strings.Cut(e, " -> "); ok {
			must(t, os.Symlink(filepath.Join(root, to), filepath.Join(root, from)))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if strings.HasSuffix(e, "/") {
			must(t, os.MkdirAll(path, 0o755))
		} else {
			must(t, os.WriteFile(path, []byte("x"), 0o644))
		}
	}
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamedState(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		entries []string
		want    string // in the error
	}{
		{"new", nil, ""},
		{"there", []string{"state/hooks/spool.db", "state/other -> elsewhere"}, ""},
		{"a link", []string{"real/", "state -> real"}, ""},
		{"a file", []string{"state"}, "not a directory; make it a directory that this process may write"},
		{"below a link", []string{"elsewhere/", "state/x", "state/hooks -> elsewhere"}, "hooks is a symbolic link; replace it by what it leads to"},
		{"a file of ours is a link", []string{"elsewhere", "state/x", "state/origins -> elsewhere"}, "origins is a symbolic link"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(state(t, tt.entries...), "state")
			var log bytes.Buffer
			got, err := StateDirectory(dir, map[string]string{"HOME": t.TempDir()}, slog.New(slog.NewTextHandler(&log, nil)))
			if log.Len() > 0 {
				t.Errorf("log = %s", log.String())
			}
			if tt.want == "" && (err != nil || got != dir) {
				t.Errorf("StateDirectory = %q, %v", got, err)
			}
			if tt.want != "" && (got != "" || !errors.Is(err, ErrState) || !strings.HasPrefix(err.Error(), "OCEAN__STATE_DIRECTORY: ") || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("StateDirectory = %q, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
}

// What was wrong with a named directory can be mended while the service waits.
func TestNamedStateAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(state(t, "state"), "state")
	if _, err := StateDirectory(dir, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a file is accepted")
	}
	must(t, os.Remove(dir))
	if got, err := StateDirectory(dir, nil, slog.New(slog.DiscardHandler)); err != nil || got != dir {
		t.Errorf("StateDirectory = %q, %v", got, err)
	}
}

func TestUnnamedState(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		entries       []string
		want, warning string
	}{
		{"first", nil, "a", ""},
		{"second", []string{"a"}, "b", ""},
		{"a link", []string{"real/", "a -> real"}, "b", ""},
		{"waiting in the second", []string{"a/x", "b/hooks/spool.db"}, "b", ""},
		{"waiting in both", []string{"a/hooks/spool.db", "b/hooks/spool.db"}, "a", "deliveries may be waiting in a directory that is not used"},
		{"waiting in one that is refused", []string{"real/hooks/spool.db", "a -> real"}, "b", "is a symbolic link"},
		{"none", []string{"a", "b"}, "", "no directory is writable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := state(t, tt.entries...)
			var log bytes.Buffer
			got := unnamedState([]string{filepath.Join(root, "a"), filepath.Join(root, "b")}, slog.New(slog.NewTextHandler(&log, nil)))
			if got != "" {
				got = filepath.Base(got)
			}
			if got != tt.want || strings.Count(log.String(), "\n") > 1 || (tt.warning == "") != (log.Len() == 0) || !strings.Contains(log.String(), tt.warning) {
				t.Errorf("directory %q, want %q, log %s", got, tt.want, log.String())
			}
		})
	}
}

func TestStatePermissions(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no permissions")
	}
	root := state(t, "home/ado-port/hooks/spool.db", "volume/memory/x", "volume/records/records")
	home, volume := filepath.Join(root, "home"), filepath.Join(root, "volume")
	must(t, os.Chmod(home, 0o777))
	must(t, os.Chmod(volume, 0o777))
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	must(t, prepare(filepath.Join(home, "ado-port"), true, l))
	must(t, prepare(volume, false, l))
	if n := strings.Count(log.String(), "every user may replace the state directory"); n != 2 || !strings.Contains(log.String(), "path="+home) || !strings.Contains(log.String(), "path="+volume) {
		t.Errorf("log = %s", log.String())
	}
	for path, want := range map[string]os.FileMode{
		"home": 0o777, "home/ado-port": 0o700, "home/ado-port/hooks": 0o700, "volume": 0o777, "volume/memory": 0o700, "volume/records": 0o700,
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	log.Reset()
	must(t, os.Chmod(home, 0o777|os.ModeSticky))
	must(t, prepare(filepath.Join(home, "ado-port"), true, l))
	if log.Len() > 0 {
		t.Errorf("a sticky parent is warned about: %s", log.String())
	}
	if err := foreign(volume, 1<<31); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("a folder of another user: %v", err)
	}
	if runtime.GOOS == "linux" && (!isMount("/") || isMount(home)) {
		t.Errorf("isMount: / %t, %s %t", isMount("/"), home, isMount(home))
	}
}

func TestSweepState(t *testing.T) {
	t.Parallel()
	keep := []string{"origins", "origins-live", "mapping.json", "hooks-state.json", "hooks", "other-123", "mapping.json.bak", "origins-old"}
	dir := state(t, append(slices.Clone(keep[:4]), "hooks/", "other-123", "mapping.json.bak", "origins-old",
		"origins-12", "origins-live-99", "gitops-7", "mapping.json-4", "hooks-state.json.77", ".writable-5", "waiting-1234")...)
	var log strings.Builder
	SweepState(dir, slog.New(slog.NewTextHandler(&log, nil)))
	left, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	slices.Sort(keep)
	if !slices.Equal(names, keep) {
		t.Errorf("left: %q, want %q", names, keep)
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
	if SweepState(filepath.Join(dir, "nowhere"), slog.New(slog.NewTextHandler(&log, nil))); log.Len() == 0 {
		t.Error("a directory that is not there is swept")
	}
}
