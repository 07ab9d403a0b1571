package rest

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The label values of area: what stands behind _apis in the routes that are asked
// for. They are listed so that every series is there from the start, and so that
// nothing from outside can make one.
var areas = []string{
	"alert", "build", "distributedtask", "git", "graph", "hooks", "pipelines", "policy", "projects", "release", "teams", "test",
	"userentitlements", "wiki", "wit", "work", otherArea,
}

const (
	namespace = "ado_port"
	otherArea = "other"
	noAnswer  = "none" // in place of a status
)

// metrics are the series of one organization, and what is known of its health.
type metrics struct {
	areas   map[string]*areaMetrics // not written to once it is made
	retries prometheus.Counter

	mu     sync.Mutex
	health Health
	up     atomic.Bool // health.State is StateReachable
	barred atomic.Bool // the credential is refused
}

type areaMetrics struct {
	requests *prometheus.CounterVec // code
	good     prometheus.Counter     // those with 200, looked up once
	seconds  prometheus.Observer
	taken    atomic.Bool // the credential was good enough for a request of the area
}

// States of a service.
const (
	StateNotAsked    = "not asked"
	StateReachable   = "reachable"
	StateUnreachable = "unreachable"
)

// Health is how an organization answers.
type Health struct {
	Organization string `json:"organization"`
	// State is whether the last request was answered; one that a gateway answers
	// in the place of the organization (502, 503, 504) was not.
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	// CredentialOK is false from a refusal of the credential on until it is taken again.
	CredentialOK bool      `json:"credentialOk"`
	LastError    string    `json:"lastError,omitempty"`
	LastErrorAt  time.Time `json:"lastErrorAt,omitzero"`
}

// Health is how the organization answers now.
func (c *Client) Health() Health {
	m := c.transport.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.health
	h.CredentialOK = !m.barred.Load()
	return h
}

// newMetrics registers the series of an organization; reg may be nil.
func newMetrics(reg prometheus.Registerer, organization string, l *limiter) (*metrics, error) {
	labels := prometheus.Labels{"organization": organization}
	m := &metrics{areas: map[string]*areaMetrics{}, health: Health{Organization: organization, State: StateNotAsked}}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "azure_requests_total", ConstLabels: labels,
		Help: "Requests to Azure DevOps, repeated ones included, by the area of its REST interface and the status of the answer; the code none stands for no answer.",
	}, []string{"area", "code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "azure_request_duration_seconds", ConstLabels: labels, Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120},
		Help: "Time from sending a request to Azure DevOps until its answer was read.",
	}, []string{"area"})
	m.retries = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "azure_retries_total", ConstLabels: labels, Help: "Requests to Azure DevOps that were sent again.",
	})
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, of)
	}
	for _, a := range areas {
		of := requests.MustCurryWith(prometheus.Labels{"area": a})
		for _, code := range []string{"401", "403", "429"} { // what alerts are about
			of.WithLabelValues(code)
		}
		m.areas[a] = &areaMetrics{requests: of, good: of.WithLabelValues("200"), seconds: seconds.WithLabelValues(a)}
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		requests, seconds, m.retries,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "azure_throttled_seconds_total", ConstLabels: labels, Help: "Time in which no request was sent because Azure DevOps asked for a pause.",
		}, func() float64 { return l.use().paused.Seconds() }),
		gauge("azure_requests_in_flight", "Requests to Azure DevOps that are under way.", func() float64 { return float64(l.use().inFlight) }),
		gauge("azure_requests_waiting", "Requests to Azure DevOps that wait for their turn.", func() float64 { return float64(l.use().waiting) }),
		gauge("azure_requests_limit", "Requests to Azure DevOps that may be under way at the same time; it falls when the service throttles, and grows back.",
			func() float64 { return float64(l.use().limit) }),
		gauge("azure_reachable", "0 when the last request to Azure DevOps brought no answer, or 502, 503 or 504; else 1, also before the first request.",
			func() float64 { return truth(m.state() != StateUnreachable) }),
		gauge("credential_ok", "0 from the time at which the organization refuses the credential until it takes it again, else 1. A request that only lacks a scope does not count.",
			func() float64 { return truth(!m.barred.Load()) }),
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// area is where a call counts.
func (m *metrics) area(c *call) *areaMetrics {
	_, name, _ := strings.Cut(c.route, "_apis/")
	name, _, _ = strings.Cut(name, "/")
	if a := m.areas[name]; a != nil {
		return a
	}
	return m.areas[otherArea]
}

func (m *metrics) state() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health.State
}

// ended counts an attempt: status is that of the answer, 0 without one; err is nil
// when the answer was good.
func (m *metrics) ended(a *areaMetrics, status int, took time.Duration, err error) {
	a.seconds.Observe(took.Seconds())
	switch {
	case status == 200:
		a.good.Inc()
	case status >= 100 && status < 600:
		a.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	default:
		a.requests.WithLabelValues(noAnswer).Inc()
	}
	up := status != 0 && (status < 502 || status > 504)
	if err == nil && m.up.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, state := time.Now(), StateReachable
	if !up {
		state = StateUnreachable
	}
	if m.health.State != state {
		m.health.State, m.health.Since = state, now
		m.up.Store(up)
	}
	if err != nil {
		m.health.LastError, m.health.LastErrorAt = err.Error(), now
	}
}

// accepted notes that the credential was taken for a request of an area.
func (m *metrics) accepted(a *areaMetrics) {
	if !a.taken.Load() {
		a.taken.Store(true)
	}
	if m.barred.Load() {
		m.barred.Store(false)
	}
}

// refused notes that it was not. Where it was taken for other areas and never for
// this one, it lacks a scope: that is no refusal of the credential.
func (m *metrics) refused(a *areaMetrics) {
	if !a.taken.Load() {
		for _, other := range m.areas {
			if other.taken.Load() {
				return
			}
		}
	}
	m.barred.Store(true)
}
