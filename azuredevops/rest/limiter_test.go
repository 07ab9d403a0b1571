package rest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func testLimiter(most int) (*limiter, *bytes.Buffer) {
	var log bytes.Buffer
	return newLimiter(most, slog.New(slog.NewTextHandler(&log, nil))), &log
}

func TestLimiterGrowsAndHalves(t *testing.T) {
	l, _ := testLimiter(15)
	if l.limit != startInFlight {
		t.Errorf("limit = %d at the start", l.limit)
	}
	for range 20 {
		l.observe(t.Context(), l.round, 200, nil)
	}
	if l.limit != 15 {
		t.Errorf("limit = %d after 20 answers, want 15", l.limit)
	}
	round := l.round
	for range 15 { // one burst
		l.observe(t.Context(), round, 200, headers("X-RateLimit-Delay", "1.5"))
	}
	if l.limit != 7 {
		t.Errorf("limit = %d after one delayed burst, want 7", l.limit)
	}
	for range 7 {
		l.observe(t.Context(), l.round, 200, nil)
	}
	if l.limit != 8 {
		t.Errorf("limit = %d after a calm round, want 8", l.limit)
	}
	for range 10 {
		l.observe(t.Context(), l.round, 429, nil)
	}
	if l.limit != 1 {
		t.Errorf("limit = %d, want 1 at least", l.limit)
	}
}

func TestThrottlingHeaders(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) string { return strconv.FormatInt(now.Unix()+int64(s), 10) }
	for _, tt := range []struct {
		name   string
		status int
		h      http.Header
		pause  time.Duration
		slow   bool
	}{
		{"nothing", 200, nil, 0, false},
		{"retry-after on 200", 200, headers("Retry-After", "7"), 7 * time.Second, true},
		{"fraction", 200, headers("Retry-After", "0.5"), 500 * time.Millisecond, true},
		{"retry-after on 500", 500, headers("Retry-After", "3"), 3 * time.Second, true},
		{"date", 503, headers("Retry-After", now.Add(9*time.Second).Format(http.TimeFormat)), 9 * time.Second, true},
		{"unix time", 503, headers("Retry-After", at(11)), 11 * time.Second, true},
		{"other clock", 503, headers("Retry-After", at(100), "Date", now.Add(90*time.Second).Format(http.TimeFormat)), 10 * time.Second, true},
		{"past", 503, headers("Retry-After", at(-5)), 0, true},
		{"garbage", 200, headers("Retry-After", "soon", "X-RateLimit-Reset", "later"), 0, false},
		{"NaN", 200, headers("Retry-After", "NaN"), 0, false},
		{"endless", 200, headers("Retry-After", "1e300"), time.Hour, true},
		{"delay only", 200, headers("X-RateLimit-Delay", "0.250"), 0, true},
		{"reset, budget left", 200, headers("X-RateLimit-Remaining", "20", "X-RateLimit-Reset", at(60)), 0, false},
		{"reset, budget gone", 200, headers("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", at(60)), time.Minute, true},
		{"reset on 429", 429, headers("X-RateLimit-Reset", at(60)), time.Minute, true},
		{"429 without headers", 429, nil, 0, true},
	} {
		pause, slow := throttling(now, tt.status, tt.h)
		if pause != tt.pause || slow != tt.slow {
			t.Errorf("%s: throttling = %v, %v, want %v, %v", tt.name, pause, slow, tt.pause, tt.slow)
		}
	}
}

func TestPauseHoldsForAllAndUrgentGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := testLimiter(1)
		round, err := l.acquire(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		enter := func(name string, urgent bool) {
			wg.Go(func() {
				if _, err := l.acquire(t.Context(), urgent); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, name+"@"+time.Since(start).String())
				mu.Unlock()
				l.observe(t.Context(), l.roundNow(), 200, nil)
				l.release()
			})
			synctest.Wait()
		}
		enter("bulk1", false)
		enter("bulk2", false)
		enter("urgent", true)
		l.observe(t.Context(), round, 200, headers("Retry-After", "30", "X-RateLimit-Resource", "core/user"))
		l.release()
		wg.Wait()
		if got := strings.Join(order, " "); got != "urgent@30s bulk1@30s bulk2@30s" {
			t.Errorf("order = %s", got)
		}
		if l.throttled != 30*time.Second {
			t.Errorf("throttled = %v", l.throttled)
		}
		line := log.String()
		if strings.Count(line, "\n") != 1 || !strings.Contains(line, "duration=30s resource=core/user answers=1 queued=3") {
			t.Errorf("log = %s", line)
		}
	})
}

