package origins

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

func originOf(kind, project, id string) Origin {
	return Origin{
		Kind: kind, Scope: azuredevops.Scope{Organization: "https://dev.azure.com/acme", Project: project, ID: id},
		Ref: port.Ref{Blueprint: kind + "s", Identifier: id},
	}
}

func writeOrigins(t *testing.T, dir string, keep func(*Origin) bool, all ...Origin) {
	t.Helper()
	writeOriginsWith(t, nil, dir, keep, all...)
}

func writeOriginsWith(t *testing.T, b *Book, dir string, keep func(*Origin) bool, all ...Origin) {
	t.Helper()
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	w.With(b)
	for _, o := range all {
		w.Add(o)
	}
	if err := w.Commit(false, keep); err != nil {
		t.Fatal(err)
	}
}

// already is the commit of a file that is the current one.
func already() error { return nil }

func origins(t *testing.T, dir string) map[string]int {
	t.Helper()
	out := map[string]int{}
	f, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := textOf(f)
	if err == nil {
		err = parse(text, func(o *Origin) { out[o.Kind+" "+o.Scope.Project+" "+o.Ref.String()]++ })
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func never(*Origin) bool { return false }

func TestOriginsAreReplacedByTheNextResync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("repository", "p1", "a"), originOf("repository", "p1", "b"))
	writeOrigins(t, dir, never, originOf("repository", "p1", "b"))
	if diff := cmp.Diff(map[string]int{"repository p1 repositorys/b": 1}, origins(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestOriginsOfUnreadPartsAreCarriedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("repository", "p1", "a"), originOf("repository", "p2", "b"))
	unread := func(o *Origin) bool { return o.Scope.Project == "p2" }
	for range 3 {
		writeOrigins(t, dir, unread, originOf("repository", "p1", "a"), originOf("repository", "p2", "b"), originOf("repository", "p2", "c"))
	}
	want := map[string]int{"repository p1 repositorys/a": 1, "repository p2 repositorys/b": 1, "repository p2 repositorys/c": 1}
	if diff := cmp.Diff(want, origins(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestDiscardedOriginsLeaveTheOldOnes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("repository", "p1", "a"))
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	w.Add(originOf("repository", "p1", "b"))
	w.Discard()
	if diff := cmp.Diff(map[string]int{"repository p1 repositorys/a": 1}, origins(t, dir)); diff != "" {
		t.Error(diff)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%d files (%v), want only %s", len(files), err, fileName)
	}
}

func TestWithoutADirectoryNothingIsRemembered(t *testing.T) {
	t.Parallel()
	writeOrigins(t, "", never, originOf("repository", "p1", "a"))
	w := NewWriter("/nowhere/at/all", slog.New(slog.DiscardHandler))
	w.Add(originOf("repository", "p1", "a"))
	if err := w.Commit(true, never); err == nil { // or the book would forget what live events have found
		t.Error("nobody is told that there is no new file")
	}
}

func FuzzParseOrigins(f *testing.F) {
	for _, text := range []string{header, header + "\x01k\x00\x00\x00\x00\x01b\x01i", header + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		f.Add([]byte(text))
		var sealed bytes.Buffer
		s, err := seal(&sealed)
		if err == nil {
			_, err = s.Write([]byte(text))
		}
		if err := errors.Join(err, s.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(sealed.Bytes())
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		if t, err := textOf(bytes.NewReader(b)); err == nil {
			_ = parse(t, func(*Origin) {})
		}
		b = mended(b, len(sealedHeader))
		if t, err := textOf(bytes.NewReader(b)); err == nil {
			_ = parse(t, func(*Origin) {})
		}
	})
}

// mended gives the first record of a file the checksum of what it has by now, so that
// what is behind it is looked at.
func mended(b []byte, at int) []byte {
	if len(b) < at+statefile.RecordHeader {
		return b
	}
	b = bytes.Clone(b)
	rec := b[at:]
	if n := int64(binary.LittleEndian.Uint32(rec[4:])) + statefile.RecordHeader; n <= int64(len(rec)) {
		binary.LittleEndian.PutUint32(rec, statefile.Checksum(rec[4:n]))
	}
	return b
}

func TestCovers(t *testing.T) {
	t.Parallel()
	inner := azuredevops.Scope{Organization: "o", Project: "p", Repository: "r", ID: "i"}
	for _, tt := range []struct {
		name  string
		outer azuredevops.Scope
		want  bool
	}{
		{"everything", azuredevops.Scope{}, true},
		{"the organization", azuredevops.Scope{Organization: "o"}, true},
		{"another organization", azuredevops.Scope{Organization: "x"}, false},
		{"the project", azuredevops.Scope{Organization: "o", Project: "p"}, true},
		{"another project", azuredevops.Scope{Organization: "o", Project: "x"}, false},
		{"the repository", azuredevops.Scope{Organization: "o", Project: "p", Repository: "r"}, true},
		{"another repository", azuredevops.Scope{Organization: "o", Project: "p", Repository: "x"}, false},
		{"the record", inner, true},
		{"another record", azuredevops.Scope{Organization: "o", Project: "p", ID: "x"}, false},
	} {
		if got := Covers(tt.outer, inner); got != tt.want {
			t.Errorf("Covers(%s) = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPrevious(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := originOf("repository", "p1", "a"), originOf("repository", "p1", "b")
	again := a
	again.Kind = "branch"
	writeOrigins(t, dir, never, a, b, again)
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	defer w.Discard()
	other := originOf("x", "y", "z")
	found, err := w.Previous(map[catalog.Key]bool{a.Entity(): true, other.Entity(): true})
	if diff := cmp.Diff(map[catalog.Key][]Origin{a.Entity(): {a, again}}, found); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	truncate(t, filepath.Join(dir, fileName), 1)
	if _, err := w.Previous(map[catalog.Key]bool{a.Entity(): true}); err == nil {
		t.Error("no error of a damaged file")
	}
	if found, err := new(Writer).Previous(map[catalog.Key]bool{a.Entity(): true}); err != nil || len(found) != 0 {
		t.Errorf("without a directory %v, %v", found, err)
	}
}

// A damaged file of the resync before is left alone as long as it may know of
// what was not read.
func TestCommitOverADamagedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("repository", "p1", "a"))
	truncate(t, filepath.Join(dir, fileName), 1)
	for _, all := range []bool{false, true} {
		w := NewWriter(dir, slog.New(slog.DiscardHandler))
		w.Add(originOf("repository", "p1", "b"))
		if err := w.Commit(all, never); (err == nil) != all {
			t.Errorf("all %v: Commit = %v", all, err)
		}
		w.Add(originOf("repository", "p1", "c")) // nothing to write to: no harm
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("all %v: %v, %v; want one file", all, files, err)
		}
	}
	if diff := cmp.Diff(map[string]int{"repository p1 repositorys/b": 1}, origins(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestOriginsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, dir string, w *Writer){
		"the file is closed": func(t *testing.T, _ string, w *Writer) {
			t.Helper()
			if err := w.file.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"the place is taken": func(t *testing.T, dir string, _ *Writer) {
			t.Helper()
			if err := os.MkdirAll(filepath.Join(dir, fileName, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := NewWriter(dir, slog.New(slog.DiscardHandler))
			spoil(t, dir, w)
			w.Add(originOf("repository", "p1", string(make([]byte, maxField)))) // more than the buffer holds
			w.Add(originOf("repository", "p1", "b"))
			if err := w.Commit(true, never); err == nil {
				t.Error("no error")
			}
			if left, err := filepath.Glob(filepath.Join(dir, fileName+"-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind %v, %v", left, err)
			}
		})
	}
}

// Older versions wrote the address of the organization as it was configured.
func TestOrganizationsOfOlderFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := originOf("repository", "p1", "a")
	old.Scope.Organization = "http://Acme.visualstudio.com/DefaultCollection"
	writeOrigins(t, dir, never, old)
	b := Open(dir, slog.New(slog.DiscardHandler))
	found, err := b.Of("repository", part("p1", ""))
	if err != nil || len(found) != 1 || found[0].Scope.Organization != "https://dev.azure.com/acme" {
		t.Errorf("found %v, %v", found, err)
	}
	old.Ref.Identifier = "b"
	b.Note(t.Context(), []Origin{old}, nil)
	b = Open(dir, slog.New(slog.DiscardHandler))
	if found, err = b.Of("repository", part("p1", "")); err != nil || len(found) != 2 {
		t.Errorf("found %v, %v; want that of the journal too", found, err)
	}
	same := func(*Origin) bool { return true }
	writeOrigins(t, dir, same, originOf("repository", "p1", "a"))
	if got := origins(t, dir)["repository p1 repositorys/a"]; got != 1 {
		t.Errorf("an origin is kept %d times", got)
	}
}
