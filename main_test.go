package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/network/networktest"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/port/porttest"
	"github.com/ado-port/ado-port/replica/replicatest"
	"github.com/ado-port/ado-port/service"
	"github.com/ado-port/ado-port/webhook/queue/queuetest"
)

var update = flag.Bool("update", false, "write the generated parts of deploy/*.md")

// A buffer that several goroutines write to.
type buffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	after func(text string) // is told of all that is written; may be nil
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.after != nil {
		b.after(b.b.String())
	}
	return n, err
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// until waits until a text was written.
func (b *buffer) until(t *testing.T, text string) {
	t.Helper()
	seen := make(chan struct{})
	once := sync.OnceFunc(func() { close(seen) })
	b.mu.Lock()
	b.after = func(all string) {
		if strings.Contains(all, text) {
			once()
		}
	}
	b.after(b.b.String())
	b.mu.Unlock()
	select {
	case <-seen:
	case <-t.Context().Done():
		t.Fatalf("%q was not written", text)
	}
}

const pat = "pat-that-nobody-may-see"

// start runs the program against simulators and returns its exit code and what it printed.
func start(t *testing.T, ctx context.Context, args []string, environ map[string]string) (code int, out, errs string) {
	t.Helper()
	var o, e buffer
	dir := t.TempDir()
	if environ["OCEAN__STATE_DIRECTORY"] == "" {
		environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	}
	code = run(ctx, ocean.Process{Args: args, Environ: environ, Dir: dir, Out: &o, Err: &e})
	for _, secret := range []string{pat, "port-secret-that-nobody-may-see"} {
		if strings.Contains(o.String()+e.String(), secret) {
			t.Errorf("the output holds a secret")
		}
	}
	return code, o.String(), e.String()
}

// servers are a small organization and an empty catalog, and the environment that leads there.
func servers(t *testing.T) (*azuredevopstest.Server, *porttest.Server, map[string]string) {
	t.Helper()
	w := azuredevopstest.NewWorld("contoso")
	p := w.AddProject("Payments")
	r := p.AddRepository("checkout")
	r.Push("main", azuredevopstest.Files{"README.md": "# Checkout", "CODEOWNERS": "* @payments"})
	p.AddWorkItem("Bug", "Totals are wrong")
	ado := azuredevopstest.New(azuredevopstest.Options{World: w, PAT: pat})
	t.Cleanup(ado.Close)
	catalog := porttest.New(porttest.Options{ClientID: "cid", ClientSecret: "port-secret-that-nobody-may-see", KeepBodies: true})
	t.Cleanup(catalog.Close)
	return ado, catalog, map[string]string{
		"OCEAN__PORT__CLIENT_ID": "cid", "OCEAN__PORT__CLIENT_SECRET": "port-secret-that-nobody-may-see", "OCEAN__PORT__BASE_URL": catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      ado.OrganizationURL(),
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": pat,
		"OCEAN__EVENT_LISTENER":                             `{"type":"ONCE"}`,
		"APPLICATION__PORT":                                 "0",
	}
}

func TestOnceFillsAnEmptyCatalog(t *testing.T) {
	t.Parallel()
	_, catalog, environ := servers(t)
	code, out, errs := start(t, t.Context(), nil, environ)
	if code != ocean.ExitGood {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	e := catalog.Entities("azureDevopsRepository")
	if len(e) != 1 || e[0].Title != "checkout" || e[0].Property("readme") != `"# Checkout"` {
		t.Errorf("repositories %+v", e)
	}
	if got := len(catalog.Entities("azureDevopsWorkItem")); got != 1 {
		t.Errorf("%d work items, want 1", got)
	}
	for _, want := range []string{"repository (resources[1])", "total", "resync "} {
		if !strings.Contains(out, want) {
			t.Errorf("the summary does not show %q:\n%s", want, out)
		}
	}
	if logs := fmt.Sprintf("%s", catalog.Logs()); !strings.Contains(logs, `"catalog changed"`) || !strings.Contains(logs, `"component":"audit"`) {
		t.Errorf("the audit did not reach Port: %s", logs)
	}
	agent := e[0].Datasource
	if !strings.HasPrefix(agent, "port-ocean/azure-devops/my-azure-devops-integration/") || !strings.HasSuffix(agent, "/exporter") {
		t.Errorf("entities are written as %q", agent)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		set  map[string]string
		drop string
		code int
		want string // on standard error
	}{
		{name: "missing variable", drop: "OCEAN__PORT__CLIENT_ID", code: ocean.ExitFailed, want: "OCEAN__PORT__CLIENT_ID is not set"},
		{name: "missing organization", drop: "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL", code: ocean.ExitFailed, want: "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL is not set"},
		{name: "bad value", set: map[string]string{"OCEAN__CLIENT_TIMEOUT": "soon"}, code: ocean.ExitFailed, want: "OCEAN__CLIENT_TIMEOUT"},
		{name: "refused by Port", set: map[string]string{"OCEAN__PORT__CLIENT_SECRET": "wrong"}, code: ocean.ExitFailed, want: "OCEAN__PORT__CLIENT_SECRET"},
		{name: "refused by Azure DevOps", set: map[string]string{"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "wrong"}, code: ocean.ExitGood, want: "PERSONAL_ACCESS_TOKEN"},
		{name: "refused by Azure DevOps, strict", set: map[string]string{"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "wrong", "OCEAN__STRICT_EXIT": "true"}, code: ocean.ExitFailed, want: "PERSONAL_ACCESS_TOKEN"},
		{name: "unknown command", args: []string{"dance"}, code: ocean.ExitUsage, want: "dance"},
		{name: "unknown flag", args: []string{"sail", "--dance"}, code: ocean.ExitUsage, want: "-dance"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, environ := servers(t)
			maps.Copy(environ, tt.set)
			delete(environ, tt.drop)
			code, _, errs := start(t, t.Context(), tt.args, environ)
			if code != tt.code || !strings.Contains(errs, tt.want) {
				t.Errorf("exit code %d, want %d and %q in:\n%s", code, tt.code, tt.want, errs)
			}
		})
	}
}

func TestPollingResyncsOnRequestUntilStopped(t *testing.T) {
	t.Parallel()
	_, catalog, environ := servers(t)
	environ["OCEAN__EVENT_LISTENER"] = `{"type":"POLLING","interval":1}`
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	completed := make(chan struct{}, 10)
	catalog.Fault(porttest.Do("PATCH /v1/integration/{identifier}/resync-state", func() { completed <- struct{}{} }))
	done := make(chan int)
	go func() {
		code, _, _ := start(t, ctx, nil, environ)
		done <- code
	}()
	<-completed // running
	<-completed // completed
	catalog.TriggerResync()
	<-completed
	cancel()
	if code := <-done; code != ocean.ExitGood {
		t.Errorf("exit code %d after a stop, want %d", code, ocean.ExitGood)
	}
}

// A stop is none also where Redis has never answered.
func TestStopWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	_, _, environ := servers(t)
	environ["OCEAN__EVENT_LISTENER"], environ["OCEAN__STATE_DIRECTORY"] = `{"type":"POLLING"}`, t.TempDir()
	environ["OCEAN__SHARED_QUEUE_URL"] = fmt.Sprintf("redis://127.0.0.1:%d/0", networktest.FreePort(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	var out buffer
	done := make(chan int)
	go func() {
		done <- run(ctx, ocean.Process{Environ: environ, Dir: t.TempDir(), Out: &out, Err: &out})
	}()
	out.until(t, "service starts")
	cancel(errors.New("terminated signal received"))
	if code := <-done; code != ocean.ExitGood || strings.Contains(out.String(), "terminated") {
		t.Errorf("exit code %d after a stop, want %d:\n%s", code, ocean.ExitGood, out.String())
	}
}

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	code, out, errs := start(t, t.Context(), []string{"demo", "-once"}, map[string]string{})
	if code != ocean.ExitGood || !strings.Contains(out, "resync completed") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	_, _, environ := servers(t)
	code, out, _ := start(t, t.Context(), []string{"config"}, environ)
	if code != ocean.ExitGood || !strings.Contains(out, "OCEAN__PORT__CLIENT_ID") || !strings.Contains(out, "environment") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	delete(environ, "OCEAN__PORT__CLIENT_ID")
	if code, out, _ := start(t, t.Context(), []string{"config", "--output", "json"}, environ); code != ocean.ExitFailed || !strings.Contains(out, `"errors"`) {
		t.Errorf("exit code %d with a missing variable\n%s", code, out)
	}
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"version", ocean.ExitGood, "ado-port " + version},
		{"-v", ocean.ExitGood, "ado-port " + version},
		{"help", ocean.ExitGood, "Exit codes"},
		{"sail -h", ocean.ExitGood, "--log-level"},
		{"-h", ocean.ExitGood, "Exit codes"},
		{"config -h", ocean.ExitGood, "--output"},
		{"help hooks", ocean.ExitGood, "--old-url"},
		{"help dance", ocean.ExitUsage, "want one of"},
		{"completion bash", ocean.ExitGood, "complete -F"},
		{"completion fish", ocean.ExitUsage, "want one of bash, zsh"},
		{"map", ocean.ExitUsage, "KIND is missing"},
		{"map repositry", ocean.ExitUsage, "did you mean repository?"},
		{"hoks", ocean.ExitUsage, "did you mean hooks?"},
		{"hooks --cleanup", ocean.ExitUsage, "say --yes"},
		{"hooks --help", ocean.ExitGood, "-old-url"},
		{"demo -h", ocean.ExitGood, "-once"},
		{"ocean sail -h", ocean.ExitGood, "ado-port run --once"},
		{"ocean sail --once", ocean.ExitGood, "resync completed"},
		{"ocean sail -O /app -l DEBUG -p 0", ocean.ExitGood, "resync completed"},
		{"run --once", ocean.ExitGood, "resync completed"},
		{"--once", ocean.ExitGood, "resync completed"},
		{"ocean", ocean.ExitGood, "resync completed"}, // with the listener ONCE
		{"config extra", ocean.ExitUsage, "extra"},
		{"config --output yaml", ocean.ExitUsage, "want text or json"},
		{"hooks --repair --cleanup", ocean.ExitUsage, "not both"},
		{"hooks --dance", ocean.ExitUsage, "-dance"},
		{"demo --dance", ocean.ExitUsage, "-dance"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			_, _, environ := servers(t)
			if tt.args != "ocean" {
				environ["OCEAN__EVENT_LISTENER"] = `{"type":"POLLING"}`
			}
			code, out, errs := start(t, t.Context(), strings.Fields(tt.args), environ)
			if code != tt.code || !strings.Contains(out+errs, tt.want) {
				t.Errorf("exit code %d, want %d and %q in:\n%s\n%s", code, tt.code, tt.want, out, errs)
			}
		})
	}
}

func TestUnreadableConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"sail", "config", "hooks"} {
		var errs buffer
		if code := run(t.Context(), ocean.Process{Args: []string{command}, Dir: dir, Out: &errs, Err: &errs}); code != ocean.ExitFailed || !strings.Contains(errs.String(), "config.yaml") {
			t.Errorf("%s: exit code %d\n%s", command, code, &errs)
		}
	}
}

