package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ado-port/ado-port/webhook/spool"
)

// Stats is a picture of what the server does. Counts are since it was made.
type Stats struct {
	spool.Stats
	Waiting   bool              // for another process that has the directory; the spool's numbers are zero
	Closing   bool              // new deliveries are answered 503
	Received  uint64            // requests below the hook prefix
	Rejected  map[string]uint64 // of those by reason, where there are any
	PerMinute []int             // deliveries accepted in each of the last 60 minutes, the current one last
	// P50, P95 and P99 are the time from arrival to done of the last 512 deliveries.
	P50, P95, P99 time.Duration
	Since         time.Time
}

// Stats reports what the server does.
func (s *Server) Stats() Stats {
	sp, open := s.spoolStats()
	q := s.metrics.recent.quantiles(0.5, 0.95, 0.99)
	return Stats{
		Stats: sp, Waiting: !open, Closing: s.closing.Load(),
		Received: uint64(value(s.metrics.received)), Rejected: s.metrics.reasons(),
		PerMinute: s.metrics.recent.perMinute(s.cfg.Now()),
		P50:       q[0], P95: q[1], P99: q[2], Since: s.born,
	}
}

func (s *Server) spoolStats() (spool.Stats, bool) {
	sp := s.store()
	if sp == nil {
		return spool.Stats{}, false
	}
	return sp.Stats(), true
}

// value reads a counter.
func value(m prometheus.Metric) float64 {
	var out dto.Metric
	if m.Write(&out) != nil {
		return 0
	}
	return out.GetCounter().GetValue()
}

// reasons reads the refusals by reason.
func (m *metrics) reasons() map[string]uint64 {
	out := map[string]uint64{}
	for _, r := range refusals {
		if n := value(m.rejected.WithLabelValues(r.reason)); n > 0 {
			out[r.reason] = uint64(n)
		}
	}
	return out
}
