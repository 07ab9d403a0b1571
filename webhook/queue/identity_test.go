package queue_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/ado-port/ado-port/webhook/queue"
)

// entra answers like Entra and like a storage account that has the token it gave, and
// notes who was asked.
type entra struct {
	mu    sync.Mutex
	hosts map[string]int
}

func (e *entra) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hosts[r.URL.Host]++
	status, body := http.StatusOK, ""
	switch {
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		body = `{"token_type":"Bearer","expires_in":3600,"access_token":"given"}`
	case r.URL.Host == "login.microsoftonline.com":
		base := "https://login.microsoftonline.com/tenant"
		body = fmt.Sprintf(`{"tenant_discovery_endpoint":%q,"metadata":[],"authorization_endpoint":%q,"token_endpoint":%q,"issuer":%q}`,
			base+"/v2.0/.well-known/openid-configuration", base+"/oauth2/v2.0/authorize", base+"/oauth2/v2.0/token", base+"/v2.0")
	case r.Header.Get("Authorization") == "Bearer given":
		body = `<?xml version="1.0" encoding="utf-8"?><QueueMessagesList></QueueMessagesList>`
	default:
		status = http.StatusForbidden
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}, "X-Ms-Request-Id": {"1"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// An identity signs in with the certificates and proxies of everything else.
func TestIdentity(t *testing.T) {
	t.Setenv("AZURE_TENANT_ID", "tenant")
	t.Setenv("AZURE_CLIENT_ID", "client")
	t.Setenv("AZURE_CLIENT_SECRET", "secret")
	e := &entra{hosts: map[string]int{}}
	q, err := queue.New(queue.Config{URL: "https://acme.queue.core.windows.net/hooks", Account: "acme", Into: &receiver{}, Transport: e})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Drain(t.Context()); err != nil {
		t.Errorf("%v; asked were %v", err, e.hosts)
	}
	if e.hosts["login.microsoftonline.com"] == 0 || e.hosts["acme.queue.core.windows.net"] == 0 || len(e.hosts) != 2 {
		t.Errorf("asked were %v", e.hosts)
	}
}
