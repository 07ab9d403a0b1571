package origins

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/statefile"
)

func names(t *testing.T, found []Origin, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range found {
		out = append(out, o.Ref.Identifier)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func part(project, id string) azuredevops.Scope {
	return azuredevops.Scope{Organization: "https://dev.azure.com/acme", Project: project, ID: id}
}

func TestBookFindsPartsAndEntities(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all []Origin
	for i := range 50 {
		all = append(all, originOf("repository", fmt.Sprint("p", i%5), fmt.Sprint("r", i)))
	}
	writeOrigins(t, dir, never, all...)
	b := Open(dir, slog.New(slog.DiscardHandler))
	check := func(what, want string, found []Origin, err error) {
		t.Helper()
		if got := names(t, found, err); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	found, err := b.Of("repository", part("p1", ""))
	check("a project", "r1 r11 r16 r21 r26 r31 r36 r41 r46 r6", found, err)
	found, err = b.Of("repository", part("p1", "r11"))
	check("a record", "r11", found, err)
	found, err = b.Of("pipeline", part("p1", ""))
	check("another kind", "", found, err)
	for scope, want := range map[azuredevops.Scope]bool{part("p1", ""): true, part("p1", "r11"): true, part("p1", "r12"): false, part("p9", ""): false} {
		if b.Has("repository", scope) != want || b.Has("pipeline", scope) {
			t.Errorf("Has(%v) = %v", scope, !want)
		}
	}
	found, err = b.OfEntity(all[7].Entity())
	check("an entity", "r7", found, err)

	b.Note(t.Context(), []Origin{originOf("repository", "p1", "new")}, []Origin{all[11]})
	found, err = b.Of("repository", part("p1", ""))
	if !b.Has("repository", part("p1", "new")) {
		t.Error("what an event has found is not known")
	}
	check("after an event", "new r1 r16 r21 r26 r31 r36 r41 r46 r6", found, err)

	b = Open(dir, slog.New(slog.DiscardHandler)) // the process was killed
	found, err = b.Of("repository", part("p1", ""))
	check("after a restart", "new r1 r16 r21 r26 r31 r36 r41 r46 r6", found, err)

	before := time.Now().Add(time.Hour) // a resync that began later has seen it all
	writeOrigins(t, dir, never, all[1])
	if err := b.Turn(t.Context(), before, already); err != nil {
		t.Fatal(err)
	}
	found, err = b.Of("repository", part("p1", ""))
	check("after a resync", "r1", found, err)
}

func TestBookWithoutADirectoryRemembersLiveEvents(t *testing.T) {
	t.Parallel()
	b := Open("", slog.New(slog.DiscardHandler))
	b.Note(t.Context(), []Origin{originOf("branch", "p", "x")}, nil)
	found, err := b.Of("branch", part("p", ""))
	if got := names(t, found, err); got != "x" {
		t.Errorf("found %q, want x", got)
	}
}

// What a process was noting when it was killed is as if it had not begun; it has written
// nothing of it to Port.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("branch", "p", "w"))
	b := Open(dir, slog.New(slog.DiscardHandler))
	b.Note(t.Context(), []Origin{originOf("branch", "p", "x")}, nil)
	b.Note(t.Context(), []Origin{originOf("branch", "p", "y"), originOf("branch", "p", "z")}, nil)
	truncate(t, filepath.Join(dir, journalFile), 30)
	for want := range 2 {
		var log bytes.Buffer
		b = Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
		found, err := b.Of("branch", part("p", ""))
		if got := names(t, found, err); got != "w x" {
			t.Errorf("found %q, want w x", got)
		}
		if said := strings.Contains(log.String(), "half a note"); said != (want == 0) || strings.Contains(log.String(), "WARN") {
			t.Errorf("opened %d times: %s", want, &log)
		}
	}
}

// A note that is damaged may be what keeps an entity: nothing is believed until a resync
// has ended, whichever process comes.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here, there := originOf("branch", "p", "x"), originOf("branch", "q", "x") // both make x
	writeOrigins(t, dir, never, here)
	b := Open(dir, slog.New(slog.DiscardHandler))
	b.Note(t.Context(), []Origin{there}, nil)
	b.Note(t.Context(), []Origin{originOf("branch", "p", "y")}, nil)
	path := filepath.Join(dir, journalFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole[len(journalHeader)+statefile.RecordHeader+3] ^= 1
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var log bytes.Buffer
		b = Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
		if found, err := b.OfEntity(here.Entity()); err == nil || b.Known() {
			t.Errorf("of an entity %v, known %v", found, b.Known())
		}
		if !strings.Contains(log.String(), "not remembered completely") {
			t.Errorf("nothing says so: %s", &log)
		}
		b.Note(t.Context(), []Origin{originOf("branch", "p", "z")}, nil)
	}
	if err := NewWriter(dir, slog.New(slog.DiscardHandler)).Commit(false, never); err == nil {
		t.Error("a resync that has not read all replaces what it does not know")
	}
	began := time.Now()
	b.Note(t.Context(), []Origin{there}, nil)
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	w.Add(here)
	if err := errors.Join(w.Commit(true, never), b.Turn(t.Context(), began, already)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if found, err := b.OfEntity(here.Entity()); err != nil || len(found) != 2 {
			t.Errorf("after a resync %v, %v", found, err)
		}
		b = Open(dir, slog.New(slog.DiscardHandler))
	}
}

// Where a note could not be written the next process does not believe the rest.
func TestJournalThatIsNotComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("branch", "p", "w"))
	b := Open(dir, slog.New(slog.DiscardHandler))
	if err := b.journal.f.Close(); err != nil {
		t.Fatal(err)
	}
	x := originOf("branch", "p", "x")
	b.Note(t.Context(), []Origin{x}, nil)
	if found, err := b.OfEntity(x.Entity()); err != nil || len(found) != 1 {
		t.Errorf("the process itself knows %v, %v", found, err)
	}
	if b = Open(dir, slog.New(slog.DiscardHandler)); b.Known() {
		t.Error("the next one believes what is left")
	}
}

