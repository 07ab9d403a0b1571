package gitops_test

import (
	"bytes"
	"fmt"
	"log/slog"
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

	itemsRoute  = "GET /{project}/_apis/git/repositories/{repository}/items"
	refsRoute   = "GET /{project}/_apis/git/repositories/{repository}/refs"
	bulkRoute   = "POST /v1/blueprints/{blueprint}/entities/bulk"
	searchRoute = "POST /v1/entities/search"
	deleteRoute = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"

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
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	var err error
	b.org, err = azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: b.ado.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("the-secret"), Transport: b.ado.Transport(),
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
	b.gitops = gitops.New(gitops.Config{Catalog: catalog.New(catalog.Config{Port: api}), Log: log})
	t.Cleanup(func() {
		if strings.Contains(b.log.String(), "the-secret") {
			t.Error("a secret is in the log")
		}
	})
	return b
}

// between is the push from one commit of main to another.
func (b *bench) between(from, to *ado.Commit) gitops.Push {
	p := gitops.Push{
		Project: b.repo.Project().ID, Repository: b.repo.ID, DefaultBranch: b.repo.DefaultBranch,
		Ref: "refs/heads/main", Old: zeros, New: zeros,
	}
	if from != nil {
		p.Old = from.ID
	}
	if to != nil {
		p.New = to.ID
	}
	return p
}

func (b *bench) do(p gitops.Push) error {
	b.t.Helper()
	m, err := mapping.Parse([]byte(b.mapping), mapping.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.gitops.Push(b.t.Context(), b.org, p, m, catalog.Cause{Event: catalog.EventLive, ID: "event", Type: "git.push"})
}

func (b *bench) mustDo(p gitops.Push) {
	b.t.Helper()
	if err := b.do(p); err != nil {
		b.t.Fatal(err)
	}
}

// pushed pushes files and tells GitOps.
func (b *bench) pushed(files ado.Files) *ado.Commit {
	b.t.Helper()
	old := b.repo.Branch("main")
	c := b.repo.Push("main", files)
	b.mustDo(b.between(old, c))
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
	c := b.pushed(ado.Files{"port.yml": both, "README.md": "x"})
	b.mustDo(b.between(c, b.repo.Remove("main", "port.yml")))
	b.want("")
}

// What comes with file:// is read at the commit of the spec, inside the repository.
func TestFileReferences(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := "properties: {doc: 'file://./docs/../docs//a.md', config: file:///c.json, lang: 'see file://x'}\n"
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

// Every path that is configured counts (S50), each once, and what they declare
// counts together.
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

func TestWatchedBranch(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mapping, ref, standard string
		want                   bool
	}{
		"main":               {`{"resources":[]}`, "refs/heads/main", "refs/heads/dev", true},
		"not main":           {`{"resources":[]}`, "refs/heads/dev", "refs/heads/dev", false},
		"default branch":     {`{"useDefaultBranch":true,"branch":"main","resources":[]}`, "refs/heads/dev", "refs/heads/dev", true},
		"asked for":          {`{"useDefaultBranch":true,"resources":[]}`, "refs/heads/main", "", true},
		"not the default":    {`{"useDefaultBranch":true,"resources":[]}`, "refs/heads/main", "refs/heads/dev", false},
		"named":              {`{"useDefaultBranch":false,"branch":"refs/heads/dev","resources":[]}`, "refs/heads/dev", "", true},
		"with a slash":       {`{"branch":"feature/x","resources":[]}`, "refs/heads/feature/x", "", true},
		"end of a name":      {`{"branch":"x","resources":[]}`, "refs/heads/feature/x", "", false},
		"tag":                {`{"resources":[]}`, "refs/tags/main", "refs/heads/main", false},
		"branch like a tag":  {`{"branch":"refs/tags/v1","resources":[]}`, "refs/tags/v1", "", false},
		"ref without prefix": {`{"resources":[]}`, "main", "refs/heads/main", false},
		"nothing":            {`{"useDefaultBranch":true,"resources":[]}`, "refs/heads/", "refs/heads/", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.repo.Push("main", ado.Files{"README.md": "x"})
			if strings.HasPrefix(tt.ref, "refs/") && tt.ref != "refs/heads/" {
				b.repo.Push(tt.ref, ado.Files{"port.yml": onlyA})
			}
			b.mapping = tt.mapping
			p := gitops.Push{
				Project: b.repo.Project().ID, Repository: b.repo.ID, DefaultBranch: tt.standard, Ref: tt.ref,
				Old: zeros, New: "1111111111111111111111111111111111111111",
			}
			if c := b.repo.Branch(tt.ref); c != nil {
				p.New = c.ID
			}
			b.mustDo(p)
			b.want(map[bool]string{true: "service/a"}[tt.want])
		})
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
	b.mustDo(b.between(c, nil))
	b.want("service/a tool/b")
	late := b.between(c, c) // a delivery from before
	b.mustDo(late)
	b.want("service/a tool/b")
	b.mustDo(b.between(nil, b.repo.Push("main", ado.Files{"port.yml": onlyA})))
	b.want("service/a")
}

// Deliveries may be late, coalesced or repeated: the specs count as they are now.
func TestLateAndCoalesced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := b.pushed(ado.Files{"port.yml": both})
	two := b.repo.Push("main", ado.Files{"port.yml": onlyB})
	three := b.repo.Push("main", ado.Files{"port.yml": onlyA})
	b.mustDo(b.between(one, two)) // by now it is three
	b.want("service/a")
	b.mustDo(b.between(two, three))
	b.mustDo(b.between(one, three))
	b.want("service/a")
	four := b.repo.Push("main", ado.Files{"port.yml": both})
	five := b.repo.Push("main", ado.Files{"port.yml": onlyB})
	_ = four
	b.mustDo(b.between(three, five))
	b.want("tool/b")
	b.mustDo(b.between(two, three)) // driven once more
	b.want("tool/b")
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

// Entities that the Python integration has written are ours.
func TestOtherLayoutIsOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.repo.Push("main", ado.Files{"port.yml": both})
	b.port.PutEntity("port-ocean/azure-devops/0.12.2/mine/gitops", `{"identifier":"b","blueprint":"tool"}`)
	b.mustDo(b.between(c, b.repo.Push("main", ado.Files{"port.yml": onlyA})))
	b.want("service/a")
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
