package resync

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port"
)

const (
	namespace  = "ado_port"
	otherCause = "other"
)

// metrics are the series of the room, and what the last resync left behind. What a
// running one has counted is read when somebody looks.
type metrics struct {
	resyncs  *prometheus.CounterVec // state, cause
	duration prometheus.Histogram
	causes   []string
	interval func() time.Duration

	mu          sync.Mutex
	running     *run     // nil: none
	plan        bool     // the running one has one
	last        *Summary // full ones
	recent      []Past   // of every mode, the newest first
	lastSuccess time.Time
	totals      map[string]Counts          // by kind, of the runs that have ended
	reports     map[string]port.SyncReport // the latest of the last full resync, by kind and position
}

func newMetrics(cfg *Config) *metrics {
	m := &metrics{
		resyncs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "resyncs_total", Help: "Resyncs that have ended, by how they ended and what they were asked for.",
		}, []string{"state", "cause"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "resync_duration_seconds", Help: "Time that full resyncs took.",
			Buckets: []float64{1, 5, 15, 60, 180, 600, 1800, 3600, 7200, 14400, 43200},
		}),
		causes: append([]string{CauseOnce, CauseLearning, otherCause}, cfg.Causes...),
		totals: map[string]Counts{}, reports: map[string]port.SyncReport{},
	}
	m.interval = func() time.Duration {
		if cfg.Schedule == nil {
			return 0
		}
		next := cfg.Schedule(time.Now())
		if then := cfg.Schedule(next); then.After(next) {
			return then.Sub(next)
		}
		return 0
	}
	for _, c := range m.causes {
		for _, s := range []State{StateCompleted, StateFailed, StateAborted} {
			m.resyncs.WithLabelValues(string(s), c)
		}
	}
	for _, k := range azuredevops.Kinds() {
		m.totals[k] = Counts{}
	}
	return m
}

// register shows the metrics; reg may be nil.
func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return errors.Join(reg.Register(m.resyncs), reg.Register(m.duration), reg.Register(m))
}

// began notes that a resync begins, planned that it knows what to do.
func (m *metrics) began(r *run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running, m.plan = r, false
}

func (m *metrics) planned(r *run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plan = true
	if r.mode == full {
		clear(m.reports) // of blocks that the mapping does not have any more
	}
}

// report notes how far a kind is.
func (m *metrics) report(r port.SyncReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports[r.KindIdentifier] = r
}

// ended notes what a resync did.
func (m *metrics) ended(r *run, sum *Summary) {
	cause := r.cause
	if !slices.Contains(m.causes, cause) {
		cause = otherCause
	}
	m.resyncs.WithLabelValues(string(sum.State), cause).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = nil
	m.recent = append([]Past{pastOf(r.mode, sum)}, m.recent[:min(len(m.recent), recentRuns-1)]...)
	for _, b := range r.resources {
		now, sum := b.counts(), m.totals[b.Kind]
		sum.Add(now)
		m.totals[b.Kind] = sum
		if rep, ok := m.reports[b.KindIndex()]; ok && r.mode == full {
			m.reports[b.KindIndex()] = withCounts(rep, &now) // it was read before all of it was written
		}
	}
	if r.mode != full {
		return
	}
	m.duration.Observe(sum.Duration.Seconds())
	m.last = sum
	if sum.State == StateCompleted {
		m.lastSuccess = sum.Ended()
	}
}

var (
	lastSuccess = desc("resync_last_success_timestamp_seconds", "When the last full resync that completed has ended, as a Unix time; 0 when none has since the start.")
	lastEnd     = desc("resync_last_end_timestamp_seconds", "When the last full resync has ended, however it ended, as a Unix time; 0 when none has since the start.")
	running     = desc("resync_running", "1 while a resync runs.")
	interval    = desc("resync_interval_seconds", "Time between the next two resyncs of the schedule; 0 when none are scheduled.")
	notDeleted  = desc("resync_not_deleted_entities", "Entities that nothing made in the last full resync and that stay in Port: because not everything could be read (unread), or because too many would go at once (threshold, brake).", "hold")
	records     = desc("records_total", "Records that resyncs have listed, by what became of them: mapped to an entity, filtered by the selector, failed (no identifier or blueprint), unknown.", "kind", "result")

	// The series of the Python integration, which dashboards know.
	pythonSuccess  = prometheus.NewDesc("success", "1 when the last resync of a kind was a success, as in the Python integration.", []string{"kind", "phase"}, nil)
	pythonDuration = prometheus.NewDesc("duration_seconds", "Time that the last resync of a kind took, as in the Python integration.", []string{"kind", "phase"}, nil)
	pythonCount    = prometheus.NewDesc("object_count", "Objects of a kind in the last resync, as in the Python integration.", []string{"kind", "phase", "object_count_type"}, nil)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// Describe implements prometheus.Collector.
func (*metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lastSuccess, lastEnd, running, interval, notDeleted, records, pythonSuccess, pythonDuration, pythonCount} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(interval, m.interval().Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge(lastSuccess, unix(m.lastSuccess))
	gauge(running, truth(m.running != nil))
	held := map[Hold]int{}
	if m.last != nil {
		gauge(lastEnd, unix(m.last.Ended()))
		for _, n := range m.last.NotDeleted {
			held[n.Hold] += n.Entities
		}
	} else {
		gauge(lastEnd, 0)
	}
	for _, h := range []Hold{HoldUnread, HoldThreshold, HoldBrake} {
		gauge(notDeleted, float64(held[h]), string(h))
	}
	for kind, c := range m.counted() {
		for result, n := range map[string]int64{"mapped": c.Mapped, "filtered": c.Filtered, "failed": c.Failed, "unknown": c.Unknown} {
			ch <- prometheus.MustNewConstMetric(records, prometheus.CounterValue, float64(n), kind, result)
		}
	}
	for _, r := range m.reports {
		collectReport(gauge, &r)
	}
}

// counted are the figures of all runs by kind, the one under way included. mu is held.
func (m *metrics) counted() map[string]Counts {
	out := maps.Clone(m.totals)
	if m.running != nil && m.plan {
		for _, b := range m.running.resources {
			c := out[b.Kind]
			c.Add(b.counts())
			out[b.Kind] = c
		}
	}
	return out
}

// collectReport shows a report as the Python integration does.
func collectReport(gauge func(*prometheus.Desc, float64, ...string), r *port.SyncReport) {
	kind := r.KindIdentifier
	gauge(pythonSuccess, truth(r.Success), kind, "resync")
	gauge(pythonDuration, r.Duration.Seconds(), kind, "resync")
	switch kind {
	case port.SyncRuntime:
	case port.SyncReconciliation:
		gauge(pythonDuration, r.Duration.Seconds(), kind, "delete")
		gauge(pythonCount, float64(r.Deleted), kind, "delete", "deleted")
	default:
		for _, c := range []struct {
			phase, what string
			n           int
		}{
			{"extract", "raw_extracted", r.RawExtracted},
			{"extract", "failed", r.ExtractFailed},
			{"transform", "transformed", r.Transformed},
			{"transform", "filtered_out", r.FilteredOut},
			{"transform", "failed", r.TransformFailed},
			{"load", "loaded", r.Loaded},
			{"load", "failed", r.LoadFailed},
			{"load", "skipped", r.LoadSkipped},
		} {
			gauge(pythonCount, float64(c.n), kind, c.phase, c.what)
		}
	}
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
