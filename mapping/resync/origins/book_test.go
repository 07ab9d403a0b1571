package origins

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
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

	b.Note([]Origin{originOf("repository", "p1", "new")}, []Origin{all[11]})
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
	if err := b.Turn(before); err != nil {
		t.Fatal(err)
	}
	found, err = b.Of("repository", part("p1", ""))
	check("after a resync", "r1", found, err)
}

func TestBookWithoutADirectoryRemembersLiveEvents(t *testing.T) {
	t.Parallel()
	b := Open("", slog.New(slog.DiscardHandler))
	b.Note([]Origin{originOf("branch", "p", "x")}, nil)
	found, err := b.Of("branch", part("p", ""))
	if got := names(t, found, err); got != "x" {
		t.Errorf("found %q, want x", got)
	}
}

func TestDamagedJournalKeepsWhatCanBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := Open(dir, slog.New(slog.DiscardHandler))
	b.Note([]Origin{originOf("branch", "p", "x"), originOf("branch", "p", "y")}, nil)
	path := filepath.Join(dir, journalFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b = Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	found, err := b.Of("branch", part("p", ""))
	if got := names(t, found, err); got != "x" {
		t.Errorf("found %q, want x", got)
	}
	if !strings.Contains(log.String(), "not remembered completely") {
		t.Errorf("nothing says so: %s", &log)
	}
}

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(journalHeader))
	f.Add([]byte(journalHeader + "+\x01k\x00\x00\x00\x00\x01b\x01i-"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = parseJournal(bytes.NewReader(b), func(change) {})
	})
}
