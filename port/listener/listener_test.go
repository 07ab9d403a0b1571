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

// Of what is asked for during a resync one is run behind it, for the latest cause.
func TestRequestsDuringAResyncRunOnceMore(t *testing.T) {
	for name, tt := range map[string]struct {
		changed int32 // the request with which the mapping is another one
		want    []string
	}{"": {0, []string{"first", "third"}}, "another mapping": {2, []string{"first", listener.CauseMapping}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked, atOnce atomic.Int32
				var causes []string
				wake := make(chan string)
				go func() {
					for _, cause := range []string{"first", "second", "third"} { // one begins a resync, two come while it runs
						wake <- cause
						time.Sleep(time.Minute)
					}
				}()
				run(t, time.Hour, listener.Config{
					Wake:  wake,
					Asked: func(context.Context) bool { return asked.Add(1) == tt.changed },
					Resync: func(_ context.Context, cause string) error {
						causes = append(causes, cause)
						if atOnce.Add(1) > 1 {
							t.Error("two resyncs at once")
						}
						time.Sleep(10 * time.Minute)
						atOnce.Add(-1)
						return nil
					},
				})
				if asked.Load() != 2 || !slices.Equal(causes, tt.want) {
					t.Errorf("resyncs because of %q, told %d times of requests; want %q and 2", causes, asked.Load(), tt.want)
				}
			})
		})
	}
}

// Whether a process begins with a resync is its setting's say, not that of requests
// which somebody has made before.
func TestStartDoesNotDependOnOldRequests(t *testing.T) {
	for _, onStart := range []bool{true, false} {
		for _, age := range []time.Duration{0, time.Hour} { // of the request; 0: there is none
			synctest.Test(t, func(t *testing.T) {
				var causes []string
				begun := time.Now()
				run(t, 10*time.Minute, listener.Config{
					OnStart: onStart,
					Resync:  func(_ context.Context, cause string) error { causes = append(causes, cause); return nil },
					Requested: func(context.Context) (time.Time, error) {
						if age == 0 {
							return time.Time{}, nil
						}
						return begun.Add(-age), nil
					},
				})
				if onStart != slices.Equal(causes, []string{listener.CauseStart}) || !onStart && len(causes) > 0 {
					t.Errorf("on start %t, request of %v ago: resyncs because of %q", onStart, age, causes)
				}
			})
		}
	}
}

// A process that does not begin with a resync makes up for what was asked for since
// the last one began.
func TestRequestMadeWhileNobodyListened(t *testing.T) {
	for since, want := range map[time.Duration]int{2 * time.Hour: 1, time.Minute: 0} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			begun := time.Now()
			run(t, 10*time.Minute, listener.Config{
				Since:     begun.Add(-since),
				Resync:    func(context.Context, string) error { n++; return nil },
				Requested: func(context.Context) (time.Time, error) { return begun.Add(-time.Hour), nil },
			})
			if n != want {
				t.Errorf("%d resyncs for a request of an hour ago, the last one being %v old; want %d", n, since, want)
			}
		})
	}
}

// A resync that is ended early, or fails, ends neither polling nor the schedule.
func TestListeningGoesOnBehindABadResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var causes []string
		begun := time.Now()
		run(t, 3*time.Hour+time.Second, listener.Config{
			OnStart: true,
			Resync: func(_ context.Context, cause string) error {
				causes = append(causes, cause)
				return context.Canceled
			},
			Requested: func(context.Context) (time.Time, error) { return time.Now().Truncate(2 * time.Hour), nil },
			Schedule:  func(at time.Time) time.Time { return begun.Add(at.Sub(begun).Truncate(time.Hour) + time.Hour) },
		})
		for _, cause := range []string{listener.CauseStart, listener.CauseAsked, listener.CauseSchedule} {
			if !slices.Contains(causes, cause) {
				t.Errorf("resyncs because of %q, want one of %q", causes, cause)
			}
		}
	})
}

// A request made during the first resync is run, whoever began that one.
func TestRequestDuringTheFirstResyncIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var causes []string
		var requested atomic.Int64
		begun := time.Now()
		run(t, 3*time.Hour, listener.Config{
			Schedule: func(at time.Time) time.Time { return begun.Add(at.Sub(begun).Truncate(2*time.Hour) + 2*time.Hour) },
			Resync: func(_ context.Context, cause string) error {
				causes = append(causes, cause)
				time.Sleep(10*time.Minute + time.Second) // not at the time of a question
				if len(causes) == 1 {
					requested.Store(time.Now().Add(-5 * time.Minute).UnixNano())
				}
				return nil
			},
			Requested: func(context.Context) (time.Time, error) { return time.Unix(0, requested.Load()), nil },
		})
		if want := []string{listener.CauseSchedule, listener.CauseAsked}; !slices.Equal(causes, want) {
			t.Errorf("resyncs because of %q, want %q", causes, want)
		}
	})
}

// An edit of the mapping does not take the place of a resync that has to read: after
// deliveries that were missed.
func TestEditBehindMissedDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		woken, start := listener.NewWaker(), time.Now()
		var causes []string
		run(t, 10*time.Minute, listener.Config{
			OnStart: true, Wake: woken,
			Resync: func(_ context.Context, cause string) error {
				if causes = append(causes, cause); len(causes) == 1 {
					woken.Missed()
					time.Sleep(3 * time.Minute)
				}
				return nil
			},
			Asked: func(context.Context) bool { return true },
			Requested: func(context.Context) (time.Time, error) {
				if time.Since(start) < 2*time.Minute {
					return time.Time{}, nil
				}
				return start.Add(2 * time.Minute), nil
			},
		})
		if want := []string{listener.CauseStart, listener.CauseMissed}; !slices.Equal(causes, want) {
			t.Errorf("causes %q, want %q", causes, want)
		}
	})
}
