package gitops_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/live/gitops"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	blueprint = `{"identifier":%q,"title":"T","schema":{"properties":{"lang":{"type":"string"},"doc":{"type":"string"},"on":{"type":"boolean"},` +
		`"config":{"type":"object"}},"required":[]},"relations":{"uses":{"target":"service","many":true,"required":false}}}`

	itemsRoute      = "GET /{project}/_apis/git/repositories/{repository}/items"
	repositoryRoute = "GET /{project}/_apis/git/repositories/{repository}"
	refsRoute       = "GET /{project}/_apis/git/repositories/{repository}/refs"
	bulkRoute       = "POST /v1/blueprints/{blueprint}/entities/bulk"
	searchRoute     = "POST /v1/entities/search"
	deleteRoute     = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"

	asGitOps   = "port-ocean/azure-devops/mine/1.2.3/gitops"
	asExporter = "port-ocean/azure-devops/mine/1.2.3/exporter"
	zeros      = "0000000000000000000000000000000000000000"
)

// bench is a repository, a catalog and what stands between them.
type bench struct {
	t       *testing.T
	ado     *ado.Server
	repo    *ado.Repository
	port    *porttest.Server
	org     *azuredevops.Client
	config  gitops.Config
	gitops  *gitops.Gitops
	mapping string
	log     bytes.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	w := ado.NewWorld("contoso")
	b := &bench{t: t, repo: w.AddProject("Payments").AddRepository("checkout"), mapping: `{"resources":[]}`}
	b.ado = ado.NewUnstarted(ado.Options{World: w, PAT: "the-secret"})
	t.Cleanup(b.ado.Close)
	b.port = porttest.NewUnstarted(porttest.Options{KeepBodies: true})
	t.Cleanup(b.port.Close)
	b.port.AddBlueprint(fmt.Sprintf(blueprint, "service"), fmt.Sprintf(blueprint, "tool"))
	var err error
	b.org, err = azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: b.ado.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("the-secret"), Transport: b.ado.Transport(),
		ExcludedTags: []string{"left-out"},
	})
	if err != nil {
		t.Fatal(err)
	}
	api, err := port.New(port.ClientConfig{
		ClientID: "client-id", ClientSecret: "the-secret", BaseURL: "http://port.example", IntegrationType: "azure-devops",
		Identifier: "mine", Version: "1.2.3", Transport: b.port.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.config = gitops.Config{Catalog: catalog.New(catalog.Config{Port: api}), StateDirectory: t.TempDir(), Log: slog.New(slog.NewTextHandler(&b.log, nil))}
	b.restart()
	t.Cleanup(func() {
		if strings.Contains(b.log.String(), "the-secret") {
			t.Error("a secret is in the log")
		}
	})
	return b
}

// restart begins a new process with the same state directory.
func (b *bench) restart() { b.gitops = gitops.New(b.config) }

func (b *bench) memory() string { return filepath.Join(b.config.StateDirectory, "gitops") }

// A told is what a payload says; zero fields are honest.
type told struct{ project, repository, standard, updates string }

// tell is the push that a delivery tells of; nil: none.
func tell(t *testing.T, w told) *gitops.Push {
	t.Helper()
	body := fmt.Sprintf(`{"eventType":"git.push","publisherId":"tfs","resource":{"refUpdates":%s,"repository":{"id":%s,"defaultBranch":%q,"project":{"id":%q}}}}`,
		w.updates, w.repository, w.standard, w.project)
	ev, err := azuredevops.ParseEvent([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var all gitops.Pushes
	all.Add(&ev)
	if len(all.List) == 0 {
		return nil
	}
	return all.List[0]
}

// of is a push to a ref of a repository.
func (b *bench) of(r *ado.Repository, ref, old, now string) *gitops.Push {
	b.t.Helper()
	return tell(b.t, told{
		r.Project().ID, strconv.Quote(r.ID), "refs/heads/forged", fmt.Sprintf(`[{"name":%q,"oldObjectId":%q,"newObjectId":%q}]`, ref, old, now),
	})
}

// push is one to main, whatever the commits.
func (b *bench) push() *gitops.Push {
	b.t.Helper()
	return b.of(b.repo, "refs/heads/main", zeros, strings.Repeat("f", 40))
}

func (b *bench) do(p *gitops.Push) error {
	b.t.Helper()
	return b.doIn(b.t.Context(), p)
}

func (b *bench) doIn(ctx context.Context, p *gitops.Push) error {
	b.t.Helper()
	m, err := mapping.Parse([]byte(b.mapping), mapping.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.gitops.Push(ctx, b.org, p, m, catalog.Cause{Event: catalog.EventLive, ID: "event", Type: "git.push"})
}

func (b *bench) mustDo(p *gitops.Push) {
	b.t.Helper()
	if err := b.do(p); err != nil {
		b.t.Fatal(err)
	}
}

// pushed pushes files and tells GitOps.
func (b *bench) pushed(files ado.Files) *ado.Commit {
	b.t.Helper()
	c := b.repo.Push("main", files)
	b.mustDo(b.push())
	return c
}

// want compares the names of all entities.
func (b *bench) want(want string) {
	b.t.Helper()
	var got []string
	for _, e := range b.port.Entities("") {
		got = append(got, e.Blueprint+"/"+e.Identifier)
	}
	if s := strings.Join(got, " "); s != want {
		b.t.Errorf("catalog has %q, want %q\n%s", s, want, b.log.String())
	}
}

func (b *bench) logged(text string) {
	b.t.Helper()
	if !strings.Contains(b.log.String(), text) {
		b.t.Errorf("log lacks %q: %s", text, b.log.String())
	}
}

const (
	both  = "identifier: a\nblueprint: service\ntitle: A\nproperties: {lang: go}\n---\n- {identifier: b, blueprint: tool, relations: {uses: [a]}}\n"
	onlyA = "identifier: a\nblueprint: service\n"
	onlyB = "identifier: b\nblueprint: tool\n"
)

func TestPushFollowsTheSpec(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pushed(ado.Files{"README.md": "x"})
	b.want("")
	if got := len(b.port.Requests()); got != 0 {
		t.Errorf("%d requests to Port for a repository without a spec", got)
	}
	b.pushed(ado.Files{"port.yml": both})
	b.want("service/a tool/b")
	e, _ := b.port.Entity("service", "a")
	if e.Datasource != asGitOps || e.Property("lang") != `"go"` {
		t.Errorf("a is %s of %s", e.Property("lang"), e.Datasource)
	}
	for _, r := range b.port.Requests(bulkRoute) {
		if r.Query("merge") != "true" || r.Query("create_missing_related_entities") != "true" || r.Query("ocean_info_event_type") != "http_request" {
			t.Errorf("written by %s", r.Path)
		}
	}
	writes := b.port.Writes()
	b.pushed(ado.Files{"README.md": "y"})
	if b.port.Writes() != writes {
		t.Errorf("a push that changes nothing wrote %d entities", b.port.Writes()-writes)
	}
	b.pushed(ado.Files{"port.yml": strings.Replace(both, "go", "rust", 1)})
	if e, _ := b.port.Entity("service", "a"); e.Property("lang") != `"rust"` || b.port.Writes() != writes+1 {
		t.Errorf("lang = %s after %d writes", e.Property("lang"), b.port.Writes()-writes)
	}
	b.pushed(ado.Files{"port.yml": onlyA})
	b.want("service/a")
	if got := b.port.Requests(deleteRoute); len(got) != 1 || got[0].Agent != asGitOps || got[0].Query("delete_dependents") != "true" {
		t.Errorf("deletions: %+v", got)
	}
	b.pushed(ado.Files{"port.yml": ""})
	b.want("")
}

func TestRemovedSpec(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pushed(ado.Files{"port.yml": both, "README.md": "x"})
	b.repo.Remove("main", "port.yml")
	b.mustDo(b.push())
	b.want("")
}

// What comes with file:// is read at the commit of the spec, inside the repository.
func TestFileReferences(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := "properties: {doc: 'file://docs/../docs//a.md', config: file:///c.json, lang: 'see file://x'}\n"
	b.pushed(ado.Files{"port.yml": onlyA + text, "docs/a.md": "# Ä\n", "c.json": `{"n": [1]}`})
	e, _ := b.port.Entity("service", "a")
	if e.Property("doc") != `"# Ä\n"` || e.Property("config") != `{"n":[1]}` || e.Property("lang") != `"see file://x"` {
		t.Errorf("doc %s, config %s, lang %s", e.Property("doc"), e.Property("config"), e.Property("lang"))
	}
	b.pushed(ado.Files{"docs/a.md": "new"})
	if e, _ = b.port.Entity("service", "a"); e.Property("doc") != `"new"` {
		t.Errorf("doc = %s after a push of the file alone", e.Property("doc"))
	}
	for name, files := range map[string]ado.Files{
		"../x is not a file": {"port.yml": onlyA + "properties: {doc: 'file://docs/../../x'}\n---\n" + onlyB},
		"no such file":       {"port.yml": onlyA + "properties: {doc: 'file://nope.md'}\n---\n" + onlyB},
		"not JSON":           {"port.yml": onlyA + "properties: {config: 'file://c.json'}\n---\n" + onlyB, "c.json": "{"},
		"not UTF-8":          {"port.yml": onlyA + "properties: {doc: 'file://docs/a.md'}\n---\n" + onlyB, "docs/a.md": "\xff"},
		"too large":          {"port.yml": onlyA + "properties: {doc: 'file://docs/a.md'}\n---\n" + onlyB, "docs/a.md": strings.Repeat("x", 1<<20+1)},
	} {
		b.log.Reset()
		b.pushed(files)
		b.want("service/a tool/b") // one is left as it is, the other one is written
		b.logged(strings.TrimPrefix(name, "../x "))
		if e, _ := b.port.Entity("service", "a"); e.Property("doc") != `"new"` {
			t.Errorf("%s: doc = %s", name, e.Property("doc"))
		}
	}
}

// Every path that is configured counts, each once, and what they declare counts
// together.
func TestSpecPaths(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ mapping, want string }{
		"default":      {`{"resources":[]}`, "service/a"},
		"text":         {`{"specPath":"deep/x.yaml","resources":[]}`, "tool/b"},
		"list":         {`{"specPath":["port.yml","/deep/./x.yaml","port.yml"],"resources":[]}`, "service/a tool/b"},
		"json":         {`{"specPath":["c.json"],"resources":[]}`, "service/c"},
		"outside":      {`{"specPath":["../port.yml",""],"resources":[]}`, ""},
		"off":          {`{"specPath":[],"resources":[]}`, ""},
		"other branch": {`{"branch":"prod","resources":[]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping = tt.mapping
			b.pushed(ado.Files{"port.yml": onlyA, "deep/x.yaml": onlyB, "c.json": `[{"identifier":"c","blueprint":"service"}]`})
			b.want(tt.want)
		})
	}
}

func TestMovedBetweenSpecs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = `{"specPath":["port.yml","b.yml"],"resources":[]}`
	b.pushed(ado.Files{"port.yml": both})
	b.pushed(ado.Files{"port.yml": onlyA, "b.yml": onlyB})
	b.want("service/a tool/b")
	if got := b.port.Requests(deleteRoute); len(got) != 0 {
		t.Errorf("%d deletions", len(got))
	}
}

// The branch that counts is the one that the mapping names, or that Azure DevOps
// calls the default one; what a payload calls so does not matter.
func TestWatchedBranch(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mapping, ref, standard string
		want                   bool
	}{
		"main":               {`{"resources":[]}`, "refs/heads/main", "refs/heads/dev", true},
		"not main":           {`{"resources":[]}`, "refs/heads/dev", "refs/heads/dev", false},
		"default branch":     {`{"useDefaultBranch":true,"branch":"main","resources":[]}`, "refs/heads/dev", "refs/heads/dev", true},
		"not the default":    {`{"useDefaultBranch":true,"resources":[]}`, "refs/heads/main", "refs/heads/dev", false},
		"forged default":     {`{"useDefaultBranch":true,"resources":[]}`, "refs/heads/forged", "refs/heads/main", false},
		"named":              {`{"useDefaultBranch":false,"branch":"refs/heads/dev","resources":[]}`, "refs/heads/dev", "refs/heads/main", true},
		"with a slash":       {`{"branch":"feature/x","resources":[]}`, "refs/heads/feature/x", "refs/heads/main", true},
		"end of a name":      {`{"branch":"x","resources":[]}`, "refs/heads/feature/x", "refs/heads/main", false},
		"tag":                {`{"resources":[]}`, "refs/tags/main", "refs/heads/main", false},
		"branch like a tag":  {`{"branch":"refs/tags/v1","resources":[]}`, "refs/tags/v1", "refs/heads/main", false},
		"ref without prefix": {`{"resources":[]}`, "main", "refs/heads/main", false},
		"nothing":            {`{"useDefaultBranch":true,"resources":[]}`, "refs/heads/", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.repo.Push("main", ado.Files{"README.md": "x"})
			if strings.HasPrefix(tt.ref, "refs/") && tt.ref != "refs/heads/" {
				b.repo.Push(tt.ref, ado.Files{"port.yml": onlyA})
			}
			b.repo.DefaultBranch = tt.standard
			b.mapping = tt.mapping
			b.mustDo(b.of(b.repo, tt.ref, zeros, strings.Repeat("1", 40)))
			b.want(map[bool]string{true: "service/a"}[tt.want])
		})
	}
}

// A push to a branch that does not count costs at most the question which one does.
func TestOtherBranchesCostNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.repo.Push("main", ado.Files{"port.yml": onlyA})
	b.mustDo(b.of(b.repo, "refs/heads/dev", zeros, zeros))
	if n := len(b.ado.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	b.mapping = `{"useDefaultBranch":true,"resources":[]}`
	b.mustDo(b.of(b.repo, "refs/heads/dev", zeros, zeros))
	if n := b.ado.Calls(refsRoute) + b.ado.Calls(itemsRoute); n != 0 {
		t.Errorf("%d requests for refs and files", n)
	}
}

// A branch that is deleted deletes nothing, but what its spec declared is
// remembered for the branch that comes after it.
func TestDeletedBranch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.pushed(ado.Files{"port.yml": both})
	b.repo.Push("other", ado.Files{"README.md": "x"})
	b.repo.DeleteBranch("main")
	b.mustDo(b.of(b.repo, "refs/heads/main", c.ID, zeros))
	b.want("service/a tool/b")
	b.mustDo(b.push()) // from before
	b.want("service/a tool/b")
	b.pushed(ado.Files{"port.yml": onlyA})
	b.want("service/a")
}

// A repository that is gone, disabled or left out is done: no later try would change
// anything.
func TestGoneRepository(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*bench){
		"deleted":     func(b *bench) { b.repo.Delete() },
		"disabled":    func(b *bench) { b.repo.SetDisabled(true) },
		"gone before": func(b *bench) { b.repo.Delete(); b.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.pushed(ado.Files{"port.yml": both})
			end(b)
			b.mustDo(b.push())
			b.want("service/a tool/b")
			b.logged("gone or left out")
		})
	}
	b := newBench(t)
	b.repo.Project().Tags = []string{"left-out"}
	b.pushed(ado.Files{"port.yml": both})
	b.want("")
	b = newBench(t)
	b.mustDo(tell(t, told{project: strings.Repeat("1", 8) + "-1111-1111-1111-111111111111", repository: strconv.Quote(b.repo.ID), updates: "[]"}))
	b.logged("gone or left out")
}

// Deliveries may be late, coalesced, replayed or forged: the specs count as they are
// now, and the same tip is no work.
func TestLateForgedAndReplayed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := b.pushed(ado.Files{"port.yml": both})
	two := b.repo.Push("main", ado.Files{"port.yml": onlyB})
	three := b.repo.Push("main", ado.Files{"port.yml": onlyA})
	b.mustDo(b.of(b.repo, "refs/heads/main", one.ID, two.ID)) // by now it is three
	b.want("service/a")
	evil := b.repo.Push("evil", ado.Files{"port.yml": "{identifier: evil, blueprint: tool}"})
	files, writes := b.ado.Calls(itemsRoute), len(b.port.Requests())
	for _, p := range [][2]string{{two.ID, three.ID}, {one.ID, three.ID}, {two.ID, evil.ID}, {evil.ID, three.ID}, {zeros, zeros}, {"", "x"}} {
		b.mustDo(b.of(b.repo, "refs/heads/main", p[0], p[1]))
	}
	b.want("service/a")
	if b.ado.Calls(itemsRoute) != files || len(b.port.Requests()) != writes {
		t.Error("the same tip was read or written again")
	}
	b.restart()
	b.mustDo(b.push())
	b.want("service/a")
}

// An old commit of a payload is no authority, be it of this repository or of another.
func TestForeignOldCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := b.repo.Project().AddRepository("other")
	theirs := other.Push("main", ado.Files{"port.yml": "{identifier: theirs, blueprint: tool}"})
	b.mustDo(b.of(other, "refs/heads/main", zeros, theirs.ID))
	aside := b.repo.Push("aside", ado.Files{"port.yml": "{identifier: aside, blueprint: tool}"})
	b.port.PutEntity(asGitOps, `{"identifier":"aside","blueprint":"tool"}`)
	for _, old := range []string{theirs.ID, aside.ID, strings.Repeat("1", 40)} {
		b.repo.Push("main", ado.Files{"port.yml": onlyA, "x": old})
		b.mustDo(b.of(b.repo, "refs/heads/main", old, zeros))
	}
	b.want("service/a tool/aside tool/theirs")
}

func TestForeignEntitiesAreKept(t *testing.T) {
	t.Parallel()
	for name, agent := range map[string]string{
		"exporter": asExporter, "user": "browser", "other installation": "port-ocean/azure-devops/other/1.2.3/gitops",
		"other type": "port-ocean/gitlab/mine/1.2.3/gitops",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.pushed(ado.Files{"port.yml": both})
			b.port.PutEntity(agent, `{"identifier":"b","blueprint":"tool"}`)
			b.pushed(ado.Files{"port.yml": onlyA})
			b.want("service/a tool/b")
		})
	}
}

// After an upgrade from the Python integration nothing is remembered: the first push
// applies what is declared and deletes nothing; from then on its entities are ours.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, e := range []string{`{"identifier":"b","blueprint":"tool"}`, `{"identifier":"old","blueprint":"tool"}`} {
		b.port.PutEntity("port-ocean/azure-devops/0.12.2/mine/gitops", e)
	}
	b.repo.Push("main", ado.Files{"port.yml": "{identifier: old, blueprint: tool}"})
	b.pushed(ado.Files{"port.yml": both})
	b.want("service/a tool/b tool/old")
	b.pushed(ado.Files{"port.yml": onlyA})
	b.want("service/a tool/old")
}

func TestRelatedEntitiesAreKept(t *testing.T) {
	t.Parallel()
	const related = "- {identifier: a, blueprint: service}\n- {identifier: c, blueprint: service}\n- {identifier: b, blueprint: tool, relations: {uses: [a]}}\n"
	for missing, want := range map[string]string{"true": "service/a tool/b", "false": "tool/b"} {
		b := newBench(t)
		b.mapping = `{"createMissingRelatedEntities":` + missing + `,"resources":[]}`
		b.pushed(ado.Files{"port.yml": related})
		b.want("service/a service/c tool/b")
		b.port.PutEntity(asGitOps, `{"identifier":"b","blueprint":"tool","relations":{"uses":[]}}`)
		b.pushed(ado.Files{"port.yml": "{identifier: b, blueprint: tool, relations: {uses: " + map[string]string{"true": "[a]", "false": "[]"}[missing] + "}}"})
		b.want(want)
	}
}

// Where Port does not make entities that others refer to, their order in the spec
// does not matter.
func TestOrderOfRelated(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = `{"createMissingRelatedEntities":false,"resources":[]}`
	b.pushed(ado.Files{"port.yml": "- {identifier: b, blueprint: tool, relations: {uses: [a]}}\n- {identifier: a, blueprint: service}\n- {identifier: x, blueprint: nope}\n"})
	b.want("service/a tool/b")
	b.logged("nope/x")
}

// Members that the spec does not name are not sent; null is.
func TestMembers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pushed(ado.Files{"port.yml": "identifier: 7\nblueprint: service\nicon: null\nunknown: 1\nproperties: {'on': yes, lang: null}\n"})
	got := string(b.port.Requests(bulkRoute)[0].Body)
	if want := `{"entities":[{"identifier":"7","icon":null,"blueprint":"service","properties":{"on":true,"lang":null}}]}`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	b.pushed(ado.Files{"port.yml": "- {identifier: m, blueprint: tool, title: One, properties: {lang: go}}\n- {identifier: m, blueprint: tool, title: Two}\n"})
	if e, _ := b.port.Entity("tool", "m"); e.Title != "Two" || e.Property("lang") != `"go"` {
		t.Errorf("declared twice: %s %s", e.Title, e.Property("lang"))
	}
}
