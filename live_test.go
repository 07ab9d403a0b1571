package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/porttest"
)

// A liveBench is an organization and a catalog, with a service between them that
// has resynced once and follows events.
type liveBench struct {
	ado        *azuredevopstest.Server
	catalog    *porttest.Server
	project    *azuredevopstest.Project
	repository *azuredevopstest.Repository // with the branches main and feature
	pull       *azuredevopstest.PullRequest
	build      *azuredevopstest.Build // that runs
	environ    map[string]string

	mu      sync.Mutex
	changed chan struct{} // closed after the next request to the catalog
}

// newLiveBench makes everything but the service.
func newLiveBench(t *testing.T) *liveBench {
	t.Helper()
	b := &liveBench{changed: make(chan struct{})}
	w := azuredevopstest.NewWorld("contoso")
	b.project = w.AddProject("Payments")
	b.repository = b.project.AddRepository("checkout")
	b.repository.Push("main", azuredevopstest.Files{"README.md": "# Checkout"})
	b.repository.Push("feature", azuredevopstest.Files{"CHANGES.md": "* feature"})
	b.pull = b.repository.OpenPullRequest("Feature", "feature", "main")
	b.build = b.project.AddPipeline("ci", b.repository).QueueBuild("")
	b.build.Start()
	b.project.AddRepository("other").Push("main", azuredevopstest.Files{"README.md": "# Other"})
	b.ado = azuredevopstest.New(azuredevopstest.Options{World: w, PAT: pat, HookRetry: -1})
	t.Cleanup(b.ado.Close)

	b.catalog = porttest.NewUnstarted(porttest.Options{ClientID: "cid"})
	t.Cleanup(b.catalog.Close)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	for _, name := range []string{"repository", "branch", "pull-request", "build"} {
		b.catalog.AddBlueprint(fmt.Sprintf(`{"identifier":%q,"schema":{"properties":{"state":{"type":"string"}}}}`, name))
	}
	b.catalog.SetMapping(`{"resources":[` +
		resource("repository", ".name", ".name", ".id") + "," +
		resource("branch", `.__repository.name + "/" + .name`, ".name", ".objectId") + "," +
		resource("pull-request", ".pullRequestId | tostring", ".title", ".status") + "," +
		resource("build", ".id | tostring", ".buildNumber", ".result // .status") + `]}`)

	port, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.environ = map[string]string{
		"OCEAN__PORT__CLIENT_ID": "cid", "OCEAN__PORT__CLIENT_SECRET": "port-secret-that-nobody-may-see", "OCEAN__PORT__BASE_URL": server.URL,
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

// ServeHTTP is the catalog; whoever waits looks again after every request.
func (b *liveBench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.catalog.ServeHTTP(w, r)
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

// until waits for the catalog.
func (b *liveBench) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s: not in time; the catalog holds %+v", what, b.catalog.Entities(""))
		}
	}
}

// ready waits until a service has resynced and follows events.
func (b *liveBench) ready(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.ado.Subscribed(ctx, azuredevops.EventsOf("repository", "branch", "pull-request", "build")...); err != nil {
		t.Fatal(err)
	}
	b.until(t, "the first resync", func() bool { return completed(b.catalog) > 0 })
}

// entity is "title: state" of an entity, "" when there is none.
func (b *liveBench) entity(blueprint, identifier string) string {
	e, ok := b.catalog.Entity(blueprint, identifier)
	if !ok {
		return ""
	}
	return e.Title + ": " + e.Property("state")
}

// want waits until an entity is so, and until Azure DevOps knows it was told.
func (b *liveBench) want(t *testing.T, blueprint, identifier, want string) {
	t.Helper()
	if err := b.ado.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.until(t, blueprint+" "+identifier+" "+want, func() bool { return b.entity(blueprint, identifier) == want })
}

// liveService starts the bench with a service in this process.
func liveService(t *testing.T) *liveBench {
	t.Helper()
	b := newLiveBench(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		code, _, _ := start(t, ctx, nil, maps.Clone(b.environ))
		done <- code
	}()
	t.Cleanup(func() {
		stop()
		if code := <-done; code != exitGood {
			t.Errorf("exit code %d", code)
		}
	})
	b.ready(t)
	return b
}

func TestLivePush(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	c := b.repository.Push("feature", azuredevopstest.Files{"CHANGES.md": "* more"})
	b.want(t, "branch", "checkout/feature", fmt.Sprintf("feature: %q", c.ID))
	c = b.repository.Push("new", azuredevopstest.Files{"CHANGES.md": "* new"})
	b.want(t, "branch", "checkout/new", fmt.Sprintf("new: %q", c.ID))
	b.repository.DeleteBranch("feature")
	b.want(t, "branch", "checkout/feature", "")
}

func TestLiveRename(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	state := fmt.Sprintf(": %q", b.repository.ID)
	b.repository.Rename("till")
	b.want(t, "repository", "till", "till"+state)
	b.want(t, "repository", "checkout", "")
	b.want(t, "branch", "checkout/main", "")
	if got := b.entity("branch", "till/main"); got == "" {
		t.Error("the branches did not move along")
	}
}

func TestLiveDeletion(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	b.repository.Delete()
	for _, e := range [][2]string{{"repository", "checkout"}, {"branch", "checkout/main"}, {"branch", "checkout/feature"}, {"pull-request", "1"}} {
		b.want(t, e[0], e[1], "")
	}
	if b.entity("repository", "other") == "" || b.entity("branch", "other/main") == "" || b.entity("build", "1") == "" {
		t.Errorf("left %+v", b.catalog.Entities(""))
	}
}

func TestLivePullRequest(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	b.pull.Complete()
	b.want(t, "pull-request", "1", `Feature: "completed"`)
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", b.repository.Branch("main").ID))
}

func TestLiveBuild(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	b.build.Finish("failed")
	b.want(t, "build", "1", b.build.Number+`: "failed"`)
}

func TestLiveTwice(t *testing.T) {
	t.Parallel()
	b := liveService(t)
	b.ado.Deliver(azuredevopstest.Once("git.push", azuredevopstest.Twice))
	c := b.repository.Push("main", azuredevopstest.Files{"a": "b"})
	b.want(t, "branch", "checkout/main", fmt.Sprintf("main: %q", c.ID))
	for _, n := range b.ado.Notifications() {
		if n.Result != "succeeded" {
			t.Errorf("notification %+v", n)
		}
	}
}

// TestServiceProcess is the service in a process of its own, for tests that kill it.
func TestServiceProcess(t *testing.T) {
	if os.Getenv("ADO_PORT_TEST_PROCESS") == "" {
		t.Skip("only for tests that start it")
	}
	os.Exit(run(t.Context(), process{environ: env.ToMap(os.Environ()), dir: t.TempDir(), out: os.Stdout, err: os.Stderr}))
}

// child starts the service in a process of its own.
func (b *liveBench) child(t *testing.T, set ...string) (kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServiceProcess$")
	cmd.Env = append(os.Environ(), "ADO_PORT_TEST_PROCESS=1")
	for name, value := range b.environ {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, set...)
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // its error is the kill
		if t.Failed() {
			t.Log(out.String())
		}
	})
	t.Cleanup(kill)
	return kill
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
	if old == "" || old == want || completed(b.catalog) != 2 {
		t.Errorf("before the restart %q; %d states of resyncs, want 2", old, completed(b.catalog))
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
