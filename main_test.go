package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/jq"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/port/porttest"
)

var update = flag.Bool("update", false, "write the generated parts of deploy/*.md")

// A buffer that several goroutines write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
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
	code = run(ctx, process{args: args, environ: environ, dir: dir, out: &o, err: &e})
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
	catalog := porttest.New(porttest.Options{ClientID: "cid", ClientSecret: "port-secret-that-nobody-may-see"})
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
	if code != exitGood {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	e := catalog.Entities("azureDevopsRepository")
	if len(e) != 1 || e[0].Title != "checkout" || e[0].Property("readme") != `"# Checkout"` {
		t.Errorf("repositories %+v", e)
	}
	if got := len(catalog.Entities("azureDevopsWorkItem")); got != 1 {
		t.Errorf("%d work items, want 1", got)
	}
	for _, want := range []string{"repository-1", "Payments", "resync "} {
		if !strings.Contains(out, want) {
			t.Errorf("the summary does not show %q:\n%s", want, out)
		}
	}
	if len(catalog.Logs()) == 0 {
		t.Error("no log line reached Port")
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
		{name: "missing variable", drop: "OCEAN__PORT__CLIENT_ID", code: exitFailed, want: "OCEAN__PORT__CLIENT_ID is not set"},
		{name: "missing organization", drop: "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL", code: exitFailed, want: "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL is not set"},
		{name: "bad value", set: map[string]string{"OCEAN__CLIENT_TIMEOUT": "soon"}, code: exitFailed, want: "OCEAN__CLIENT_TIMEOUT"},
		{name: "refused by Port", set: map[string]string{"OCEAN__PORT__CLIENT_SECRET": "wrong"}, code: exitFailed, want: "OCEAN__PORT__CLIENT_SECRET"},
		{name: "refused by Azure DevOps", set: map[string]string{"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "wrong"}, code: exitGood, want: "PERSONAL_ACCESS_TOKEN"},
		{name: "refused by Azure DevOps, strict", set: map[string]string{"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "wrong", "OCEAN__STRICT_EXIT": "true"}, code: exitFailed, want: "PERSONAL_ACCESS_TOKEN"},
		{name: "unknown command", args: []string{"dance"}, code: exitUsage, want: "dance"},
		{name: "unknown flag", args: []string{"sail", "--dance"}, code: exitUsage, want: "--dance"},
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
	if code := <-done; code != exitGood {
		t.Errorf("exit code %d after a stop, want %d", code, exitGood)
	}
}

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	code, out, errs := start(t, t.Context(), []string{"demo", "-once"}, map[string]string{})
	if code != exitGood || !strings.Contains(out, "resync completed") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	_, _, environ := servers(t)
	code, out, _ := start(t, t.Context(), []string{"config"}, environ)
	if code != exitGood || !strings.Contains(out, "OCEAN__PORT__CLIENT_ID") || !strings.Contains(out, "environment") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	delete(environ, "OCEAN__PORT__CLIENT_ID")
	if code, out, _ := start(t, t.Context(), []string{"config", "--output", "json"}, environ); code != exitFailed || !strings.Contains(out, `"errors"`) {
		t.Errorf("exit code %d with a missing variable\n%s", code, out)
	}
}

func TestHelpNamesEveryVariable(t *testing.T) {
	t.Parallel()
	_, out, _ := start(t, t.Context(), []string{"--help"}, map[string]string{})
	rows, _, err := ocean.Describe[config]()
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
	rows, without, err := ocean.Describe[config]()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct{ document, name, text string }{
		{"deploy/CONFIGURATION.md", "config", variablesTable(rows)},
		{"deploy/CONFIGURATION.md", "ignored", ignoredTable(without)},
		{"deploy/MAPPING.md", "jq-differences", "- " + strings.Join(jq.Differences(), "\n- ")},
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
