package queue_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook/queue"
)

// A run is a queue.Once and what it did.
type run struct {
	*bench
	once    queue.Once
	asked   chan string
	waiting int // deliveries
	resyncs int
	noted   []time.Time
}

func newRun(t *testing.T, last time.Time) *run {
	t.Helper()
	r := &run{bench: newBench(t), asked: make(chan string, 1)}
	r.once = queue.Once{
		Queue: r.queue, Known: true, Strict: true, Asked: r.asked, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Subscriptions: func(context.Context) time.Time { return last },
		Handle:        func() {},
		Waiting:       func() int { return r.waiting },
		Resync: func(context.Context) (bool, error) {
			r.resyncs++
			return true, nil
		},
		Note: func(at time.Time) { r.noted = append(r.noted, at) },
	}
	return r
}

func TestOnce(t *testing.T) {
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		since   time.Duration // the last run; 0: there was none
		change  func(*run)
		resyncs int
		noted   string // "now", "never" or "" for nothing
		err     string
	}{
		"events":         {since: time.Hour, noted: "now"},
		"first run":      {resyncs: 1, noted: "now"},
		"five days":      {since: 5 * day, noted: "now"},
		"a week":         {since: 7 * day, resyncs: 1, noted: "now"},
		"no book":        {since: time.Hour, change: func(r *run) { r.once.Known = false }, resyncs: 1, noted: "now"},
		"events lost":    {since: time.Hour, change: func(r *run) { r.asked <- "missed" }, resyncs: 1, noted: "now"},
		"resync failed":  {change: func(r *run) { r.once.Resync = func(context.Context) (bool, error) { r.resyncs++; return false, nil } }, resyncs: 1, noted: "never"},
		"one waits":      {since: time.Hour, change: func(r *run) { r.waiting = 1 }, noted: "now", err: "wait in the state directory"},
		"queue is away":  {since: time.Hour, change: func(r *run) { r.set(status(http.StatusServiceUnavailable, "", "")) }, err: "503"},
		"away, not told": {since: time.Hour, change: func(r *run) { r.once.Strict = false; r.set(status(http.StatusServiceUnavailable, "", "")) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var last time.Time
				if tt.since > 0 {
					last = time.Now().Add(-tt.since)
				}
				r := newRun(t, last)
				r.put(`{"n":1}`)
				if tt.change != nil {
					tt.change(r)
				}
				began := time.Now()
				err := r.once.Run(t.Context())
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("Run = %v, want %q", err, tt.err)
				}
				if r.resyncs != tt.resyncs {
					t.Errorf("%d resyncs, want %d\n%s", r.resyncs, tt.resyncs, r.log)
				}
				if said := strings.Contains(r.log.String(), "read to its end\" messages=1") && strings.Contains(r.log.String(), `msg="all events were handled"`); said != (name == "events" || name == "five days") {
					t.Errorf("said that events were handled: %v\n%s", said, r.log)
				}
				noted := ""
				if len(r.noted) > 0 {
					noted = "now"
					if at := r.noted[len(r.noted)-1]; at.IsZero() {
						noted = "never"
					} else if at.Sub(began) > time.Minute {
						t.Errorf("noted %s after the begin: what happened meanwhile is not handled", at.Sub(began))
					}
				}
				if noted != tt.noted {
					t.Errorf("noted %q, want %q", noted, tt.noted)
				}
			})
		})
	}
}
