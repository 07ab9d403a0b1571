package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ado-port/ado-port/webhook/spool"
)

// A directory that was named is the one that is used, or the error says why not.
func TestDirectoryThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, dir string) (text string){
		"below a file": func(t *testing.T, dir string) string {
			t.Helper()
			write(t, filepath.Dir(dir), "")
			return "OCEAN__STATE_DIRECTORY"
		},
		"a file": func(t *testing.T, dir string) string {
			t.Helper()
			write(t, dir, "")
			return "no folder"
		},
		"a link": func(t *testing.T, dir string) string {
			t.Helper()
			link(t, t.TempDir(), dir)
			return "symbolic link"
		},
		"a linked file": func(t *testing.T, dir string) string {
			t.Helper()
			link(t, filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(dir, "spool.db"))
			return "symbolic link"
		},
		"a linked lock": func(t *testing.T, dir string) string {
			t.Helper()
			link(t, filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(dir, "spool.lock"))
			return "symbolic link"
		},
		"somebody else's": func(t *testing.T, dir string) string {
			t.Helper()
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if os.Chown(dir, 4711, 4711) != nil {
				t.Skip("only the administrator gives files away")
			}
			return "belongs to user 4711"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state", "hooks")
			want := prepare(t, dir)
			s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open = %v, want an error with %q and the directory", err, want)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("links need a right there")
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.Symlink(to, path)); err != nil {
		t.Fatal(err)
	}
}

// Nobody else may enter our folder, also when an earlier version has made it.
func TestFolderIsOurs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	dir := filepath.Join(t.TempDir(), "hooks")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, spool.Config{Directory: dir})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A file that is gone or empty although there was one is a loss, and one that
// has never been there is not.
func TestLostFile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		used   bool
		damage func(path string) error
		want   int32
	}{
		"nothing happened":        {true, func(string) error { return nil }, 0},
		"missing":                 {false, os.Remove, 1},
		"empty":                   {false, func(path string) error { return os.Truncate(path, 0) }, 1},
		"garbage":                 {false, func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("garbage ", 4096)), 0o600) }, 1},
		"folder missing":          {true, func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, 1},
		"never been there":        {false, func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, 0},
		"a left-over of a rescue": {false, func(path string) error { return os.WriteFile(path+".new", []byte("half"), 0o600) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(filled(t, 3), "hooks")
			if err := os.Rename(filepath.Dir(dir), filepath.Dir(dir)+"-old"); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Mkdir(filepath.Dir(dir), 0o700), os.Rename(filepath.Dir(dir)+"-old", dir)); err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(filepath.Join(dir, "spool.db")); err != nil {
				t.Fatal(err)
			}
			log, lines := capture()
			var lost atomic.Int32
			cfg := spool.Config{Directory: dir, Used: tt.used, Log: log, Lost: func() { lost.Add(1) }}
			for range 2 { // said once
				s, err := spool.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if n := strings.Count(lines(), "level=ERROR"); lost.Load() != tt.want || n != int(tt.want) {
				t.Errorf("%d losses, %d lines, want %d: %s", lost.Load(), n, tt.want, lines())
			}
			if _, err := os.Stat(filepath.Join(dir, "spool.db.new")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the left-over is still there: %v", err)
			}
		})
	}
}