// A run that ends needs no port; a service that nobody can reach is none.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, _, environ := servers(t)
	environ["APPLICATION__PORT"] = strconv.Itoa(ln.Addr().(*net.TCPAddr).Port) // of a TCP listener
	if code, _, errs := start(t, t.Context(), nil, environ); code != ocean.ExitGood || !strings.Contains(errs, "the port is taken") {
		t.Errorf("exit code %d of one resync\n%s", code, errs)
	}
	environ["OCEAN__EVENT_LISTENER"] = `{"type":"POLLING"}`
	if code, _, errs := start(t, t.Context(), nil, environ); code != ocean.ExitFailed || !strings.Contains(errs, "APPLICATION__PORT: ") {
		t.Errorf("exit code %d of a service\n%s", code, errs)
	}
}

// The environment of the chart of port-agent starts the agent, without an argument.
func TestAgent(t *testing.T) {
	t.Parallel()
	catalog := porttest.New(porttest.Options{})
	t.Cleanup(catalog.Close)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }))
	t.Cleanup(service.Close)
	catalog.AddAgentRun("r_1", `{"type":"WEBHOOK","agent":true,"synchronized":true,"url":"`+service.URL+`","body":{}}`)
	catalog.Fault(porttest.Slow("PATCH /v1/actions/runs/{run}", 0).Calling(cancel)) // it drains then
	code, _, errs := start(t, ctx, nil, map[string]string{
		"PORT_CLIENT_ID": "client-id", "PORT_CLIENT_SECRET": "agent-secret", "PORT_ORG_ID": "org", "PORT_API_BASE_URL": catalog.URL,
		"STREAMER_NAME": "POLLING", "APPLICATION__PORT": "0", "OCEAN__STATE_DIRECTORY": t.TempDir(),
	})
	if r := catalog.Runs()[0]; code != ocean.ExitGood || r.Status != "SUCCESS" || !r.Done {
		t.Errorf("exit code %d, %+v\n%s", code, r, errs)
	}
	// Without any setting both halves are named.
	if code, _, errs := start(t, t.Context(), nil, map[string]string{}); code != ocean.ExitFailed || !strings.Contains(errs, "OCEAN__PORT__CLIENT_ID") || !strings.Contains(errs, "PORT_ORG_ID") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

// The demo changes its organization, and the service follows.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs buffer
	followed := regexp.MustCompile(`(?m)^          .*".*, \d+ ms$`)
	out.after = func(text string) {
		if followed.MatchString(text) {
			cancel()
		}
	}
	if code := run(ctx, ocean.Process{Args: []string{"demo"}, Dir: t.TempDir(), Out: &out, Err: &errs}); code != ocean.ExitGood || ctx.Err() == nil {
		t.Errorf("exit code %d\n%s\n%s", code, &out, &errs)
	}
	if !strings.HasPrefix(out.String(), "The status page is at\n\n  http://127.0.0.1:") || !strings.Contains(out.String(), " changes in Azure DevOps, for which ") {
		t.Errorf("it says\n%s", &out)
	}
}

func TestHelpNamesEveryVariable(t *testing.T) {
	t.Parallel()
	_, out, _ := start(t, t.Context(), []string{"help", "config"}, map[string]string{})
	rows, _, err := ocean.Describe[service.Config]()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(out, r.Variable) {
			t.Errorf("%s is missing", r.Variable)
		}
		if r.Meaning == "" {
			t.Errorf("%s has no description", r.Variable)
		}
	}
}

