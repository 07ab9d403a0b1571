package spool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// A line is what is known of the deliveries that wait, and in which order they are
// worked on. Methods that say so have mu held by their caller.
type line struct {
	maxAge time.Duration
	most   int // strangers that are worked on at once

	mu        sync.Mutex
	readable  *sync.Cond // a key is ready, or the end has come
	index     *index
	held      bool
	closing   bool
	closed    bool
	timer     *time.Timer // of delayed keys and of strangers
	strangers allowance
}

// init makes a line usable; promotion begins with begin.
func (l *line) init(cfg *Config) {
	l.maxAge, l.most, l.held, l.index = cfg.MaxAge, cfg.Strangers, cfg.Held, newIndex()
	l.readable = sync.NewCond(&l.mu)
}

// begin starts the timer.
func (l *line) begin() { l.timer = time.AfterFunc(time.Hour, l.promote) }

// next waits for a key whose turn it is and lists what to read of it.
func (l *line) next(ctx context.Context) (*slot, []node, error) {
	for {
		if ctx.Err() != nil {
			l.readable.Signal() // what woke this one may be for another
			return nil, nil, context.Cause(ctx)
		}
		if l.closing {
			return nil, nil, ErrClosed
		}
		if !l.held {
			if s := l.pop(); s != nil {
				count := maxClaim
				if s.alone > 0 {
					count = 1
				}
				return s, s.peek(count, maxClaimRaw), nil
			}
		}
		l.readable.Wait()
	}
}

// wakeAt has those who wait in next look at ctx when it ends.
func (l *line) wakeAt(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.readable.Broadcast()
	})
}

// pop takes the next key. Strangers come first when they may, which is seldom:
// behind the others they would never come while there is much to do. The caller
// holds mu.
func (l *line) pop() *slot {
	x := &l.index.strangers
	if len(x.ready) > 0 {
		defer l.schedule()
		if x.busy < l.most && l.strangers.take(time.Now()) {
			return l.index.pop(x)
		}
	}
	return l.index.pop(&l.index.known)
}

// enter puts stored records into the index. The caller holds mu.
func (l *line) enter(puts []put) {
	for _, p := range puts {
		if l.index.add(p.hash, p.node, p.stranger) {
			l.readable.Signal()
		}
	}
	if len(l.index.strangers.ready) > 0 {
		l.schedule()
	}
}

// finish says what becomes of the deliveries of a claim, takes those that are done
// or dead out of the index and gives the key back. The caller holds mu.
func (l *line) finish(c *Claim, err error, now time.Time) (out Outcome, attempts int) {
	slot := c.slot
	if err != nil {
		slot.attempts++
	}
	out = l.judge(c, err, now)
	attempts = int(slot.attempts)
	l.drop(slot, out.Done)
	l.drop(slot, out.Dead)
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
	l.giveBack(slot, due)
	return out, attempts
}

// judge says what becomes of the deliveries.
func (l *line) judge(c *Claim, err error, now time.Time) Outcome {
	var out Outcome
	switch {
	case err == nil:
		out.Done = c.Deliveries
	case !errors.Is(err, ErrPermanent):
		for _, d := range c.Deliveries {
			if now.Sub(d.Received) >= l.maxAge {
				out.Dead = append(out.Dead, d)
			}
		}
	case len(c.Deliveries) == 1:
		out.Dead = c.Deliveries
	}
	out.Retried = len(c.Deliveries) - len(out.Done) - len(out.Dead)
	return out
}

// drop takes deliveries out of the index. The caller holds mu.
func (l *line) drop(s *slot, list []Delivery) {
	if s.gone || len(list) == 0 {
		return
	}
	ids := make([]uint64, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	l.index.remove(s, ids)
}

// giveBack releases a key. The caller holds mu.
func (l *line) giveBack(s *slot, due time.Time) {
	if s.gone {
		s.state = forgotten
		return
	}
	l.index.release(s, due)
	if due.IsZero() {
		l.readable.Signal()
	}
	if !due.IsZero() || len(l.index.strangers.ready) > 0 {
		l.schedule()
	}
}

// schedule sets the timer for the next delayed key, or the next stranger. The
// caller holds mu.
func (l *line) schedule() {
	now := time.Now()
	n, next := l.index.promote(now)
	if x := &l.index.strangers; len(x.ready) > 0 && x.busy < l.most {
		if at := l.strangers.next(now); !at.After(now) {
			n++
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for range n {
		l.readable.Signal()
	}
	if !next.IsZero() {
		l.timer.Reset(next.Sub(now))
	}
}

// promote is what the timer calls.
func (l *line) promote() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.schedule()
	}
}

// Start lets Take hand out deliveries.
func (l *line) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	l.readable.Broadcast()
}

