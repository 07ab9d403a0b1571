package spool

import "time"

// Stats is a picture of a spool as it is now.
type Stats struct {
	Depth       int           // deliveries that wait, those with a worker included
	Bytes       int64         // of their records
	Strangers   int           // of the deliveries, those that nothing speaks for
	Working     int           // objects with a worker
	Delayed     int           // objects that failed and wait for their next try
	OldestAge   time.Duration // of the oldest waiting delivery; 0 when none waits
	DeadLetters int
	Shared      *int // deliveries that wait for all processes; nil: there is one
	Left        Left
	InMemory    bool // nothing survives the process
	Unknown     bool // the store of a shared spool cannot be asked: only Working is as it is
}

// Left is what an earlier process has left in the state directory, and what is not moved
// to the queue that all share yet.
type Left struct {
	Deliveries  int `json:"deliveries"`
	DeadLetters int `json:"deadLetters"`
}

// Stats reports what the spool holds.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats()
	st.DeadLetters, st.InMemory = s.deadCount, s.cfg.Directory == ""
	return st
}

// Failing is why deliveries cannot be stored now; nil when they can.
func (s *Spool) Failing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}
