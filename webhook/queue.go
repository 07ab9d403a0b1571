package webhook

import (
	"fmt"

	"github.com/ado-port/ado-port/webhook/spool"
)

// A Queue is what waits to be handled.
type Queue struct {
	Kind string `json:"kind"` // of the place where it waits: disk, memory or redis
	// Usable is whether deliveries can be stored now; if not they are answered 503.
	Usable  bool   `json:"usable"`
	Error   string `json:"error,omitempty"`
	Working int    `json:"workingObjects"`
	// ToMove is what an earlier process has left in the state directory and what is not in
	// the queue that all share yet; nil: nothing.
	ToMove *spool.Left `json:"toMove,omitempty"`
	*Backlog
}

// A Backlog is what is known of deliveries and dead letters. There is none, and its
// members are absent, while the spool is not open or its Redis cannot be asked.
type Backlog struct {
	Depth         int     `json:"depth"` // deliveries, those that are being handled included
	Bytes         int64   `json:"bytes"`
	Strangers     int     `json:"strangers"` // of the deliveries, those that nothing speaks for
	OldestSeconds float64 `json:"oldestSeconds"`
	Delayed       int     `json:"delayedObjects"` // whose deliveries failed and wait for their next try
	DeadLetters   int     `json:"deadLetters"`
	// SharedDepth is how many deliveries wait for all processes that share a Redis; absent
	// for one that is alone.
	SharedDepth *int `json:"sharedDepth,omitempty"`
}

const (
	onDisk   = "disk"
	inMemory = "memory"
	inRedis  = "redis"
)

// UnderWay says what is being handled, or is "". Nobody handles anything without a
// Server.
func (s *Server) UnderWay() string {
	if s == nil {
		return ""
	}
	n := s.Queue().Working
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("live events of %d objects", n)
}

// Unhandled is the number of deliveries that are stored and not handled; while nobody
// can tell it is not 0.
func (s *Server) Unhandled() int {
	q := s.Queue()
	if !q.Usable || q.Backlog == nil {
		return 1
	}
	return q.Depth
}

// Queue is what waits now.
func (s *Server) Queue() Queue {
	q := Queue{Kind: onDisk}
	switch {
	case s.cfg.Spool != nil:
		q.Kind = inRedis
	case s.cfg.Directory == "":
		q.Kind = inMemory
	}
	sp, err := s.store()
	if err != nil {
		q.Error = err.Error()
		return q
	}
	if err := sp.Failing(); err != nil {
		q.Error = err.Error()
	}
	st := sp.Stats()
	q.Usable, q.Working = q.Error == "", st.Working
	if st.Left != (spool.Left{}) {
		q.ToMove = &st.Left
	}
	if !st.Unknown {
		q.Backlog = &Backlog{
			Depth: st.Depth, Bytes: st.Bytes, Strangers: st.Strangers, OldestSeconds: st.OldestAge.Seconds(), Delayed: st.Delayed,
			DeadLetters: st.DeadLetters, SharedDepth: st.Shared,
		}
	}
	return q
}
