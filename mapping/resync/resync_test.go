package resync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/azuredevops/records"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	bulk       = "POST /v1/blueprints/{blueprint}/entities/bulk"
	bulkDelete = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"
	ownedRoute = "POST /v1/blueprints/entities/datasource-entities"
	reposRoute = "GET /{project}/_apis/git/repositories"
	itemsRoute = "GET /{project}/_apis/git/repositories/{repositoryId}/items"
)

// A bench is a small organization, a catalog and the runner between them.
type bench struct {
	t       *testing.T
	world   *ado.World
	ado     *ado.Server
	port    *porttest.Server
	mapping string
	state   string
	grace   time.Duration
	config  func(*resync.Config)     // nil: as below
	client  func(*port.ClientConfig) // nil: as below
	urls    []string                 // of the organizations; none: that of ado
	store   *records.Store           // nil: none
	cfg     resync.Config            // of the last runner
	log     bytes.Buffer
}

// newBench has two projects with two repositories each.
func newBench(t *testing.T) *bench {
	t.Helper()
	w := ado.NewWorld("contoso")
	for _, p := range []string{"Alpha", "Beta"} {
		project := w.AddProject(p)
		for _, r := range []string{"api", "web"} {
			project.AddRepository(strings.ToLower(p)+"-"+r).Push("main", ado.Files{"README.md": "# " + p + " " + r})
		}
	}
	b := &bench{t: t, world: w, ado: ado.New(ado.Options{World: w, PAT: "pat"}), port: porttest.New(porttest.Options{})}
	t.Cleanup(b.ado.Close)
	t.Cleanup(b.port.Close)
	b.port.AddBlueprint(
		`{"identifier":"repo","schema":{"properties":{"readme":{"type":"string"},"size":{"type":"number"},"note":{"type":"string"}}},"relations":{"project":{"target":"project","many":false,"required":false}}}`,
		`{"identifier":"project","schema":{"properties":{"name":{"type":"string"}}},"relations":{}}`,
		`{"identifier":"task","schema":{"properties":{}},"relations":{}}`,
	)
	b.mapping = doc(repositories)
	return b
}

const (
	repositories = `{"kind":"repository","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".name","title":".name","blueprint":"\"repo\"","properties":{"note":".project.name"}}}}}`
	withReadme   = `{"kind":"repository","selector":{"query":"true","includedFiles":["README.md"]},"port":{"entity":{"mappings":{"identifier":".name","blueprint":"\"repo\"","properties":{"readme":".__includedFiles[\"README.md\"]"}}}}}`
	related      = `{"kind":"repository","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".name","blueprint":"\"repo\"","relations":{"project":".project.name"}}}}}`
	projects     = `{"kind":"project","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".name","title":".name","blueprint":"\"project\"","properties":{"name":".name"}}}}}`
)

func doc(blocks ...string) string {
	return `{"resources":[` + strings.Join(blocks, ",") + `]}`
}

func (b *bench) runner() *resync.Runner {
	b.t.Helper()
	if b.urls == nil {
		b.urls = []string{b.ado.OrganizationURL()}
	}
	var clients []*azuredevops.Client
	for _, u := range b.urls {
		client, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: u, Credential: azuredevops.PersonalAccessToken("pat"), Store: b.store})
		if err != nil {
			b.t.Fatal(err)
		}
		clients = append(clients, client)
	}
	pc := port.ClientConfig{
		ClientID: "client-id", ClientSecret: "secret", BaseURL: b.port.URL, IntegrationType: "azure-devops", Identifier: "ado", Version: "0.0.1",
	}
	if b.client != nil {
		b.client(&pc)
	}
	api, err := port.New(pc)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := api.Setup(b.t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		b.t.Fatal(err)
	}
	cfg := resync.Config{
		Organizations: clients, Port: api, Catalog: catalog.New(catalog.Config{Port: api, TempDirectory: b.t.TempDir()}), StateDirectory: b.state, TempDirectory: b.t.TempDir(), Grace: b.grace,
		Mapping: resync.NewSource(resync.SourceConfig{
			Read: func(context.Context) (json.RawMessage, error) { return json.RawMessage(b.mapping), nil },
		}).Fresh,
		Records: b.store, ResumeWithin: time.Hour, ReplayWithin: 24 * time.Hour, Replays: []string{causeEdit}, Reads: []string{causeMissed},
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(b.t.Output(), &b.log), nil)),
	}
	if b.config != nil {
		b.config(&cfg)
	}
	b.cfg = cfg
	r, err := resync.New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// resync runs one resync in a process of its own, as it were.
