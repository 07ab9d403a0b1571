package webhook

import (
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ado-port/ado-port/webhook/spool"
)

// Limits, for tests.
const (
	MaxConns   = maxConns
	SpareConns = spareConns
)

// Stats is what a server does, for tests.
type Stats struct {
	spool.Stats
	Waiting, Closing             bool
	Received, Handled, Coalesced int
	Arriving                     int
	Rejected                     map[string]int
}

// Stats reports what the server does, for tests.
func (s *Server) Stats() Stats {
	var sp spool.Stats
	open := s.Spool() != nil
	if open {
		sp = s.Spool().Stats()
	}
	m := s.metrics
	st := Stats{
		Stats: sp, Waiting: !open, Closing: s.closing.Load(), Received: sum(m.received), Handled: sum(m.processed), Coalesced: sum(m.coalesced),
		Rejected: map[string]int{},
	}
	s.bodies.mu.Lock()
	st.Arriving = len(s.bodies.all)
	s.bodies.mu.Unlock()
	for _, r := range refusals {
		if n := sum(m.rejected.WithLabelValues(r.reason)); n > 0 {
			st.Rejected[r.reason] = n
		}
	}
	return st
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.cfg.Listener.Addr() }

// Spool is where the deliveries wait, for tests.
func (s *Server) Spool() Spool {
	sp, _ := s.store()
	return sp
}

// sum reads all counters of a collector.
func sum(c prometheus.Collector) int {
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	close(ch)
	n := 0.0
	for m := range ch {
		var out dto.Metric
		if m.Write(&out) == nil {
			n += out.GetCounter().GetValue()
		}
	}
	return int(n)
}

// Minutes is minutes for tests.
type Minutes struct{ m minutes }

// Add counts a delivery.
func (m *Minutes) Add(now time.Time, took time.Duration) { m.m.add(now, took) }

// Last are the last ones.
func (m *Minutes) Last() []Minute { return m.m.last() }