// TestGeneratedTables keeps what the documents repeat of the program current:
// go test -run TestGeneratedTables -update .
func TestGeneratedTables(t *testing.T) {
	t.Parallel()
	rows, without, err := ocean.Describe[service.Config]()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct{ document, name, text string }{
		{"deploy/CONFIGURATION.md", "config", variablesTable(rows)},
		{"deploy/CONFIGURATION.md", "ignored", ignoredTable(without)},
		{"deploy/COMMANDS.md", "commands", new(process).commands().Markdown()},
	} {
		old, err := os.ReadFile(part.document)
		if err != nil {
			t.Fatal(err)
		}
		want, err := splice(old, part.name, part.text)
		switch {
		case err != nil:
			t.Fatal(err)
		case bytes.Equal(old, want):
		case !*update:
			t.Errorf("%s in %s is not current: go test -run TestGeneratedTables -update .", part.name, part.document)
		default:
			if err := os.WriteFile(part.document, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// variablesTable is the table of variables in Markdown.
func variablesTable(rows []ocean.Row) string {
	var b strings.Builder
	b.WriteString("| Variable | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		def := ""
		switch {
		case r.Required:
			def = "required"
		case r.Default != "":
			def = "`" + shortened(r.Default) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Variable, cell(r.Type), cell(def), cell(r.Meaning))
	}
	return b.String()
}

// ignoredTable is the table of variables without effect in Markdown.
func ignoredTable(without []ocean.Ignored) string {
	var b strings.Builder
	b.WriteString("| Variable | Why it has no effect |\n|---|---|\n")
	for _, i := range without {
		fmt.Fprintf(&b, "| `%s` | %s |\n", i.Variable, cell(i.Reason))
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// splice replaces what stands between `<!-- name:begin -->` and
// `<!-- name:end -->` in a document. It is an error when a mark is missing.
func splice(doc []byte, name, text string) ([]byte, error) {
	begin, end := "<!-- "+name+":begin -->", "<!-- "+name+":end -->"
	before, rest, ok := bytes.Cut(doc, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return nil, fmt.Errorf("the marks %s and %s are not there", begin, end)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\n%s\n%s%s", before, begin, strings.TrimSpace(text), end, after)
	return b.Bytes(), nil
}

func shortened(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func TestSplice(t *testing.T) {
	t.Parallel()
	got, err := splice([]byte("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n"), "x", "new\n")
	if want := "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n"; err != nil || string(got) != want {
		t.Errorf("splice = %q, %v, want %q", got, err, want)
	}
}

// A liveBench is an organization and a catalog, with a service between them that
// has resynced once and follows events.
type liveBench struct {
	ado        *azuredevopstest.Server
	catalog    *porttest.Server
	project    *azuredevopstest.Project
	repository *azuredevopstest.Repository // with the branches main and feature
	pull       *azuredevopstest.PullRequest
	build      *azuredevopstest.Build // that runs
	queues     queuetest.Server       // of a storage account
	environ    map[string]string

	mu      sync.Mutex
	written map[port.Ref][]string // what requests have made of an entity, in order; as entity shows it
}

// hookRetry is the pause before a delivery that was refused or not answered is
// sent again; it doubles eight times.
const hookRetry = 5 * time.Millisecond

// newLiveBench makes everything but the service.
func newLiveBench(t *testing.T) *liveBench {
	t.Helper()
	b := new(liveBench)
	w := azuredevopstest.NewWorld("contoso")
	b.project = w.AddProject("Payments")
	b.repository = b.project.AddRepository("checkout")
	b.repository.Push("main", azuredevopstest.Files{"README.md": "# Checkout"})
	b.repository.Push("feature", azuredevopstest.Files{"CHANGES.md": "* feature"})
	b.pull = b.repository.OpenPullRequest("Feature", "feature", "main")
	b.build = b.project.AddPipeline("ci", b.repository).QueueBuild("")
	b.build.Start()
	b.project.AddRepository("other").Push("main", azuredevopstest.Files{"README.md": "# Other"})
	b.ado = azuredevopstest.New(azuredevopstest.Options{World: w, PAT: pat, HookRetry: hookRetry, Enqueue: func(account, queue string, body []byte) {
		b.queues.Put("/"+account+"/"+queue, base64.StdEncoding.EncodeToString(body), 0)
	}})
	t.Cleanup(b.ado.Close)

	b.written = map[port.Ref][]string{}
	b.catalog = porttest.New(porttest.Options{ClientID: "cid", Changed: b.changed})
	t.Cleanup(b.catalog.Close)
	for _, name := range []string{"repository", "branch", "pull-request", "build"} {
		b.catalog.AddBlueprint(fmt.Sprintf(`{"identifier":%q,"schema":{"properties":{"state":{"type":"string"}}}}`, name))
	}
	b.catalog.SetMapping(`{"resources":[` +
		resource("repository", ".name", ".name", ".id") + "," +
		resource("branch", `.__repository.name + "/" + .name`, ".name", ".objectId") + "," +
		resource("pull-request", ".pullRequestId | tostring", ".title", ".status") + "," +
		resource("build", ".id | tostring", ".buildNumber", ".result // .status") + `]}`)

	port := networktest.FreePort(t)
	b.environ = map[string]string{
		"OCEAN__PORT__CLIENT_ID": "cid", "OCEAN__PORT__CLIENT_SECRET": "port-secret-that-nobody-may-see", "OCEAN__PORT__BASE_URL": b.catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      b.ado.OrganizationURL(),
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": pat,
		"OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET":        "hook-secret",
		"OCEAN__EVENT_LISTENER__TYPE":                       "POLLING",
		"OCEAN__INITIALIZE_PORT_RESOURCES":                  "false",
		"OCEAN__BASE_URL":                                   "http://127.0.0.1:" + strconv.Itoa(port),
		"OCEAN__STATE_DIRECTORY":                            t.TempDir(),
		"APPLICATION__PORT":                                 strconv.Itoa(port),
	}
	return b
}

func resource(kind, identifier, title, state string) string {
	return fmt.Sprintf(`{"kind":%q,"selector":{"query":"true","status":["active","completed"]},"port":{"entity":{"mappings":`+
		`{"identifier":%q,"blueprint":%q,"title":%q,"properties":{"state":%q}}}}}`, kind, identifier, strconv.Quote(kind), title, state)
}

// until waits for the catalog.
func (b *liveBench) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if b.catalog.Until(ctx, done) != nil {
		t.Fatalf("%s: not in time; the catalog holds %+v", what, b.catalog.Entities(""))
	}
}

// ready waits until a service has resynced and follows events.
func (b *liveBench) ready(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events := slices.DeleteFunc(azuredevops.EventsOf("repository", "branch", "pull-request", "build"), func(e string) bool {
		return e == "git.repo.undeleted" // not every service has it, nor has this one
	})
	if err := b.ado.Subscribed(ctx, events...); err != nil {
		t.Fatal(err)
	}
	b.until(t, "the first resync", func() bool { return b.catalog.Resyncs() > 0 })
}

// entity is "title: state" of an entity, "" when there is none.
func (b *liveBench) entity(blueprint, identifier string) string {
	e, ok := b.catalog.Entity(blueprint, identifier)
	if !ok {
		return ""
	}
	return shown(&e)
}

// shown is "title: state" of an entity, "" for none.
func shown(e *porttest.Entity) string {
	if e == nil {
		return ""
	}
	return e.Title + ": " + e.Property("state")
}

// changed notes what a request has made of an entity.
func (b *liveBench) changed(c porttest.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written[c.Ref] = append(b.written[c.Ref], shown(c.After))
}

// writes is what requests have made of an entity, in order.
func (b *liveBench) writes(blueprint, identifier string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.written[port.Ref{Blueprint: blueprint, Identifier: identifier}])
}

// want waits until an entity is so, and until Azure DevOps knows it was told.
func (b *liveBench) want(t *testing.T, blueprint, identifier, want string) {
	t.Helper()
	if err := b.ado.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.until(t, blueprint+" "+identifier+" "+want, func() bool { return b.entity(blueprint, identifier) == want })
}

// service starts a service in this process. stop ends it and returns its log.
func (b *liveBench) service(t *testing.T) (stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan string, 1)
	go func() {
		code, _, errs := start(t, ctx, nil, maps.Clone(b.environ))
		if code != ocean.ExitGood {
			t.Errorf("exit code %d\n%s", code, errs)
		}
		done <- errs
	}()
	stop = sync.OnceValue(func() string {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	return stop
}

// once runs one resync in a process of its own.
func (b *liveBench) once(t *testing.T) {
	t.Helper()
	if code, _, errs := start(t, t.Context(), []string{"--once"}, maps.Clone(b.environ)); code != ocean.ExitGood {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
}

// ask asks the service, with the password of the hooks; the status is 0 while it does
// not answer.
func (b *liveBench) ask(t *testing.T, method, path, password string, body []byte) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+b.environ["APPLICATION__PORT"]+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("port", password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(answer)
}

// post sends something to the service and returns the status of the answer.
func (b *liveBench) post(t *testing.T, path, password string, body []byte) int {
	t.Helper()
	status, _ := b.ask(t, http.MethodPost, path, password, body)
	return status
}

// liveService starts the bench with a service in this process.
func liveService(t *testing.T) *liveBench {
	t.Helper()
	b := newLiveBench(t)
	b.service(t)
	b.ready(t)
	return b
}

// What happens in Azure DevOps is in the catalog soon after.
func TestLive(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	b.ado.Deliver(azuredevopstest.Once("git.push", azuredevopstest.Twice))
	c := b.repository.Push("new", azuredevopstest.Files{"CHANGES.md": "* new"})
	b.want(t, "branch", "checkout/new", fmt.Sprintf("new: %q", c.ID))
	b.repository.DeleteBranch("new")
	b.want(t, "branch", "checkout/new", "")
	b.build.Finish("failed")
	b.want(t, "build", "1", b.build.Number+`: "failed"`)
	b.pull.Complete()
	b.want(t, "pull-request", "1", `Feature: "completed"`)
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", b.repository.Branch("main").ID))
	b.repository.Rename("till")
	b.want(t, "repository", "till", fmt.Sprintf("till: %q", b.repository.ID))
	b.want(t, "repository", "checkout", "")
	b.want(t, "branch", "checkout/main", "")
	if got := b.entity("branch", "till/main"); got == "" {
		t.Error("the branches did not move along")
	}
	b.repository.Delete()
	for _, e := range [][2]string{{"repository", "till"}, {"branch", "till/main"}, {"branch", "till/feature"}, {"pull-request", "1"}} {
		b.want(t, e[0], e[1], "")
	}
	if b.entity("repository", "other") == "" || b.entity("branch", "other/main") == "" || b.entity("build", "1") == "" {
		t.Errorf("left %+v", b.catalog.Entities(""))
	}
	for _, n := range b.ado.Notifications() {
		if n.Result != "succeeded" {
			t.Errorf("notification %+v", n)
		}
	}
}

// The log is read by machines: no key twice in a line, no number of nanoseconds, and
// every line of a resync says which one it is.
func TestLogLines(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["APPLICATION__LOG_LEVEL"] = "DEBUG"
	b.ado.Fault(azuredevopstest.Status("GET /{project}/_apis/git/repositories", http.StatusServiceUnavailable).Times(1))
	stop := b.service(t)
	b.ready(t)
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
	seen := map[string]bool{}
	resync := ""
	for line := range strings.Lines(stop()) {
		keys := map[string]any{}
		d := json.NewDecoder(strings.NewReader(line))
		if _, err := d.Token(); err != nil {
			t.Errorf("not JSON: %s", line)
			continue
		}
		for d.More() {
			key, err := d.Token()
			var val any
			if err == nil {
				err = d.Decode(&val)
			}
			name, _ := key.(string)
			if _, twice := keys[name]; twice || err != nil {
				t.Errorf("%q twice, or %v: %s", name, err, line)
			}
			if n, number := val.(float64); number && n > 1e7 && !strings.Contains(name, "bytes") {
				t.Errorf("%q is a number of what? %s", name, line)
			}
			keys[name] = val
		}
		msg, _ := keys["msg"].(string)
		seen[msg] = true
		switch msg {
		case "resync started":
			resync, _ = keys["resync_id"].(string)
			if keys["cause"] != "start" {
				t.Errorf("the cause is missing: %s", line)
			}
		case "resync ended", "resync of a kind ended", "request repeated":
			if resync == "" || keys["resync_id"] != resync {
				t.Errorf("a line of resync %s without its id: %s", resync, line)
			}
		case "service starts":
			if keys["credential"] != "pat" || keys["organizations"] != b.ado.OrganizationURL() || keys["next_resync"] != "now" || keys["listener"] != "POLLING" {
				t.Errorf("the start line is %s", line)
			}
		}
	}
	for _, msg := range []string{"service starts", "resync started", "request repeated", "resync ended", "stopping"} {
		if !seen[msg] {
			t.Errorf("no line %q", msg)
		}
	}
}

const (
	accountKey = "a2V5LXRoYXQtbm9ib2R5LW1heS1zZWU="
	queuePath  = "/acme/hooks"
)

// useQueue has events go through a storage queue, without a public address.
func (b *liveBench) useQueue(t *testing.T) {
	t.Helper()
	account := httptest.NewServer(&b.queues)
	t.Cleanup(account.Close)
	delete(b.environ, "OCEAN__BASE_URL")
	b.environ["OCEAN__HOOKS__STORAGE_QUEUE_URL"] = account.URL + queuePath
	b.environ["OCEAN__HOOKS__STORAGE_ACCOUNT_KEY"] = accountKey
}

// consumers counts the subscriptions that there are by consumer.
func (b *liveBench) consumers() map[string]int {
	out := map[string]int{}
	for _, s := range b.ado.Subscriptions() {
		out[s.Consumer]++
	}
	return out
}

// Events come through a queue where nobody can post them, and what comes by both ways
// while a service moves is handled once.
func TestStorageQueue(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	address := b.environ["OCEAN__BASE_URL"]
	b.useQueue(t)
	stop := b.service(t)
	b.ready(t)
	c := b.repository.Push("new", azuredevopstest.Files{"CHANGES.md": "* new"})
	b.want(t, "branch", "checkout/new", fmt.Sprintf("new: %q", c.ID))
	b.queues.Put(queuePath, "%%%", 0)
	b.build.Finish("failed")
	b.want(t, "build", "1", b.build.Number+`: "failed"`)
	b.untilDead(t, 1)
	n := b.consumers()["azureStorageQueue"]
	if n == 0 || b.consumers()["webHooks"] != 0 {
		t.Errorf("subscriptions %v", b.consumers())
	}
	if errs := stop(); strings.Contains(errs, accountKey) {
		t.Error("the log holds the key")
	}

	b.environ["OCEAN__BASE_URL"] = address
	stop = b.service(t)
	b.untilConsumers(t, n, n)
	b.repository.DeleteBranch("new")
	b.want(t, "branch", "checkout/new", "")
	stop()
	delete(b.environ, "OCEAN__HOOKS__STORAGE_QUEUE_URL")
	delete(b.environ, "OCEAN__HOOKS__STORAGE_ACCOUNT_KEY")
	b.service(t)
	b.untilConsumers(t, n, 0)
}

// What is shown of several processes and of a storage queue holds no secret, whether they
// fare well or not.
func TestStatusOfSharedQueues(t *testing.T) {
	t.Parallel()
	redis := replicatest.Start(t)
	b := newLiveBench(t)
	b.useQueue(t)
	b.environ["OCEAN__SHARED_QUEUE_URL"] = redis.URL().Reveal()
	b.service(t)
	b.ready(t)
	b.queues.Put(queuePath, "%%%", 0)
	want := func(paths map[string]string) {
		t.Helper()
		b.untilStatus(t, paths)
		for _, path := range []string{"/status.json", "/"} {
			status, text := b.ask(t, http.MethodGet, path, "hook-secret", nil)
			if status != http.StatusOK || !strings.Contains(text, queuePath) {
				t.Errorf("%s is answered %d, without the queue: %s", path, status, text)
			}
			for _, secret := range []string{accountKey, redis.Password(), pat, "port-secret-that-nobody-may-see", "hook-secret"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s shows the secret %s", path, secret)
				}
			}
		}
	}
	want(map[string]string{
		"replica.usable": "true", "replica.members": "1", "replica.leader": "true", "replica.seats.partition": "64", "queue.kind": "redis", "queue.sharedDepth": "0",
		"queue.deadLetters": "1", "storageQueue.state": "reachable", "storageQueue.poisoned": "1",
	})
	if _, text := b.ask(t, http.MethodGet, "/metrics", "", nil); !strings.Contains(text, "\nado_port_hooks_dead_letters 1\n") {
		t.Error("the metric of dead letters does not show the one that there is")
	}
	redis.Kill()
	b.queues.Put(queuePath, "%%%", 0)
	want(map[string]string{"replica.usable": "false", "replica.leads": "", "queue.depth": "", "queue.deadLetters": "", "queue.sharedDepth": ""})
	if status, text := b.ask(t, http.MethodGet, "/health/ready", "", nil); status != http.StatusServiceUnavailable || !strings.Contains(text, `"reason":"deliveries cannot be stored`) || strings.Contains(text, "dial") {
		t.Errorf("/health/ready is answered %d %s", status, text)
	}
	if status, text := b.ask(t, http.MethodGet, "/dead-letters", "hook-secret", nil); status != http.StatusServiceUnavailable || !strings.Contains(text, `{"detail":"`) {
		t.Errorf("/dead-letters is answered %d %s", status, text)
	}
	if _, text := b.ask(t, http.MethodGet, "/metrics", "", nil); !strings.Contains(text, "\nado_port_hooks_dead_letters 1\n") {
		t.Error("the metric of dead letters has forgotten the one that there is")
	}
}

// untilStatus waits until /status.json has these values.
func (b *liveBench) untilStatus(t *testing.T, paths map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, doc := b.ask(t, http.MethodGet, "/status.json", "hook-secret", nil)
		wrong := ""
		for path, want := range paths {
			if gjson.Get(doc, path).String() != want {
				wrong = path
			}
		}
		if wrong == "" && doc != "" {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is not %q in\n%s", wrong, paths[wrong], doc)
		}
		runtime.Gosched()
	}
}

// untilConsumers waits for so many web hooks and subscriptions that use the queue.
func (b *liveBench) untilConsumers(t *testing.T, webHooks, queues int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for got := b.consumers(); got["webHooks"] != webHooks || got["azureStorageQueue"] != queues; got = b.consumers() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("subscriptions %v, want %d and %d", got, webHooks, queues)
		}
	}
}

// untilDead waits for so many dead letters.
func (b *liveBench) untilDead(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, text := b.ask(t, http.MethodGet, "/dead-letters", "hook-secret", nil)
		if strings.Count(text, "\n") == n {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("dead letters: %s", text)
		}
	}
}

// A run that ends handles what has come since the last one, as long as it knows what
// was before.
func TestOnceEventsOnly(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.useQueue(t)
	b.environ["OCEAN__EVENT_LISTENER__TYPE"], b.environ["OCEAN__ONCE_EVENTS_ONLY"] = "ONCE", "true"
	run := func() (errs string, resyncs int) {
		t.Helper()
		code, _, errs := start(t, t.Context(), nil, maps.Clone(b.environ))
		if code != ocean.ExitGood {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
		return errs, strings.Count(errs, `"msg":"resync started"`)
	}
	state := b.environ["OCEAN__STATE_DIRECTORY"]
	if errs, n := run(); n != 1 || !strings.Contains(errs, "no complete run") || b.consumers()["azureStorageQueue"] == 0 {
		t.Fatalf("the first run: %d resyncs, subscriptions %v\n%s", n, b.consumers(), errs)
	}
	c := b.repository.Push("new", azuredevopstest.Files{"CHANGES.md": "* new"})
	b.repository.DeleteBranch("feature")
	if err := b.ado.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	if errs, n := run(); n != 0 || b.entity("branch", "checkout/new") != fmt.Sprintf("new: %q", c.ID) || b.entity("branch", "checkout/feature") != "" {
		t.Fatalf("the second run: %d resyncs; the catalog holds %+v\n%s", n, b.catalog.Entities(""), errs)
	}
	if n := b.queues.Len(queuePath); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	long := time.Now().AddDate(0, 0, -7)
	if err := os.Chtimes(filepath.Join(state, "hooks-alive"), long, long); err != nil {
		t.Fatal(err)
	}
	if errs, n := run(); n != 1 || !strings.Contains(errs, "six days") {
		t.Errorf("after a week: %d resyncs\n%s", n, errs)
	}
	if err := os.Remove(filepath.Join(state, "origins")); err != nil {
		t.Fatal(err)
	}
	if errs, n := run(); n != 1 || !strings.Contains(errs, "book of origins") {
		t.Errorf("without the book: %d resyncs\n%s", n, errs)
	}
	if errs, n := run(); n != 0 {
		t.Errorf("the last run: %d resyncs\n%s", n, errs)
	}
}

func TestWithoutAddress(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	delete(b.environ, "OCEAN__BASE_URL")
	stop := b.service(t)
	b.until(t, "the first resync", func() bool { return b.catalog.Resyncs() > 0 })
	var told []azuredevopstest.Event
	b.ado.World().Subscribe(func(e azuredevopstest.Event) { told = append(told, e) })
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	for i, e := range told { // somebody else has made subscriptions
		if status := b.post(t, hooks.Route, "hook-secret", e.Payload("made-by-hand", i)); status != http.StatusOK {
			t.Errorf("a delivery is answered %d", status)
		}
	}
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
	if status := b.post(t, hooks.Route, "hook-secret", []byte("{}")); status != http.StatusBadRequest {
		t.Errorf("what is no delivery is answered %d", status)
	}
	if errs := stop(); len(b.ado.Subscriptions()) != 0 || !strings.Contains(errs, "OCEAN__BASE_URL is not set") {
		t.Errorf("%d subscriptions\n%s", len(b.ado.Subscriptions()), errs)
	}
}

// A service that resyncs at no time learns what there is before it follows events.
func TestWebhooksOnly(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.once(t)
	states := b.catalog.Resyncs()
	b.environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	b.environ["OCEAN__EVENT_LISTENER__TYPE"] = "WEBHOOKS_ONLY"
	b.service(t)
	b.ready(t)
	b.repository.DeleteBranch("feature")
	b.want(t, "branch", "checkout/feature", "")
	if got := b.catalog.Resyncs(); got != states {
		t.Errorf("%d states of resyncs, want the %d of before", got, states)
	}
}

// Port asks for a resync by a request. It brings another mapping, which needs other
// events, and may read the environment.
func TestAskedForAResync(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__EVENT_LISTENER__TYPE"] = "WEBHOOK"
	b.environ["OCEAN__EVENT_LISTENER__APP_HOST"] = b.environ["OCEAN__BASE_URL"]
	b.environ["GREETING"] = "hello"
	b.service(t)
	b.ready(t)
	if doc := string(b.catalog.Integration().Document); !strings.Contains(doc, b.environ["OCEAN__BASE_URL"]+"/resync") {
		t.Errorf("Port does not know where to ask: %s", doc)
	}
	b.catalog.AddBlueprint(`{"identifier":"work-item","schema":{"properties":{"state":{"type":"string"}}}}`)
	b.catalog.SetMapping(`{"resources":[` + resource("work-item", ".id | tostring", ".fields[\"System.Title\"]", "env.GREETING + (env.OCEAN__PORT__CLIENT_SECRET // \"\")") + `]}`)
	if status := b.post(t, "/resync", "wrong", nil); status != http.StatusUnauthorized {
		t.Errorf("without the password a resync is answered %d", status)
	}
	if status := b.post(t, "/resync", "hook-secret", nil); status != http.StatusAccepted {
		t.Fatalf("a resync is answered %d", status)
	}
	if err := b.ado.Subscribed(t.Context(), azuredevops.EventsOf("work-item")...); err != nil {
		t.Fatal(err)
	}
	b.project.AddWorkItem("Bug", "Totals are wrong")
	b.want(t, "work-item", "1", `Totals are wrong: "hello"`)
}

// A service that is stopped gives up what takes too long, and does it at its next
// start.
func TestStoppedWhileItWrites(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN"] = "0.1"
	stop := b.service(t)
	b.ready(t)
	old := b.entity("branch", "checkout/main")
	writing, release := make(chan struct{}), make(chan struct{})
	branches := func(r *http.Request, _ []byte) bool { return strings.Contains(r.URL.Path, "/branch/") }
	b.catalog.Fault(porttest.Reset("POST /v1/blueprints/{blueprint}/entities/bulk").When(branches).Times(1).Calling(func() {
		close(writing)
		<-release
	}))
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	<-writing
	stop()
	close(release)
	if got := b.entity("branch", "checkout/main"); got != old {
		t.Fatalf("before the restart %q", got)
	}
	b.environ["OCEAN__EVENT_LISTENER__RESYNC_ON_START"] = "false"
	b.service(t)
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
}

// While the mapping in Port cannot be used, events are handled by the last one that
// could.
func TestBrokenMapping(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.once(t)
	b.catalog.SetMapping(`{"resources":"none"}`)
	b.environ["OCEAN__EVENT_LISTENER__RESYNC_ON_START"] = "false"
	b.service(t)
	b.ready(t)
	b.repository.DeleteBranch("feature")
	b.want(t, "branch", "checkout/feature", "")
}

func TestHooksCommand(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.once(t)
	wants := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errs := start(t, t.Context(), append([]string{"hooks"}, args...), maps.Clone(b.environ))
		if got != code || !strings.Contains(out+errs, text) || strings.Contains(out+errs, "hook-secret") {
			t.Errorf("hooks %q: exit code %d, want %d and %q in:\n%s\n%s", args, got, code, text, out, errs)
		}
	}
	wants(ocean.ExitFailed, "missing")
	if len(b.ado.Subscriptions()) != 0 {
		t.Error("a list makes subscriptions")
	}
	wants(ocean.ExitGood, "created", "--repair")
	wants(ocean.ExitGood, "good")
	wants(ocean.ExitGood, `"health": "good"`, "--output", "json")
	b.catalog.RejectCredentials(true)
	wants(ocean.ExitGood, "good") // by the mapping of before
	b.catalog.RejectCredentials(false)
	b.ado.SetSubscriptionStatus(b.ado.Subscriptions()[0].ID, "disabledBySystem")
	wants(ocean.ExitFailed, "disabledBySystem")
	wants(ocean.ExitGood, "re-enabled", "--repair")
	old := b.environ["OCEAN__BASE_URL"] + hooks.Route
	b.environ["OCEAN__BASE_URL"] = "https://new.example.com"
	b.environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	wants(ocean.ExitGood, "created", "--repair")
	wants(ocean.ExitFailed, "duplicate", "--old-url", old)
	wants(ocean.ExitGood, "removed", "--cleanup", "--yes", "--old-url", old)
	if left := b.ado.Subscriptions(); len(left) != 0 {
		t.Errorf("left %+v", left)
	}
	delete(b.environ, "OCEAN__BASE_URL")
	wants(ocean.ExitFailed, "OCEAN__BASE_URL is not set")
	delete(b.environ, "OCEAN__PORT__CLIENT_ID")
	wants(ocean.ExitFailed, "OCEAN__PORT__CLIENT_ID is not set")
}

// TestServiceProcess is the service in a process of its own, for tests that kill it.
func TestServiceProcess(t *testing.T) {
	if os.Getenv("ADO_PORT_TEST_PROCESS") == "" {
		t.Skip("only for tests that start it")
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	code := run(ctx, ocean.Process{Environ: env.ToMap(os.Environ()), Dir: t.TempDir(), Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// A child is the service in a process of its own.
type child struct {
	*exec.Cmd

	out  buffer
	kill func()
}

// child starts the service in a process of its own, which kill ends.
func (b *liveBench) child(t *testing.T, set ...string) (kill func()) {
	t.Helper()
	return b.start(t, set...).kill
}

// start starts the service in a process of its own.
func (b *liveBench) start(t *testing.T, set ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServiceProcess$")}
	c.Env = append(os.Environ(), "ADO_PORT_TEST_PROCESS=1", "TMPDIR="+t.TempDir()) // what it leaves when it is killed
	for name, value := range b.environ {
		c.Env = append(c.Env, name+"="+value)
	}
	c.Env = append(c.Env, set...)
	c.Stdout, c.Stderr = &c.out, &c.out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	c.kill = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // its error is the kill
		if t.Failed() {
			t.Log(c.out.String())
		}
	})
	t.Cleanup(c.kill)
	return c
}

// pause stops the process and waits until nothing of it runs any more.
func (c *child) pause(t *testing.T) {
	t.Helper()
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var is syscall.WaitStatus
	if _, err := syscall.Wait4(c.Process.Pid, &is, syscall.WUNTRACED, nil); err != nil || !is.Stopped() {
		t.Fatalf("the process was not stopped: status %v, error %v", is, err)
	}
}

func TestLiveSurvivesAKill(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	kill := b.child(t)
	b.ready(t)
	b.catalog.Fault(porttest.Hang("POST /v1/blueprints/{blueprint}/entities/bulk"))
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	if err := b.ado.Settled(t.Context()); err != nil { // accepted, and not handled
		t.Fatal(err)
	}
	kill()
	old := b.entity("branch", "checkout/main")
	b.catalog.ClearFaults()
	b.child(t, "OCEAN__EVENT_LISTENER__RESYNC_ON_START=false")
	want := fmt.Sprintf("main: %q", c.ID)
	b.want(t, "branch", "checkout/main", want)
	if old == "" || old == want || b.catalog.Resyncs() != 2 {
		t.Errorf("before the restart %q; %d states of resyncs, want 2", old, b.catalog.Resyncs())
	}
}

// What waits for a process that was alone is handled when that gets a shared queue.
func TestSharedQueueTakesOverWhatWaits(t *testing.T) {
	t.Parallel()
	redis := replicatest.Start(t)
	b := newLiveBench(t)
	kill := b.child(t)
	b.ready(t)
	b.catalog.Fault(porttest.Hang("POST /v1/blueprints/{blueprint}/entities/bulk"))
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	if err := b.ado.Settled(t.Context()); err != nil { // accepted, and not handled
		t.Fatal(err)
	}
	kill()
	b.catalog.ClearFaults()
	next := b.start(t, "OCEAN__EVENT_LISTENER__RESYNC_ON_START=false", "OCEAN__SHARED_QUEUE_URL="+redis.URL().Reveal())
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
	if n := b.catalog.Resyncs(); n != 2 || !strings.Contains(next.out.String(), "was moved to the shared queue") {
		t.Errorf("%d states of resyncs, want 2\n%s", n, next.out.String())
	}
}

// What could not be delivered while nobody ran is made up for.
func TestLiveAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	kill := b.child(t)
	b.ready(t)
	kill()
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	b.repository.DeleteBranch("feature")
	if err := b.ado.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range b.ado.Notifications() {
		if n.Result != "failed" {
			t.Errorf("notification %+v", n)
		}
	}
	b.child(t, "OCEAN__EVENT_LISTENER__RESYNC_ON_START=false")
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
	b.want(t, "branch", "checkout/feature", "")
}

// A shared is a bench of two processes that share a Redis, with one address before
// them that leads to the one that was named last.
type shared struct {
	*liveBench

	to atomic.Pointer[url.URL]
}

// newShared makes everything but the processes.
func newShared(t *testing.T) *shared {
	t.Helper()
	redis := replicatest.Start(t)
	s := &shared{liveBench: newLiveBench(t)}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(s.to.Load()) }})
	t.Cleanup(front.Close)
	s.environ["OCEAN__SHARED_QUEUE_URL"], s.environ["OCEAN__BASE_URL"] = redis.URL().Reveal(), front.URL
	s.name(t, s.environ["APPLICATION__PORT"])
	return s
}

// name says which process, by its port, deliveries and questions go to.
func (s *shared) name(t *testing.T, port string) {
	t.Helper()
	to, err := url.Parse("http://127.0.0.1:" + port)
	if err != nil {
		t.Fatal(err)
	}
	s.environ["APPLICATION__PORT"] = port
	s.to.Store(to)
}

// looks waits for what processes do without asking Port.
func (s *shared) looks(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
}

// partitions is into how many parts the deliveries are divided.
const partitions = 64

// has waits until the process that was named has so many parts, and leads if it must.
func (s *shared) has(t *testing.T, parts int64, leads bool) {
	t.Helper()
	s.looks(t, fmt.Sprintf("%d parts, leading: %v", parts, leads), func() bool {
		_, text := s.ask(t, http.MethodGet, "/status.json", "hook-secret", nil)
		is := gjson.Get(text, "replica")
		return is.Get("seats.partition").Int() == parts && (is.Get("leader").Bool() || !leads)
	})
}

// hold has the next write of a branch wait in Port. inHand is closed when it is there;
// when cut is closed, Port drops the connection without having written anything, so
// that the same has to be sent again.
func (s *shared) hold(t *testing.T) (inHand <-chan struct{}, cut chan<- struct{}) {
	t.Helper()
	arrived, end := make(chan struct{}), make(chan struct{})
	branches := func(r *http.Request, _ []byte) bool { return strings.Contains(r.URL.Path, "/branch/") }
	s.catalog.Fault(porttest.Reset("POST /v1/blueprints/{blueprint}/entities/bulk").When(branches).Times(1).Calling(func() {
		close(arrived)
		select {
		case <-end:
		case <-t.Context().Done():
		}
	}))
	return arrived, end
}

// overtake stops a process that has a write in hand until another one has all of its
// work and has written something newer, and lets it go on until it says that it gives
// up, or writes. No time is set: the first is stopped for as long as the second needs.
func (s *shared) overtake(t *testing.T, first *child, cut chan<- struct{}, givesUp string) {
	t.Helper()
	first.pause(t)
	port := s.environ["APPLICATION__PORT"]
	s.environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	s.name(t, strconv.Itoa(networktest.FreePort(t)))
	s.start(t)
	s.has(t, partitions, true)
	s.ready(t)
	newer := fmt.Sprintf("main: %q", s.repository.Push("main", azuredevopstest.Files{"newer": "yes"}).ID)
	s.want(t, "branch", "checkout/main", newer)

	close(cut)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	overwritten := func() bool {
		all := s.writes("branch", "checkout/main")
		return all[len(all)-1] != newer
	}
	s.looks(t, givesUp, func() bool { return strings.Contains(first.out.String(), givesUp) || overwritten() })
	s.name(t, port)
	s.has(t, partitions/2, false) // it takes its share again
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the process that was stopped ends with %v", err)
	}
	all := s.writes("branch", "checkout/main")
	if i := slices.Index(all, newer); i < 1 || slices.ContainsFunc(all[i:], func(w string) bool { return w != newer }) {
		t.Errorf("checkout/main was written as %q; want nothing else from %q on", all, newer)
	}
}

