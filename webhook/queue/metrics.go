package queue

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	messages  *prometheus.CounterVec
	failures  prometheus.Counter
	reachable reachable
}

// reachable shows whether the queue could be read, in the process that reads it. One that
// leaves it to another has nothing to tell, and an alert on 0 nothing to fire on.
type reachable struct {
	desc *prometheus.Desc
	book *book
}

// Describe implements prometheus.Collector.
func (r reachable) Describe(ch chan<- *prometheus.Desc) { ch <- r.desc }

// Collect implements prometheus.Collector.
func (r reachable) Collect(ch chan<- prometheus.Metric) {
	if s := r.book.read(); s.State != StateNotAsked {
		ch <- prometheus.MustNewConstMetric(r.desc, prometheus.GaugeValue, truth(s.State == StateReachable))
	}
}

func newMetrics(b *book) *metrics {
	const namespace, subsystem = "ado_port", "storage_queue"
	m := &metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "messages_total",
			Help: "Messages of the storage queue that were read, by what became of them: stored like a delivery, a dead letter, or a message of ado-port check that was thrown away.",
		}, []string{"result"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "failures_total",
			Help: "Attempts to read the storage queue, or to delete what was read, that failed.",
		}),
		reachable: reachable{prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, "reachable"),
			"1 when the last attempt to read the storage queue succeeded, else 0; only in the process that reads it, of several the one that leads.", nil, nil), b},
	}
	for _, r := range []string{resultStored, resultDead, resultCheck} {
		m.messages.WithLabelValues(r)
	}
	return m
}

// register shows the metrics; reg may be nil.
func (m *metrics) register(reg *prometheus.Registry) error {
	if reg == nil {
		return nil
	}
	return errors.Join(reg.Register(m.messages), reg.Register(m.failures), reg.Register(m.reachable))
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
