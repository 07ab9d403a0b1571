package catalog

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/port"
)

// Bounds of the label blueprint: a mapping may compute blueprints from records.
const (
	maxBlueprints  = 300
	otherBlueprint = "other"
)

// actions are the values of the label operation.
var actions = []Action{Created, Updated, Put, Gone}

// metrics count the changes of the catalog.
type metrics struct {
	entities *prometheus.CounterVec // blueprint, operation, cause

	mu sync.RWMutex
	by map[change]prometheus.Counter
	// blueprints are those that have a label of their own.
	blueprints map[string]bool
}

type change struct {
	blueprint string
	action    Action
	cause     string
}

func newMetrics() *metrics {
	return &metrics{
		entities: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "ado_port", Name: "entities_total", Help: "Entities that were created, updated or deleted in Port, or written without knowing which of the first two, by blueprint and by what caused it.",
		}, []string{"blueprint", "operation", "cause"}),
		by: map[change]prometheus.Counter{}, blueprints: map[string]bool{},
	}
}

// of is the counter of a change.
func (m *metrics) of(c change) prometheus.Counter {
	m.mu.RLock()
	n := m.by[c]
	m.mu.RUnlock()
	if n != nil {
		return n
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	label := c.blueprint
	if !m.blueprints[label] {
		if len(m.blueprints) >= maxBlueprints {
			return m.entities.WithLabelValues(otherBlueprint, string(c.action), c.cause)
		}
		m.blueprints[label] = true
	}
	n = m.entities.WithLabelValues(label, string(c.action), c.cause)
	m.by[c] = n
	return n
}

// Causes, label values of the metrics.
const (
	causeResync      = "resync"
	causeIncremental = "incremental"
	causeLive        = "live"
	causeGitOps      = "gitops"
)

// label is the cause in one word.
func (o *Options) label() string {
	switch {
	case o.Feature == port.FeatureGitOps:
		return causeGitOps
	case o.Cause.Event == EventLive:
		return causeLive
	case o.Cause.Event == EventIncremental:
		return causeIncremental
	}
	return causeResync
}

// Expect makes the series of a blueprint that will be written.
func (c *Catalog) Expect(blueprint string) {
	for _, action := range actions {
		for _, cause := range []string{causeResync, causeLive, causeGitOps} {
			c.metrics.of(change{blueprint, action, cause})
		}
	}
}