// A process that is stopped while it handles an event does not repeat its write when
// it goes on: another one has handled the event, and newer ones.
func TestStoppedWhileItHandlesAnEvent(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	first := s.start(t)
	s.ready(t)
	s.has(t, partitions, true)
	inHand, cut := s.hold(t)
	s.repository.Push("main", azuredevopstest.Files{"a": "b"})
	<-inHand
	if err := s.ado.Settled(t.Context()); err != nil { // it has answered everything
		t.Fatal(err)
	}
	s.overtake(t, first, cut, port.ErrFenced.Error())
}

// Neither does one that is stopped in a resync: another one leads, and resyncs.
func TestStoppedWhileItResyncs(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	inHand, cut := s.hold(t)
	first := s.start(t)
	<-inHand
	s.overtake(t, first, cut, "this process does not lead any more")
}

// Of an installation that is split, one process is killed in a resync: the pod of the
// live events leaves it alone, and the next resync is the one that Port shows.
func TestSplitInstallation(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__EVENT_LISTENER__TYPE"], b.environ["OCEAN__EVENT_LISTENER__APP_HOST"] = "WEBHOOK", b.environ["OCEAN__BASE_URL"]
	b.environ["OCEAN__SCHEDULED_RESYNC_INTERVAL"] = "60"
	other := func(listener string) map[string]string {
		environ := maps.Clone(b.environ)
		delete(environ, "OCEAN__SCHEDULED_RESYNC_INTERVAL")
		environ["OCEAN__EVENT_LISTENER__TYPE"], environ["OCEAN__STATE_DIRECTORY"] = listener, t.TempDir()
		return environ
	}
	b.catalog.Fault(porttest.Hang("POST /v1/blueprints/{blueprint}/entities/bulk"))
	kill := b.child(t)
	b.until(t, "a resync", func() bool { return len(b.catalog.Integration().States) > 0 })
	kill()
	b.catalog.ClearFaults()
	before := b.catalog.Integration().States

	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		if err := b.ado.Subscribed(ctx, "git.push"); err != nil {
			t.Error(err)
		}
	}()
	if code, _, errs := start(t, ctx, nil, other("WEBHOOKS_ONLY")); code != ocean.ExitGood {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	if got := b.catalog.Integration(); len(got.States) != len(before) {
		t.Errorf("the pod of the live events said %s of a resync", got.States[len(before):])
	}
	if code, _, errs := start(t, t.Context(), nil, other("ONCE")); code != ocean.ExitGood {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	got := b.catalog.Integration()
	if n := len(got.States); n != len(before)+2 || !strings.Contains(string(got.States[n-1]), `"completed"`) {
		t.Errorf("states %s", got.States)
	}
	for _, want := range []string{`"type":"WEBHOOK"`, `"intervalInMinuets":60`} {
		if !strings.Contains(string(got.Document), want) {
			t.Errorf("%s of the killed service is gone: %s", want, got.Document)
		}
	}
}

// A service whose state directory cannot be used answers 503 and is not ready; it
// goes on when the directory can be used.
func TestServiceWaitsForItsStateDirectory(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	dir := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // not a directory
		t.Fatal(err)
	}
	b.environ["OCEAN__STATE_DIRECTORY"] = filepath.Join(dir, "state")
	b.environ["OCEAN__EVENT_LISTENER__TYPE"] = "WEBHOOK"
	b.environ["OCEAN__EVENT_LISTENER__APP_HOST"] = b.environ["OCEAN__BASE_URL"]
	o := &observed{liveBench: b, stop: b.service(t)}
	o.shows(t, "ado_port_state_usable 0", "ado_port_state_on_disk 1")
	_, doc := b.ask(t, http.MethodGet, "/status.json", "hook-secret", nil)
	if gjson.Get(doc, "stateDirectory.usable").Bool() || gjson.Get(doc, "stateDirectory.error").String() == "" || gjson.Get(doc, "build.version").String() != version {
		t.Errorf("/status.json shows %s", doc)
	}
	// The server has yet to look at the directory when it begins to answer.
	ready := func() (status int) {
		status, _ = b.ask(t, http.MethodGet, "/health/ready", "", nil)
		return status
	}
	asking, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for asking.Err() == nil && ready() != http.StatusServiceUnavailable {
		runtime.Gosched()
	}
	if got, _ := b.ask(t, http.MethodGet, "/health/live", "", nil); got != http.StatusOK || asking.Err() != nil {
		t.Errorf("/health/live is answered %d, and /health/ready: %v", got, asking.Err())
	}
	if _, text := b.ask(t, http.MethodGet, "/health/ready", "", nil); !strings.Contains(text, `"reason":"`) || strings.Contains(text, dir) {
		t.Errorf("/health/ready is answered %s, without a reason or with the directory", text)
	}
	event := `{"eventType":"git.push","resource":{"repository":{"id":"` + b.repository.ID + `","project":{"id":"` + b.project.ID + `"}}}}`
	if got := b.post(t, hooks.Route, "hook-secret", []byte(event)); got != http.StatusServiceUnavailable {
		t.Errorf("a delivery is answered %d, want 503", got)
	}
	if got := b.post(t, "/resync", "hook-secret", nil); got != http.StatusServiceUnavailable {
		t.Errorf("a request for a resync is answered %d, want 503", got)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	b.ready(t)
	if log := o.stop(); !strings.Contains(log, "waiting for the state directory") {
		t.Errorf("the log does not say so:\n%s", log)
	}
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```(?:sh|text)\n(.*?)^```$")
	codeSpan   = regexp.MustCompile("`(ado-port[^`]*)`")
	exitCode   = regexp.MustCompile(`# exit code (\d+)`)
)

// commandLines are the lines of a document that begin with a name, without prompt.
func commandLines(doc string) []string {
	var out []string
	for _, block := range shellBlock.FindAllStringSubmatch(doc, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			line, _ = strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if name, _, _ := strings.Cut(line, " "); name == "go" {
				line = strings.Replace(line, "go run .", "ado-port", 1)
			}
			out = append(out, line)
		}
	}
	return out
}

