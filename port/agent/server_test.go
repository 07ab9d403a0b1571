package agent

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/gjson"
)

func TestServer(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	a := &Agent{Options: &Options{Config: &Config{Streamer: Polling}, Registry: reg, Log: slog.New(slog.DiscardHandler)}, ledger: openLedger("", nil)}
	a.metrics = newMetrics(reg, a)
	stopped, stop := context.WithCancel(t.Context())
	stop() // no job begins
	a.pool = newPool(t.Context(), stopped, 1)
	for key, s := range map[string]state{"a": answered, "b": dead, "c": calling} {
		if err := a.ledger.put(key, note{Queue: claimedRuns, State: s, Run: "r_" + key, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		a.routes().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
		return w.Code, w.Body.String()
	}
	if code, _ := ask("GET", "/health/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("before Port was reached: %d", code)
	}
	a.health.well()
	for _, path := range []string{"/health/live", "/health/ready"} {
		if code, text := ask("GET", path); code != http.StatusOK || gjson.Get(text, "status").Str != "healthy" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	_, text := ask("GET", "/status.json")
	if gjson.Get(text, "agent.unreported").Int() != 1 || gjson.Get(text, "agent.dead").Int() != 1 || len(gjson.Get(text, "agent.runs").Array()) != 3 {
		t.Errorf("status: %s", text)
	}
	if _, text := ask("GET", "/metrics"); !strings.Contains(text, "ado_port_agent_dead 1") {
		t.Errorf("metrics: %s", text)
	}
	if _, text := ask("POST", "/redrive"); gjson.Get(text, "revived").Int() != 1 || a.status().Dead != 0 {
		t.Errorf("redrive: %s, %+v", text, a.status())
	}
	a.pool.wait()
	if code, _ := ask("GET", "/redrive"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET /redrive: %d", code)
	}
}
