package port_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// series are the lines of a scrape.
func series(reg *prometheus.Registry) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestMetricsOfRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		srv, c := catalog(t, porttest.Options{}, func(cfg *port.ClientConfig) { cfg.Registry = reg })
		want := func(lines ...string) {
			t.Helper()
			got := series(reg)
			for _, l := range lines {
				if !strings.Contains(got, l+"\n") {
					t.Errorf("the scrape lacks %s", l)
				}
			}
		}
		want(`ado_port_port_requests_total{code="200",route="GET /blueprints/{blueprint}"} 0`, `ado_port_port_reachable 1`, `ado_port_port_credential_ok 1`)
		if h := c.Health(); h.State != port.StateNotAsked || !h.CredentialOK {
			t.Errorf("health before the first request: %+v", h)
		}
		srv.Fault(porttest.Status(bulkRoute, http.StatusTooManyRequests).Header("Retry-After", "9").Times(1))
		if _, err := c.Upsert(t.Context(), merge, entities(3)); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Blueprint(t.Context(), "an/id")
		want(
			`ado_port_port_requests_total{code="429",route="POST /blueprints/{blueprint}/entities/bulk"} 1`,
			`ado_port_port_requests_total{code="404",route="GET /blueprints/{blueprint}"} 1`,
			`ado_port_port_requests_total{code="200",route="other"} 0`,
			`ado_port_port_retries_total 1`, `ado_port_port_throttled_seconds_total 9`, `ado_port_port_requests_in_flight 0`,
		)
		if h := c.Health(); h.State != port.StateReachable || !strings.Contains(h.LastError, "404") {
			t.Errorf("health %+v", h)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

func TestHealthWhenCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		_, c := catalog(t, porttest.Options{ClientID: "another", ClientSecret: "secret"}, func(cfg *port.ClientConfig) { cfg.Registry = reg })
		_, _ = c.Integration(t.Context())
		if h := c.Health(); h.CredentialOK || h.State != port.StateReachable || h.LastError == "" {
			t.Errorf("health %+v", h)
		}
		if !strings.Contains(series(reg), "ado_port_port_credential_ok 0\n") {
			t.Error("the metric says otherwise")
		}
	})
}
