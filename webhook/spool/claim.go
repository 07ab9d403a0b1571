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
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.readable.Broadcast()
	})
	defer stop()
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
		if len(bad) > 0 {
			s.mu.Lock()
			s.lay(c, bad)
			s.mu.Unlock()
		}
		if len(c.Deliveries) > 0 {
			return c, nil
		}
		s.mu.Lock()
		s.release(c, time.Time{})
		s.mu.Unlock()
	}
}

// await pops the next key and lists what to read of it.
func (s *Spool) await(ctx context.Context) (*Claim, []node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if ctx.Err() != nil {
			s.readable.Signal() // what woke this one may be for another
			return nil, nil, context.Cause(ctx)
		}
		if s.closing {
			return nil, nil, ErrClosed
		}
		if !s.held {
			if next := s.pop(); next != nil {
				count := maxClaim
				if next.alone > 0 {
					count = 1
				}
				return &Claim{slot: next, epoch: s.epoch, attempt: int(next.attempts) + 1}, next.peek(count, maxClaimRaw), nil
			}
		}
		s.readable.Wait()
	}
}

// pop takes the next key. Strangers come first when they may, which is seldom:
// behind the others they would never come while there is much to do.
func (s *Spool) pop() *slot {
	x := &s.index.strangers
	if len(x.ready) > 0 {
		defer s.schedule()
		if x.busy < s.cfg.Strangers && s.strangers.take(time.Now()) {
			return s.index.pop(x)
		}
	}
	return s.index.pop(&s.index.known)
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

// lay buries records that cannot be read. The caller holds mu.
func (s *Spool) lay(c *Claim, bad []Delivery) {
	if c.epoch != s.epoch {
		return
	}
	s.remove(c, bad, func(d *Delivery) {
		s.burials = append(s.burials, burial{id: d.ID, died: time.Now(), reason: errRecord.Error()})
	})
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
	now, slot := time.Now(), c.slot
	if err != nil {
		slot.attempts++
	}
	out := s.judge(c, err, now)
	attempts := int(slot.attempts)
	s.remove(c, out.Done, func(d *Delivery) { s.acks = append(s.acks, d.ID) })
	s.remove(c, out.Dead, func(d *Delivery) {
		s.burials = append(s.burials, burial{id: d.ID, died: now, attempts: attempts, reason: err.Error()})
	})
	slot.alone = uint16(max(0, int(slot.alone)-len(out.Done)-len(out.Dead)))
	var due time.Time
	switch {
	case out.Retried == 0:
		slot.attempts = 0
	case errors.Is(err, ErrPermanent):
		slot.attempts, slot.alone = 0, uint16(out.Retried)
	default:
		out.Delay = backoff(attempts, now.Sub(c.Deliveries[0].Received))
		due = now.Add(out.Delay)
	}
	s.release(c, due)
	return out
}

// judge says what becomes of the deliveries.
func (s *Spool) judge(c *Claim, err error, now time.Time) Outcome {
	var out Outcome
	switch {
	case err == nil:
		out.Done = c.Deliveries
	case !errors.Is(err, ErrPermanent):
		for _, d := range c.Deliveries {
			if now.Sub(d.Received) >= s.cfg.MaxAge {
				out.Dead = append(out.Dead, d)
			}
		}
	case len(c.Deliveries) == 1:
		out.Dead = c.Deliveries
	}
	out.Retried = len(c.Deliveries) - len(out.Done) - len(out.Dead)
	return out
}

// remove takes deliveries of a claim out of the index and has done called for
// each. The caller holds mu.
func (s *Spool) remove(c *Claim, list []Delivery, done func(*Delivery)) {
	if len(list) == 0 {
		return
	}
	if len(s.acks)+len(s.burials) == 0 {
		s.ackSince = time.Now()
		s.nudge()
	}
	ids := make([]uint64, len(list))
	for i := range list {
		ids[i] = list[i].ID
		done(&list[i])
	}
	s.index.remove(c.slot, ids)
}

// release gives the key of a claim back. The caller holds mu.
func (s *Spool) release(c *Claim, due time.Time) {
	if c.epoch != s.epoch {
		return
	}
	s.index.release(c.slot, due)
	if due.IsZero() {
		s.readable.Signal()
	}
	if !due.IsZero() || len(s.index.strangers.ready) > 0 {
		s.schedule()
	}
}

// schedule sets the timer for the next delayed key, or the next stranger. The
// caller holds mu.
func (s *Spool) schedule() {
	now := time.Now()
	n, next := s.index.promote(now)
	if x := &s.index.strangers; len(x.ready) > 0 && x.busy < s.cfg.Strangers {
		if at := s.strangers.next(now); !at.After(now) {
			n++
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for range n {
		s.readable.Signal()
	}
	if !next.IsZero() {
		s.timer.Reset(next.Sub(now))
	}
}

// promote is what the timer calls.
func (s *Spool) promote() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.schedule()
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
