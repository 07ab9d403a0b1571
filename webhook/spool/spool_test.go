package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/webhook/spool"
)

func TestDeliverySurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := delivery("a", 1)
	want.Received = time.Unix(1700000000, 123456789)
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	accept(t, s, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, spool.Config{Directory: dir})
	got := take(t, s).Deliveries[0]
	want.ID, want.Attempt = 1, 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBodiesAreStoredExactly(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{Directory: t.TempDir()})
	for i, body := range []string{"", "x", strings.Repeat("ab", 3<<20), "\x00\xff{}", strings.Repeat("\x00", 1<<20)} {
		d := spool.Delivery{Key: "k", Body: []byte(body)}
		accept(t, s, d)
		c := take(t, s)
		if got := string(c.Deliveries[0].Body); got != body {
			t.Errorf("body %d: got %d bytes, want %d", i, len(got), len(body))
		}
		s.Finish(c, nil)
	}
}

// Deliveries of one key come in order and together, keys in the order in which
// they began to wait, and a key that somebody works on waits.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{Directory: t.TempDir()})
	accept(t, s, delivery("a", 1), delivery("b", 1), delivery("a", 2), delivery("a", 3))
	a := take(t, s)
	if diff := cmp.Diff([]string{"a/1", "a/2", "a/3"}, ids(a)); diff != "" {
		t.Error(diff)
	}
	accept(t, s, delivery("a", 4))
	b := take(t, s)
	if diff := cmp.Diff([]string{"b/1"}, ids(b)); diff != "" {
		t.Error(diff)
	}
	none(t, s) // a/4 waits for a
	s.Finish(a, nil)
	if diff := cmp.Diff([]string{"a/4"}, ids(take(t, s))); diff != "" {
		t.Error(diff)
	}
	if st := s.Stats(); st.Depth != 2 || st.Working != 2 {
		t.Errorf("Stats = %+v", st)
	}
}

func TestClaimIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{})
	for i := range 5 {
		d := delivery("big", i)
		d.Body = make([]byte, 1500<<10) // compressed they are small, in memory they are not
		accept(t, s, d)
	}
	for _, want := range []int{2, 2, 1} {
		c := take(t, s)
		if len(c.Deliveries) != want {
			t.Errorf("got %d deliveries, want %d", len(c.Deliveries), want)
		}
		s.Finish(c, nil)
	}
}

func TestHeldBack(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{Directory: t.TempDir(), Held: true})
	accept(t, s, delivery("a", 1))
	none(t, s)
	s.Start()
	take(t, s)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	byCount := open(t, spool.Config{MaxDeliveries: 2})
	accept(t, byCount, delivery("a", 1), delivery("a", 2))
	if _, err := byCount.Accept(t.Context(), delivery("a", 3), nil); !errors.Is(err, spool.ErrFull) {
		t.Errorf("third of two: %v, want ErrFull", err)
	}
	if dup, err := byCount.Accept(t.Context(), delivery("a", 1), nil); !dup || err != nil {
		t.Errorf("copy while full = %v, %v", dup, err)
	}
	byCount.Finish(take(t, byCount), nil)
	accept(t, byCount, delivery("a", 3)) // refused ones are no duplicates

	byBytes := open(t, spool.Config{MaxBytes: byCount.Stats().Bytes})
	accept(t, byBytes, delivery("a", 1))
	if _, err := byBytes.Accept(t.Context(), delivery("a", 2), nil); !errors.Is(err, spool.ErrFull) {
		t.Errorf("too many bytes: %v, want ErrFull", err)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{})
	long := strings.Repeat("x", 5000)
	for _, d := range []spool.Delivery{{}, {Key: long}, {Key: "k", EventType: long}, {Key: "k", EventID: long}, {Key: "k", SubscriptionID: long}} {
		if _, err := s.Accept(t.Context(), d, nil); !errors.Is(err, spool.ErrInvalid) {
			t.Errorf("Accept = %v, want ErrInvalid", err)
		}
	}
}

// Deliveries that arrive during a commit share the next one.
func TestDeliveriesShareACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		commits := make(chan int) // not buffered: a commit ends when it is taken
		s, err := spool.Open(t.Context(), spool.Config{Directory: t.TempDir(), Committed: func(_ time.Duration, n int, _ error) { commits <- n }})
		if err != nil {
			t.Fatal(err)
		}
		var senders sync.WaitGroup
		accept := func(i int) {
			senders.Go(func() {
				if _, err := s.Accept(t.Context(), delivery("k", i), nil); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		for i := range 32 { // the first is being committed, the others wait
			accept(i)
		}
		if first, second := <-commits, <-commits; first != 1 || second != 31 {
			t.Errorf("commits of %d and %d deliveries, want 1 and 31", first, second)
		}
		senders.Wait()
		go func() {
			for range commits {
			}
		}()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		close(commits)
	})
}

