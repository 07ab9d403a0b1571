package agent

import (
	"github.com/prometheus/client_golang/prometheus"
)

const namespace = "ado_port"

// Results of an invocation.
const (
	resultSucceeded = "succeeded"
	resultFailed    = "failed"
	resultSkipped   = "skipped"
	resultMalformed = "malformed"
)

// metrics are the series of the room.
type metrics struct {
	invocations   *prometheus.CounterVec // queue, result
	seconds       prometheus.Histogram
	repeated      prometheus.Counter
	claimFailures prometheus.Counter
	lag           *prometheus.GaugeVec // topic, partition
}

func newMetrics(reg prometheus.Registerer, a *Agent) *metrics {
	m := &metrics{
		invocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "agent_invocations_total", Help: "Invocations by the queue that they came from and by what became of them.",
		}, []string{"queue", "result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "agent_call_duration_seconds", Help: "Time from calling a service until its answer was read, repetitions included.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "agent_repeated_calls_total", Help: "Services that were called again because a process ended while it called them.",
		}),
		claimFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "agent_claim_failures_total", Help: "Questions for runs that Port did not answer.",
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "agent_kafka_lag", Help: "Records of a partition that have not been dealt with.",
		}, []string{"topic", "partition"}),
	}
	gauge := func(name, help string, of func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, func() float64 { return float64(of()) })
	}
	reg.MustRegister(m.invocations, m.seconds, m.repeated, m.claimFailures, m.lag,
		gauge("agent_in_flight", "Invocations that wait or are executed now.", func() int { return a.status().InFlight }),
		gauge("agent_unreported", "Runs whose outcome Port does not know yet.", func() int { return a.status().Unreported }),
		gauge("agent_dead", "Runs that were given up because Port did not take their outcome.", func() int { return a.status().Dead }),
	)
	return m
}

func (m *metrics) count(q queue, result string) {
	m.invocations.WithLabelValues(string(q), result).Inc()
}
