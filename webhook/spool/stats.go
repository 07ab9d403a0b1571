package spool

import "time"

// Stats is a picture of a spool. Counts are since the process started, unless
// they say how many there are now.
type Stats struct {
	Depth     int           // deliveries that wait, those with a worker included
	Bytes     int64         // of their records
	Keys      int           // objects that they are about
	Working   int           // objects with a worker
	Delayed   int           // objects that failed and wait for their next try
	OldestAge time.Duration // of the oldest waiting delivery; 0 when none waits

	DeadLetters int // there are now
	DeadBytes   int64

	Accepted   uint64 // stored
	Duplicates uint64 // dropped because an earlier one says the same
	Handled    uint64 // done
	Coalesced  uint64 // of those, the ones that shared a call of the handler with an earlier one
	Failures   uint64 // failed calls of the handler
	Died       uint64 // became dead letters
	Dropped    uint64 // dead letters deleted to make room

	InMemory bool // nothing survives the process
	Held     bool // Take waits for Start
	Failing  error
}

// Stats reports what the spool holds and has done.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	st := Stats{
		Depth: s.index.count, Bytes: s.index.bytes, Keys: len(s.index.slots), Working: s.index.busy, Delayed: len(s.index.delayed.list),
		DeadLetters: s.deadCount, DeadBytes: s.deadBytes,
		Accepted: c.accepted, Duplicates: c.duplicates, Handled: c.handled, Coalesced: c.coalesced,
		Failures: c.failures, Died: c.died, Dropped: c.dropped,
		InMemory: s.lock == nil, Held: s.held, Failing: s.failing,
	}
	if at := s.index.oldest(); at > 0 {
		st.OldestAge = max(0, s.cfg.Now().Sub(time.Unix(int64(at), 0)))
	}
	return st
}
