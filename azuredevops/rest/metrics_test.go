package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// scraped compares some series of a registry with what they should be.
func scraped(t *testing.T, reg *prometheus.Registry, want string) {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("the scrape lacks %s", line)
		}
	}
}

func TestMetricsOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		calls := 0
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			calls++
			switch {
			case strings.Contains(r.URL.Path, "/secret-id/"):
				return answer(404, `{"message":"no"}`)
			case calls == 1:
				return answer(503, "", "Retry-After", "7")
			case calls == 2:
				return nil
			}
			return answer(200, "{}")
		}}
		c := newTestClient(t, f, options{registry: reg})
		scraped(t, reg, `
ado_port_azure_requests_total{area="git",code="200",organization="acme"} 0
ado_port_azure_request_duration_seconds_count{area="wit",organization="acme"} 0
ado_port_azure_requests_limit{organization="acme"} 4
ado_port_credential_ok{organization="acme"} 1
ado_port_azure_reachable{organization="acme"} 1`[1:])
		if h := c.Health(); h.State != StateNotAsked || !h.Since.IsZero() || !h.CredentialOK {
			t.Errorf("health before the first request: %+v", h)
		}
		begun := time.Now()
		for _, rq := range []*Request{
			{Route: "_apis/git/repositories"},
			{Route: "_apis/wiki/{wiki}/pages", Args: []string{"secret-id"}},
			{Route: "_apis/of/another/planet"},
		} {
			_, _ = c.Send(t.Context(), rq, Caller{})
		}
		scraped(t, reg, `
ado_port_azure_requests_total{area="git",code="503",organization="acme"} 1
ado_port_azure_requests_total{area="git",code="none",organization="acme"} 1
ado_port_azure_requests_total{area="git",code="200",organization="acme"} 1
ado_port_azure_requests_total{area="wiki",code="404",organization="acme"} 1
ado_port_azure_requests_total{area="other",code="200",organization="acme"} 1
ado_port_azure_retries_total{organization="acme"} 2
ado_port_azure_throttled_seconds_total{organization="acme"} 7
ado_port_azure_requests_in_flight{organization="acme"} 0`[1:])
		h := c.Health()
		if h.State != StateReachable || h.Since.Sub(begun) < 7*time.Second || !strings.Contains(h.LastError, "404") {
			t.Errorf("health %+v", h)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

// What was asked for in vain counts while a gateway answers in the place of the
// organization, and while nobody does.
func TestHealthOfAnOrganizationThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		up := false
		f := &fakeService{Serve: func(*http.Request) *http.Response {
			if up {
				return answer(200, "{}")
			}
			return nil
		}}
		c := newTestClient(t, f, options{registry: reg})
		for _, want := range []string{StateUnreachable, StateReachable} {
			_, _ = c.Send(t.Context(), &Request{Route: "_apis/projects"}, Caller{})
			if h := c.Health(); h.State != want || !strings.Contains(h.LastError, "unexpected EOF") || h.LastErrorAt.IsZero() {
				t.Errorf("health %+v, want %s", h, want)
			}
			scraped(t, reg, `ado_port_azure_reachable{organization="acme"} `+map[bool]string{false: "0", true: "1"}[up])
			up = true
		}
	})
}

// A token that lacks a scope is no token that is refused; one that is revoked is.
func TestCredentialOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked := false
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			if revoked || strings.Contains(r.URL.Path, "_apis/graph") {
				return answer(401, "")
			}
			return answer(200, "{}")
		}}
		c := newTestClient(t, f, options{})
		ask := func(area string, want bool) {
			t.Helper()
			_, _ = c.Send(t.Context(), &Request{Route: "_apis/" + area + "/x"}, Caller{})
			if got := c.Health().CredentialOK; got != want {
				t.Errorf("after %s: credential ok %v, want %v", area, got, want)
			}
		}
		ask("graph", false) // the first answer of all
		ask("git", true)
		ask("graph", true)
		revoked = true
		ask("git", false)
		ask("graph", false)
		revoked = false
		ask("git", true)
	})
}
