package resync_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/port/porttest"
)

// shows checks lines of a scrape.
func shows(t *testing.T, reg *prometheus.Registry, lines ...string) {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, l := range lines {
		if !strings.Contains(w.Body.String(), "\n"+l+"\n") {
			t.Errorf("the scrape lacks %s", l)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(strings.Replace(repositories, `"query":"true"`, `"query":".name != \"beta-web\""`, 1), projects)
	reg := prometheus.NewRegistry()
	b.config = func(cfg *resync.Config) {
		cfg.Registry, cfg.Causes = reg, []string{"test"}
		cfg.Schedule = func(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }
		cfg.Catalog = catalog.New(catalog.Config{Port: cfg.Port, Registry: reg})
	}
	r := b.runner()
	shows(t, reg,
		`ado_port_records_total{kind="wiki",result="mapped"} 0`, `ado_port_resyncs_total{cause="test",state="failed"} 0`, `ado_port_resyncs_total{cause="other",state="failed"} 0`,
		`ado_port_resync_running 0`, `ado_port_resync_last_end_timestamp_seconds 0`, `ado_port_resync_interval_seconds 3600`, `ado_port_resync_not_deleted_entities{hold="brake"} 0`)
	if v := r.View(); v.Running != nil || v.Last != nil || v.Next.IsZero() {
		t.Errorf("before the first resync: %+v", v)
	}
	b.port.Fault(porttest.Do(bulk, func() {
		// Of a cause that makes nothing here: the other blueprint may be written meanwhile.
		shows(t, reg, `ado_port_resync_running 1`, `ado_port_entities_total{blueprint="repo",cause="live",operation="created"} 0`, `success{kind="__runtime__",phase="resync"} 0`)
		if v := r.View(); v.Running == nil || v.Running.Cause != "test" || len(v.Running.Kinds) != 2 || len(v.Running.Kinds[0].Projects)+len(v.Running.Kinds[1].Projects) == 0 { // either may be first
			t.Errorf("while it runs: %+v", v)
		}
	}).Times(1))
	if sum, err := r.Full(t.Context(), "test"); err != nil || sum.State != resync.StateCompleted {
		t.Fatal(sum, err)
	}
	shows(t, reg,
		`ado_port_resync_running 0`, `ado_port_resyncs_total{cause="test",state="completed"} 1`, `ado_port_resync_duration_seconds_count 1`,
		`ado_port_records_total{kind="repository",result="mapped"} 3`, `ado_port_records_total{kind="repository",result="filtered"} 1`,
		`ado_port_records_total{kind="project",result="mapped"} 2`,
		`ado_port_entities_total{blueprint="repo",cause="resync",operation="created"} 3`, `ado_port_entities_total{blueprint="repo",cause="live",operation="deleted"} 0`,
		`success{kind="repository-0",phase="resync"} 1`, `success{kind="__runtime__",phase="resync"} 1`,
		`object_count{kind="repository-0",object_count_type="raw_extracted",phase="extract"} 4`, `object_count{kind="repository-0",object_count_type="filtered_out",phase="transform"} 1`,
		`object_count{kind="repository-0",object_count_type="loaded",phase="load"} 3`)
	v := r.View()
	if v.Running != nil || v.Last == nil || v.LastSuccess != v.Last.Ended || !v.Last.Kinds[0].Complete {
		t.Errorf("after a success: %+v", v)
	}

	b.ado.Fault(ado.Status(reposRoute, http.StatusForbidden).Times(1)) // of one project
	if sum, err := r.Full(t.Context(), "something else"); err != nil || sum.State != resync.StateFailed {
		t.Fatal(sum, err)
	}
	shows(t, reg, `ado_port_resyncs_total{cause="other",state="failed"} 1`, `ado_port_resyncs_total{cause="test",state="completed"} 1`,
		`ado_port_records_total{kind="project",result="mapped"} 4`, `success{kind="repository-0",phase="resync"} 0`, `success{kind="project-1",phase="resync"} 1`)
	if after := r.View(); after.LastSuccess != v.LastSuccess || after.Last.Kinds[0].Complete || !strings.Contains(after.Last.Kinds[0].FirstError, "403") {
		t.Errorf("after a failure: %+v", after.Last)
	}
	if recent := r.View().Recent; len(recent) != 2 || recent[0].Cause != "something else" || !strings.Contains(recent[0].Reason, "403") || recent[1].Reason != "" || recent[1].Total.Listed == 0 {
		t.Errorf("the last resyncs are %+v", recent)
	}
	for range 25 {
		if _, err := r.Full(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.View().Recent); n != 20 {
		t.Errorf("%d resyncs are remembered", n)
	}
	text, err := json.Marshal(r.View())
	if err != nil || !strings.Contains(string(text), `"durationSeconds":`) || strings.Contains(string(text), `"duration":`) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	problems, err := testutil.GatherAndLint(reg)
	for _, p := range problems {
		if p.Metric != "object_count" { // the Python integration calls it so
			t.Error(p)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