// arguments are those of ado-port in a command line; ok is false for lines of other
// programs.
func arguments(line string) (args []string, ok bool) {
	line, _, _ = strings.Cut(line, " #")
	for part := range strings.SplitSeq(line, "|") {
		words := strings.Fields(part)
		for len(words) > 0 && strings.Contains(words[0], "=") {
			words = words[1:] // a variable
		}
		if len(words) == 0 || words[0] != "ado-port" && words[0] != "./ado-port" {
			continue
		}
		for i, w := range words[1:] {
			if redirect := strings.HasPrefix(w, ">") || strings.HasPrefix(w, "<"); !redirect && words[i] != ">" && words[i] != "<" {
				args = append(args, strings.Trim(w, `'"`))
			}
		}
		return args, true
	}
	return nil, false
}

// Every command line of the documents is understood, and those of shell blocks end
// as the documents say: with exit code 0 unless a comment names another one.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("deploy/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, name := range append(names, "README.md", "deploy/bench/README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range codeSpan.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\n", " "), -1) {
			args, _ := arguments(span[1])
			var out buffer
			if code := run(t.Context(), ocean.Process{Args: append(args, "--help"), Dir: t.TempDir(), Out: &out, Err: &out}); code != ocean.ExitGood {
				t.Errorf("%s: `%s`: %s", name, span[1], &out)
			}
		}
		lines := commandLines(string(text))
		for _, line := range lines {
			if _, ok := arguments(line); ok {
				ran++
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runDocument(t, lines)
		})
	}
	if ran < 10 {
		t.Errorf("the documents have %d command lines, want more", ran)
	}
}

