package replica

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Status is the group as one process sees it.
type Status struct {
	Usable bool      `json:"usable"`
	Since  time.Time `json:"since"` // when Usable became what it is
	Error  string    `json:"error,omitempty"`
	// Name is that of this process, Leads that of the one that leads: the host, and what
	// tells processes of one host apart. Empty: it is not a member now, nobody leads, or
	// nobody can know.
	Name           string         `json:"name,omitempty"`
	Leads          string         `json:"leads,omitempty"`
	Members        int            `json:"members"` // as Redis has last said
	Seats          map[string]int `json:"seats"`   // that this process has, by what they are for
	Leader         bool           `json:"leader"`
	LatencySeconds float64        `json:"latencySeconds"` // of the last sign of life
}

// Leadership is the family of the one seat that the leader has.
const Leadership = "leader"

// Status is how things are; nil for a process that is alone.
func (g *Group) Status() *Status {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &Status{Usable: g.failing == nil, Since: g.since, Members: max(1, g.members), Seats: map[string]int{}, LatencySeconds: g.latency.Seconds()}
	if g.failing != nil {
		s.Error = g.failing.Error()
	}
	if g.term != nil {
		s.Name = shown(g.term.name)
	}
	for _, f := range g.families {
		s.Seats[f.Name] = len(f.own)
	}
	s.Leader = s.Seats[Leadership] > 0
	switch {
	case s.Leader:
		s.Leads = s.Name
	case s.Usable:
		s.Leads = shown(g.leads)
	}
	return s
}

// shown is the name of a member for people: the identifier behind its host is cut.
func shown(name string) string {
	const enough = 8
	host, id, ok := strings.Cut(name, "/")
	if !ok || len(id) <= enough {
		return name
	}
	return host + "/" + id[:enough]
}

// register adds the metrics.
func (g *Group) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	gauge := func(name, help string, of func(*Status) float64) prometheus.Collector {
		opt := prometheus.GaugeOpts{Namespace: "ado_port", Subsystem: "replica", Name: name, Help: help}
		return prometheus.NewGaugeFunc(opt, func() float64 { return of(g.Status()) })
	}
	truth := map[bool]float64{true: 1}
	for _, c := range []prometheus.Collector{
		gauge("leader", "1 in the process that leads: it resyncs and looks after the subscriptions.", func(s *Status) float64 { return truth[s.Leader] }),
		gauge("members", "Processes that share the Redis, as this one sees it.", func(s *Status) float64 { return float64(s.Members) }),
		gauge("partitions", "Parts of the queue in Redis whose deliveries this process handles.", func(s *Status) float64 { return float64(s.Seats[Partitions]) }),
		gauge("redis_usable", "0 while Redis cannot be used and deliveries are answered 503, else 1.", func(s *Status) float64 { return truth[s.Usable] }),
		gauge("redis_latency_seconds", "Time that the last sign of life of this process took in Redis.", func(s *Status) float64 { return s.LatencySeconds }),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("metrics of replicas: %w", err)
		}
	}
	return nil
}

// Partitions is the family of the parts of the queue.
const Partitions = "partition"
