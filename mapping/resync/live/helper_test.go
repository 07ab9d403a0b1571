package live_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	refsRoute    = "GET /{project}/_apis/git/repositories/{repositoryId}/refs"
	reposRoute   = "GET /{project}/_apis/git/repositories"
	changesRoute = "GET /{project}/_apis/build/builds/{buildId}/changes"
	itemsRoute   = "GET /{project}/_apis/git/repositories/{repositoryId}/items"
	bulkRoute    = "POST /v1/blueprints/{blueprint}/entities/bulk"
	deleteRoute  = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"
	entityRoute  = "GET /v1/blueprints/{blueprint}/entities/{entity}"
	searchRoute  = "POST /v1/entities/search"

	somebody = "somebody/else"
)

// A bench is an organization, a catalog, and a process that has resynced once and
// follows events. Nothing of it uses the network or the clock of the machine.
type bench struct {
	t        *testing.T
	world    *ado.World
	ado      *ado.Server
	project  *ado.Project
	checkout *ado.Repository // with the branches main and feature
	other    *ado.Repository // with the branch main
	pull     *ado.PullRequest
	pipeline *ado.Pipeline // of checkout
	events   []ado.Event   // that nobody has handled
	port     *porttest.Server
	api      *port.Client
	state    string // directory
	mapping  string
	orgs     []*azuredevops.Client
	log      bytes.Buffer
	audit    bytes.Buffer

	process
}

// A process is what a restart makes anew.
type process struct {
	catalog *catalog.Catalog
	book    *origins.Book
	follow  *live.Follower
}

// on runs a test on a bench with a mapping.
func on(t *testing.T, blocks string, f func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel()
	bubble(t, blocks, func(t *testing.T, b *bench) {
		t.Helper()
		b.resync()
		f(t, b)
	})
}

// bubble is on without the resync.
func bubble(t *testing.T, blocks string, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		f(t, newBench(t, blocks))
	})
}

func newBench(t *testing.T, blocks string) *bench {
	t.Helper()
	b := &bench{t: t, world: ado.NewWorld("contoso"), state: t.TempDir(), mapping: `{"specPath":[],"resources":[` + blocks + `]}`}
	b.project = b.world.AddProject("Payments")
	b.checkout = b.project.AddRepository("checkout")
	b.checkout.Push("main", ado.Files{"README.md": "# Checkout"})
	b.checkout.Push("feature", ado.Files{"CHANGES.md": "* feature"})
	b.pull = b.checkout.OpenPullRequest("Feature", "feature", "main")
	b.pipeline = b.project.AddPipeline("ci", b.checkout)
	b.other = b.project.AddRepository("other")
	b.other.Push("main", ado.Files{"README.md": "# Other"})
	b.ado = b.serve(b.world)
	b.port = porttest.NewUnstarted(porttest.Options{KeepBodies: true})
	t.Cleanup(b.port.Close)
	for _, name := range []string{"repo", "branch", "pull", "build", "task"} {
		b.port.AddBlueprint(fmt.Sprintf(`{"identifier":%q,"schema":{"properties":{"a":{"type":"string"},"b":{"type":"string"},`+
			`"state":{"type":"string","enum":["open","done"]},"url":{"type":"string","format":"url"}}},`+
			`"relations":{"of":{"target":"repo","many":false,"required":false}}}`, name))
	}
	var err error
	b.api, err = port.New(port.ClientConfig{
		ClientID: "client-id", ClientSecret: "the-secret", BaseURL: "http://port.example", IntegrationType: "azure-devops",
		Identifier: "mine", Version: "1.2.3", Transport: b.port.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.api.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		t.Fatal(err)
	}
	b.restart()
	t.Cleanup(func() {
		if strings.Contains(b.log.String(), "the-secret") {
			t.Error("a secret is in the log")
		}
		if t.Failed() {
			t.Log(b.log.String())
		}
	})
	return b
}

// serve makes a world an organization of the service.
func (b *bench) serve(w *ado.World) *ado.Server {
	b.t.Helper()
	s := ado.NewUnstarted(ado.Options{World: w, PAT: "the-secret"})
	b.t.Cleanup(s.Close)
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: s.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("the-secret"), Transport: s.Transport(), ExcludedTags: []string{"left-out"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.orgs = append(b.orgs, c)
	w.Subscribe(func(e ado.Event) { b.events = append(b.events, e) })
	return s
}

func (b *bench) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&b.log, nil)) }

// current is the mapping.
func (b *bench) current(context.Context) (*mapping.Mapping, error) {
	return mapping.Parse([]byte(b.mapping), mapping.Options{})
}

