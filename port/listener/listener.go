// Package listener decides when a resync runs: once, when Port asks for one, and
// on a schedule.
//
// It starts resyncs, one at a time, and does not know what they do. What is asked
// for while one runs is run once more behind it; a scheduled one is skipped then.
// Requests come by polling Port, from its Kafka topic ([Kafka]), or from the caller.
package listener

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config says when to resync. Zero fields mean: do not.
type Config struct {
	// Resync runs a resync to its end; never two at once. cause is one of those below,
	// or what Wake said. Its error is logged by whoever returns it.
	Resync func(ctx context.Context, cause string) error
	// Asked is told of a request that comes while a resync runs, and may end that one
	// because the mapping has changed, which it reports; nil: it goes on.
	Asked func(context.Context) (changed bool)
	// Requested returns when Port was last asked for a resync; the zero time
	// if never. Nil: Port is not asked.
	Requested func(context.Context) (time.Time, error)
	// Since is when the last resync began, of a process that does not resync at each
	// start: what was requested later is run. Zero: what was requested before the
	// start is no reason.
	Since time.Time
	// Kafka reads requests too; nil: it does not. Polling is silent while it can.
	Kafka *Kafka
	// Interval is the pause between two questions (default 60 s).
	Interval time.Duration
	// Wake resyncs whenever a cause can be received.
	Wake <-chan string
	// OnStart resyncs at once.
	OnStart bool
	// Schedule gives the next time to resync after t, the zero time for never; nil: never.
	Schedule func(t time.Time) time.Time
	Log      *slog.Logger
}

// Causes of a resync.
const (
	CauseStart    = "start"
	CauseSchedule = "schedule"
	CauseAsked    = "Port asked"
	CauseMapping  = "mapping changed"
	CauseMissed   = "missed deliveries"
	CausePosted   = "POST /resync"
)

// Causes are all of them.
func Causes() []string {
	return []string{CauseStart, CauseSchedule, CauseAsked, CauseMapping, CauseMissed, CausePosted}
}

const defaultInterval = time.Minute

// Run serves the configuration until ctx is done and its resyncs have ended. It
// returns ctx's cause.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Resync == nil {
		return errors.New("listener: nothing to run")
	}
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &loop{Config: cfg, next: make(chan string, 1)}
	var parts sync.WaitGroup
	defer parts.Wait()
	if cfg.Requested != nil {
		// Read before the first resync, so that neither an old request causes one
		// nor one made meanwhile is lost.
		baseline := time.Now()
		if at, ok := l.asked(ctx); ok {
			baseline = at
			if !cfg.Since.IsZero() && at.After(cfg.Since) {
				l.request(ctx, CauseAsked)
			}
		}
		parts.Go(func() { l.poll(ctx, baseline) })
	}
	if cfg.Kafka != nil {
		parts.Go(func() { cfg.Kafka.run(ctx, cfg.Interval, func() { l.request(ctx, CauseAsked) }) })
	}
	if cfg.OnStart {
		l.request(ctx, CauseStart)
	}
	if cfg.Schedule != nil {
		parts.Go(func() { l.schedule(ctx) })
	}
	if cfg.Wake != nil {
		parts.Go(func() { l.wake(ctx) })
	}
	for {
		select {
		case cause := <-l.next:
			l.running.Store(true)
			_ = l.Resync(ctx, cause)
			l.running.Store(false)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

type loop struct {
	Config
	mu      sync.Mutex  // held by who sends to next
	next    chan string // why a resync is wanted
	running atomic.Bool
}

// request asks for a resync. Several requests are one, with the cause of the last; but
// an edit of the mapping does not take the place of what asks for everything to be read.
func (l *loop) request(ctx context.Context, cause string) {
	if l.running.Load() && l.Asked != nil && l.Asked(ctx) && !reads(cause) {
		cause = CauseMapping
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case waiting := <-l.next:
		if reads(waiting) {
			cause = waiting
		}
	default:
	}
	l.next <- cause // there is room
}

// reads tells whether everything has to be read, whatever else there is to do.
func reads(cause string) bool { return cause == CauseMissed || cause == CausePosted }

// asked is when Port was last asked for a resync; false when that is not known.
func (l *loop) asked(ctx context.Context) (time.Time, bool) {
	at, err := l.Requested(ctx)
	if err != nil && ctx.Err() == nil {
		l.Log.WarnContext(ctx, "port could not be asked for resync requests; asking again", "err", err, "in", l.Interval.String())
	}
	return at, err == nil
}

// poll resyncs whenever the last request is newer than the one before, of which
// baseline is the first.
func (l *loop) poll(ctx context.Context, baseline time.Time) {
	for wait(ctx, l.Interval) {
		at, ok := l.asked(ctx)
		if !ok || !at.After(baseline) {
			continue
		}
		baseline = at
		if l.Kafka.reads() {
			continue // it has brought the same request
		}
		l.Log.InfoContext(ctx, "port asks for a resync", "requested_at", at)
		l.request(ctx, CauseAsked)
	}
}

// wake resyncs whenever it is asked to.
func (l *loop) wake(ctx context.Context) {
	for {
		select {
		case cause := <-l.Wake:
			l.request(ctx, cause)
		case <-ctx.Done():
			return
		}
	}
}

// schedule resyncs at the times of the schedule, unless one is running.
func (l *loop) schedule(ctx context.Context) {
	for {
		now := time.Now()
		next := l.Schedule(now)
		if next.IsZero() || !wait(ctx, next.Sub(now)) {
			return
		}
		if l.running.Load() {
			l.Log.WarnContext(ctx, "a scheduled resync is skipped because one is still running")
			continue
		}
		l.request(ctx, CauseSchedule)
	}
}

// wait pauses for d and reports false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
