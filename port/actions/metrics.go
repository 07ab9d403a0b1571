package actions

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/port"
)

const namespace, subsystem = "ado_port", "actions"

// metrics are the series of the room.
type metrics struct {
	claimed, claimErrors, taken, started, doubts prometheus.Counter
	succeeded, failed, canceled                  atomic.Int64
	all                                          []prometheus.Collector
}

func newMetrics(p *Processor) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
	}
	gauge := func(name, help string, of func() int) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, func() float64 { return float64(of()) })
	}
	m := &metrics{
		claimed:     counter("claimed_runs_total", "Runs of actions that Port has handed out to this process."),
		claimErrors: counter("claim_errors_total", "Questions for runs of actions that brought no answer."),
		taken:       counter("taken_runs_total", "Runs that were left because another process had acknowledged them."),
		started:     counter("started_runs_total", "Runs whose pipeline was started."),
		doubts:      counter("doubtful_starts_total", "Starts of pipelines of which it had to be found out whether they had happened."),
	}
	m.all = []prometheus.Collector{
		m.claimed, m.claimErrors, m.taken, m.started, m.doubts,
		gauge("waiting_runs", "Runs of actions that were claimed and wait for a worker.", p.waiting),
		gauge("runs_in_flight", "Runs of actions that were taken and have not ended.", func() int { return p.Status().InFlight }),
	}
	for label, n := range map[string]*atomic.Int64{"succeeded": &m.succeeded, "failed": &m.failed, "canceled": &m.canceled} {
		m.all = append(m.all, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "ended_runs_total", Help: "Runs of actions that ended, by result.",
			ConstLabels: prometheus.Labels{"result": label},
		}, func() float64 { return float64(n.Load()) }))
	}
	return m
}

func (m *metrics) register(reg prometheus.Registerer) error {
	var errs []error
	for _, c := range m.all {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}

// ended counts a run.
func (m *metrics) ended(result port.Result) {
	switch result {
	case port.Succeeded:
		m.succeeded.Add(1)
	case port.Canceled:
		m.canceled.Add(1)
	default:
		m.failed.Add(1)
	}
}

// A Status is what /status.json shows: Done, Failed and Canceled count since the
// start of the process.
type Status struct {
	Claims    bool         `json:"claims"`
	Waiting   int          `json:"waiting"`
	InFlight  int          `json:"inFlight"`
	Done      int64        `json:"done"`
	Failed    int64        `json:"failed"`
	Canceled  int64        `json:"canceled"`
	LastClaim *claimResult `json:"lastClaim,omitempty"`
	Runs      []RunStatus  `json:"runs,omitempty"`
}

// A RunStatus is one of the runs that have not ended.
type RunStatus struct {
	ID         string    `json:"id"`
	Action     string    `json:"action"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	ExternalID string    `json:"externalId,omitempty"`
}

// claimResult is what came of asking for runs.
type claimResult struct {
	At    time.Time `json:"at"`
	Runs  int       `json:"runs"`
	Error string    `json:"error,omitempty"`
}

// maxShown bounds the runs of a Status.
const maxShown = 50

// Status is what the Processor does now. A nil one does nothing, and shows nothing.
func (p *Processor) Status() *Status {
	if p == nil {
		return nil
	}
	m := p.metrics
	s := &Status{
		Claims: p.claims.Load(), Waiting: p.waiting(), LastClaim: p.last.Load(),
		Done: m.succeeded.Load(), Failed: m.failed.Load(), Canceled: m.canceled.Load(),
	}
	l := p.ledger.Load()
	if l == nil {
		return s
	}
	for _, e := range l.unfinished() {
		s.InFlight++
		if len(s.Runs) < maxShown {
			s.Runs = append(s.Runs, RunStatus{ID: e.ID, Action: e.Source, State: string(e.State), Since: e.Changed, ExternalID: e.External})
		}
	}
	return s
}

// UnderWay is what a stop waits for; empty for nothing.
func (p *Processor) UnderWay() string {
	n := 0
	if p != nil && p.ledger.Load() != nil {
		for s, k := range p.ledger.Load().count() {
			if s != following && s != done {
				n += k
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("the start or end of %d runs of actions", n)
}
