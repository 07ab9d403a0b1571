package leader

import (
	"context"

	"github.com/ado-port/ado-port/replica"
)

// Gain is what the group says when the seat is this process's.
func (l *Leader) Gain(t *replica.Term) { l.gained(0, t) }

// Lose is what it says when it is not any more.
func (l *Leader) Lose() { l.lost(0) }

// Taken is the term that Run would take next.
func (l *Leader) Taken() *replica.Term { return <-l.terms }

// Lead is one turn.
func (l *Leader) Lead(ctx context.Context, t *replica.Term, f func(context.Context, Turn) error) error {
	return l.lead(ctx, t, f)
}

// ErrSeat ends a turn.
var ErrSeat = errSeat

// Shorten is what Tend does, with a log that has any touches.
func (t *Touches) Shorten(ctx context.Context) error { return t.tend(ctx, 0) }

// TellLost brings to Redis what AskLost has noted.
func (l *Leader) TellLost(ctx context.Context) error { return l.tellLost(ctx) }
