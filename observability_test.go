package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// An observed is a service that resyncs when it is asked to, and what it shows.
type observed struct {
	*liveBench
	stop func() string // ends it and returns its log
}

// observe starts a service and waits for its first resync.
func observe(t *testing.T, b *liveBench) *observed {
	t.Helper()
	maps.Copy(b.environ, map[string]string{
		"OCEAN__EVENT_LISTENER__TYPE": "WEBHOOK", "OCEAN__EVENT_LISTENER__APP_HOST": "http://127.0.0.1:" + b.environ["APPLICATION__PORT"],
		"OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN": "100ms",
	})
	o := &observed{liveBench: b}
	o.stop = b.service(t)
	o.shows(t, `ado_port_resyncs_total{cause="start",state="completed"} 1`)
	return o
}

// get asks the service for a page; "" while it does not answer.
func (o *observed) get(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+o.environ["APPLICATION__PORT"]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anybody", "hook-secret")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// shows waits until a scrape has these lines.
func (o *observed) shows(t *testing.T, lines ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		text := o.get(t, "/metrics")
		i := slices.IndexFunc(lines, func(l string) bool { return !strings.Contains(text, "\n"+l+"\n") })
		switch {
		case i < 0:
			return
		case ctx.Err() != nil:
			t.Fatalf("the scrape lacks %s; the status is %s", lines[i], o.get(t, "/status.json"))
		}
		runtime.Gosched()
	}
}

// What goes wrong is seen in the log, in a metric and in /status.json. The table in
// deploy/OPERATING.md says so.
func TestWhatYouSeeWhen(t *testing.T) {
	t.Parallel()
	const repositories = "GET /{project}/_apis/git/repositories"
	for _, tt := range []struct {
		name     string
		prepare  func(b *liveBench)
		sabotage func(b *liveBench)
		metrics  []string // {org} is the organization
		status   map[string]string
		log      string
	}{
		{
			name:     "revoked token",
			sabotage: func(b *liveBench) { b.ado.Fault(azuredevopstest.Status("", http.StatusUnauthorized)) },
			metrics: []string{
				`ado_port_credential_ok{organization="{org}"} 0`, `ado_port_resyncs_total{cause="POST /resync",state="failed"} 1`,
				`ado_port_azure_reachable{organization="{org}"} 1`, `success{kind="__runtime__",phase="resync"} 0`,
			},
			status: map[string]string{"organizations.0.credentialOk": "false", "organizations.0.state": "reachable", "resync.last.state": "failed", "resync.last.kinds.0.complete": "false"},
			log:    "the organization refuses the credential",
		},
		{
			name:     "Port is down",
			sabotage: func(b *liveBench) { b.catalog.Fault(porttest.Reset("")) },
			metrics:  []string{`ado_port_port_reachable 0`, `ado_port_resync_running 1`, `ado_port_port_credential_ok 1`},
			status:   map[string]string{"port.state": "unreachable", "port.credentialOk": "true", "resync.running.cause": "POST /resync"},
		},
		{
			name: "one project is forbidden",
			sabotage: func(b *liveBench) {
				b.ado.Fault(azuredevopstest.Status(repositories, http.StatusForbidden).In(b.project.Name))
			},
			prepare: func(b *liveBench) {
				b.ado.World().AddProject("Shipping").AddRepository("labels").Push("main", azuredevopstest.Files{"README.md": ""})
			},
			metrics: []string{
				`ado_port_resyncs_total{cause="POST /resync",state="failed"} 1`, `success{kind="repository-0",phase="resync"} 0`, `ado_port_credential_ok{organization="{org}"} 1`,
				`ado_port_resync_not_deleted_entities{hold="unread"} 6`,
			},
			status: map[string]string{"resync.last.state": "failed", "resync.last.kinds.0.complete": "false", "resync.last.kinds.0.firstError": "Payments", "resync.last.notDeleted.0.hold": "unread"},
			log:    "not read, so nothing of it is deleted",
		},
		{
			name: "the brake",
			prepare: func(b *liveBench) {
				b.catalog.SetMapping(`{"entityDeletionThreshold":1,"resources":[` + resource("repository", ".name", ".name", ".id") + `]}`)
				for i := range 30 {
					b.project.AddRepository(fmt.Sprint("service-", i))
				}
			},
			sabotage: func(b *liveBench) {
				for len(b.project.Repositories) > 0 {
					b.project.Repositories[0].Delete()
				}
			},
			metrics: []string{`ado_port_resyncs_total{cause="POST /resync",state="completed"} 1`, `ado_port_resync_not_deleted_entities{hold="brake"} 32`},
			status:  map[string]string{"resync.last.notDeleted.#(hold==\"brake\").entities": "32"},
			log:     "not deleted",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newLiveBench(t)
			b.environ["OCEAN__BASE_URL"] = "" // no hooks: what is deleted is news to the resync
			if tt.prepare != nil {
				tt.prepare(b)
			}
			o := observe(t, b)
			tt.sabotage(b)
			if got := b.post(t, "/resync", "hook-secret", nil); got != http.StatusAccepted {
				t.Fatalf("POST /resync is answered %d", got)
			}
			for i, m := range tt.metrics {
				tt.metrics[i] = strings.ReplaceAll(m, "{org}", b.ado.OrganizationURL())
			}
			o.shows(t, tt.metrics...)
			doc := o.get(t, "/status.json")
			for path, want := range tt.status {
				if got := gjson.Get(doc, path).String(); !strings.Contains(got, want) {
					t.Errorf("/status.json: %s is %q, want %q in\n%s", path, got, want, doc)
				}
			}
			if log := o.stop(); !strings.Contains(log, tt.log) {
				t.Errorf("the log does not say %q:\n%s", tt.log, log)
			}
		})
	}
}

