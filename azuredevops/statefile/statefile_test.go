package statefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "book")
	for _, text := range []string{"a long text", "b", ""} {
		if err := statefile.Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v, want %q", got, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	wantFiles(t, dir, 1)
}

// What is there stays until the new file is complete, and is the only one then.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "book")
	if err := statefile.Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := statefile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("read %q before the end", got)
	}
	f.Discard()
	if f.Commit() == nil {
		t.Error("a file that was dropped takes its place")
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("read %q", got)
	}
	wantFiles(t, dir, 1)
}

// A place that cannot be taken is left alone, and nothing stays beside it.
func TestPlaceIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "book")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if statefile.Replace(path, []byte("new")) == nil {
		t.Error("a directory was replaced")
	}
	wantFiles(t, dir, 1)
	if statefile.Replace(filepath.Join(dir, "nowhere", "book"), nil) == nil {
		t.Error("a file was written nowhere")
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	info, err := statefile.Probe(dir)
	if err != nil || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	wantFiles(t, dir, 0)
	if _, err := statefile.Probe(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("nowhere can be written")
	}
}

func wantFiles(t *testing.T, dir string, want int) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) != want {
		t.Errorf("%v, %v; want %d files", left, err, want)
	}
}
