package webhook

import (
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the series of the room: ado_port_hooks_….
type metrics struct {
	received, duplicates, coalesced   prometheus.Counter
	rejected                          *prometheus.CounterVec // reason
	accepted, processed, failed, dead *prometheus.CounterVec // event
	latency                           *prometheus.HistogramVec
	commits, commitSize               prometheus.Histogram
	commitErrors                      prometheus.Counter
	minutes                           minutes
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

// newMetrics registers the series. events are the event types that are expected:
// their series are there from the start, and those of all refusals.
func newMetrics(reg *prometheus.Registry, events []string, queue func() Queue) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets}
	}
	event := []string{"event"}
	m := &metrics{
		received:   prometheus.NewCounter(counter("received_total", "Requests to the route of service hooks, and messages of the storage queue.")),
		duplicates: prometheus.NewCounter(counter("duplicates_total", "Deliveries of service hooks that were dropped because an earlier one says the same.")),
		coalesced:  prometheus.NewCounter(counter("coalesced_total", "Deliveries of service hooks that were handled together with an earlier one of their object.")),
		rejected:   prometheus.NewCounterVec(counter("rejected_total", "Requests to the route of service hooks that were not answered 200, and messages of the storage queue that were not taken, by the reason."), []string{"reason"}),
		accepted:   prometheus.NewCounterVec(counter("accepted_total", "Deliveries of service hooks that were stored, by event type."), event),
		processed:  prometheus.NewCounterVec(counter("processed_total", "Deliveries of service hooks that were handled, by event type."), event),
		failed:     prometheus.NewCounterVec(counter("failed_total", "Attempts to handle the deliveries of an object that failed, by the type of the event that came last."), event),
		dead:       prometheus.NewCounterVec(counter("dead_total", "Deliveries of service hooks that were given up and became dead letters, by event type."), event),
		latency: prometheus.NewHistogramVec(histogram("handled_seconds", "Time from the arrival of a delivery of a service hook until it was handled, by event type.",
			[]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 86400}), event),
		commits: prometheus.NewHistogram(histogram("spool_commit_seconds", "Time that it took to write deliveries to the spool, once for all that came together.",
			[]float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10})),
		commitSize:   prometheus.NewHistogram(histogram("spool_commit_deliveries", "Deliveries that were written to the spool together.", []float64{0, 1, 2, 4, 8, 16, 32, 64, 128, 256})),
		commitErrors: prometheus.NewCounter(counter("spool_commit_errors_total", "Writes to the spool that failed.")),
		events:       map[string]bool{},
	}
	reg.MustRegister(m.received, m.duplicates, m.coalesced, m.rejected, m.accepted, m.processed, m.failed, m.dead,
		m.latency, m.commits, m.commitSize, m.commitErrors, newQueueCollector(queue))
	for _, r := range refusals {
		m.rejected.WithLabelValues(r.reason)
	}
	for _, e := range append(events, otherEvent) {
		e = m.event(e)
		for _, vec := range []*prometheus.CounterVec{m.accepted, m.processed, m.failed, m.dead} {
			vec.WithLabelValues(e)
		}
		m.latency.WithLabelValues(e)
	}
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

// queueCollector shows what waits now, asked once per scrape. What is not known any more
// is shown as it was: an alert must not end because nobody can be asked. What was never
// known is not shown.
type queueCollector struct {
	queue  func() Queue
	gauges []queueGauge

	mu   sync.Mutex
	last *Backlog
}

type queueGauge struct {
	desc *prometheus.Desc
	of   func(Queue) float64
	held bool // it is of the Backlog
}

func newQueueCollector(queue func() Queue) *queueCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, nil, nil)
	}
	gauge := func(name, help string, of func(Queue) float64) queueGauge {
		return queueGauge{desc: desc(name, help), of: of}
	}
	held := func(name, help string, of func(*Backlog) float64) queueGauge {
		return queueGauge{desc: desc(name, help), of: func(q Queue) float64 { return of(q.Backlog) }, held: true}
	}
	return &queueCollector{queue: queue, gauges: []queueGauge{
		held("depth", "Deliveries of service hooks that wait or are being handled.", func(b *Backlog) float64 { return float64(b.Depth) }),
		held("depth_bytes", "Bytes that the waiting deliveries of service hooks take in the spool.", func(b *Backlog) float64 { return float64(b.Bytes) }),
		held("strangers", "Waiting deliveries that nothing speaks for: no password, no known subscription or object.",
			func(b *Backlog) float64 { return float64(b.Strangers) }),
		held("oldest_age_seconds", "Age of the oldest delivery of a service hook that waits or is being handled; 0 when there is none.", func(b *Backlog) float64 { return b.OldestSeconds }),
		held("dead_letters", "Deliveries of service hooks that were given up and are kept as dead letters.", func(b *Backlog) float64 { return float64(b.DeadLetters) }),
		held("delayed_objects", "Objects whose deliveries failed and wait for their next try.", func(b *Backlog) float64 { return float64(b.Delayed) }),
		gauge("working_objects", "Objects whose deliveries are being handled.", func(q Queue) float64 { return float64(q.Working) }),
		gauge("to_move", "Deliveries and dead letters that an earlier process has left in the state directory and that are not in the shared queue yet.", toMove),
		gauge("spool_in_memory", "1 when deliveries do not survive the process.", func(q Queue) float64 { return truth(q.Kind == inMemory) }),
		gauge("spool_usable", "0 while deliveries cannot be stored and are answered 503, else 1.", func(q Queue) float64 { return truth(q.Usable) }),
	}}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func toMove(q Queue) float64 {
	if q.ToMove == nil {
		return 0
	}
	return float64(q.ToMove.Deliveries + q.ToMove.DeadLetters)
}

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(ch chan<- prometheus.Metric) {
	q := c.queue()
	c.mu.Lock()
	if q.Backlog == nil {
		q.Backlog = c.last
	}
	c.last = q.Backlog
	c.mu.Unlock()
	for _, g := range c.gauges {
		if g.held && q.Backlog == nil {
			continue
		}
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.of(q))
	}
}
