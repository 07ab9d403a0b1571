package port

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The label values of route. They are listed so that every series is there from
// the start, and so that no identifier can make one.
var routes = []string{
	"POST /auth/access_token", "GET /organization",
	"GET /integration/provision-enabled", "GET /integration/{identifier}/resync-request",
	"POST /integration", "GET /integration/{identifier}", "PATCH /integration/{identifier}",
	"PATCH /integration/{identifier}/config", "PATCH /integration/{identifier}/resync-state",
	"GET /integration/{identifier}/cursor", "PUT /integration/{identifier}/cursor", "POST /integration/{identifier}/kinds/{kind}/examples",
	"POST /blueprints", "GET /blueprints/{blueprint}", "PATCH /blueprints/{blueprint}", "DELETE /blueprints/{blueprint}",
	"POST /blueprints/{blueprint}/entities/bulk", "POST /blueprints/{blueprint}/entities/search", "POST /blueprints/{blueprint}/bulk/entities/delete", "GET /blueprints/{blueprint}/entities/{entity}",
	"POST /blueprints/{blueprint}/scorecards", "POST /actions", "POST /pages",
	"POST /blueprints/entities/datasource-entities", "POST /entities/search",
	"POST /actions/runs/claim-pending", "PATCH /actions/runs/ack", "GET /actions/runs", "PATCH /actions/runs/{run}", "POST /actions/runs/{run}/logs",
	"POST /workflows/runs/claim-pending", "PATCH /workflows/runs/ack", "GET /workflows/nodes/runs", "PATCH /workflows/nodes/runs/{run}", "POST /workflows/nodes/runs/{run}/logs",
	"POST {logs}", "POST {reports}", "PUT {reports}", otherRoute,
}

const (
	namespace  = "ado_port"
	otherRoute = "other"
	noAnswer   = "none" // in place of a status
)

// metrics are the series of the room, and what is known of Port's health.
type metrics struct {
	routes   map[string]*routeMetrics // not written to once it is made
	retries  prometheus.Counter
	inFlight prometheus.Gauge

	mu     sync.Mutex
	health Health
	barred atomic.Bool // the client id and secret are refused
}

type routeMetrics struct {
	requests *prometheus.CounterVec // code
	seconds  prometheus.Observer
}

// States of Port.
const (
	StateNotAsked    = "not asked"
	StateReachable   = "reachable"
	StateUnreachable = "unreachable"
)

// Health is how Port answers.
type Health struct {
	// State is whether the last request was answered; one that a gateway answers in
	// the place of Port (502, 503, 504) was not.
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	// CredentialOK is false from a refusal of client id and secret on until they are taken again.
	CredentialOK bool      `json:"credentialOk"`
	LastError    string    `json:"lastError,omitempty"`
	LastErrorAt  time.Time `json:"lastErrorAt,omitzero"`
}

// Health is how Port answers now.
func (c *Client) Health() Health {
	m := c.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.health
	h.CredentialOK = !m.barred.Load()
	return h
}

// newMetrics registers the series; reg may be nil.
func newMetrics(reg prometheus.Registerer, p *pacer) (*metrics, error) {
	m := &metrics{routes: map[string]*routeMetrics{}, health: Health{State: StateNotAsked}}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "port_requests_total",
		Help: "Requests to Port, repeated ones included, by route and status of the answer; the code none stands for no answer.",
	}, []string{"route", "code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "port_request_duration_seconds", Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60},
		Help: "Time from sending a request to Port until its answer was read.",
	}, []string{"route"})
	m.retries = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "port_retries_total", Help: "Requests to Port that were sent again."})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "port_requests_in_flight", Help: "Requests to Port that are under way."})
	for _, r := range routes {
		of := requests.MustCurryWith(prometheus.Labels{"route": r})
		of.WithLabelValues("200")
		m.routes[r] = &routeMetrics{requests: of, seconds: seconds.WithLabelValues(r)}
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		requests, seconds, m.retries, m.inFlight,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "port_throttled_seconds_total", Help: "Time in which no request was sent because Port asked for a pause.",
		}, func() float64 { return p.lasted(time.Now()).Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "port_reachable", Help: "0 when the last request to Port brought no answer, or 502, 503 or 504; else 1, also before the first request.",
		}, func() float64 { return truth(m.state() != StateUnreachable) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "port_credential_ok", Help: "0 from the time at which Port refuses client id and secret until it takes them again, else 1.",
		}, func() float64 { return truth(!m.barred.Load()) }),
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

func (m *metrics) state() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health.State
}

// ended counts an attempt: status is that of the answer, 0 without one; err is nil
// when the answer was good.
func (m *metrics) ended(k *call, status int, took time.Duration, err error) {
	of := m.routes[k.template()]
	if of == nil {
		of = m.routes[otherRoute]
	}
	code, state, now := noAnswer, StateReachable, time.Now()
	if status >= 100 && status < 600 {
		code = strconv.Itoa(status)
	}
	of.requests.WithLabelValues(code).Inc()
	of.seconds.Observe(took.Seconds())
	if status == 0 || status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout {
		state = StateUnreachable
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.health.State != state {
		m.health.State, m.health.Since = state, now
	}
	if err != nil {
		m.health.LastError, m.health.LastErrorAt = err.Error(), now
	}
}

// template is the route of a call with names in the place of identifiers. What it
// makes of a path that is none of ours is not in routes.
func (k *call) template() string {
	switch {
	case !strings.HasPrefix(k.path, "/") && k.quiet:
		return k.method + " {logs}"
	case !strings.HasPrefix(k.path, "/"):
		return k.method + " {reports}"
	}
	part := strings.Split(k.path[1:], "/")
	switch {
	case len(part) > 1 && part[0] == "integration" && part[1] != "provision-enabled":
		part[1] = "{identifier}"
		if len(part) > 3 && part[2] == "kinds" {
			part[3] = "{kind}"
		}
	case len(part) > 2 && part[0] == "actions" && part[2] != "claim-pending" && part[2] != "ack":
		part[2] = "{run}"
	case len(part) > 3 && part[0] == "workflows" && part[1] == "nodes":
		part[3] = "{run}"
	case len(part) > 1 && part[0] == "blueprints" && !(len(part) == 3 && part[1] == "entities"):
		part[1] = "{blueprint}"
		if len(part) == 4 && part[2] == "entities" && k.method == http.MethodGet {
			part[3] = "{entity}"
		}
	}
	return k.method + " /" + strings.Join(part, "/")
}
