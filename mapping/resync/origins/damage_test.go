package origins

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/mapping/catalog"
)

// A kept book lies in a directory, and is known with what it said after each note.
type kept struct {
	dir      string
	entities map[string]catalog.Key
	book     []map[string]string // origins of each entity
	previous []map[string]string
}

// keepBook makes a book of several blocks and notes, one of each of which is too short to be packed.
// Entities have up to three origins.
func keepBook(t *testing.T, organization string) *kept {
	t.Helper()
	of := func(project, id string) Origin {
		o := originOf("branch", project, id)
		o.Scope.Organization, o.Scope.ID = organization, "record of "+id
		return o
	}
	k := &kept{dir: t.TempDir(), entities: map[string]catalog.Key{}}
	w := NewWriter(k.dir, slog.New(slog.DiscardHandler))
	var file []Origin
	for i := range 9 {
		file = append(file, of("p", fmt.Sprint("x", i)))
		if i%4 == 0 {
			file = append(file, of("q", fmt.Sprint("x", i)))
		}
	}
	for i, o := range file {
		w.Add(o)
		if i%4 == 0 {
			if err := w.w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Commit(true, never); err != nil {
		t.Fatal(err)
	}
	b := Open(k.dir, slog.New(slog.DiscardHandler))
	notes := [][2][]Origin{
		{{of("r", "x0")}},
		{nil, {of("p", "x0"), of("q", "x0"), of("p", "x1")}},
		{{of("p", "y0"), of("p", "y1"), of("q", "y1"), of("p", "x1")}},
		{nil, {of("p", "y0")}},
	}
	seen := slices.Clone(file)
	for _, n := range notes {
		seen = append(append(seen, n[0]...), n[1]...)
	}
	for _, o := range seen {
		k.entities[o.Ref.Identifier] = o.Entity()
	}
	remember := func() {
		book, previous := k.read(t, b, k.dir)
		k.book, k.previous = append(k.book, book), append(k.previous, previous)
	}
	remember()
	for _, n := range notes {
		if err := b.Note(t.Context(), n[0], n[1]); err != nil {
			t.Fatal(err)
		}
		remember()
	}
	last := k.book[len(notes)]
	if last["x0"] != "r" || last["x1"] != "p" || last["x4"] != "p q" || last["y0"] != "" || last["y1"] != "p q" || k.previous[1]["x0"] != "p q r" {
		t.Fatalf("the book says %v, and that before %v", last, k.previous)
	}
	return k
}

func projects(all []Origin) string {
	var out []string
	for _, o := range all {
		out = append(out, o.Scope.Project)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// read asks for everything; nil: there is no answer.
func (k *kept) read(t *testing.T, b *Book, dir string) (book, previous map[string]string) {
	t.Helper()
	book, previous = map[string]string{}, map[string]string{}
	wanted := map[catalog.Key]bool{}
	for id, key := range k.entities {
		wanted[key] = true
		found, err := b.OfEntity(key)
		if err != nil {
			book = nil
			break
		}
		book[id] = projects(found)
	}
	for _, project := range []string{"p", "q", "r"} {
		found, _ := b.Of("branch", part(project, ""))
		for _, o := range found {
			if _, written := k.entities[o.Ref.Identifier]; !written || o.Kind != "branch" || o.Scope.Project != project || o.Scope.ID != "record of "+o.Ref.Identifier {
				t.Errorf("%s: found %v, which nobody wrote", dir, o)
			}
		}
	}
	for _, key := range k.entities {
		wanted[key] = true
	}
	before, err := Remembered(dir).Previous(wanted)
	if err != nil {
		return book, nil
	}
	for id, key := range k.entities {
		previous[id] = projects(before[key])
	}
	return book, previous
}

// check opens a book of which something is other than it was written: it says what it
// said after one of the notes, or nothing.
func (k *kept) check(t *testing.T, what, dir string, cut bool) (known bool) {
	t.Helper()
	b := &Book{dir: dir, log: slog.New(slog.DiscardHandler), live: map[catalog.Key]change{}, found: map[uint64][]catalog.Key{}}
	err := b.load()
	if b.file != nil {
		defer b.file.Close()
	}
	book, previous := k.read(t, b, dir)
	if (err == nil) != (book != nil) || (err == nil) != b.Known() || (book == nil) != (previous == nil) {
		t.Errorf("%s: load = %v, known %v, of entities %v, of the resync before %v", what, err, b.Known(), book, previous)
	}
	if book == nil {
		return false
	}
	for i := range k.book {
		if (cut || i == len(k.book)-1) && maps.Equal(book, k.book[i]) && maps.Equal(previous, k.previous[i]) {
			return true
		}
	}
	t.Errorf("%s: of entities %v, of the resync before %v", what, book, previous)
	return true
}

// Whatever byte of a book is another one, and wherever it is cut off: it says what was
// written, or nothing.
func TestEveryByteOfABook(t *testing.T) {
	t.Parallel()
	k := keepBook(t, part("", "").Organization)
	for _, name := range []string{fileName, journalFile} {
		whole, err := os.ReadFile(filepath.Join(k.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for part := range 4 {
			t.Run(fmt.Sprint(name, part), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				copyBook(t, k.dir, dir)
				put := func(b []byte) {
					if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				unnoticed := 0
				for at := part; at < len(whole); at += 4 {
					b := bytes.Clone(whole)
					b[at] ^= 1 << (at / 4 % 8)
					put(b)
					if k.check(t, fmt.Sprintf("byte %d", at), dir, false) {
						unnoticed++
					}
				}
				if unnoticed > 10 { // what fills up to the next record
					t.Errorf("%d of %d bytes can be others", unnoticed, len(whole)/4)
				}
				for n := part; n < len(whole); n += 4 {
					put(whole[:n])
					if k.check(t, fmt.Sprintf("the first %d bytes", n), dir, true) && name == fileName {
						t.Errorf("the first %d of %d bytes are taken for a book", n, len(whole))
					}
				}
				put(append(bytes.Clone(whole), byte(part)))
				k.check(t, "one byte more", dir, true)
			})
		}
	}
}

func copyBook(t *testing.T, from, to string, names ...string) {
	t.Helper()
	if names == nil {
		names = []string{fileName, journalFile}
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Blocks that are whole, but not where they were written, are damage, too.
func TestBlocksOutOfPlace(t *testing.T) {
	t.Parallel()
	k, other := keepBook(t, part("", "").Organization), keepBook(t, part("", "").Organization)
	for _, name := range []string{fileName, journalFile} {
		blocks := func(dir string) (head []byte, out [][]byte) {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			n := len(journalHeader) // both are as long
			for at := n; at < len(b); {
				rest := b[at:]
				size := int(padded(rest))
				out, at = append(out, rest[:size]), at+size
			}
			return b[:n], out
		}
		head, list := blocks(k.dir)
		_, others := blocks(other.dir)
		if len(list) < 4 || len(list) != len(others) {
			t.Fatalf("%d blocks, %d", len(list), len(others))
		}
		last := len(list) - 1
		for what, changed := range map[string][][]byte{
			"one is missing":       slices.Delete(slices.Clone(list), 1, 2),
			"the first is missing": list[1:],
			"one is there twice":   slices.Insert(slices.Clone(list), 1, list[1]),
			"two have changed":     append([][]byte{list[1], list[0]}, list[2:]...),
			"one of another file":  append([][]byte{list[0], others[1]}, list[2:]...),
			"behind the end":       append(slices.Clone(list), list[last]),
		} {
			dir := t.TempDir()
			copyBook(t, k.dir, dir)
			if err := os.WriteFile(filepath.Join(dir, name), append(bytes.Clone(head), bytes.Join(changed, nil)...), 0o600); err != nil {
				t.Fatal(err)
			}
			if k.check(t, name+": "+what, dir, false) {
				t.Errorf("%s: %s, and nobody notices", name, what)
			}
		}
	}
}

// A journal says what has changed since one resync. Of another one, or of another
// organization, it says nothing.
func TestSwappedFiles(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://dev.azure.com/elsewhere"
	k, other := keepBook(t, part("", "").Organization), keepBook(t, elsewhere)
	for _, name := range []string{fileName, journalFile} {
		dir := t.TempDir()
		copyBook(t, k.dir, dir)
		copyBook(t, other.dir, dir, name)
		if k.check(t, name, dir, false) {
			t.Errorf("%s of another organization is believed", name)
		}
	}
	b := Open(other.dir, slog.New(slog.DiscardHandler)) // all of it: nothing is found where nothing was
	found, err := b.Of("branch", azuredevops.Scope{Organization: part("", "").Organization})
	if !b.Known() || err != nil || len(found) > 0 {
		t.Errorf("known %v, found %v, %v", b.Known(), found, err)
	}
	found, err = b.Of("branch", azuredevops.Scope{Organization: elsewhere})
	if err != nil || len(found) == 0 {
		t.Errorf("found %v, %v", found, err)
	}
}

// A process that is killed between the file of a resync and its journal leaves one that
// does not fit.
func TestKilledBeforeTurn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := originOf("branch", "p", "a")
	writeOrigins(t, dir, never, a)
	b := Open(dir, slog.New(slog.DiscardHandler))
	b.Note(t.Context(), nil, []Origin{a})
	writeOrigins(t, dir, never, a) // it is back, and no event told
	if b = Open(dir, slog.New(slog.DiscardHandler)); b.Known() {
		t.Error("what an event said before the resync is believed")
	}
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	w.Add(a)
	if err := errors.Join(w.Commit(true, never), w.Forget()); err != nil { // a resync that nobody follows
		t.Fatal(err)
	}
	b = Open(dir, slog.New(slog.DiscardHandler))
	if found, err := b.OfEntity(a.Entity()); !b.Known() || err != nil || len(found) != 1 {
		t.Errorf("known %v, found %v, %v", b.Known(), found, err)
	}
}

// A process that is killed while it reads the new file has replaced the journal before.
func TestKilledAmidTurn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := originOf("branch", "p", "a")
	writeOrigins(t, dir, never, a)
	b := Open(dir, slog.New(slog.DiscardHandler))
	began := time.Now()
	b.Note(t.Context(), []Origin{originOf("branch", "p", "b")}, nil)
	writeOriginsWith(t, b, dir, never, a)
	path := filepath.Join(dir, fileName)
	whole, err := os.ReadFile(path)
	if err == nil {
		err = os.Truncate(path, int64(len(whole)-1)) // it cannot be read
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Turn(t.Context(), began, already); err == nil || b.Known() {
		t.Errorf("a damaged file: %v", err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Open(dir, slog.New(slog.DiscardHandler)).Of("branch", part("p", ""))
	if got := names(t, found, err); got != "a b" {
		t.Errorf("found %q", got)
	}
}

// The disk may be full for a moment: what a process has in memory is complete all the same.
func TestJournalThatCouldNotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, there := originOf("branch", "p", "a"), originOf("branch", "q", "a")
	writeOrigins(t, dir, never, a)
	b := Open(dir, slog.New(slog.DiscardHandler))
	_ = b.journal.f.Close()
	b.Note(t.Context(), []Origin{there}, nil)
	if Open(dir, slog.New(slog.DiscardHandler)).Known() {
		t.Error("what is missing in the journal is not missed")
	}
	began := time.Now()
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	w.With(b)
	if found, err := w.Previous(map[catalog.Key]bool{a.Entity(): true}); err != nil || len(found[a.Entity()]) != 2 {
		t.Errorf("found %v, %v", found, err)
	}
	w.Add(a)
	if err := errors.Join(w.Commit(false, func(o *Origin) bool { return o.Scope.Project == "q" }), b.Turn(t.Context(), began, already)); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Book{b, Open(dir, slog.New(slog.DiscardHandler))} {
		if found, err := b.OfEntity(a.Entity()); err != nil || len(found) != 2 {
			t.Errorf("afterwards %v, %v", found, err)
		}
	}
}

// What several processes have found since the file was made is not in the directory.
func TestDirectoryOfASharedBook(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(b *Book, w *Writer) error{
		"a service":                    func(b *Book, _ *Writer) error { return b.Turn(t.Context(), time.Now(), already) },
		"a resync that nobody follows": func(_ *Book, w *Writer) error { return w.Forget() },
	} {
		dir := t.TempDir()
		a := originOf("branch", "p", "a")
		writeOrigins(t, dir, never, a)
		if err := os.WriteFile(mark(dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		b := Open(dir, slog.New(slog.DiscardHandler))
		if _, err := b.OfEntity(a.Entity()); err == nil || b.Known() {
			t.Errorf("%s: believed: %v", name, err)
		}
		w := NewWriter(dir, slog.New(slog.DiscardHandler))
		if _, err := w.Previous(map[catalog.Key]bool{a.Entity(): true}); err == nil {
			t.Errorf("%s: believed by a resync", name)
		}
		w.Add(a)
		if err := errors.Join(w.Commit(true, never), next(b, w)); err != nil {
			t.Fatal(err)
		}
		if found, err := Open(dir, slog.New(slog.DiscardHandler)).OfEntity(a.Entity()); err != nil || len(found) != 1 {
			t.Errorf("%s: after a complete resync %v, %v", name, found, err)
		}
	}
}

// plainBook writes what version 1 left.
func plainBook(t *testing.T, dir string, file []Origin, live ...change) {
	t.Helper()
	text, journal := []byte(header), []byte(plainHeader)
	for _, o := range file {
		text = o.append(text)
	}
	for _, c := range live {
		journal = c.appendJournal(journal)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, fileName), text, 0o600), os.WriteFile(filepath.Join(dir, journalFile), journal, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// A book of version 1 is taken over, and replaced by the next resync.
func TestBookOfVersion1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, c := originOf("branch", "p", "a"), originOf("branch", "p", "b"), originOf("branch", "q", "c")
	plainBook(t, dir, []Origin{a, b}, change{Origin: c}, change{Origin: b, gone: true})
	var book *Book
	check := func(want string) {
		t.Helper()
		found, err := book.Of("branch", azuredevops.Scope{Organization: part("", "").Organization})
		if got := names(t, found, err); got != want || !book.Known() {
			t.Errorf("known %v, found %q, want %q", book.Known(), got, want)
		}
	}
	for range 2 { // the second process finds a journal of ours beside the file
		book = Open(dir, slog.New(slog.DiscardHandler))
		check("a c")
	}
	book.Note(t.Context(), []Origin{originOf("branch", "q", "d")}, nil)
	before, err := Remembered(dir).Previous(map[catalog.Key]bool{a.Entity(): true, c.Entity(): true})
	if err != nil || len(before) != 2 {
		t.Errorf("of the resync before %v, %v", before, err)
	}
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	w.Add(a)
	err = w.Commit(false, func(o *Origin) bool { return o.Scope.Project == "q" }) // which was not read
	if err := errors.Join(err, book.Turn(t.Context(), time.Now(), already)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		check("a c d")
		book = Open(dir, slog.New(slog.DiscardHandler))
	}
	if head, err := os.ReadFile(filepath.Join(dir, fileName)); err != nil || !bytes.HasPrefix(head, []byte(sealedHeader)) {
		t.Errorf("the file begins with %.20q, %v", head, err)
	}
	plainBook(t, dir, nil, change{Origin: b, gone: true})
	copyBook(t, keepBook(t, "x").dir, dir, fileName) // an earlier version was here in between
	if book = Open(dir, slog.New(slog.DiscardHandler)); book.Known() {
		t.Error("a journal of version 1 is believed beside a file that it cannot be of")
	}
}

// What processes give to each other is what version 1 had as its file.
func TestTextIsThatOfVersion1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := []byte(header)
	var all []Origin
	for i := range 2000 { // several blocks
		o := originOf("branch", "p", fmt.Sprint("x", i))
		all, want = append(all, o), o.append(want)
	}
	writeOrigins(t, dir, never, all...)
	b := Open(dir, slog.New(slog.DiscardHandler))
	text, err := textOf(b.file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(text)
	if err != nil || !bytes.Equal(got, want) || len(text.blocks) < 4 {
		t.Errorf("%d bytes of %d in %d blocks, %v", len(got), len(want), len(text.blocks), err)
	}
	for i, o := range all { // also those that begin in one block and end in the next
		if found, err := b.OfEntity(o.Entity()); err != nil || len(found) != 1 || found[0] != o {
			t.Fatalf("origin %d: %v, %v", i, found, err)
		}
	}
}

// padded is how much a file's first record takes.
func padded(b []byte) int64 {
	rec, err := statefile.ReadRecord(bytes.NewReader(b), 0)
	if err != nil {
		return int64(len(b))
	}
	return statefile.Padded(len(rec))
}
