package webhook

import (
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/webhook/spool"
)

// metrics are the series of the room: ado_port_hooks_….
type metrics struct {
	received, duplicates, coalesced   prometheus.Counter
	rejected                          *prometheus.CounterVec // reason
	accepted, processed, failed, dead *prometheus.CounterVec // event
	latency                           *prometheus.HistogramVec
	commits, commitSize               prometheus.Histogram
	commitErrors                      prometheus.Counter
	mu                                sync.Mutex
	events                            map[string]bool // that have a label of their own
}

const namespace, subsystem = "ado_port", "hooks"

// Bounds of the label event: it comes from outside.
const (
	maxEvents  = 48
	otherEvent = "other"
)

var eventName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,79}$`)

func newMetrics(reg *prometheus.Registry, stats func() (spool.Stats, bool)) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets}
	}
	event := []string{"event"}
	m := &metrics{
		received:   prometheus.NewCounter(counter("received_total", "Requests below the hook prefix.")),
		duplicates: prometheus.NewCounter(counter("duplicates_total", "Deliveries dropped because an earlier one says the same.")),
		coalesced:  prometheus.NewCounter(counter("coalesced_total", "Deliveries handled together with an earlier one of their object.")),
		rejected:   prometheus.NewCounterVec(counter("rejected_total", "Requests below the hook prefix that were not answered 200."), []string{"reason"}),
		accepted:   prometheus.NewCounterVec(counter("accepted_total", "Deliveries stored."), event),
		processed:  prometheus.NewCounterVec(counter("processed_total", "Deliveries handled."), event),
		failed:     prometheus.NewCounterVec(counter("failed_total", "Tries that failed, by the event that came last."), event),
		dead:       prometheus.NewCounterVec(counter("dead_total", "Deliveries that became dead letters."), event),
		latency: prometheus.NewHistogramVec(histogram("handled_seconds", "Time from the arrival of a delivery until it was handled.",
			[]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 86400}), event),
		commits: prometheus.NewHistogram(histogram("spool_commit_seconds", "Time of a commit of the spool.",
			[]float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10})),
		commitSize:   prometheus.NewHistogram(histogram("spool_commit_deliveries", "Deliveries that a commit stored.", []float64{0, 1, 2, 4, 8, 16, 32, 64, 128, 256})),
		commitErrors: prometheus.NewCounter(counter("spool_commit_errors_total", "Commits of the spool that failed.")),
		events:       map[string]bool{},
	}
	reg.MustRegister(m.received, m.duplicates, m.coalesced, m.rejected, m.accepted, m.processed, m.failed, m.dead,
		m.latency, m.commits, m.commitSize, m.commitErrors, newSpoolCollector(stats))
	return m
}

// event is the label of an event type. The first ones that look like event types
// have their own.
func (m *metrics) event(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.events[name] {
		if len(m.events) >= maxEvents || !eventName.MatchString(name) {
			return otherEvent
		}
		m.events[name] = true
	}
	return name
}

func (m *metrics) committed(took time.Duration, n int, err error) {
	m.commits.Observe(took.Seconds())
	m.commitSize.Observe(float64(n))
	if err != nil {
		m.commitErrors.Inc()
	}
}

// spoolCollector shows what the spool holds now, asked once per scrape.
type spoolCollector struct {
	stats  func() (spool.Stats, bool)
	gauges []spoolGauge
}

type spoolGauge struct {
	desc *prometheus.Desc
	of   func(spool.Stats) float64
}

func newSpoolCollector(stats func() (spool.Stats, bool)) *spoolCollector {
	gauge := func(name, help string, of func(spool.Stats) float64) spoolGauge {
		return spoolGauge{prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, nil, nil), of}
	}
	return &spoolCollector{stats, []spoolGauge{
		gauge("depth", "Deliveries that wait or are being handled.", func(s spool.Stats) float64 { return float64(s.Depth) }),
		gauge("depth_bytes", "Bytes that they take in the spool.", func(s spool.Stats) float64 { return float64(s.Bytes) }),
		gauge("strangers", "Of the waiting deliveries, those that nothing speaks for: no password, no known subscription or object.",
			func(s spool.Stats) float64 { return float64(s.Strangers) }),
		gauge("oldest_age_seconds", "Age of the oldest of them.", func(s spool.Stats) float64 { return s.OldestAge.Seconds() }),
		gauge("dead_letters", "Dead letters.", func(s spool.Stats) float64 { return float64(s.DeadLetters) }),
		gauge("delayed_objects", "Objects whose deliveries failed and wait for their next try.", func(s spool.Stats) float64 { return float64(s.Delayed) }),
		gauge("working_objects", "Objects whose deliveries are being handled.", func(s spool.Stats) float64 { return float64(s.Working) }),
		gauge("spool_in_memory", "1 when deliveries do not survive the process.", func(s spool.Stats) float64 {
			if s.InMemory {
				return 1
			}
			return 0
		}),
	}}
}

// Describe implements prometheus.Collector.
func (c *spoolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c *spoolCollector) Collect(ch chan<- prometheus.Metric) {
	st, ok := c.stats()
	if !ok {
		return
	}
	for _, g := range c.gauges {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.of(st))
	}
}
