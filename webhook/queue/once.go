package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Once is a run that handles what has come since the last one, and ends.
type Once struct {
	Queue *Queue
	// Subscriptions looks after them, so that what happens from here on comes into the
	// queue, and says when the last run was.
	Subscriptions func(ctx context.Context) (last time.Time)
	Known         bool           // there is a book of origins
	Handle        func()         // begins with the handling of what is stored
	Waiting       func() (n int) // deliveries that are stored and not handled
	Resync        func(ctx context.Context) (complete bool, err error)
	Asked         <-chan string // why a full resync is needed all the same
	// Note notes that everything before a time has been handled; the zero time, that
	// nobody knows what has been.
	Note   func(time.Time)
	Strict bool // errors are returned, not only logged
	Log    *slog.Logger
}

const (
	// longestAbsence is how old the last run may be. The queue keeps events for seven
	// days, and a run takes time.
	longestAbsence = 6 * 24 * time.Hour

	waitingEvery = 100 * time.Millisecond
	// handleWithin is how long the number of deliveries that wait may stay the same.
	handleWithin = 2 * time.Minute
)

// Run handles the events since the last run, or does a full resync where they do not
// tell everything. A stop is a good end.
func (o *Once) Run(ctx context.Context) error {
	err := o.run(ctx)
	if err != nil && ctx.Err() == nil {
		o.Log.ErrorContext(ctx, "not all events were handled", "err", err)
		if o.Strict {
			return err
		}
	}
	return nil
}

func (o *Once) run(ctx context.Context) error {
	began := time.Now()
	last := o.Subscriptions(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case last.IsZero():
		return o.full(ctx, "the state directory knows of no complete run before this one")
	case !o.Known:
		return o.full(ctx, "the book of origins is missing in the state directory")
	case began.Sub(last) > longestAbsence:
		return o.full(ctx, "the last run is more than six days old: "+last.UTC().Format(time.RFC3339))
	}
	o.Log.InfoContext(ctx, "the events since the last run are handled", "last_run", last)
	o.Handle()
	err := o.Queue.Drain(ctx)
	if err == nil {
		o.Log.InfoContext(ctx, "the storage queue was read to its end", "messages", o.Queue.Status().Received)
		err = o.await(ctx)
	}
	select {
	case why := <-o.Asked:
		return o.full(ctx, why)
	default:
	}
	if err == nil || errors.Is(err, errWaiting) {
		o.Note(began)
	}
	if err == nil {
		o.Log.InfoContext(ctx, "all events were handled", "seconds", time.Since(began).Seconds())
	}
	return err
}

// full does a full resync. If it does not come to its end, the next run has to do it:
// what was asked for is not known any more.
func (o *Once) full(ctx context.Context, why string) error {
	began := time.Now()
	o.Log.InfoContext(ctx, "a full resync instead of events alone", "why", why)
	complete, err := o.Resync(ctx)
	if !complete {
		began = time.Time{}
	}
	o.Note(began)
	return err
}

var errWaiting = errors.New("they wait in the state directory for the next run")

// await waits until everything is handled. What fails and is tried again later is left
// for the next run.
func (o *Once) await(ctx context.Context) error {
	before, since := -1, time.Now()
	for {
		n := o.Waiting()
		switch {
		case n == 0:
			return nil
		case n != before:
			before, since = n, time.Now()
		case time.Since(since) > handleWithin:
			return fmt.Errorf("%d: %w", n, errWaiting)
		}
		if sleep(ctx, waitingEvery); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}
