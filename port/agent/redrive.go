package agent

import (
	"context"
	"time"
)

const (
	// redriveEvery is the time between two looks at what has not ended.
	redriveEvery = 15 * time.Second
	// giveUp is how long Port is told again how a run ended.
	giveUp = 24 * time.Hour
)

// redriving takes up what a process before has left, and what could not be finished,
// until ctx is done.
func (a *Agent) redriving(ctx context.Context) {
	for {
		a.redrive(ctx)
		if pause(ctx, redriveEvery) != nil {
			return
		}
	}
}

// redrive takes up everything that has not ended and that nobody works on.
func (a *Agent) redrive(ctx context.Context) {
	for key, n := range a.ledger.unfinished() {
		switch {
		case n.State == dead || a.pool.has(key):
		case time.Since(n.Since) > giveUp:
			n.State = dead
			a.Log.ErrorContext(ctx, "a run is given up because Port did not take its outcome for a day; POST /redrive tries it again", "run", n.Run)
			a.check(ctx, a.ledger.put(key, n))
		default:
			a.takeUp(key)
		}
	}
}

// takeUp goes on with what the ledger has under a key.
func (a *Agent) takeUp(key string) {
	a.pool.add(key, key, func(ctx context.Context) {
		if n, ok := a.ledger.get(key); ok { // else it has ended meanwhile
			a.execute(ctx, key, n)
		}
	})
}

// Revive makes the runs that were given up ones that are tried again, and returns how
// many there were.
func (a *Agent) revive(ctx context.Context) int {
	revived := 0
	for key, n := range a.ledger.unfinished() {
		if n.State != dead {
			continue
		}
		n.State, n.Since = accepted, time.Now()
		if n.Outcome != nil {
			n.State = answered
		}
		a.check(ctx, a.ledger.put(key, n))
		revived++
	}
	a.redrive(ctx)
	return revived
}