func FuzzParseJournal(f *testing.F) {
	const plain = "+\x01k\x00\x00\x00\x00\x01b\x01i-"
	f.Add([]byte(journalHeader))
	f.Add([]byte(plainHeader))
	f.Add([]byte(plainHeader + plain))
	o := originOf("branch", "p", "x")
	var sealed bytes.Buffer
	new(sealer).changes(&sealed, slices.Values([]change{{Origin: o}, {Origin: o, gone: true}}))
	f.Add(append([]byte(journalHeader), sealed.Bytes()...))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseJournal(bytes.NewReader(b), int64(len(b)), func(change) {})
		b = mended(b, len(journalHeader))
		_, _ = parseJournal(bytes.NewReader(b), int64(len(b)), func(change) {})
	})
}

func TestBookKnowsWhetherAResyncHasEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := Open(dir, slog.New(slog.DiscardHandler))
	if b.Known() {
		t.Error("origins of no resync are known")
	}
	writeOrigins(t, dir, never, originOf("repository", "p", "a"))
	if err := b.Turn(t.Context(), time.Now(), already); err != nil || !b.Known() {
		t.Errorf("Turn = %v, known %v", err, b.Known())
	}
}

// What happened since the resync began stays, also for the next process.
func TestTurnKeepsWhatIsNewer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := Open(dir, slog.New(slog.DiscardHandler))
	a, c := originOf("repository", "p", "a"), originOf("repository", "p", "c")
	writeOrigins(t, dir, never, a)
	begun := time.Now()
	b.Note(t.Context(), []Origin{c}, []Origin{a})
	for range 2 {
		if err := b.Turn(t.Context(), begun, already); err != nil {
			t.Fatal(err)
		}
		found, err := b.Of("repository", part("p", ""))
		if got := names(t, found, err); got != "c" {
			t.Errorf("found %q, want only c", got)
		}
		b = Open(dir, slog.New(slog.DiscardHandler))
	}
	b.Note(t.Context(), []Origin{a}, nil) // it is back
	found, err := b.OfEntity(a.Entity())
	if got := names(t, found, err); got != "a" {
		t.Errorf("found %q, want a", got)
	}
}

