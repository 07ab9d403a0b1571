package origins

import (
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
)

// A sharer is a process with a book that it shares.
func sharer(t *testing.T, s *replicatest.Server, dir string) (book *Book, leads bool) {
	t.Helper()
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	led := make(chan struct{})
	g.Join(replica.Family{
		Name: replica.Leadership, Count: 1, Gained: func(int, *replica.Term) { close(led) }, Lost: func(int) {}, Yield: func(int) {},
	})
	stop := sync.OnceFunc(g.Start(t.Context()))
	t.Cleanup(stop)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for g.Failing() != nil || g.Term() == nil {
		<-tick.C
	}
	select {
	case <-led:
		leads = true
	case <-time.After(time.Second):
	}
	return OpenOrShare(dir, g, slog.New(slog.DiscardHandler)), leads
}

func TestSharedBook(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	old := t.TempDir() // of the time when the process was alone
	writeOrigins(t, old, never, originOf("repository", "p1", "r1"), originOf("repository", "p1", "r2"))
	alone := Open(old, slog.New(slog.DiscardHandler))
	if err := alone.Note(t.Context(), []Origin{originOf("repository", "p1", "r3")}, []Origin{originOf("repository", "p1", "r1")}); err != nil {
		t.Fatal(err)
	}
	a, leads := sharer(t, s, old)
	if !leads {
		t.Fatal("the first one does not lead")
	}
	check := func(who string, b *Book, want string) {
		t.Helper()
		if err := b.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		found, err := b.Of("repository", part("p1", ""))
		if got := names(t, found, err); got != want || !b.Known() {
			t.Errorf("%s knows %q (%v), want %q", who, got, b.Known(), want)
		}
	}
	a.Prepare(t.Context())
	check("the leader, of its own time,", a, "r2 r3")
	dir := t.TempDir()
	b, _ := sharer(t, s, dir)
	check("another one", b, "r2 r3")
	for _, x := range []*Book{a, b} {
		if err := x.Note(t.Context(), []Origin{originOf("repository", "p1", "r4")}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Note(t.Context(), nil, []Origin{originOf("repository", "p1", "r2")}); err != nil {
		t.Fatal(err)
	}
	check("the leader", a, "r3 r4")
	check("the other one", b, "r3 r4")

	began := time.Now()
	if err := b.Note(t.Context(), []Origin{originOf("repository", "p1", "r5")}, nil); err != nil { // after the resync began
		t.Fatal(err)
	}
	writeOriginsWith(t, a, old, never, originOf("repository", "p1", "r3"))
	if err := a.Turn(t.Context(), began, already); err != nil {
		t.Fatal(err)
	}
	check("the leader after a resync", a, "r3 r5")
	check("the other one after a resync", b, "r3 r5")
	if err := b.Turn(t.Context(), began, already); err == nil {
		t.Error("one that does not lead publishes a file")
	}
	if err := a.shrink(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	check("the leader after putting together", a, "r3 r5")
	check("the other one after putting together", b, "r3 r5")
	c, _ := sharer(t, s, t.TempDir())
	check("one with an empty directory", c, "r3 r5")

	// Without its data Redis knows nothing, and what lies on a disk may be old.
	s.Do("FLUSHALL")
	if err := b.Sync(t.Context()); err == nil {
		t.Error("no error of a Redis without its data")
	}
	if b.Known() {
		t.Error("what is left is still believed")
	}
	d, _ := sharer(t, s, dir)
	d.Prepare(t.Context())
	if err := d.Sync(t.Context()); err != nil || d.Known() {
		t.Errorf("an old file is believed: %v, %v", d.Known(), err)
	}
}

// What an event found in any process counts in the next resync, and is kept by it as
// long as its part cannot be read.
func TestSharedBookInAResync(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	dir := t.TempDir()
	here, there := originOf("repository", "p1", "x"), originOf("repository", "p2", "x")
	writeOrigins(t, dir, never, here)
	a, _ := sharer(t, s, dir)
	a.Prepare(t.Context())
	b, _ := sharer(t, s, t.TempDir())
	if err := b.Note(t.Context(), []Origin{there}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w := NewWriter(dir, slog.New(slog.DiscardHandler))
		w.With(a)
		if found, err := w.Previous(map[catalog.Key]bool{here.Entity(): true}); err != nil || len(found[here.Entity()]) != 2 {
			t.Errorf("of the resync before %v, %v", found, err)
		}
		w.Add(here)
		commit := func() error {
			if a.logMu.TryLock() {
				t.Error("what live events change can be put together before the file of the resync is known")
				a.logMu.Unlock()
			}
			return w.Commit(false, func(o *Origin) bool { return o.Scope.Project == "p2" })
		}
		if err := a.Turn(t.Context(), began, commit); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*Book{a, b} {
			if err := x.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if found, err := x.OfEntity(here.Entity()); err != nil || len(found) != 2 {
				t.Errorf("known is %v, %v", found, err)
			}
		}
	}
}

// A file that is missing in Redis, or a piece of it, is an error until a resync that reads
// everything has made another one. What live events found since that began stays.
func TestSharedBookDamaged(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	dir := t.TempDir()
	writeOrigins(t, dir, never, originOf("repository", "p1", "r1"))
	a, _ := sharer(t, s, dir)
	a.Prepare(t.Context())
	for _, missing := range []string{":" + a.name + ":0", ""} {
		s.Do("DEL ado-port:test:log:origins:file" + missing)
		next := t.TempDir() // of a leader that has nothing
		b := Share(next, a.shared, slog.New(slog.DiscardHandler))
		if err := b.Note(t.Context(), []Origin{originOf("repository", "p1", "before")}, nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.Sync(t.Context()); !errors.Is(err, replica.ErrDamaged) || b.Known() {
				t.Errorf("without %q Sync = %v, known %v", missing, err, b.Known())
			}
		}
		began := time.Now()
		if err := b.Note(t.Context(), []Origin{originOf("repository", "p1", "since")}, nil); err != nil {
			t.Fatal(err)
		}
		resync := func(all bool) error {
			w := NewWriter(next, slog.New(slog.DiscardHandler))
			w.With(b)
			w.Add(originOf("repository", "p1", "r2"))
			return b.Turn(t.Context(), began, func() error { return w.Commit(all, never) })
		}
		if err := resync(false); err == nil || b.Known() {
			t.Errorf("a resync that has not read everything: %v, known %v", err, b.Known())
		}
		if err := resync(true); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*Book{b, a, Share(t.TempDir(), a.shared, slog.New(slog.DiscardHandler))} {
			if err := x.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			found, err := x.Of("repository", part("p1", ""))
			if got := names(t, found, err); got != "r2 since" || !x.Known() {
				t.Errorf("after the resync %q is known (%v)", got, x.Known())
			}
		}
	}
}
