package spool_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/webhook/spool"
)

var errTransient = errors.New("the service is away")

// A delivery that fails for ever is tried at most 20 s apart in its first hour,
// less often later, and is dead after a day.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, spool.Config{})
		accept(t, s, delivery("a", 1))
		born := time.Now()
		var last time.Time
		tries := 0
		for s.Stats().DeadLetters == 0 {
			c, err := s.Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			age, gap := now.Sub(born), now.Sub(last)
			limit := 20 * time.Second
			switch {
			case age > 6*time.Hour+time.Minute:
				limit = 5 * time.Minute
			case age > time.Hour+20*time.Second:
				limit = time.Minute
			}
			if tries > 0 && gap > limit {
				t.Fatalf("at age %v: %v since the last try, want at most %v", age, gap, limit)
			}
			if tries > 10 && gap < limit/4 {
				t.Fatalf("at age %v: %v since the last try is too eager", age, gap)
			}
			tries, last = tries+1, now
			if c.Deliveries[0].Attempt != tries {
				t.Fatalf("attempt %d, want %d", c.Deliveries[0].Attempt, tries)
			}
			out := s.Finish(c, errTransient)
			if len(out.Dead) > 0 {
				if age < 24*time.Hour || age > 24*time.Hour+5*time.Minute {
					t.Errorf("dead at age %v, want 24 h", age)
				}
				synctest.Wait()
				time.Sleep(time.Second) // the fake clock: the committer writes
				synctest.Wait()
			}
		}
		if tries < 180+300 || tries > 1000 {
			t.Errorf("%d tries", tries)
		}
		for l, err := range s.Dead() {
			if err != nil || l.Attempts != tries || l.Reason != errTransient.Error() || l.EventID != "a/1" {
				t.Errorf("dead letter %+v, %v", l, err)
			}
		}
	})
}

// The first retries come quickly: most failures are short.
func TestFirstRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, spool.Config{})
		accept(t, s, delivery("a", 1))
		for i, millis := range []int{500, 1000, 2000, 4000, 8000, 16000, 20000, 20000} {
			out := s.Finish(take(t, s), errTransient)
			most := time.Duration(millis) * time.Millisecond
			if out.Delay > most || out.Delay < most*8/10 {
				t.Errorf("delay %d is %v, want a little less than %v", i+1, out.Delay, most)
			}
			accept(t, s, delivery("a", i+2)) // news do not hurry it
		}
		if c := take(t, s); len(c.Deliveries) != 9 {
			t.Errorf("%d deliveries, want all 9 together", len(c.Deliveries))
		}
	})
}

// A success begins the delays anew.
func TestSuccessForgetsFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, spool.Config{})
		for round := range 3 {
			accept(t, s, delivery("a", round))
			for range 5 {
				s.Finish(take(t, s), errTransient)
			}
			c := take(t, s)
			accept(t, s, delivery("a", 100+round))
			s.Finish(c, nil)
			out := s.Finish(take(t, s), errTransient)
			if out.Delay > 500*time.Millisecond {
				t.Errorf("delay after success is %v", out.Delay)
			}
			s.Finish(take(t, s), nil)
		}
	})
}

// Other keys go on while one waits for its next try.
func TestFailureIsOfOneKey(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{})
	accept(t, s, delivery("bad", 1), delivery("good", 1))
	s.Finish(take(t, s), errTransient)
	c := take(t, s)
	if c.Key != "good" {
		t.Errorf("got %s", c.Key)
	}
	s.Finish(c, nil)
}

// Of several deliveries only the one dies that cannot be handled.
func TestPermanent(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{Directory: t.TempDir()})
	for i := range 5 {
		accept(t, s, delivery("a", i))
	}
	permanent := fmt.Errorf("no such field: %w", spool.ErrPermanent)
	var calls [][]string
	for s.Stats().Depth > 0 {
		c := take(t, s)
		calls = append(calls, ids(c))
		var err error
		if strings.Contains(strings.Join(ids(c), " "), "a/3") {
			err = permanent
		}
		if len(calls) == 1 {
			accept(t, s, delivery("a", 5)) // arrives meanwhile
		}
		s.Finish(c, err)
	}
	want := [][]string{{"a/0", "a/1", "a/2", "a/3", "a/4"}, {"a/0"}, {"a/1"}, {"a/2"}, {"a/3"}, {"a/4"}, {"a/5"}}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
	if got := deadIDs(t, s, 1); !cmp.Equal(got, []string{"a/3"}) {
		t.Errorf("dead letters %v", got)
	}
}

// deadIDs waits for n dead letters and lists them.
func deadIDs(t *testing.T, s *spool.Spool, n int) []string {
	t.Helper()
	wait(t, "dead letters", func() bool { return s.Stats().DeadLetters >= n })
	var out []string
	for l, err := range s.Dead() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l.EventID)
	}
	return out
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spool.Open(t.Context(), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		accept(t, s, delivery(fmt.Sprint("k", i), 1))
		s.Finish(take(t, s), spool.ErrPermanent)
	}
	if got := deadIDs(t, s, 100); len(got) != 100 || got[0] != "k0/1" || got[99] != "k99/1" {
		t.Errorf("dead letters %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, spool.Config{Directory: dir}) // they survive
	var list []spool.DeadLetter
	for l := range s.Dead() {
		list = append(list, l)
	}
	if len(list) != 100 || string(list[7].Body) != string(delivery("k7", 1).Body) {
		t.Fatalf("%d dead letters", len(list))
	}
	if err := s.Drop(t.Context(), list[0].ID); err != nil {
		t.Error(err)
	}
	if err := s.Drop(t.Context(), list[0].ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("second Drop = %v", err)
	}
	if _, err := s.Redrive(t.Context(), list[0].ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Redrive = %v", err)
	}
	if n, err := s.Redrive(t.Context(), list[1].ID); n != 1 || err != nil {
		t.Errorf("Redrive = %d, %v", n, err)
	}
	c := take(t, s)
	if d := c.Deliveries[0]; d.EventID != "k1/1" || !d.Redriven || time.Since(d.Received) > time.Minute {
		t.Errorf("redriven delivery %+v", d)
	}
	s.Finish(c, nil)
	if n, err := s.Redrive(t.Context()); n != 98 || err != nil {
		t.Errorf("Redrive of all = %d, %v", n, err)
	}
	if got := drain(t, s); len(got) != 98 || s.Stats().DeadLetters != 0 {
		t.Errorf("%d handled, %d dead", len(got), s.Stats().DeadLetters)
	}
}

// Dead letters may take a fourth of the space; the oldest make room, and the log
// says so.
func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	log, lines := capture()
	s := open(t, spool.Config{MaxBytes: 10_000, Log: log})
	for i := range 50 {
		accept(t, s, delivery("k", i))
		s.Finish(take(t, s), spool.ErrPermanent)
	}
	var got []string
	wait(t, "the last burial", func() bool {
		got = deadIDs(t, s, s.Stats().DeadLetters)
		return len(got) > 0 && got[len(got)-1] == "k/49"
	})
	bytes := 0
	for l := range s.Dead() {
		bytes += len(l.Body)
	}
	if len(got) >= 50 || bytes > 10_000 {
		t.Errorf("%d dead letters with bodies of %d bytes", len(got), bytes)
	}
	if !strings.Contains(lines(), "make room") {
		t.Error("nothing in the log")
	}
}
