package hooks

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// healths are all values of Finding.Health.
var healths = []string{
	healthGood, healthMissing, healthBroken, healthDiffers, healthDuplicate, healthLeftover, healthOff, healthFiltered, healthUnclear,
}

// Health is what the last look at the subscriptions of an organization left behind.
type Health struct {
	Organization string `json:"organization"`
	// Subscriptions are their numbers by health.
	Subscriptions map[string]int `json:"subscriptions"`
	Looked        time.Time      `json:"looked,omitzero"` // when they were looked after last; zero: not yet
	Refused       []string       `json:"refused,omitempty"`
	Unknown       []Unknown      `json:"unknown,omitempty"`
	Error         string         `json:"error,omitempty"` // why they could not be looked after the last time
}

// healthBook is the Health of one organization and its metrics.
type healthBook struct {
	subscriptions *prometheus.GaugeVec
	looked        prometheus.Gauge

	mu   sync.Mutex
	last Health
}

func newHealthBook(organization string) *healthBook {
	labels := prometheus.Labels{"organization": organization}
	b := &healthBook{
		subscriptions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "ado_port", Name: "subscriptions", ConstLabels: labels,
			Help: "Service hook subscriptions of this installation by health, as the last reconciliation left them; 0 before the first.",
		}, []string{"health"}),
		looked: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "ado_port", Name: "subscriptions_looked_timestamp_seconds", ConstLabels: labels,
			Help: "When the service hook subscriptions were looked after last, as a Unix time; 0 before the first time.",
		}),
		last: Health{Organization: organization, Subscriptions: map[string]int{}},
	}
	for _, h := range healths {
		b.subscriptions.WithLabelValues(h)
	}
	return b
}

// register shows the metrics; reg may be nil.
func (b *healthBook) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return errors.Join(reg.Register(b.subscriptions), reg.Register(b.looked))
}

// Health is what is known of the subscriptions, by organization; nil without a Keeper.
func (k *Keeper) Health() []Health {
	if k == nil {
		return nil
	}
	out := make([]Health, len(k.each))
	for i, o := range k.each {
		out[i] = o.health.show()
	}
	return out
}

func (b *healthBook) show() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.last
	h.Subscriptions = maps.Clone(h.Subscriptions)
	return h
}

// note takes in how a reconciliation ended.
func (b *healthBook) note(r *reconciliation, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.last.Error = err.Error()
		return
	}
	b.last.Error, b.last.Looked = "", time.Now()
	b.last.Subscriptions, b.last.Refused, b.last.Unknown = r.health(), r.report.refusals(), r.report.Unknown
	b.looked.Set(float64(b.last.Looked.Unix()))
	for _, h := range healths {
		b.subscriptions.WithLabelValues(h).Set(float64(b.last.Subscriptions[h]))
	}
}

// health counts the subscriptions by health after what was done.
func (r *reconciliation) health() map[string]int {
	out := map[string]int{}
	for _, f := range r.plan.health(r) {
		out[f.Health]++
	}
	for h, n := range r.done {
		out[h] -= n
		if h != healthDuplicate && h != healthLeftover {
			out[healthGood] += n
		}
	}
	return out
}
