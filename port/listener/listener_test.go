package listener_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port/listener"
)

// run serves cfg for d of fake time.
func run(t *testing.T, d time.Duration, cfg listener.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := listener.Run(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Run = %v, want the end of ctx", err)
	}
}

func TestPollResyncsOncePerRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var resyncs atomic.Int32
		asked := 0
		run(t, 10*time.Minute+time.Second, listener.Config{
			Resync: func(context.Context, string) error { resyncs.Add(1); return nil },
			Requested: func(context.Context) (time.Time, error) {
				asked++
				switch {
				case asked == 4:
					return time.Time{}, errors.New("port is down")
				case asked >= 6:
					return start.Add(time.Hour), nil
				default:
					return start.Add(-time.Hour), nil // made before the start: no reason
				}
			},
		})
		if got := resyncs.Load(); got != 1 {
			t.Errorf("%d resyncs, want 1 for one new request", got)
		}
		if asked != 11 {
			t.Errorf("asked %d times in ten minutes, want 11", asked)
		}
	})
}

func TestPollKeepsARequestMadeWhilePortWasDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var resyncs atomic.Int32
		asked := 0
		at := time.Now().Add(-time.Hour)
		run(t, 5*time.Minute+time.Second, listener.Config{
			Resync: func(context.Context, string) error { resyncs.Add(1); return nil },
			Requested: func(context.Context) (time.Time, error) {
				if asked++; asked == 1 {
					return time.Time{}, errors.New("port is down")
				}
				if asked == 4 {
					at = time.Now()
				}
				return at, nil
			},
		})
		if got := resyncs.Load(); got != 1 {
			t.Errorf("%d resyncs, want 1", got)
		}
	})
}

func TestOnStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var resyncs atomic.Int32
		run(t, time.Second, listener.Config{OnStart: true, Resync: func(context.Context, string) error { resyncs.Add(1); return nil }})
		if got := resyncs.Load(); got != 1 {
			t.Errorf("%d resyncs, want 1", got)
		}
	})
}

func TestScheduleSkipsWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var resyncs atomic.Int32
		start := time.Now()
		run(t, 65*time.Minute, listener.Config{
			Schedule: func(at time.Time) time.Time { // every ten minutes
				return at.Add(10*time.Minute - at.Sub(start)%(10*time.Minute))
			},
			Resync: func(ctx context.Context, _ string) error {
				resyncs.Add(1)
				select {
				case <-time.After(15 * time.Minute):
				case <-ctx.Done():
				}
				return nil
			},
		})
		if got := resyncs.Load(); got != 3 { // at 10, 30 and 50 minutes
			t.Errorf("%d resyncs, want 3", got)
		}
	})
}

func TestRunWaitsForItsResyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		run(t, time.Second, listener.Config{OnStart: true, Resync: func(ctx context.Context, _ string) error {
			<-ctx.Done()
			time.Sleep(time.Second) // fake: finishing what is in flight
			ended = true
			return nil
		}})
		if !ended {
			t.Error("Run returned before its resync had ended")
		}
	})
}

func TestRequestsDuringAResyncRunOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var resyncs, asked, atOnce atomic.Int32
		var causes []string
		wake := make(chan string)
		go func() {
			for range 3 { // one begins a resync, two come while it runs
				wake <- "asked"
				time.Sleep(time.Minute)
			}
		}()
		run(t, time.Hour, listener.Config{
			Wake:  wake,
			Asked: func(context.Context) bool { return asked.Add(1) == 1 },
			Resync: func(_ context.Context, cause string) error {
				causes = append(causes, cause)
				if atOnce.Add(1) > 1 {
					t.Error("two resyncs at once")
				}
				time.Sleep(10 * time.Minute)
				atOnce.Add(-1)
				resyncs.Add(1)
				return nil
			},
		})
		if resyncs.Load() != 2 || asked.Load() != 2 || !slices.Equal(causes, []string{"asked", listener.CauseMapping}) {
			t.Errorf("%d resyncs because of %q, told %d times of requests; want 2 and 2", resyncs.Load(), causes, asked.Load())
		}
	})
}