func TestConcurrentAccepts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	commits, stored := 0, 0
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir, Committed: func(_ time.Duration, n int, _ error) {
		mu.Lock()
		defer mu.Unlock()
		commits++
		stored += n
	}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for sender := range 32 {
		wg.Go(func() {
			for i := range 20 {
				if _, err := s.Accept(t.Context(), delivery(fmt.Sprint(sender), i), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if stored != 640 || commits > stored {
		t.Errorf("%d deliveries in %d commits, want 640 in no more", stored, commits)
	}
	s = open(t, spool.Config{Directory: dir})
	for range 32 {
		c := take(t, s)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf("%s/%d", c.Key, i))
		}
		if diff := cmp.Diff(want, ids(c)); diff != "" {
			t.Error(diff)
		}
	}
	none(t, s)
}

func TestClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	accept(t, s, delivery("a", 1), delivery("b", 1))
	c := take(t, s)
	s.Stop()
	if _, err := s.Accept(t.Context(), delivery("a", 2), nil); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("Accept after Stop = %v, want ErrClosed", err)
	}
	if _, err := s.Take(t.Context()); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("Take after Stop = %v, want ErrClosed", err)
	}
	s.Finish(c, nil)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, spool.Config{Directory: dir})
	if diff := cmp.Diff([]string{"b/1"}, ids(take(t, s))); diff != "" {
		t.Error(diff)
	}
	none(t, s)
}

func TestTakeEndsWithContext(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Take(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Take = %v, want Canceled", err)
	}
}

func TestOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Open(t.Context(), spool.Config{Directory: dir}); !errors.Is(err, spool.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, spool.Config{Directory: dir})
}

func TestWithoutDirectory(t *testing.T) {
	t.Parallel()
	log, lines := capture()
	s := open(t, spool.Config{Log: log})
	if !s.Stats().InMemory {
		t.Error("not in memory")
	}
	if n := strings.Count(lines(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, lines())
	}
	accept(t, s, delivery("a", 1))
	s.Finish(take(t, s), nil)
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(b []byte) []byte{
		"garbage":   func([]byte) []byte { return []byte(strings.Repeat("garbage ", 4096)) },
		"short":     func(b []byte) []byte { return b[:5000] },
		"truncated": func(b []byte) []byte { return b[:40<<10] },
		"zeros":     func(b []byte) []byte { clear(b[8<<10:]); return b },
		"a page": func(b []byte) []byte {
			for page := range slices.Chunk(b, os.Getpagesize()) {
				if bytes.Contains(page, []byte("k150/1")) {
					clear(page)
				}
			}
			return b
		},
		"bits": func(b []byte) []byte {
			for i := 16 << 10; i < len(b); i += 1000 {
				b[i] ^= 0x55
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, 300)
			path := filepath.Join(dir, "spool.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			log, lines := capture()
			s := open(t, spool.Config{Directory: dir, Log: log})
			accept(t, s, delivery("new", 1))
			drained := drain(t, s)
			if !slices.Contains(drained, "new/1") {
				t.Error("the new delivery is not there")
			}
			if name == "a page" && len(drained) < 200 {
				t.Errorf("%d of 300 saved", len(drained)-1)
			}
			if len(drained) < 301 && !strings.Contains(lines(), "level=ERROR") && s.Stats().DeadLetters == 0 {
				t.Errorf("%d lost, and nothing says so: %s", 301-len(drained), lines())
			}
		})
	}
}

// filled makes a spool with n deliveries of as many keys.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := s.Accept(t.Context(), delivery(fmt.Sprint("k", i), 1), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// drain takes everything that can be taken.
func drain(t *testing.T, s *spool.Spool) []string {
	t.Helper()
	var out []string
	for {
		st := s.Stats()
		if st.Depth == 0 {
			return out
		}
		c := take(t, s)
		out = append(out, ids(c)...)
		s.Finish(c, nil)
	}
}

func TestLargeEmptyFileIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := filled(t, 1)
	path := filepath.Join(dir, "spool.db")
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 80<<20); err != nil { // as after a long queue
		t.Fatal(err)
	}
	s = open(t, spool.Config{Directory: dir})
	accept(t, s, delivery("a", 1))
	if info, err := os.Stat(path); err != nil || info.Size() > 16<<20 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

// What a spool holds can be asked while it is closed, and afterwards it is still one on
// disk.
func TestStatsWhileClosing(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{Directory: t.TempDir()})
	asked := make(chan bool)
	go func() { asked <- s.Stats().InMemory }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if <-asked || s.Stats().InMemory {
		t.Error("a spool on disk says that nothing survives the process")
	}
}