func (b *bench) resync(want resync.State) *resync.Summary {
	b.t.Helper()
	sum, err := b.runner().Full(b.t.Context(), "test")
	if err != nil || sum.State != want {
		b.t.Fatalf("Full = %s, %v; want %s\n%+v", sum.State, err, want, sum)
	}
	return sum
}

// catalog names the entities of a blueprint with one property.
func (b *bench) catalog(blueprint, property string) string {
	var out []string
	for _, e := range b.port.Entities(blueprint) {
		out = append(out, strings.TrimSpace(e.Identifier+" "+strings.Trim(e.Property(property), `"`)))
	}
	return strings.Join(out, ", ")
}

func (b *bench) want(blueprint, property, want string) {
	b.t.Helper()
	if got := b.catalog(blueprint, property); got != want {
		b.t.Errorf("%s of the catalog:\n got %s\nwant %s", blueprint, got, want)
	}
}

const everything = "alpha-api Alpha, alpha-web Alpha, beta-api Beta, beta-web Beta"

// A resync compares a large blueprint as a whole, and corrects what somebody has edited.
func TestResyncComparesALargeBlueprintAsAWhole(t *testing.T) {
	t.Parallel()
	const (
		held, some = "POST /v1/blueprints/{blueprint}/entities/search", "POST /v1/entities/search"
		more       = 2000
	)
	b := newBench(t)
	for i := range more {
		b.world.Projects[0].AddRepository(fmt.Sprintf("more-%04d", i))
	}
	b.resync(resync.StateCompleted)
	for _, edited := range []int{0, 1} {
		b.port.ForgetRequests()
		if edited > 0 {
			b.port.PutEntity("port-ocean/azure-devops/ado/0.0.1/exporter", `{"identifier":"more-0007","blueprint":"repo","title":"more-0007","properties":{"note":"edited"}}`)
		}
		sum := b.resync(resync.StateCompleted)
		if c := sum.Total; c.Unchanged != int64(more+4-edited) || c.Written != int64(edited) {
			t.Errorf("%d edited: %d unchanged, %d written", edited, c.Unchanged, c.Written)
		}
		if whole, asked := len(b.port.Requests(held)), len(b.port.Requests(some)); whole != 3 || asked != edited {
			t.Errorf("%d edited: %d pages of the blueprint, %d searches, want 3 and %d", edited, whole, asked, edited)
		}
	}
	if e, _ := b.port.Entity("repo", "more-0007"); e.Property("note") != `"Alpha"` {
		t.Errorf("the edited entity has %s", e.Property("note"))
	}
}

func TestResyncFollowsTheOrganization(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sum := b.resync(resync.StateCompleted)
	b.want("repo", "note", everything)
	if c := sum.Total; c.Listed != 4 || c.Mapped != 4 || c.Written != 4 || c.Deleted != 0 {
		t.Errorf("first resync counts %+v", c)
	}
	writes := b.port.Writes()
	sum = b.resync(resync.StateCompleted)
	if b.port.Writes() != writes || sum.Total.Unchanged != 4 {
		t.Errorf("second resync wrote %d entities, %+v", b.port.Writes()-writes, sum.Total)
	}
	alpha := b.world.Project("Alpha")
	alpha.AddRepository("alpha-new")
	b.world.Repository(repository(t, b, "beta-web")).Rename("beta-site")
	sum = b.resync(resync.StateCompleted)
	b.want("repo", "note", "alpha-api Alpha, alpha-new Alpha, alpha-web Alpha, beta-api Beta, beta-site Beta")
	if c := sum.Total; c.Written != 2 || c.Deleted != 1 || c.Unchanged != 3 {
		t.Errorf("third resync counts %+v", c)
	}
}