// runDocument runs the command lines of a document one after the other, for an
// installation that has resynced before.
func runDocument(t *testing.T, lines []string) {
	t.Helper()
	_, catalog, environ := servers(t)
	agent := map[string]string{
		"PORT_CLIENT_ID": "cid", "PORT_CLIENT_SECRET": environ["OCEAN__PORT__CLIENT_SECRET"], "PORT_API_BASE_URL": catalog.URL, "STREAMER_NAME": "POLLING",
		"APPLICATION__PORT": "0",
	}
	environ["OCEAN__BASE_URL"] = "https://ocean.example.com"
	environ["OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET"] = "hook-secret"
	environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	dir := t.TempDir()
	const records = `[{"id":"1","name":"checkout","project":{"id":"2"}}]`
	for file, text := range map[string]string{
		"repositories.json": records,
		"mapping.yaml":      "resources:\n- kind: repository\n  selector: {query: 'true', includedFiles: [README.md, CODEOWNERS]}\n  port: {entity: {mappings: {identifier: .id, blueprint: '\"service\"'}}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	execute := func(args []string) (int, string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		catalog.ClearFaults()
		catalog.Fault(porttest.Do("POST /v1/actions/runs/claim-pending", nil).When(func(*http.Request, []byte) bool { cancel(); return false })) // so does an agent
		var out buffer
		out.after = func(text string) { // a service goes on
			if strings.Contains(text, "resync completed") {
				cancel()
			}
		}
		env := environ
		if len(args) > 0 && args[0] == "agent" {
			env = agent
		}
		p := ocean.Process{Args: args, Environ: maps.Clone(env), Dir: dir, In: strings.NewReader(records), Out: &out, Err: &out}
		if len(args) > 0 && args[0] == "export" { // the documents send its output into this file
			f, err := os.OpenFile(filepath.Join(dir, "records.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p.Out = f
		}
		code := run(ctx, p)
		return code, out.String()
	}
	first := true
	for _, line := range lines {
		args, ok := arguments(line)
		if !ok {
			continue
		}
		if first {
			first = false
			if code, out := execute([]string{"run", "--once"}); code != ocean.ExitGood {
				t.Fatalf("exit code %d of the resync before\n%s", code, out)
			}
		}
		want := ocean.ExitGood
		if m := exitCode.FindStringSubmatch(line); m != nil {
			want, _ = strconv.Atoi(m[1])
		}
		if code, out := execute(args); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", line, code, want, out)
		}
	}
}

func TestCheckCommand(t *testing.T) {
	t.Parallel()
	ado, catalog, environ := servers(t)
	environ["OCEAN__DEFAULT_RESOURCES"] = "corrected"
	wants := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errs := start(t, t.Context(), append([]string{"check"}, args...), maps.Clone(environ))
		if got != code || !strings.Contains(out+errs, text) {
			t.Errorf("check %q: exit code %d, want %d and %q in:\n%s\n%s", args, got, code, text, out, errs)
		}
	}
	wants(ocean.ExitGood, "the first start makes the installation")
	wants(ocean.ExitGood, `"state": "ok"`, "--output", "json")
	wants(ocean.ExitUsage, "unexpected argument", "everything")
	wants(ocean.ExitFailed, "no such file", "--mapping", "none.yaml")
	ado.SetScopes("Project and Team", "Code", "Work Items")
	wants(ocean.ExitFailed, "add the scope Release (Read)")
	if len(catalog.Integrations()) > 0 || len(catalog.Blueprints()) > 0 {
		t.Error("a check makes something in Port")
	}
	var queues queuetest.Server
	account := httptest.NewServer(&queues)
	t.Cleanup(account.Close)
	environ["OCEAN__HOOKS__STORAGE_QUEUE_URL"], environ["OCEAN__HOOKS__STORAGE_ACCOUNT_KEY"] = account.URL+queuePath, accountKey
	environ["OCEAN__EVENT_LISTENER__TYPE"] = "POLLING"
	wants(ocean.ExitFailed, "a message was sent and read")
	if n := queues.Len(queuePath); n != 0 {
		t.Errorf("%d messages are left in the queue", n)
	}
	environ["OCEAN__PORT__CLIENT_SECRET"] = "wrong"
	wants(ocean.ExitFailed, "not checked: it is in Port")
	delete(environ, "OCEAN__PORT__CLIENT_ID")
	wants(ocean.ExitFailed, "OCEAN__PORT__CLIENT_ID is not set")
}

// A wrong token is found before anything is made in Port; where there is no mistake,
// the question is not asked twice.
func TestAzureDevOpsIsAskedFirst(t *testing.T) {
	t.Parallel()
	ado, catalog, environ := servers(t)
	environ["OCEAN__EVENT_LISTENER"], environ["OCEAN__STATE_DIRECTORY"] = `{"type":"POLLING"}`, t.TempDir()
	ado.SetPAT("another")
	l := listenTo(t, catalog, environ)
	l.says(t, "nothing is created in Port")
	l.says(t, "PERSONAL_ACCESS_TOKEN")
	if code := l.stop(); code != ocean.ExitGood || len(catalog.Integrations()) > 0 || len(catalog.Blueprints()) > 0 {
		t.Errorf("exit code %d, or something was made in Port", code)
	}
	ado.SetPAT(pat)
	ado.ClearRequests()
	l = listenTo(t, catalog, environ)
	l.want(t, "running", "completed")
	if code := l.stop(); code != ocean.ExitGood || len(catalog.Integrations()) != 1 {
		t.Errorf("exit code %d", code)
	}
	if n := ado.Calls("GET /_apis/projects"); n != 1 {
		t.Errorf("%d lists of projects, want 1", n)
	}
	ado.SetPAT("another")
	l = listenTo(t, catalog, environ)
	l.want(t, "running", "failed") // an installation that exists is told of the failure
}

// A listening service is the program with a listener, and what Port was told of its resyncs.
type listening struct {
	catalog *porttest.Server
	log     buffer
	states  chan string
	stop    func() int
}