// A named state directory that cannot be used: the service waits for it, and shows so.
func TestWhatYouSeeWithoutTheStateDirectory(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	file := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.environ["OCEAN__STATE_DIRECTORY"] = filepath.Join(file, "state")
	o := &observed{liveBench: b, stop: b.service(t)}
	o.shows(t, "ado_port_state_usable 0", "ado_port_state_on_disk 1")
	doc := o.get(t, "/status.json")
	if gjson.Get(doc, "stateDirectory.usable").Bool() || gjson.Get(doc, "stateDirectory.error").String() == "" || gjson.Get(doc, "build.version").String() != version {
		t.Errorf("/status.json shows %s", doc)
	}
	if log := o.stop(); !strings.Contains(log, "waiting for the state directory") {
		t.Errorf("the log does not say so:\n%s", log)
	}
}

// late are the series that are not there from the start: their labels come from the
// mapping.
var late = []string{"ado_port_entities_total", "success", "duration_seconds", "object_count"}

// A whole life of the service: what it exports is in deploy/OBSERVABILITY.md, is
// named by the rules of Prometheus and is there from the start.
// go test -run TestSeries -update . writes the document.
func TestSeries(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__ACTIONS_PROCESSOR__ENABLED"] = "true"
	o := &observed{liveBench: b}
	o.stop = b.service(t)
	o.shows(t, "ado_port_state_on_disk 1")
	first := parseSeries(o.get(t, "/metrics"))
	b.ready(t)
	b.repository.Push("main", azuredevopstest.Files{"README.md": "# Checkout, again"})
	o.shows(t, `ado_port_hooks_processed_total{event="git.push"} 1`, `ado_port_subscriptions{health="missing",organization="`+b.ado.OrganizationURL()+`"} 0`)
	text := o.get(t, "/metrics")
	all := parseSeries(text)
	for name := range all {
		if _, ok := first[name]; !ok && !slices.Contains(late, name) {
			t.Errorf("%s is not there from the start", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Metric != "object_count" { // the Python integration calls it so
			t.Error(p)
		}
	}
	for _, label := range []string{`area="other"`, `route="other"`} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "_requests_total{") && strings.Contains(line, label) && !strings.HasSuffix(line, " 0\n") {
				t.Errorf("a request is not counted by its name: %s", line)
			}
		}
	}
	const document = "deploy/OBSERVABILITY.md"
	old, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want, err := splice(old, "series", seriesTable(all))
	switch {
	case err != nil:
		t.Fatal(err)
	case bytes.Equal(old, want):
	case !*update:
		t.Errorf("the series in %s are not current: go test -run TestSeries -update .", document)
	default:
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type seriesDoc struct {
	kind, help string
	labels     []string
}

var labelName = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)

// parseSeries reads a scrape; what the client library exports about Go and the process
// is left out.
func parseSeries(text string) map[string]*seriesDoc {
	out := map[string]*seriesDoc{}
	var at *seriesDoc
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(help, " ")
			at = &seriesDoc{help: help}
			if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
				out[name] = at
			}
		} else if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			_, at.kind, _ = strings.Cut(kind, " ")
		} else {
			for _, m := range labelName.FindAllStringSubmatch(line, -1) {
				if m[1] != "le" && !slices.Contains(at.labels, m[1]) {
					at.labels = append(at.labels, m[1])
				}
			}
		}
	}
	return out
}

func seriesTable(all map[string]*seriesDoc) string {
	var b strings.Builder
	b.WriteString("| Series | Type | Labels | What it tells |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		labels := ""
		if len(s.labels) > 0 {
			labels = "`" + strings.Join(s.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, s.kind, labels, cell(s.help))
	}
	return b.String()
}

// BenchmarkScrape is what a scrape costs the service.
func BenchmarkScrape(b *testing.B) {
	p := process{environ: map[string]string{
		"OCEAN__PORT__CLIENT_ID": "cid", "OCEAN__PORT__CLIENT_SECRET": "secret", "APPLICATION__PORT": "0", "OCEAN__STATE_DIRECTORY": b.TempDir(),
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL": "https://dev.azure.com/contoso", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": pat,
	}, dir: b.TempDir(), out: io.Discard, err: io.Discard, masker: port.NewMasker()}
	cfg, eff, err := p.load(nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	a, err := newApp(b.Context(), p, cfg, eff)
	if err != nil {
		b.Fatal(err)
	}
	defer a.memory.Close()
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		a.server.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes/scrape")
	}
}