// The journal grows by what is new only.
func TestJournalIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := Open(dir, slog.New(slog.DiscardHandler))
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, journalFile))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	b.Note(t.Context(), []Origin{originOf("branch", "p", "x")}, nil)
	before := size()
	b.Note(t.Context(), []Origin{originOf("branch", "p", "x")}, nil)
	b.Note(t.Context(), nil, nil)
	if size() != before {
		t.Errorf("%d bytes after %d", size(), before)
	}
	b.Note(t.Context(), nil, []Origin{originOf("branch", "p", "x")})
	if size() == before {
		t.Error("an end is not in the journal")
	}
}

func TestBookThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, dir string) (state string)
		want    string
	}{
		"damaged file": {func(t *testing.T, dir string) string {
			t.Helper()
			writeOrigins(t, dir, never, originOf("branch", "p", "x"))
			truncate(t, filepath.Join(dir, fileName), 3)
			return dir
		}, "the memory of origins cannot be used"},
		"another version": {func(t *testing.T, dir string) string {
			t.Helper()
			for _, name := range []string{fileName, journalFile} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("something else altogether"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}, "not a file of this version"},
		"no directory": {func(_ *testing.T, dir string) string { return filepath.Join(dir, "nowhere") }, "the memory of origins cannot be used"},
		"a directory": {func(t *testing.T, dir string) string {
			t.Helper()
			for _, name := range []string{fileName, journalFile} {
				if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}, "what live events changed is not remembered completely"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			b := Open(tt.prepare(t, t.TempDir()), slog.New(slog.NewTextHandler(&log, nil)))
			if b.Known() || !strings.Contains(log.String(), tt.want) {
				t.Errorf("known %v, log %q, want %q", b.Known(), &log, tt.want)
			}
			b.Note(t.Context(), []Origin{originOf("branch", "p", "y")}, nil) // it goes on in memory
			found, err := b.Of("branch", part("p", ""))
			if got := names(t, found, err); got != "y" {
				t.Errorf("found %q, want y", got)
			}
		})
	}
}

// A file that is damaged while it is used is an error and not "nothing found".
func TestBookDamagedUnderTheHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("branch", "p", "x"))
	b := Open(dir, slog.New(slog.DiscardHandler))
	truncate(t, filepath.Join(dir, fileName), statefile.RecordHeader+9)
	if found, err := b.Of("branch", part("p", "")); err == nil {
		t.Errorf("found %v of a file that cannot be read", found)
	}
}

func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := Open(t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)))
	if err := b.journal.f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Note(t.Context(), []Origin{originOf("branch", "p", "x")}, nil)
		b.Note(t.Context(), nil, []Origin{originOf("branch", "p", "x")})
	}
	if n := strings.Count(log.String(), "not remembered beyond this process"); n != 1 {
		t.Errorf("said %d times, want once: %s", n, &log)
	}
}

// truncate cuts bytes off the end of a file.
func truncate(t *testing.T, path string, n int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-n)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What live events have found is not all before a resync has ended.
func TestBookBeforeTheFirstResync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here, there := originOf("branch", "p", "a"), originOf("branch", "q", "a")
	b := Open(dir, slog.New(slog.DiscardHandler))
	began := time.Now()
	if err := b.Note(t.Context(), []Origin{here}, nil); err != nil {
		t.Fatal(err)
	}
	if found, err := b.OfEntity(here.Entity()); err == nil {
		t.Errorf("only %v", found)
	}
	writeOriginsWith(t, b, dir, never, there)
	if err := b.Turn(t.Context(), began, already); err != nil {
		t.Fatal(err)
	}
	if found, err := b.OfEntity(here.Entity()); err != nil || len(found) != 2 {
		t.Errorf("afterwards %v, %v", found, err)
	}
}