func (l *limiter) roundNow() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.round
}

func TestLongerPauseReplacesShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := testLimiter(4)
		l.observe(t.Context(), 0, 429, headers("Retry-After", "5"))
		done := make(chan time.Duration)
		start := time.Now()
		go func() {
			_, _ = l.acquire(t.Context(), false)
			done <- time.Since(start)
		}()
		synctest.Wait()
		l.observe(t.Context(), 0, 429, headers("Retry-After", "12"))
		l.observe(t.Context(), 0, 429, headers("Retry-After", "2"))
		if d := <-done; d != 12*time.Second {
			t.Errorf("waited %v, want 12s", d)
		}
		if l.throttled != 12*time.Second {
			t.Errorf("throttled = %v, want pauses counted once", l.throttled)
		}
	})
}

func TestAcquireGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := testLimiter(1)
		if _, err := l.acquire(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		for range 2 {
			go func() { _, err := l.acquire(ctx, false); errs <- err }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v", err)
			}
		}
		l.release()
		if _, err := l.acquire(t.Context(), false); err != nil || l.inFlight != 1 || l.waiting != 0 {
			t.Errorf("err = %v, in flight %d, waiting %d", err, l.inFlight, l.waiting)
		}
	})
}

// Requests of a client never exceed its limit, and all get through a 429.
func TestClientUnderThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		in, most, n := 0, 0, 0
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			mu.Lock()
			in++
			n++
			k := n
			most = max(most, in)
			mu.Unlock()
			_ = Sleep(r.Context(), 10*time.Millisecond)
			mu.Lock()
			in--
			mu.Unlock()
			if k == 20 {
				return answer(429, "", "Retry-After", "60")
			}
			return answer(200, "{}")
		}}
		c := newTestClient(t, f, options{most: 6})
		start := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most != 6 || n != 51 {
			t.Errorf("most in flight = %d, want 6; requests = %d, want 51", most, n)
		}
		if d := time.Since(start); d < time.Minute || d > 62*time.Second {
			t.Errorf("took %v, want the minute that was asked for", d)
		}
	})
}

// Pauses are booked to the kind whose requests wait for them, once for all of them;
// what waits for a slot only is not.
func TestThrottledByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := testLimiter(1)
		var wg sync.WaitGroup
		ask := func(kind, project string, patience, hold time.Duration) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), callKey{}, &call{kind: kind, project: project}), patience)
				defer cancel()
				if _, err := l.acquire(ctx, false); err == nil {
					time.Sleep(hold)
					l.release()
				}
			})
			synctest.Wait()
		}
		ask("team", "", time.Hour, 2*time.Second) // before any pause
		ask("team", "", time.Hour, 0)             // for a slot
		time.Sleep(5 * time.Second)
		l.observe(t.Context(), 0, 429, headers("Retry-After", "10"))
		ask("build", "p1", time.Hour, 0)
		time.Sleep(4 * time.Second)
		ask("build", "p1", time.Hour, 3*time.Second)
		ask("build", "p2", time.Second, 0)
		l.observe(t.Context(), 1, 200, headers("Retry-After", "8")) // 2 s more
		time.Sleep(2 * time.Second)
		ask("branch", "p1", time.Hour, 0) // 6 s for the pause, then 3 s for the slot
		wg.Wait()
		all, by := l.pauses()
		want := map[string]time.Duration{"branch": 6 * time.Second, "build": 12 * time.Second} // three of build together
		if all != 12*time.Second || !maps.Equal(by, want) {
			t.Errorf("paused for %s, waited %v, want %v", all, by, want)
		}
	})
}