// repository returns the id of a repository by name.
func repository(t *testing.T, b *bench, name string) string {
	t.Helper()
	for _, p := range b.world.Projects {
		for _, r := range p.Repositories {
			if r.Name == name {
				return r.ID
			}
		}
	}
	t.Fatalf("no repository %s", name)
	return ""
}

func TestUnreadableProjectIsUnknownNotEmpty(t *testing.T) {
	t.Parallel()
	for _, memory := range []bool{false, true} {
		t.Run(fmt.Sprint("memory ", memory), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if memory {
				b.state = t.TempDir()
			}
			b.resync(resync.StateCompleted)
			b.world.Repository(repository(t, b, "alpha-web")).Delete()
			b.ado.Fault(ado.Status(reposRoute, 404).In("Beta"))
			sum := b.resync(resync.StateFailed)
			if memory { // Alpha was read completely: what is gone from it is deleted
				b.want("repo", "note", "alpha-api Alpha, beta-api Beta, beta-web Beta")
			} else {
				b.want("repo", "note", everything)
			}
			if len(sum.Unread) != 1 || sum.Unread[0].Scope != "Beta" {
				t.Errorf("unread %+v, want Beta named", sum.Unread)
			}
			b.ado.ClearFaults()
			b.resync(resync.StateCompleted)
			b.want("repo", "note", "alpha-api Alpha, beta-api Beta, beta-web Beta")
		})
	}
}

func TestUnreadFileLeavesTheEntityAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(withReadme)
	b.resync(resync.StateCompleted)
	b.want("repo", "readme", "alpha-api # Alpha api, alpha-web # Alpha web, beta-api # Beta api, beta-web # Beta web")
	b.world.Project("Alpha").AddRepository("alpha-new").Push("main", ado.Files{"README.md": "new"})
	b.ado.Fault(ado.Status(itemsRoute, 404).In("Alpha"))
	sum := b.resync(resync.StateFailed)
	b.want("repo", "readme", "alpha-api # Alpha api, alpha-new null, alpha-web # Alpha web, beta-api # Beta api, beta-web # Beta web")
	if c := sum.Total; c.Incomplete != 3 || c.Kept != 2 || c.Deleted != 0 {
		t.Errorf("counts %+v, want 3 incomplete records, 2 of them kept", c)
	}
}

func TestDeletionBrake(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	for _, name := range []string{"alpha-api", "alpha-web", "beta-api"} {
		b.world.Repository(repository(t, b, name)).Delete()
	}
	b.mapping = `{"entityDeletionThreshold":0.7,` + b.mapping[1:]
	sum := b.resync(resync.StateCompleted)
	b.want("repo", "note", everything)
	if held(sum, resync.HoldThreshold) != 3 {
		t.Errorf("%d over the threshold, want 3", held(sum, resync.HoldThreshold))
	}
	b.mapping = strings.Replace(b.mapping, "0.7", "0.75", 1)
	b.resync(resync.StateCompleted)
	b.want("repo", "note", "beta-web Beta")
}

func TestUnlistableCatalogDeletesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	b.world.Repository(repository(t, b, "alpha-web")).Delete()
	b.port.Fault(porttest.Status(ownedRoute, 400).After(1)) // the first one asks for the layout
	b.resync(resync.StateFailed)
	b.want("repo", "note", everything)
}

func TestLostAnswersLoseNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]porttest.Rule{
		"upsert stored, answer 500":       porttest.LostAnswer(bulk).Times(1),
		"upsert stored, connection reset": porttest.LostConnection(bulk).Times(1),
		"upsert answer truncated":         porttest.Truncate(bulk).Times(1),
		"upsert refused for a moment":     porttest.Status(bulk, 503).Times(1),
		"tokens expire":                   porttest.ExpireTokens(bulk).Times(1),
		"list of entities truncated":      porttest.Truncate(ownedRoute).After(1).Times(1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.port.Fault(fault)
			b.resync(resync.StateCompleted)
			b.want("repo", "note", everything)
		})
	}
}

