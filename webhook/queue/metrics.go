package queue

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	messages  *prometheus.CounterVec
	failures  prometheus.Counter
	reachable prometheus.Gauge
}

func newMetrics() *metrics {
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
		reachable: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "reachable",
			Help: "1 when the last attempt to read the storage queue succeeded, else 0.",
		}),
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
