package actions_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/actions"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	installation = "my-ado"
	trigger      = "trigger_pipeline"
	startRoute   = "POST /{project}/_apis/pipelines/{pipeline}/runs"
	ackRoute     = "PATCH /v1/actions/runs/ack"
	runRoute     = "PATCH /v1/actions/runs/{run}"
	logRoute     = "POST /v1/actions/runs/{run}/logs"
)

// A bench is Port and an organization with the project Store and a pipeline in it,
// inside a bubble with a fake clock.
type bench struct {
	t        *testing.T
	port     *porttest.Server
	ado      *azuredevopstest.Server
	project  *azuredevopstest.Project
	pipeline *azuredevopstest.Pipeline
	others   []*azuredevopstest.Server // more organizations
	dir      string
	log      *azuredevopstest.Buffer
	set      func(*actions.Config)
	registry *prometheus.Registry // of the last process
	events   [][]byte             // deliveries that hooks would make

	*actions.Processor // of the last process
	starter            *azuredevops.Pipelines
}

// inBubble runs a test with a bench.
func inBubble(t *testing.T, f func(b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := azuredevopstest.NewWorld("contoso")
		b := &bench{t: t, port: porttest.NewUnstarted(porttest.Options{KeepBodies: true}), dir: dir, log: &azuredevopstest.Buffer{}}
		defer b.port.Close()
		b.project = w.AddProject("Store")
		r := b.project.AddRepository("app")
		r.Push("main", azuredevopstest.Files{"a": "b"})
		b.pipeline = b.project.AddPipeline("ci", r)
		b.ado = azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
		w.Subscribe(func(e azuredevopstest.Event) { b.events = append(b.events, e.Payload("s", 1)) })
		f(b)
	})
}

// process starts a process; the result kills it, which leaves all that is not in the
// ledger behind.
func (b *bench) process() (kill func()) {
	b.t.Helper()
	stop := b.start(0)
	return func() { stop() }
}

