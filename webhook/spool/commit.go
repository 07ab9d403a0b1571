package spool

import (
	"context"
	"errors"
	"time"
)

// A put is a record on its way into the list of waiting ones.
type put struct {
	hash     uint64
	node     node
	stranger bool
	record   []byte
}

func (s *Spool) putOf(d *Delivery, record []byte) put {
	return put{hash: s.hash(d.Key), node: nodeOf(0, d.Received, uint32(len(d.Body)), len(record)), stranger: d.Stranger, record: record}
}

// A batch is what one commit stores. Its waiters learn from done that err holds
// the result.
type batch struct {
	puts  []put
	bytes int64

	strangers     int // of puts
	strangerBytes int64

	marks []*mark
	done  chan struct{}
	err   error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// A burial moves a waiting record to the dead letters.
type burial struct {
	id       uint64
	died     time.Time
	attempts int
	reason   string
}

// A call is a change that somebody waits for. An error of fn fails the whole
// commit: it is that of the file.
type call struct {
	fn   func(tx, *result) error
	done chan error // buffered
}

// result is what a transaction did beyond the batch.
type result struct {
	puts      []put // further waiting records, with their ids
	deadCount int   // change
	deadBytes int64
	dropped   int // dead letters that had to make room
}

// Delays of the committer.
const (
	// ackDelay is how long the news that deliveries are done may wait for a commit
	// that is made anyway. Until then a crash has them handled once more.
	ackDelay = 50 * time.Millisecond
	// retryDelay is how long after a failed commit the next one is tried, also when
	// there is nothing to store: the service is only asked for again once it works.
	retryDelay = time.Second
	// trimDelay is the least time between two trims.
	trimDelay = 200 * time.Millisecond
	// rescueDelay is the least time between two attempts to make the file anew.
	rescueDelay = time.Minute
)

// work is one turn of the committer.
type work struct {
	batch   *batch
	acks    []uint64
	burials []burial
	calls   []*call
	probe   bool // the commit before has failed
	last    bool // nothing comes after it
}

func (w *work) empty() bool {
	return len(w.batch.puts) == 0 && len(w.acks) == 0 && len(w.burials) == 0 && len(w.calls) == 0
}

// commits is the goroutine that writes. Everything that is asked for while it
// writes is in its next commit.
func (s *Spool) commits(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w, wait := s.collect()
		if w == nil {
			timer.Reset(wait)
			select {
			case <-s.wake:
			case <-timer.C:
			}
			continue
		}
		if !w.empty() || w.probe {
			s.commit(ctx, w)
		}
		if w.last {
			return
		}
	}
}

// collect takes what is to be written now, or says how long to wait at most.
func (s *Spool) collect() (*work, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open.puts) == 0 && len(s.calls) == 0 && !s.closed {
		wait := ackDelay - time.Since(s.ackSince)
		switch {
		case s.failing != nil:
			wait = retryDelay - time.Since(s.failedAt)
		case len(s.acks)+len(s.burials) == 0:
			return nil, time.Hour
		}
		if wait > 0 {
			return nil, wait
		}
	}
	w := &work{batch: s.open, acks: s.acks, burials: s.burials, calls: s.calls, probe: s.failing != nil, last: s.closed}
	s.open, s.acks, s.burials, s.calls = newBatch(), nil, nil, nil
	return w, 0
}

// commit writes one turn and tells everybody who waits for it.
func (s *Spool) commit(ctx context.Context, w *work) {
	var r result
	start := time.Now()
	err := s.store.update(func(t tx) error {
		r = result{}
		return s.write(t, w, &r)
	})
	took := time.Since(start)
	if s.cfg.Committed != nil {
		s.cfg.Committed(took, len(w.batch.puts), err)
	}
	s.settle(ctx, w, &r, err)
	if b, onDisk := s.store.(*bolt); onDisk && start.Sub(s.trimmed) >= trimDelay {
		b.trim()
		s.trimmed = start
	}
	if errors.Is(err, errDamaged) || s.unreadable.Load() {
		s.rescueNow(ctx, err)
	}
}

// write is the transaction.
func (s *Spool) write(t tx, w *work, r *result) error {
	for i := range w.batch.puts {
		p := &w.batch.puts[i]
		id, err := t.next()
		if err != nil {
			return err
		}
		p.node.id = id
		if err := t.put(waiting, id, p.record); err != nil {
			return err
		}
	}
	for _, id := range w.acks {
		if err := t.delete(waiting, id); err != nil {
			return err
		}
	}
	for _, b := range w.burials {
		if err := bury(t, b, r); err != nil {
			return err
		}
	}
	for _, c := range w.calls {
		if err := c.fn(t, r); err != nil {
			return err
		}
	}
	return s.makeRoom(t, r)
}

// settle brings memory in line with the file.
func (s *Spool) settle(ctx context.Context, w *work, r *result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.settle(w.batch.marks, err == nil)
	w.batch.err = err
	close(w.batch.done)
	for _, c := range w.calls {
		c.done <- err
	}
	if err != nil {
		if s.failing == nil {
			s.cfg.Log.ErrorContext(ctx, "deliveries cannot be stored and are answered 503", "err", err)
		}
		s.failing, s.failedAt = err, time.Now()
		s.acks, s.burials = append(w.acks, s.acks...), append(w.burials, s.burials...)
		return
	}
	if s.failing != nil {
		s.cfg.Log.InfoContext(ctx, "deliveries can be stored again")
		s.failing = nil
	}
	s.enter(w.batch.puts)
	s.enter(r.puts)
	s.deadCount += r.deadCount
	s.deadBytes += r.deadBytes
	if r.dropped > 0 {
		s.cfg.Log.ErrorContext(ctx, "dead letters are deleted to make room", "deliveries", r.dropped)
	}
}
