package resync

import "time"

// A View is what there is to see of resyncs.
type View struct {
	Running     *Progress `json:"running,omitempty"`
	Last        *Result   `json:"last,omitempty"` // full resync
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	Next        time.Time `json:"next,omitzero"` // planned
}

// Progress is how far the resync is that runs.
type Progress struct {
	ID      string       `json:"id"`
	Cause   string       `json:"cause"`
	Mode    string       `json:"mode"` // full, incremental or learning
	Started time.Time    `json:"started"`
	Kinds   []KindStatus `json:"kinds,omitempty"`
}

// A Result is a Summary with its times in seconds.
type Result struct {
	*Summary
	Ended            time.Time `json:"ended"`
	DurationSeconds  float64   `json:"durationSeconds"`
	ThrottledSeconds float64   `json:"throttledSeconds"`
}

// View looks at the resyncs.
func (r *Runner) View() View {
	var v View
	if r.cfg.Schedule != nil {
		v.Next = r.cfg.Schedule(time.Now())
	}
	m := r.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	v.LastSuccess = m.lastSuccess
	if m.last != nil {
		v.Last = &Result{m.last, m.last.Ended(), m.last.Duration.Seconds(), m.last.Throttled.Seconds()}
	}
	if run := m.running; run != nil {
		v.Running = &Progress{run.id, run.cause, run.mode.String(), run.started, nil}
		if m.plan {
			v.Running.Kinds = (&Status{run}).Kinds()
		}
	}
	return v
}