// listenTo starts the service with a listener.
func listenTo(t *testing.T, catalog *porttest.Server, environ map[string]string) *listening {
	t.Helper()
	l := &listening{catalog: catalog, states: make(chan string, 100)}
	catalog.ClearFaults()
	catalog.Fault(porttest.Do("PATCH /v1/integration/{identifier}/resync-state", nil).When(func(_ *http.Request, body []byte) bool {
		l.states <- gjson.GetBytes(body, "status").Str
		return false
	}))
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, ocean.Process{Environ: environ, Dir: t.TempDir(), Out: io.Discard, Err: &l.log})
	}()
	l.stop = sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	t.Cleanup(func() {
		l.stop()
		if t.Failed() {
			t.Log(l.log.String())
		}
	})
	return l
}

// says waits until the log has a text.
func (l *listening) says(t *testing.T, text string) {
	t.Helper()
	l.log.until(t, text)
}

// want waits for states of resyncs.
func (l *listening) want(t *testing.T, states ...string) {
	t.Helper()
	for _, want := range states {
		if got := <-l.states; got != want {
			t.Fatalf("a resync is %s, want %s", got, want)
		}
	}
}

// A broker over TLS, with Port's credentials from the API. Behind the first start
// the service resyncs when it is asked to, and only then.
func TestKafka(t *testing.T) {
	t.Parallel()
	_, catalog, environ := servers(t)
	certs := httptest.NewTLSServer(nil)
	defer certs.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := port.New(port.ClientConfig{
		ClientID: "cid", ClientSecret: "port-secret-that-nobody-may-see", BaseURL: catalog.URL, IntegrationType: "t", Identifier: "i", Version: "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	organization, _, err := client.KafkaTopic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	user, password, err := client.KafkaCredentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	topic := organization + ".change.log"
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-512", user, password), kfake.TLS(&tls.Config{Certificates: certs.TLS.Certificates}))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()),
		kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	ask := func() {
		t.Helper()
		message := `{"action":"RESYNC","context":{"integrationId":"my-azure-devops-integration"}}`
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(message)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	environ["OCEAN__EVENT_LISTENER"] = `{"type":"KAFKA","brokers":"` + strings.Join(broker.ListenAddrs(), ",") + `"}`
	environ["OCEAN__STATE_DIRECTORY"], environ["SSL_CERT_FILE"] = t.TempDir(), authority

	l := listenTo(t, catalog, environ)
	l.want(t, "running", "completed") // there was none before
	l.says(t, "Kafka topic is read")
	ask()
	l.want(t, "running", "completed")
	if doc := string(catalog.Integration().Document); !strings.Contains(doc, `"changelogDestination":{"type":"KAFKA"}`) {
		t.Errorf("Port does not know where to ask: %s", doc)
	}
	if code := l.stop(); code != ocean.ExitGood || strings.Contains(l.log.String(), password) {
		t.Errorf("exit code %d", code)
	}
	l = listenTo(t, catalog, environ)
	l.says(t, "Kafka topic is read")
	ask()
	l.want(t, "running", "completed")
	l.stop()
	if n := len(catalog.Integration().States); n != 6 {
		t.Errorf("%d states of resyncs, want those of one at the first start and two that were asked for", n)
	}
	// One that was stopped is done at the next start.
	catalog.TriggerResync()
	l = listenTo(t, catalog, environ)
	l.want(t, "running", "completed")
}

// The end of a resync is told before the one that takes its place begins.
func TestAnotherMappingEndsAResync(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__EVENT_LISTENER__TYPE"], b.environ["OCEAN__EVENT_LISTENER__APP_HOST"] = "WEBHOOK", b.environ["OCEAN__BASE_URL"]
	b.environ["OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN"] = "0.1" // for what hangs below
	l := listenTo(t, b.catalog, b.environ)
	held := make(chan struct{})
	hold := sync.OnceFunc(func() { close(held) })
	b.catalog.Fault(porttest.Hang("POST /v1/blueprints/{blueprint}/entities/bulk").Times(1).When(func(*http.Request, []byte) bool { hold(); return true }))
	l.want(t, "running")
	<-held
	// The same mapping: the resync goes on, and one follows it.
	b.post(t, "/resync", "hook-secret", nil)
	b.catalog.SetMapping(`{"resources":[` + resource("repository", ".name", ".name", ".id") + `]}`)
	b.post(t, "/resync", "hook-secret", nil)
	l.want(t, "aborted", "running", "completed")
}

// A mapping that cannot be used, or read, ends live events for no longer than it lasts.
func TestLiveEventsBehindABrokenMapping(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__PORT__PORT_APP_CONFIG_CACHE_TTL"] = "0"
	b.service(t)
	b.ready(t)
	good := string(b.catalog.Integration().Config)
	for _, damage := range []func(){
		func() { b.catalog.SetMapping(`{"resources":"none"}`) },
		func() { b.catalog.Fault(porttest.Status("GET /v1/integration/{id}", 403)) },
	} {
		damage()
		c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
		b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
		b.catalog.ClearFaults()
		b.catalog.SetMapping(good)
		c = b.repository.Push("main", azuredevopstest.Files{"a": "c"})
		b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
	}
}

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
	_, text := o.ask(t, http.MethodGet, path, "hook-secret", nil)
	return text
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

// late are the series that are not there from the start: their labels come from the
// mapping, or it takes an attempt to know.
var late = []string{"ado_port_entities_total", "success", "duration_seconds", "object_count", "ado_port_storage_queue_reachable"}

// A whole life of the service: what it exports is in deploy/OBSERVABILITY.md, is
// named by the rules of Prometheus and is there from the start.
// go test -run TestSeries -update . writes the document.
func TestSeries(t *testing.T) {
	t.Parallel()
	redis := replicatest.Start(t)
	b := newLiveBench(t)
	b.environ["OCEAN__ACTIONS_PROCESSOR__ENABLED"] = "true"
	address := b.environ["OCEAN__BASE_URL"]
	b.useQueue(t)
	// One of several, with web hooks and a storage queue, so that all series are there.
	b.environ["OCEAN__BASE_URL"], b.environ["OCEAN__SHARED_QUEUE_URL"] = address, redis.URL().Reveal()
	o := &observed{liveBench: b}
	o.stop = b.service(t)
	o.shows(t, "ado_port_state_on_disk 1", "ado_port_hooks_spool_usable 1")
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

// TestMain runs the tests, or in a process of its own what BenchmarkResync measures.
func TestMain(m *testing.M) {
	switch os.Getenv("ADO_PORT_BENCHMARK") {
	case "":
		// Most tests wait for services, and few for a processor.
		if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	case "program":
		os.Args = os.Args[:1]
		main()
	default:
		os.Exit(floor(os.Getenv("ADO_PORT_BENCHMARK")))
	}
}

// floor reads addresses from a file and asks for them as nobody can do with less: 16
// at once, and the answers are thrown away.
func floor(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 1
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	urls := make(chan string)
	var wg sync.WaitGroup
	var failed atomic.Bool
	for range 16 {
		wg.Go(func() {
			for u := range urls {
				rq, _ := http.NewRequest(http.MethodGet, u, http.NoBody)
				rq.SetBasicAuth("", pat)
				res, err := client.Do(rq)
				if err != nil {
					failed.Store(true)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	for u := range strings.FieldsSeq(string(text)) {
		urls <- u
	}
	close(urls)
	wg.Wait()
	if failed.Load() {
		return 1
	}
	return 0
}

// BenchmarkResync is a whole ONCE run of the program in a process of its own, against
// both simulators in this one, and what the bare reading takes: processor time and
// memory are those of the processes alone. One second of a run is one on an idle machine
// only.
func BenchmarkResync(b *testing.B) {
	w := azuredevopstest.NewWorld("contoso")
	for i := range 20 {
		p := w.AddProject(fmt.Sprint("Project ", i))
		for j := range 15 {
			p.AddRepository(fmt.Sprintf("service-%d-%d", i, j)).Push("main", azuredevopstest.Files{"README.md": strings.Repeat("# What it does\n\nMuch.\n", 40)})
		}
		for j := range 300 {
			p.AddWorkItem("Task", fmt.Sprintf("Task %d of %d", j, i))
		}
	}
	ado := azuredevopstest.New(azuredevopstest.Options{World: w, PAT: pat})
	defer ado.Close()
	child := func(environ map[string]string) (cpu time.Duration, peak int64) {
		cmd := exec.CommandContext(b.Context(), os.Args[0])
		for k, v := range environ {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			b.Skip("the system does not say what a process has used")
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), u.Maxrss
	}
	var cpu, least, wall time.Duration
	var peak int64
	var calls, entities int
	for b.Loop() {
		catalog := porttest.New(porttest.Options{ClientID: "cid"})
		ado.ClearRequests()
		began := time.Now()
		used, rss := child(map[string]string{
			"ADO_PORT_BENCHMARK": "program", "OCEAN__EVENT_LISTENER__TYPE": "ONCE", "APPLICATION__PORT": "0", "OCEAN__STATE_DIRECTORY": b.TempDir(),
			"OCEAN__PORT__CLIENT_ID": "cid", "OCEAN__PORT__CLIENT_SECRET": "secret", "OCEAN__PORT__BASE_URL": catalog.URL,
			"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL": ado.OrganizationURL(), "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": pat,
		})
		wall, cpu, peak = wall+time.Since(began), cpu+used, max(peak, rss)
		calls, entities = ado.Calls(""), len(catalog.Entities(""))
		catalog.Close()
		var urls strings.Builder
		for _, rq := range ado.Requests() {
			if rq.Method == http.MethodGet {
				urls.WriteString(ado.URL + rq.Path + "?" + rq.Query.Encode() + "\n")
			}
		}
		file := filepath.Join(b.TempDir(), "urls")
		if err := os.WriteFile(file, []byte(urls.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		used, _ = child(map[string]string{"ADO_PORT_BENCHMARK": file})
		least += used
	}
	n := float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(entities)*n/wall.Seconds(), "entities/s")
	b.ReportMetric(cpu.Seconds()/n, "cpu-s")
	b.ReportMetric(least.Seconds()/n, "floor-cpu-s")
	b.ReportMetric(float64(peak)/1024, "peak-MiB")
	b.ReportMetric(float64(calls), "calls")
}

// addRun makes a run of the pipeline pending.
func (b *liveBench) addRun() (id string) {
	return b.catalog.AddRun("my-azure-devops-integration", "trigger_pipeline", fmt.Sprintf(`{"project":"Payments","pipelineId":"%d"}`, b.build.Pipeline.ID))
}

// wantRun waits until Port shows a run so.
func (b *liveBench) wantRun(t *testing.T, what string, done func(porttest.Run) bool) {
	t.Helper()
	b.until(t, what, func() bool { return done(b.catalog.Runs()[0]) })
}

func (b *liveBench) wantEnd(t *testing.T, status string) {
	t.Helper()
	b.wantRun(t, "the run is "+status, func(r porttest.Run) bool { return r.Status == status })
}

// An installation whose only process runs actions does that and nothing else.
func TestActionsOnlyRunsActions(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__EVENT_LISTENER__TYPE"], b.environ["OCEAN__SCHEDULED_RESYNC_INTERVAL"] = "ACTIONS_ONLY", "1s"
	b.addRun()
	stop := b.service(t)
	b.wantRun(t, "the run is started", func(r porttest.Run) bool { return gjson.GetBytes(r.Document, "externalRunId").Exists() })
	b.project.Builds[1].Finish("succeeded")
	b.wantEnd(t, "SUCCESS")
	if !strings.Contains(string(b.catalog.Integration().Document), `"actionsProcessingEnabled":true`) {
		t.Errorf("Port does not know that actions are processed: %s", b.catalog.Integration().Document)
	}
	if log := stop(); len(b.catalog.Integration().States) != 0 || len(b.catalog.Entities("")) != 0 || strings.Contains(log, "self-service actions:") {
		t.Errorf("states %s\n%s", b.catalog.Integration().States, log)
	}
}

// A process with another listener runs them beside everything else, and shows them.
func TestActionsBesideResyncs(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__ACTIONS_PROCESSOR__ENABLED"] = "true"
	b.addRun()
	o := observe(t, b)
	b.wantRun(t, "the run is started", func(r porttest.Run) bool { return gjson.GetBytes(r.Document, "externalRunId").Exists() })
	o.shows(t, "ado_port_actions_runs_in_flight 1", `ado_port_actions_started_runs_total 1`)
	b.project.Builds[1].Finish("failed")
	b.wantEnd(t, "FAILURE")
	o.shows(t, `ado_port_actions_ended_runs_total{result="failed"} 1`, "ado_port_actions_runs_in_flight 0")
	if status := o.get(t, "/status.json"); gjson.Get(status, "actions.failed").Int() != 1 || gjson.Get(status, "actions.inFlight").Int() != 0 {
		t.Errorf("status %s", gjson.Get(status, "actions"))
	}
	o.stop()
}

// endedElsewhere has a pipeline end that another process has started for a run.
func (b *liveBench) endedElsewhere(t *testing.T) {
	t.Helper()
	b.environ["OCEAN__EVENT_LISTENER__TYPE"] = "WEBHOOKS_ONLY"
	id := b.addRun()
	b.service(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.ado.Subscribed(ctx, azuredevops.RunStateChanged); err != nil {
		t.Fatal(err)
	}
	external := fmt.Sprintf("ado_%s_%d_%d", b.project.ID, b.build.Pipeline.ID, b.build.ID)
	b.patchRun(t, id, `{"externalRunId":"`+external+`"}`)
	b.build.Finish("succeeded")
}

// Live events and actions may be in two processes: the hook that tells of the end
// comes to the one that executes nothing.
func TestActionsEndByAHookOfAnotherProcess(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__ACTIONS_PROCESSOR__ENABLED"] = "true"
	b.catalog.SetMapping(`{"resources":[` + resource("repository", ".name", ".name", ".id") + `]}`) // which needs no such event
	b.endedElsewhere(t)
	b.wantEnd(t, "SUCCESS")
	if r := b.catalog.Runs()[0]; r.Claimed || strings.Contains(string(b.catalog.Integration().Document), `"actionsProcessingEnabled":true`) {
		t.Errorf("a process that runs no actions has claimed them: %+v", r)
	}
}

// Without actions the end of a pipeline costs no call to Port.
func TestNothingIsLookedUpWithoutActions(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.catalog.SetMapping(`{"resources":[` + resource("pipeline-run", ".id | tostring", `"run"`, ".state") + `]}`)
	b.catalog.AddBlueprint(`{"identifier":"pipeline-run","schema":{"properties":{"state":{"type":"string"}}}}`)
	b.endedElsewhere(t)
	b.want(t, "pipeline-run", fmt.Sprint(b.build.ID), `run: "completed"`)
	if n := len(b.catalog.Requests("GET /v1/actions/runs", "GET /v1/workflows/nodes/runs", "POST /v1/actions/runs/claim-pending")); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// Port hears that actions are processed only from a process that does so.
func TestPortIsToldOfActionsOnlyWhereTheyAreRun(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]map[string]string{
		"ONCE":     {"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true"},
		"a person": {"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true", "OCEAN__PORT__CLIENT_ID": "me@example.com", "OCEAN__EVENT_LISTENER": `{"type":"ACTIONS_ONLY"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, catalog, environ := servers(t)
			environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
			maps.Copy(environ, set)
			if name == "ONCE" {
				if code, _, errs := start(t, t.Context(), nil, environ); code != ocean.ExitGood || !strings.Contains(errs, "self-service actions: the listener is ONCE") {
					t.Errorf("exit code %d\n%s", code, errs)
				}
			} else {
				l := listenTo(t, catalog, environ)
				l.says(t, "machine users only")
				l.stop()
			}
			for _, r := range catalog.Requests() {
				if strings.Contains(string(r.Body), `"actionsProcessingEnabled":true`) || strings.HasSuffix(r.Path, "claim-pending") {
					t.Errorf("%s %s %s", r.Method, r.Path, r.Body)
				}
			}
		})
	}
}

// patchRun changes a run as another process would.
func (b *liveBench) patchRun(t *testing.T, id, body string) {
	t.Helper()
	do := func(method, path, body, token string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://port"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := b.catalog.Transport().RoundTrip(req)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	token := do(http.MethodPost, "/v1/auth/access_token", `{"clientId":"cid","clientSecret":"port-secret-that-nobody-may-see"}`, "")
	do(http.MethodPatch, "/v1/actions/runs/"+id, body, gjson.GetBytes(token, "accessToken").Str)
}

// Commands that use stored records do so beside a running service, and ask Azure
// DevOps nothing; what export has written is enough for another machine.
func TestStoredRecords(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	missing := maps.Clone(b.environ)
	if code, _, errs := start(t, t.Context(), []string{"plan", "--stored"}, missing); code != ocean.ExitFailed || !strings.Contains(errs, "record store") {
		t.Errorf("plan --stored without a store: exit code %d, %s", code, errs)
	}
	b.service(t)
	b.ready(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	edited := write("mapping.json", `{"resources":[`+resource("repository", ".name", `.name + "!"`, ".id")+`]}`)
	elsewhere := maps.Clone(b.environ)
	elsewhere["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	code, exported, errs := start(t, t.Context(), []string{"export"}, maps.Clone(b.environ))
	if code != ocean.ExitGood || !strings.Contains(exported, `"name":"checkout"`) {
		t.Fatalf("export: exit code %d, %s%s", code, exported, errs)
	}
	file := write("records.jsonl", exported)
	const lists = "GET /{project}/_apis/git/repositories"
	asked := b.ado.Calls(lists)
	for _, tt := range []struct {
		args    []string
		environ map[string]string
		code    int
		want    string
	}{
		{[]string{"plan", "--stored"}, b.environ, 0, "Plan: 0 to create, 0 to change, 0 to delete"},
		{[]string{"plan", "--stored", "--kind", "repository", "--mapping", edited}, b.environ, 2, "2 to change, 0 to delete"},
		{[]string{"plan", "--stored=" + file, "--kind", "repository", "--mapping", edited}, elsewhere, 2, "2 to change, 0 to delete"},
		{[]string{"map", "repository", "--stored", "--mapping", edited}, b.environ, 0, "checkout!"},
		{[]string{"map", "repository", "--stored=" + file, "--mapping", edited}, elsewhere, 0, "checkout!"},
		{[]string{"map", "repository", "--stored", "--from", file}, b.environ, 1, "use one of them"},
		{[]string{"plan", "--stored=" + edited}, elsewhere, 1, "want the output of ado-port export"},
		{[]string{"export", "repository"}, b.environ, 0, `"name":"other"`},
		{[]string{"export", "group"}, b.environ, 1, "has nothing of that"},
	} {
		code, out, errs := start(t, t.Context(), tt.args, maps.Clone(tt.environ))
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", strings.Join(tt.args, " "), code, tt.code, tt.want, out, errs)
		}
	}
	if n := b.ado.Calls(lists) - asked; n != 0 {
		t.Errorf("Azure DevOps was asked %d times", n)
	}
	if !strings.HasPrefix(b.entity("repository", "checkout"), "checkout:") {
		t.Errorf("a plan has written %s", b.entity("repository", "checkout"))
	}
}

// smallDisk mounts a disk of a few megabytes.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("only root on Linux can mount a disk that is soon full: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	return dir
}

// fill writes until nothing more fits, and returns the file that does it.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}

// A disk that fills up under a service is in the log, in metrics and in /status.json;
// deliveries are refused, so that Azure DevOps keeps them, and stored again when there
// is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__STATE_DIRECTORY"] = smallDisk(t)
	o := &observed{liveBench: b, stop: b.service(t)}
	b.ready(t)
	ballast := fill(t, b.environ["OCEAN__STATE_DIRECTORY"])
	// Larger than the room that is left inside the spool's file, and nothing that could
	// be compressed.
	noise := make([]byte, 512<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	event := fmt.Appendf(nil, `{"id":"1","publisherId":"tfs","eventType":"git.push","resource":{"repository":{"id":%q,"project":{"id":%q}},"noise":"%x"}}`, b.repository.ID, b.project.ID, noise)
	if got := b.post(t, hooks.Route, "hook-secret", event); got != http.StatusServiceUnavailable {
		t.Errorf("a delivery is answered %d, want 503", got)
	}
	o.shows(t, "ado_port_state_usable 0", "ado_port_state_on_disk 1", "ado_port_hooks_spool_usable 0")
	doc := o.get(t, "/status.json")
	for path, want := range map[string]string{
		"stateDirectory.usable": "false", "stateDirectory.error": "no space left on device", "queue.usable": "false", "queue.kind": "disk",
	} {
		if got := gjson.Get(doc, path).String(); !strings.Contains(got, want) {
			t.Errorf("/status.json: %s is %q, want %q in\n%s", path, got, want, doc)
		}
	}
	if got, _ := b.ask(t, http.MethodGet, "/health/ready", "", nil); got != http.StatusServiceUnavailable {
		t.Errorf("/health/ready is answered %d, want 503", got)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c := b.repository.Push("after", nil)
	b.want(t, "branch", "checkout/after", "after: \""+c.ID+"\"")
	if log := o.stop(); !strings.Contains(log, "deliveries cannot be stored and are answered 503") || !strings.Contains(log, "deliveries can be stored again") {
		t.Errorf("the log:\n%s", log)
	}
}