func TestBlocksOfOneBlueprintAreMerged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := strings.Replace(repositories, ".project.name", `\"from the second\"`, 1)
	b.mapping = doc(repositories, withReadme, second)
	b.resync(resync.StateCompleted)
	b.want("repo", "note", "alpha-api from the second, alpha-web from the second, beta-api from the second, beta-web from the second")
	b.want("repo", "readme", "alpha-api # Alpha api, alpha-web # Alpha web, beta-api # Beta api, beta-web # Beta web")
	writes := b.port.Writes()
	b.resync(resync.StateCompleted)
	if n := b.port.Writes() - writes; n != 0 {
		t.Errorf("a second resync wrote %d entities, want none", n)
	}
	if got := b.ado.Calls(reposRoute); got != 4 { // two projects, two resyncs: the third block shares the list of the first
		t.Errorf("%d lists of repositories, want 4", got)
	}
}

func TestRejectedBlockRunsTheOthersAndDeletesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	b.world.Repository(repository(t, b, "alpha-web")).Delete()
	b.mapping = doc(repositories, projects, strings.Replace(withReadme, `["README.md"]`, `5`, 1))
	sum := b.resync(resync.StateFailed)
	b.want("repo", "note", everything)
	b.want("project", "name", "Alpha Alpha, Beta Beta")
	if len(sum.Rejected) != 1 || !strings.Contains(sum.Rejected[0], "resources[2].selector") {
		t.Errorf("rejected %q, want the path of the block", sum.Rejected)
	}
}

func TestRefusedEntitiesAreTriedAgainWhenTheirTargetsExist(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = `{"createMissingRelatedEntities":false,` + doc(related, projects)[1:]
	sum := b.resync(resync.StateCompleted)
	for _, e := range b.port.Entities("repo") {
		if len(e.Relation("project")) != 1 {
			t.Errorf("%s has no project", e.Identifier)
		}
	}
	if sum.Total.Refused != 0 {
		t.Errorf("%d entities refused at the end: %+v", sum.Total.Refused, sum.Refused)
	}
}

func TestChangedMappingEndsTheResync(t *testing.T) {
	t.Parallel()
	for _, changed := range []bool{false, true} {
		b := newBench(t)
		r := b.runner()
		begun, open := make(chan struct{}), make(chan struct{})
		b.port.Fault(porttest.Do(bulk, func() { close(begun); <-open }).Times(1))
		first := make(chan error)
		go func() {
			_, err := r.Full(t.Context(), "test")
			first <- err
		}()
		<-begun
		if changed {
			b.mapping = doc(projects)
		}
		r.Reconsider(t.Context())
		close(open)
		err := <-first
		if changed != errors.Is(err, resync.ErrSuperseded) || !changed && err != nil {
			t.Errorf("changed %v: the resync ended with %v", changed, err)
		}
		if sum, err := r.Full(t.Context(), "test"); err != nil || sum.State != resync.StateCompleted {
			t.Errorf("changed %v: the next one ended %s, %v", changed, sum.State, err)
		}
	}
}

func TestStoppedResyncDeletesNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	b.world.Repository(repository(t, b, "alpha-web")).Delete()
	ctx, cancel := context.WithCancel(t.Context())
	r := b.runner()
	b.ado.Fault(ado.Slow(reposRoute, time.Hour).In("Beta")) // never answers: the stop has to end that
	b.port.Fault(porttest.Do(ownedRoute, cancel))
	sum, err := r.Full(ctx, "test")
	if !errors.Is(err, context.Canceled) || sum.State != resync.StateAborted {
		t.Errorf("Full = %s, %v, want %s and the reason", sum.State, err, resync.StateAborted)
	}
	b.want("repo", "note", everything)
	states := b.port.Integration().States
	if last := string(states[len(states)-1]); !strings.Contains(last, "aborted") {
		t.Errorf("port was told %s, want aborted", last)
	}
}

func TestRelatedEntitiesAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(related, projects)
	b.resync(resync.StateCompleted)
	b.mapping = doc(related, strings.Replace(projects, `"query":"true"`, `"query":".name != \"Beta\""`, 1))
	b.resync(resync.StateCompleted)
	b.want("project", "name", "Alpha Alpha, Beta Beta") // repositories still refer to Beta
	b.mapping = doc(strings.Replace(repositories, ".project.name", ".name", 1), strings.Replace(projects, `"query":"true"`, `"query":".name != \"Beta\""`, 1))
	b.resync(resync.StateCompleted)
	b.want("project", "name", "Alpha Alpha")
}

func TestBadCredentialsDeleteNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	b.ado.SetPAT("another")
	sum := b.resync(resync.StateFailed)
	b.want("repo", "note", everything)
	if len(sum.Unread) == 0 || !strings.Contains(b.log.String(), "refuses the credential;") {
		t.Errorf("nothing says what to do: %+v", sum.Unread)
	}
}

func TestSearchIdentifierIsNotDeletedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.port.PutEntity("someone", `{"blueprint":"repo","identifier":"custom","title":"alpha-api","properties":{}}`)
	b.mapping = doc(strings.Replace(found, `"query":"true"`, `"query":".name == \"alpha-api\""`, 1))
	for range 3 {
		b.resync(resync.StateCompleted)
		b.want("repo", "note", "custom found")
	}
}

func TestIncrementalWritesChangesAndMovesItsCursor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, tasks)
	alpha := b.world.Project("Alpha")
	now := time.Now()
	b.world.Now = func() time.Time { return now.Add(-time.Hour) }
	alpha.AddWorkItem("Bug", "old")
	b.world.Now = time.Now
	changed := alpha.AddWorkItem("Bug", "new")
	sum, err := b.runner().Incremental(t.Context(), 15*time.Minute)
	if err != nil || sum.State != resync.StateCompleted {
		t.Fatalf("Incremental = %+v, %v", sum, err)
	}
	if got := b.port.Entities("task"); len(got) != 1 || got[0].Title != "new" || len(b.port.Entities("repo")) != 0 {
		t.Errorf("tasks %+v and %d repositories, want only the new task", got, len(b.port.Entities("repo")))
	}
	if n := len(b.port.Integration().Cursors); n != 1 {
		t.Errorf("%d cursors, want one", n)
	}
	if n := len(b.port.Integration().States); n != 0 {
		t.Errorf("%d resync states, want none", n)
	}
	changed.Delete()
	b.ado.Fault(ado.Status("POST /{project}/_apis/wit/wiql", 403))
	cursor := fmt.Sprint(b.port.Integration().Cursors)
	if sum, err = b.runner().Incremental(t.Context(), 15*time.Minute); err != nil || sum.State != resync.StateFailed {
		t.Fatalf("Incremental = %+v, %v", sum, err)
	}
	if got := fmt.Sprint(b.port.Integration().Cursors); got != cursor || len(b.port.Entities("task")) != 1 {
		t.Errorf("a failed run moved the cursor from %s to %s, or deleted", cursor, got)
	}
}

func TestEntitiesOfADroppedBlockAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects)
	b.resync(resync.StateCompleted)
	b.mapping = doc(projects)
	sum := b.resync(resync.StateCompleted)
	b.want("repo", "note", "")
	if sum.Total.Deleted != 4 || sum.Unwritten["repo"] != 4 {
		t.Errorf("deleted %d, unwritten %v; want 4 of repo", sum.Total.Deleted, sum.Unwritten)
	}
	var out strings.Builder
	if err := sum.WriteTable(&out, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "4 deleted, ") || !strings.Contains(out.String(), "4 of repo, which no block of the mapping writes any more") {
		t.Errorf("the table does not say so:\n%s", &out)
	}
}