// Stop makes Accept refuse and Take end; Finish still works.
func (l *line) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	l.readable.Broadcast()
}

// stats is the line's part of Stats. The caller holds mu.
func (l *line) stats() Stats {
	x := l.index
	st := Stats{
		Depth: x.count(), Bytes: x.bytes(), Strangers: x.strangers.count, Working: x.known.busy + x.strangers.busy, Delayed: len(x.delayed),
	}
	if at := x.oldest(); at > 0 {
		st.OldestAge = max(0, time.Since(time.Unix(int64(at), 0)))
	}
	return st
}

// A Line is the order of work for a spool whose records are elsewhere and shared
// with others: it knows those that this process has to work on. Safe for concurrent
// use.
type Line struct{ l line }

// NewLine makes a Line; of cfg it takes MaxAge, Strangers and Held.
func NewLine(cfg Config) *Line {
	cfg = cfg.withDefaults()
	x := &Line{}
	x.l.init(&cfg)
	x.l.begin()
	return x
}

// Start lets Next hand out keys.
func (x *Line) Start() { x.l.Start() }

// Stop makes Next end; Finish still works.
func (x *Line) Stop() { x.l.Stop() }

// Stopped says whether Stop was called.
func (x *Line) Stopped() bool {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	return x.l.closing
}

// Stats reports what the line holds.
func (x *Line) Stats() Stats {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	return x.l.stats()
}

// Add appends a stored record to its key, whose hash is the caller's. It must have
// been read as an Entry.
func (x *Line) Add(hash uint64, e *Entry) {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	x.l.enter([]put{{hash: hash, node: nodeOf(e.ID, e.Received, e.raw, e.Stored), stranger: e.Stranger}})
}

// Next waits for a key whose turn it is. The ids are of its records, the oldest
// first; the claim belongs to the caller, who reads them into it with Fill.
func (x *Line) Next(ctx context.Context) (*Claim, []uint64, error) {
	defer x.l.wakeAt(ctx)()
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	s, nodes, err := x.l.next(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]uint64, len(nodes))
	for i, n := range nodes {
		ids[i] = n.id
	}
	return &Claim{slot: s, attempt: int(s.attempts) + 1}, ids, nil
}

// Hash is that of a claim's key.
func (c *Claim) Hash() uint64 { return c.slot.hash }

// Fill adds a record to a claim, unless it is of another key with the same hash. The
// error says that the record is damaged.
func (c *Claim) Fill(id uint64, rec []byte) error {
	d, err := readRecord(id, rec)
	if err != nil {
		return err
	}
	d.Stored = len(rec)
	if d.Attempt = c.attempt; len(c.Deliveries) == 0 {
		c.Key = d.Key
	}
	if d.Key == c.Key {
		c.Deliveries = append(c.Deliveries, d)
	}
	return nil
}

// Finish ends a claim, as Finish of a Spool does, and says how often it has failed.
func (x *Line) Finish(c *Claim, err error) (out Outcome, attempts int) {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	return x.l.finish(c, err, time.Now())
}

// Discard takes records out that are not there any more, or cannot be read. A claim
// of which nothing else is left is given back with it.
func (x *Line) Discard(c *Claim, ids []uint64) {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	if !c.slot.gone {
		x.l.index.remove(c.slot, ids)
	}
	if len(c.Deliveries) == 0 {
		x.l.giveBack(c.slot, time.Time{})
	}
}

// Return gives a claim back that could not be read; it is handed out again after a
// moment.
func (x *Line) Return(c *Claim) {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	x.l.giveBack(c.slot, time.Now().Add(retryDelay))
}

// Forget drops keys by their hashes: others have them now. Claims of theirs that are
// under way are finished as ever.
func (x *Line) Forget(which func(hash uint64) bool) {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	x.l.index.forget(which)
}

// Close ends the line.
func (x *Line) Close() {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	x.l.closed = true
	x.l.timer.Stop()
}

// forget drops slots.
func (x *index) forget(which func(hash uint64) bool) {
	for hash, s := range x.slots {
		if !which(hash) {
			continue
		}
		l := x.lane(s)
		l.count -= len(s.nodes)
		for _, n := range s.nodes {
			l.bytes -= int64(n.stored)
		}
		if s.state == busy {
			l.busy--
		}
		s.gone, s.nodes = true, nil
		delete(x.slots, hash)
	}
	isGone := func(s *slot) bool { return s.gone }
	x.known.ready = slices.DeleteFunc(x.known.ready, isGone)
	x.strangers.ready = slices.DeleteFunc(x.strangers.ready, isGone)
	x.delayed = slices.DeleteFunc(x.delayed, isGone)
	x.delayed.order()
}