// start starts a process that gets a time to end in.
func (b *bench) start(grace time.Duration) (stop func()) {
	b.t.Helper()
	log := slog.New(slog.NewTextHandler(b.log, nil))
	c, err := port.New(port.ClientConfig{
		ClientID: "client-id", ClientSecret: "secret", IntegrationType: "azure-devops", Identifier: installation, Version: "1",
		Transport: b.port.Transport(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	var orgs []*azuredevops.Client
	for _, s := range append([]*azuredevopstest.Server{b.ado}, b.others...) {
		org, err := azuredevops.New(azuredevops.ClientConfig{
			OrganizationURL: s.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("pat"), Transport: s.Transport(), Log: log,
		})
		if err != nil {
			b.t.Fatal(err)
		}
		orgs = append(orgs, org)
	}
	b.starter = azuredevops.NewPipelines(orgs, nil)
	b.registry = prometheus.NewRegistry()
	cfg := actions.Config{
		Port: c, Installation: installation, Executors: map[string]actions.Executor{trigger: b.starter},
		Directory: b.dir, MaxShare: 30, Grace: grace, Log: log, Registry: b.registry,
	}
	if b.set != nil {
		b.set(&cfg)
	}
	if b.Processor, err = actions.New(cfg); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// add makes a run of the pipeline pending; more is the rest of its inputs.
func (b *bench) add(more string) (id string) {
	return b.port.AddRun(installation, trigger, fmt.Sprintf(`{"project":"Store","pipelineId":"%d"%s}`, b.pipeline.ID, more))
}

// after lets a time pass, and everything happen that is due.
func (*bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// run is a run as Port shows it.
func (b *bench) run(id string) porttest.Run {
	b.t.Helper()
	for _, r := range b.port.Runs() {
		if r.ID == id {
			return r
		}
	}
	b.t.Fatalf("no run %s", id)
	return porttest.Run{}
}

// wants compares the status of a run, or the result of a node.
func (b *bench) wants(id, status string) {
	b.t.Helper()
	r := b.run(id)
	if got := strings.TrimSpace(r.Status + " " + r.Result); got != status {
		b.t.Errorf("run %s is %q, want %q; its log: %q\n%s", id, got, status, r.Logs, b.log)
	}
}

// says wants a line in the log of a run.
func (b *bench) says(id, part string) {
	b.t.Helper()
	if logs := strings.Join(b.run(id).Logs, "\n"); !strings.Contains(logs, part) {
		b.t.Errorf("the log of the run does not say %q:\n%s", part, logs)
	}
}

// builds wants a number of runs of the pipeline, and returns the last.
func (b *bench) builds(n int) *azuredevopstest.Build {
	b.t.Helper()
	list := b.project.Builds
	if len(list) != n {
		b.t.Fatalf("%d runs of pipelines were started, want %d\n%s", len(list), n, b.log)
	}
	if n == 0 {
		return nil
	}
	return list[n-1]
}

// external is the external id of a run of the pipeline.
func (b *bench) external(build *azuredevopstest.Build) string {
	return fmt.Sprintf("ado_%s_%d_%d", b.project.ID, b.pipeline.ID, build.ID)
}

// known wants Port to know the run of the pipeline and its address.
func (b *bench) known(id string, build *azuredevopstest.Build) {
	b.t.Helper()
	doc := gjson.ParseBytes(b.run(id).Document)
	if doc.Get("externalRunId").Str != b.external(build) || !strings.Contains(doc.Get("link").Str, "buildId=") {
		b.t.Errorf("Port knows %s, want %s", doc.Raw, b.external(build))
	}
}

// hooked hands the deliveries of the events so far to the process.
func (b *bench) hooked() {
	b.t.Helper()
	for _, body := range b.events {
		if external, order, ok := b.starter.Ended(body); ok {
			if err := b.Ended(b.t.Context(), trigger, external, order); err != nil {
				b.t.Error(err)
			}
		}
	}
	synctest.Wait()
}

// bodies are those of requests to Port.
func (b *bench) bodies(route string) (out []string) {
	for _, r := range b.port.Requests(route) {
		out = append(out, string(r.Body))
	}
	return out
}

// counts is the value of a counter.
func (b *bench) counts(name string, want int) {
	b.t.Helper()
	got, err := testutil.GatherAndCount(b.registry, name)
	if err != nil || got == 0 {
		b.t.Fatalf("%s: %d series, %v", name, got, err)
	}
	families, _ := b.registry.Gather()
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	if int(sum) != want {
		b.t.Errorf("%s is %v, want %d", name, sum, want)
	}
}

func isPatch(member string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool { return gjson.GetBytes(body, member).Exists() }
}

// hold keeps pipelines from being started until open is closed.
func (b *bench) hold(open <-chan struct{}) {
	b.ado.Fault(azuredevopstest.Do(startRoute, func() { <-open }))
}

// taken has somebody else acknowledge a run.
func (b *bench) taken(id string) {
	b.call(http.MethodPatch, "/v1/actions/runs/ack", `{"runId":"`+id+`"}`)
}

// patch changes a run as somebody else.
func (b *bench) patch(id, body string) { b.call(http.MethodPatch, "/v1/actions/runs/"+id, body) }

func (b *bench) call(method, path, body string) {
	b.t.Helper()
	do := func(method, path, body, token string) string {
		req, err := http.NewRequestWithContext(b.t.Context(), method, "http://port"+path, strings.NewReader(body))
		if err != nil {
			b.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := b.port.Transport().RoundTrip(req)
		if err != nil {
			b.t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			b.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
		}
		return gjson.GetBytes(text, "accessToken").Str
	}
	token := do(http.MethodPost, "/v1/auth/access_token", `{"clientId":"client-id","clientSecret":"secret"}`, "")
	do(method, path, body, token)
}

// write makes a file in the directory of the ledger.
func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
