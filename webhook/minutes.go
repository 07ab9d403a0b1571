package webhook

import (
	"sync"
	"time"
)

// A Minute is what was handled in one.
type Minute struct {
	Start  time.Time `json:"start"`
	Events int64     `json:"events"`
	// From the arrival of a delivery until it was handled.
	MeanSeconds    float64 `json:"meanSeconds"`
	SlowestSeconds float64 `json:"slowestSeconds"`
}

// minutesKept are those of an hour.
const minutesKept = 60

// minutes are the last ones, each in the place of the one an hour before it.
type minutes struct {
	mu  sync.Mutex
	all [minutesKept]Minute
}

func (m *minutes) add(now time.Time, took time.Duration) {
	start := now.Truncate(time.Minute)
	m.mu.Lock()
	defer m.mu.Unlock()
	x := &m.all[start.Unix()/60%minutesKept]
	if !x.Start.Equal(start) {
		*x = Minute{Start: start}
	}
	x.Events++
	x.MeanSeconds += (took.Seconds() - x.MeanSeconds) / float64(x.Events)
	x.SlowestSeconds = max(x.SlowestSeconds, took.Seconds())
}

// Minutes are those of the last hour in which deliveries were handled, oldest first.
func (s *Server) Minutes() []Minute { return s.metrics.minutes.last() }

func (m *minutes) last() []Minute {
	now := time.Now().Truncate(time.Minute)
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Minute{}
	for back := minutesKept - 1; back >= 0; back-- {
		start := now.Add(-time.Duration(back) * time.Minute)
		if x := m.all[start.Unix()/60%minutesKept]; x.Start.Equal(start) {
			out = append(out, x)
		}
	}
	return out
}