// restart makes everything that a process holds in memory anew.
func (b *bench) restart() {
	audit := catalog.NewAudit(catalog.AuditConfig{PerMinute: 10_000, Log: slog.New(slog.NewJSONHandler(&b.audit, nil))})
	b.catalog = catalog.New(catalog.Config{Port: b.api, Audit: audit, Log: b.logger()})
	b.book = origins.Open(b.state, b.logger())
	b.follow = live.New(live.Config{
		Organizations: b.orgs, Catalog: b.catalog, Book: b.book, Mapping: b.current, Log: b.logger(),
	})
}

// resync fills the catalog and the book; what has happened so far is history then.
func (b *bench) resync() {
	b.t.Helper()
	r, err := resync.New(resync.Config{
		Organizations: b.orgs, Port: b.api, Catalog: b.catalog, Book: b.book, StateDirectory: b.state,
		Mapping: b.current, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if sum, err := r.Full(b.t.Context(), "test"); err != nil || sum.State != resync.StateCompleted {
		b.t.Fatalf("resync %s, %v: %s", sum.State, err, sum.Reason())
	}
	b.events = nil
	b.ado.ClearRequests()
	b.port.ForgetRequests()
}

// payloads are the deliveries of what has happened since they were asked for last.
func (b *bench) payloads() [][]byte {
	var out [][]byte
	for i, e := range b.events {
		out = append(out, e.Payload("00000000-0000-0000-0000-000000000001", i))
	}
	b.events = nil
	return out
}

// handle handles what has happened.
func (b *bench) handle() error { return b.follow.Handle(b.t.Context(), b.payloads()) }

func (b *bench) mustHandle() {
	b.t.Helper()
	if err := b.handle(); err != nil {
		b.t.Fatal(err)
	}
}

// retry handles deliveries that have to fail now, in a way that is worth another
// try, and to succeed once nothing is in the way; between is asked between both.
func (b *bench) retry(between func()) {
	b.t.Helper()
	list := b.payloads()
	if err := b.follow.Handle(b.t.Context(), list); err == nil || errors.Is(err, live.ErrMalformed) {
		b.t.Fatalf("error %v, want one that is worth another try", err)
	}
	between()
	b.ado.ClearFaults()
	b.port.ClearFaults()
	if err := b.follow.Handle(b.t.Context(), list); err != nil {
		b.t.Fatal(err)
	}
}

// holds is the catalog: "blueprint/identifier" of its entities, with the values of
// a and b behind it where there are any.
func (b *bench) holds() (got []string) {
	for _, e := range b.port.Entities("") {
		s := e.Blueprint + "/" + e.Identifier
		for _, p := range []string{"a", "b"} {
			if v := e.Property(p); v != "" {
				s += " " + p + "=" + strings.Trim(v, `"`)
			}
		}
		got = append(got, s)
	}
	return got
}

func (b *bench) want(want ...string) {
	b.t.Helper()
	if g, w := strings.Join(b.holds(), "\n"), strings.Join(want, "\n"); g != w {
		b.t.Errorf("the catalog holds\n%s\nwant\n%s", g, w)
	}
}

func (b *bench) wantHas(want string) {
	b.t.Helper()
	if got := b.holds(); !slices.Contains(got, want) {
		b.t.Errorf("the catalog lacks %s:\n%s", want, strings.Join(got, "\n"))
	}
}

func (b *bench) logged(text string) {
	b.t.Helper()
	if !strings.Contains(b.log.String(), text) {
		b.t.Errorf("the log lacks %q", text)
	}
}

// block is a resource of the mapping; members are those of its entity.
func block(kind, selector, blueprint, identifier, members string) string {
	if members != "" {
		members = "," + members
	}
	return fmt.Sprintf(`{"kind":%q,"selector":{%s},"port":{"entity":{"mappings":{"identifier":%s,"blueprint":"\"%s\""%s}}}}`, kind, selector, identifier, blueprint, members)
}

const all = `"query":"true"`

// Resources that several tests use.
var (
	repositories = block("repository", all, "repo", `".name"`, `"properties":{"a":".name"}`)
	branches     = block("branch", all, "branch", `".__repository.name + \"/\" + .name"`, `"properties":{"a":".objectId"}`)
	bareBranches = block("branch", all, "branch", `".name"`, ``) // one entity for all branches of a name
	openPulls    = block("pull-request", `"query":".status == \"active\""`, "repo", `".repository.name"`, `"properties":{"b":".title"}`)
)
