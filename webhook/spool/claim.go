package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// A Claim is what one worker works on: deliveries of one key, oldest first. It
// is the only claim of its key until it is finished.
type Claim struct {
	Key        string
	Deliveries []Delivery

	// Fence says why the claim may belong to another process by now; nil: it cannot.
	Fence func() error
	Part  any // of a shared spool: where it comes from

	slot    *slot
	epoch   int
	attempt int
}

// Outcome is what became of the deliveries of a Claim.
type Outcome struct {
	Done, Dead []Delivery
	Retried    int           // handed out again
	Delay      time.Duration // after that time
}

// Bounds of one claim: what a worker may hold in memory.
const (
	maxClaim    = 1000
	maxClaimRaw = 4 << 20
)

// Take waits for a key whose turn it is and returns its waiting deliveries. The
// error is ctx's, or ErrClosed after Stop.
func (s *Spool) Take(ctx context.Context) (*Claim, error) {
	defer s.wakeAt(ctx)()
	for {
		c, nodes, err := s.await(ctx)
		if err != nil {
			return nil, err
		}
		bad, err := s.read(c, nodes)
		if err != nil {
			s.putBack(ctx, c, err)
			continue
		}
		if len(bad) > 0 || len(c.Deliveries) == 0 {
			s.lay(c, bad)
		}
		if len(c.Deliveries) > 0 {
			return c, nil
		}
	}
}

// await pops the next key and lists what to read of it.
func (s *Spool) await(ctx context.Context) (*Claim, []node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, nodes, err := s.next(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &Claim{slot: next, epoch: s.epoch, attempt: int(next.attempts) + 1}, nodes, nil
}

// read reads the records of a claim: those of the first one's key. bad are those
// that cannot be read.
func (s *Spool) read(c *Claim, nodes []node) (bad []Delivery, err error) {
	s.storeMu.RLock()
	defer s.storeMu.RUnlock()
	c.Deliveries = make([]Delivery, 0, len(nodes))
	err = s.store.view(func(t tx) error {
		c.Deliveries, bad = c.Deliveries[:0], nil
		for _, n := range nodes {
			d, err := readRecord(n.id, t.get(waiting, n.id))
			d.Attempt = c.attempt
			switch {
			case err != nil:
				bad = append(bad, d)
				continue
			case len(c.Deliveries) == 0:
				c.Key = d.Key
			case d.Key != c.Key: // the same hash
				continue
			}
			c.Deliveries = append(c.Deliveries, d)
		}
		return nil
	})
	return bad, err
}

// lay buries records that cannot be read, and gives the key back when no other was.
func (s *Spool) lay(c *Claim, bad []Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.epoch == s.epoch {
		s.drop(c.slot, bad)
		s.note(bad, func(d *Delivery) {
			s.burials = append(s.burials, burial{id: d.ID, died: time.Now(), reason: errRecord.Error()})
		})
	}
	if len(c.Deliveries) == 0 {
		s.release(c, time.Time{})
	}
}

// putBack gives a claim back that could not be read.
func (s *Spool) putBack(ctx context.Context, c *Claim, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.unread) >= rescueDelay {
		s.unread = time.Now()
		s.cfg.Log.ErrorContext(ctx, "waiting deliveries cannot be read", "err", err)
	}
	s.release(c, time.Now().Add(retryDelay))
	if errors.Is(err, errDamaged) {
		s.unreadable.Store(true)
		s.calls = append(s.calls, &call{fn: func(tx, *result) error { return nil }, done: make(chan error, 1)})
		s.nudge()
	}
}

// Finish ends a claim. Without an error its deliveries are done. With one that
// wraps ErrPermanent a single delivery becomes a dead letter; several are
// handed out again one by one, so that only the guilty one dies. After any
// other error the claim's deliveries are handed out again, but for those that
// are too old, which become dead letters.
func (s *Spool) Finish(c *Claim, err error) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.epoch != s.epoch {
		return Outcome{Retried: len(c.Deliveries)}
	}
	now := time.Now()
	out, attempts := s.finish(c, err, now)
	s.note(out.Done, func(d *Delivery) { s.acks = append(s.acks, d.ID) })
	s.note(out.Dead, func(d *Delivery) {
		s.burials = append(s.burials, burial{id: d.ID, died: now, attempts: attempts, reason: err.Error()})
	})
	return out
}

// note has done called for deliveries that left the index, and the committer woken.
// The caller holds mu.
func (s *Spool) note(list []Delivery, done func(*Delivery)) {
	if len(list) == 0 {
		return
	}
	if len(s.acks)+len(s.burials) == 0 {
		s.ackSince = time.Now()
		s.nudge()
	}
	for i := range list {
		done(&list[i])
	}
}

// release gives the key of a claim back. The caller holds mu.
func (s *Spool) release(c *Claim, due time.Time) {
	if c.epoch == s.epoch {
		s.giveBack(c.slot, due)
	}
}

// Delays between two tries of a key.
const (
	firstDelay  = 500 * time.Millisecond
	youngDelay  = 20 * time.Second // the longest in the first hour
	youngAge    = time.Hour
	middleDelay = time.Minute // until sixfold that age
	oldDelay    = 5 * time.Minute
)

// backoff is how long to wait after so many failed tries: doubling, less up to
// a tenth by chance, and bounded by the age of the oldest delivery.
func backoff(attempts int, age time.Duration) time.Duration {
	limit := youngDelay
	switch {
	case age >= 6*youngAge:
		limit = oldDelay
	case age >= youngAge:
		limit = middleDelay
	}
	d := limit
	if shift := attempts - 1; shift < 16 {
		d = min(firstDelay<<max(0, shift), limit)
	}
	return d - rand.N(d/10+1) //nolint:gosec // spreads load, hides nothing
}
