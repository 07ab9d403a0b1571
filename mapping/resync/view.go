package resync

import "time"

// A View is what there is to see of resyncs.
type View struct {
	Running     *Progress `json:"running,omitempty"`
	Last        *Result   `json:"last,omitempty"` // full resync
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	Next        time.Time `json:"next,omitzero"`    // planned
	Recent      []Past    `json:"recent,omitempty"` // the newest first
}

// Progress is how far the resync is that runs.
type Progress struct {
	ID      string       `json:"id"`
	Cause   string       `json:"cause"`
	Mode    string       `json:"mode"` // full, incremental or learning
	Started time.Time    `json:"started"`
	Kinds   []KindStatus `json:"kinds,omitempty"`
	// ThrottledSeconds is how long Azure DevOps has asked for pauses so far.
	ThrottledSeconds float64 `json:"throttledSeconds"`
}

// A Past is a resync that has ended, in short.
type Past struct {
	ID              string    `json:"id"`
	Cause           string    `json:"cause"`
	Mode            string    `json:"mode"`
	State           State     `json:"state"`
	Reason          string    `json:"reason,omitempty"` // why it did not complete
	Started         time.Time `json:"started"`
	DurationSeconds float64   `json:"durationSeconds"`
	Total           Counts    `json:"total"`
	RecordsOf       time.Time `json:"recordsOf,omitzero"` // see Summary
	Calls           int64     `json:"calls"`
}

// recentRuns are how many of them are remembered.
const recentRuns = 20

func pastOf(m mode, s *Summary) Past {
	p := Past{s.ID, s.Cause, m.String(), s.State, "", s.Started, s.Duration.Seconds(), s.Total, s.RecordsOf, s.Calls}
	if s.State != StateCompleted {
		p.Reason = s.Reason()
	}
	return p
}

// A Result is a Summary with its times in seconds.
type Result struct {
	*Summary
	Ended            time.Time `json:"ended"`
	DurationSeconds  float64   `json:"durationSeconds"`
	ThrottledSeconds float64   `json:"throttledSeconds"`
	Reason           string    `json:"reason,omitempty"` // why it did not complete
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
	v.LastSuccess, v.Recent = m.lastSuccess, m.recent
	if m.last != nil {
		v.Last = &Result{m.last, m.last.Ended(), m.last.Duration.Seconds(), m.last.Throttled.Seconds(), pastOf(full, m.last).Reason}
	}
	if run := m.running; run != nil {
		v.Running = &Progress{run.id, run.cause, run.mode.String(), run.started, nil, run.usage().since(run.before).throttledFor("").Seconds()}
		if m.plan {
			v.Running.Kinds = (&Status{run}).Kinds()
		}
	}
	return v
}
