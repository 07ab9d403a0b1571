package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/webhook/spool"
)

const (
	batchCount = 64 // deliveries that one call stores
	batchBytes = 4 << 20
	storeWait  = 5 * time.Second // of one call
	copyWait   = 2 * time.Second // for the copies of Redis
	ackCount   = 500             // deliveries that one call deletes
	countEvery = 2 * time.Second // between two looks at how much there is for all processes
)

// A put is a delivery that waits to be stored.
type put struct {
	part     int
	record   []byte
	stranger bool
	same     spool.Same
	result   chan outcome // buffered
}

type outcome struct {
	duplicate bool
	err       error
}

// A batch is what one call stores.
type batch struct {
	puts  []*put
	bytes int
}

func newBatch() *batch { return &batch{} }

// An ack is what became of deliveries of a partition.
type ack struct {
	part  *part
	items []item
}

type item struct {
	id       uint64
	size     int // of the record
	stranger bool
	head     []byte // what stands before a dead letter; nil: it is done
}

// Accept stores a delivery; ID and Attempt are ignored, and resource, which may be
// nil, is what tells its content. It returns nil when the delivery is in Redis, also
// when an earlier one that says the same is (then duplicate). Otherwise the delivery
// may be lost: spool.ErrFull, ErrClosed, ErrInvalid, ctx's error or that of Redis.
func (s *Spool) Accept(ctx context.Context, d spool.Delivery, resource []byte) (duplicate bool, err error) {
	rec, err := spool.Encode(&d)
	if err != nil {
		return false, err
	}
	if s.line.Stopped() {
		return false, spool.ErrClosed
	}
	p := &put{
		part: int(hash(d.Key) % partitions), record: rec, stranger: d.Stranger, same: spool.SameAs(&d, resource), result: make(chan outcome, 1),
	}
	s.mu.Lock()
	s.open.puts = append(s.open.puts, p)
	s.open.bytes += len(rec)
	s.mu.Unlock()
	signal(s.wake)
	select {
	case r := <-p.result:
		return r.duplicate, r.err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// commits is the goroutine that writes. Everything that is asked for while it writes
// is in its next calls.
func (s *Spool) commits(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var counted time.Time
	last := context.WithoutCancel(ctx)
	for {
		s.mu.Lock()
		b, acks, closed := s.open, s.acks, s.closed
		s.open, s.acks = newBatch(), nil
		s.mu.Unlock()
		s.store(last, b.puts)
		left := s.acknowledge(last, acks)
		s.mu.Lock()
		s.acks = append(left, s.acks...)
		s.mu.Unlock()
		s.giveBack(last)
		if closed {
			return
		}
		if time.Since(counted) >= countEvery {
			counted = time.Now()
			s.count(last)
		}
		wait := countEvery
		if len(left) > 0 || s.anyLeaving() {
			wait = pause
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// store stores deliveries, so many at once.
func (s *Spool) store(ctx context.Context, puts []*put) {
	for len(puts) > 0 {
		n, size := 0, 0
		for n < len(puts) && n < batchCount && (n == 0 || size+len(puts[n].record) <= batchBytes) {
			size += len(puts[n].record)
			n++
		}
		s.storeSome(ctx, puts[:n])
		puts = puts[n:]
	}
}

func (s *Spool) storeSome(ctx context.Context, puts []*put) {
	begun := time.Now()
	results, err := s.send(ctx, puts, false)
	if s.cfg.Committed != nil {
		s.cfg.Committed(time.Since(begun), len(puts), err)
	}
	switch {
	case err == nil:
		s.works()
	case errors.Is(err, spool.ErrFull): // what waits is handled all the same
		s.fills(ctx)
	default:
		s.fail(ctx, err)
	}
	for i, p := range puts {
		o := outcome{err: err}
		if err == nil {
			o.duplicate = results[i] == 2
			if results[i] == 0 {
				o.err = spool.ErrFull
			}
		}
		p.result <- o
	}
}

// send has one call store deliveries. Those that were acknowledged earlier are kept in
// order, also where there is no room, and no stranger has to stand back for another.
func (s *Spool) send(ctx context.Context, puts []*put, acknowledged bool) ([]int64, error) {
	part, strangers, strangerBytes := int64(spool.StrangerPart), int64(s.cfg.MaxDeliveries), s.cfg.MaxBytes
	if !acknowledged {
		strangers, strangerBytes = max(1, strangers/part), strangerBytes/part
	}
	args := []any{
		s.group.Prefix(), s.cfg.MaxDeliveries, s.cfg.MaxBytes, strangers, strangerBytes,
		spool.RememberID.Milliseconds(), spool.RememberContent.Milliseconds(), acknowledged,
	}
	for _, p := range puts {
		args = append(args, p.part, p.record, p.stranger, p.same.ID, p.same.Content, p.same.Subscription)
	}
	return s.run(ctx, accept, args, len(puts))
}

// run has a script store so many things and, where it is asked for, waits for copies.
func (s *Spool) run(ctx context.Context, script *goredis.Script, args []any, n int) ([]int64, error) {
	if err := s.group.Failing(); err != nil {
		return nil, err // it would only take longer to say no
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if s.least == 0 {
		results, err := script.Run(ctx, s.group.Redis(), nil, args...).Int64Slice()
		return results, fit(results, n, err)
	}
	return s.runAndWait(ctx, script, args, n)
}

// runAndWait is run where copies of Redis have to hold the deliveries, too. WAIT is
// about what its connection has written.
func (s *Spool) runAndWait(ctx context.Context, script *goredis.Script, args []any, n int) ([]int64, error) {
	pipe := s.group.Redis().Pipeline()
	answer := script.Eval(ctx, pipe, nil, args...)
	copies := pipe.Do(ctx, "wait", s.least, copyWait.Milliseconds())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fit(nil, 0, err)
	}
	if got, _ := copies.Int64(); got < int64(s.least) {
		return nil, fmt.Errorf("%d copies of Redis hold the delivery: OCEAN__SHARED_QUEUE_MIN_REPLICAS is %d", got, s.least)
	}
	results, err := answer.Int64Slice()
	return results, fit(results, n, err)
}

// fit refuses an answer that is not about every delivery, and tells that there is no room
// from other errors.
func fit(results []int64, n int, err error) error {
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "OOM"):
		return fmt.Errorf("%w: Redis has no memory left: raise its maxmemory", spool.ErrFull)
	case err == nil && len(results) != n:
		return errors.New("an answer that is none")
	}
	return err
}

// acknowledge deletes what is done. What could not be told is left.
func (s *Spool) acknowledge(ctx context.Context, acks []ack) (left []ack) {
	for _, a := range merge(acks) {
		if s.fence(a.part) != nil || len(a.items) == 0 {
			s.uncache(a.part, a.items)
			continue // another process handles them again
		}
		err := s.delete(ctx, a)
		switch {
		case err == nil:
		case strings.HasPrefix(err.Error(), "FENCED"):
			s.cfg.Log.WarnContext(ctx, "deliveries that were handled are handled once more: their partition has gone to another process", "deliveries", len(a.items))
		default:
			s.fail(ctx, err)
			left = append(left, a)
			continue
		}
		s.uncache(a.part, a.items)
	}
	return left
}

// merge puts acks of one partition together, up to a bound.
func merge(acks []ack) []ack {
	var out []ack
	at := map[*part]int{}
	for _, a := range acks {
		i, known := at[a.part]
		if !known || len(out[i].items)+len(a.items) > ackCount {
			at[a.part] = len(out)
			out = append(out, a)
			continue
		}
		out[i].items = append(out[i].items, a.items...)
	}
	return out
}

// delete tells Redis of one partition.
func (s *Spool) delete(ctx context.Context, a ack) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	args := []any{s.group.Prefix(), replica.Seat(replica.Partitions, a.part.n), a.part.term.Name(), a.part.n, spool.MaxDead, s.cfg.MaxBytes / 4}
	for i := range a.items {
		it := &a.items[i]
		args = append(args, it.id, it.size, it.stranger, it.head)
	}
	dropped, err := finish.Run(ctx, s.group.Redis(), nil, args...).Int()
	if err == nil && dropped > 0 {
		s.cfg.Log.ErrorContext(ctx, "dead letters are deleted to make room", "deliveries", dropped)
	}
	return err
}

// bury makes a dead letter of a record that cannot be read.
func (s *Spool) bury(p *part, id uint64, size int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, ack{part: p, items: []item{{id: id, size: size, head: spool.DeadHead(time.Now(), 0, why.Error())}}})
	signal(s.wake)
}

// giveBack releases partitions that are to be left and of which nothing is under way.
func (s *Spool) giveBack(ctx context.Context) {
	s.mu.Lock()
	var idle []*part
	for _, p := range s.parts {
		if p.leaving && p.busy == 0 && !s.owes(p) {
			idle = append(idle, p)
		}
	}
	s.mu.Unlock()
	for _, p := range idle {
		if s.group.Release(ctx, replica.Partitions, p.n, p.term) != nil {
			return // again in a moment
		}
		s.mu.Lock()
		if s.parts[p.n] == p {
			delete(s.parts, p.n)
		}
		s.mu.Unlock()
	}
}

// owes says that Redis has to be told of deliveries of a partition; the caller holds mu.
func (s *Spool) owes(p *part) bool {
	for _, a := range s.acks {
		if a.part == p && len(a.items) > 0 {
			return true
		}
	}
	return false
}

func (s *Spool) anyLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.leaving {
			return true
		}
	}
	return false
}

// count looks how many deliveries wait for all processes, and how many dead letters
// there are.
func (s *Spool) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	pipe := s.group.Redis().Pipeline()
	dead, load := pipe.ZCard(ctx, s.group.Prefix()+"dead:order"), pipe.HGet(ctx, s.group.Prefix()+"load", "count")
	_, err := pipe.Exec(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = nil
	if err != nil && !errors.Is(err, goredis.Nil) { // nothing was ever stored
		return
	}
	n, _ := load.Int()
	s.counts = &counts{waiting: n, dead: int(dead.Val())}
}
