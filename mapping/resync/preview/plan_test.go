package preview_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/preview"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// A planBench is an organization and a catalog that is in step with it.
type planBench struct {
	*testing.T
	world    *ado.World
	ado      *ado.Server
	port     *porttest.Server
	state    string // directory
	document string // the mapping in Port
	repos    map[string]*ado.Repository
	pulls    []*ado.PullRequest // 1 to 4
}

const (
	planRepositories = `{"identifier":".name","title":".name","blueprint":"\"repo\"","properties":{"note":".project.name","size":"1"},"relations":{"project":".project.name"}}`
	planProjects     = `{"identifier":".name","title":".name","blueprint":"\"project\"","properties":{"name":".name"}}`
	planPulls        = `{"identifier":".pullRequestId | tostring","title":".title","blueprint":"\"pull\"","properties":{"state":".status"}}`
	reposRoute       = "GET /{project}/_apis/git/repositories"
)

func newPlanBench(t *testing.T) *planBench {
	t.Helper()
	b := &planBench{T: t, world: ado.NewWorld("contoso"), port: porttest.New(porttest.Options{}), state: t.TempDir(), repos: map[string]*ado.Repository{}}
	for _, name := range []string{"Alpha", "Beta"} {
		p := b.world.AddProject(name)
		for _, r := range []string{"api", "web"} {
			id := strings.ToLower(name) + "-" + r
			r := p.AddRepository(id)
			b.repos[id] = r
			r.Push("main", ado.Files{"README.md": "# " + name})
			r.Push("feature", ado.Files{"a": "b"})
			b.pulls = append(b.pulls, r.OpenPullRequest("Feature", "feature", "main"))
		}
	}
	b.ado = ado.New(ado.Options{World: b.world, PAT: "pat"})
	t.Cleanup(b.ado.Close)
	t.Cleanup(b.port.Close)
	b.port.AddBlueprint(
		`{"identifier":"project","schema":{"properties":{"name":{"type":"string"}},"required":["name"]},"relations":{}}`,
		`{"identifier":"repo","schema":{"properties":{"note":{"type":"string"},"size":{"type":"number"},"tier":{"type":"string","enum":["gold"]},"list":{"type":"array"}}},
		  "relations":{"project":{"target":"project","many":false,"required":false},"friends":{"target":"repo","many":true,"required":false}}}`,
		`{"identifier":"pull","schema":{"properties":{"state":{"type":"string"}}},"relations":{}}`)
	b.document = b.mapping("", block("repository", "true", planRepositories, ""), block("project", "true", planProjects, ""), block("pull-request", "true", planPulls, ""))
	b.resync()
	return b
}

func (b *planBench) mapping(root string, blocks ...string) string {
	return `{` + root + `"resources":[` + strings.Join(blocks, ",") + `]}`
}

func (b *planBench) source() *resync.Source {
	return resync.NewSource(resync.SourceConfig{Read: func(context.Context) (json.RawMessage, error) { return json.RawMessage(b.document), nil }})
}

func (b *planBench) config() resync.Config {
	b.Helper()
	client, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: b.ado.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("pat")})
	if err != nil {
		b.Fatal(err)
	}
	api, err := port.New(port.ClientConfig{ClientID: "client-id", ClientSecret: "secret", BaseURL: b.port.URL, IntegrationType: "azure-devops", Identifier: "ado", Version: "0.0.1"})
	if err != nil {
		b.Fatal(err)
	}
	return resync.Config{
		Organizations: []*azuredevops.Client{client}, Port: api, Catalog: catalog.New(catalog.Config{Port: api}), StateDirectory: b.state, SendExamples: true, Mapping: b.source().Fresh,
	}
}

// resync does it.
func (b *planBench) resync() *resync.Summary {
	b.Helper()
	cfg := b.config()
	if err := cfg.Port.Setup(b.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		b.Fatal(err)
	}
	r, err := resync.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	sum, err := r.Full(b.Context(), "test")
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

// file is a file with a mapping.
func (b *planBench) file(text string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "mapping.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// plan runs the command, and demands that it keeps its hands off everything.
func (b *planBench) plan(o preview.PlanOptions) (string, error) {
	b.Helper()
	o.Resync, o.Source = b.config(), b.source()
	before, files, integration := b.entities(), b.files(), string(b.port.Integration().Document)
	b.port.ForgetRequests()
	b.ado.ClearRequests()
	var out bytes.Buffer
	err := preview.Plan(b.Context(), o, &out)
	for _, r := range b.port.Requests() {
		if r.Method != "GET" && !strings.HasSuffix(r.Route, "/search") && !strings.HasSuffix(r.Route, "access_token") && !strings.HasSuffix(r.Route, "datasource-entities") {
			b.Errorf("%s is no reading", r.Route)
		}
	}
	if got := b.files(); got != files {
		b.Errorf("the state directory has\n%s\nand had\n%s", got, files)
	}
	if got := b.entities(); fmt.Sprint(got) != fmt.Sprint(before) || string(b.port.Integration().Document) != integration {
		b.Error("Port is not what it was")
	}
	return out.String(), err
}

func (b *planBench) files() string {
	b.Helper()
	var out strings.Builder
	entries, err := os.ReadDir(b.state)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(b.state, e.Name()))
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %x\n", e.Name(), text)
	}
	return out.String()
}

// entities are the members of all entities, by blueprint/identifier and path.
func (b *planBench) entities() map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, e := range b.port.Entities("") {
		members := map[string]string{"title": string(mustJSON(e.Title))}
		for group, doc := range map[string]json.RawMessage{"properties.": e.Properties, "relations.": e.Relations} {
			gjson.ParseBytes(doc).ForEach(func(name, v gjson.Result) bool {
				members[group+name.Str] = v.Raw
				return true
			})
		}
		out[e.Blueprint+"/"+e.Identifier] = members
	}
	return out
}

// difference is what has happened between two catalogs, in the words of a plan.
func difference(before, after map[string]map[string]string) (out []string) {
	for ref, is := range after {
		was, there := before[ref]
		if !there {
			out = append(out, "create "+ref)
			continue
		}
		var changes []string
		for path, v := range is {
			if was[path] != v {
				changes = append(changes, fmt.Sprintf("%s: %s → %s", path, or(was[path]), or(v)))
			}
		}
		for path, v := range was {
			if _, there := is[path]; !there {
				changes = append(changes, fmt.Sprintf("%s: %s → null", path, v))
			}
		}
		if slices.Sort(changes); len(changes) > 0 {
			out = append(out, "change "+ref+" "+strings.Join(changes, ", "))
		}
	}
	for ref := range before {
		if _, there := after[ref]; !there {
			out = append(out, "delete "+ref)
		}
	}
	slices.Sort(out)
	return out
}

func or(value string) string {
	if value == "" || value == `""` {
		return "null"
	}
	return value
}

// planned are the lines of a plan that change something, the others by their action,
// and the summary.
func (b *planBench) planned(out string) (changes []string, others map[string][]string, summary gjson.Result) {
	b.Helper()
	others = map[string][]string{}
	last := ""
	for line := range strings.Lines(out) {
		v := gjson.Parse(line)
		if summary = v.Get("summary"); summary.Exists() {
			continue
		}
		action, ref := v.Get("action").Str, v.Get("blueprint").Str+"/"+v.Get("identifier").Str
		if key := strings.Replace(ref, "/", "\x00", 1); key <= last {
			b.Errorf("%s comes too late, or twice", ref)
		} else {
			last = key
		}
		switch action {
		case "create", "change":
			if v.Get("kind").Str == "" || !strings.HasPrefix(v.Get("resource").Str, "resources[") {
				b.Errorf("nothing makes %s: %s", ref, line)
			}
			var list []string
			for _, c := range v.Get("changes").Array() {
				list = append(list, fmt.Sprintf("%s: %s → %s", c.Get("path").Str, or(c.Get("from").Raw), or(c.Get("to").Raw)))
			}
			slices.Sort(list)
			changes = append(changes, strings.TrimSpace(action+" "+ref+" "+strings.Join(list, ", ")))
		case "delete":
			changes = append(changes, "delete "+ref)
		default:
			others[action] = append(others[action], ref+": "+v.Get("reason").Str)
		}
	}
	slices.Sort(changes)
	return changes, others, summary
}

// A plan foretells what the resync behind it does.
func TestPlanForetells(t *testing.T) {
	t.Parallel()
	const all = "1" // of entityDeletionThreshold
	repos := func(query, mappings string) string { return block("repository", query, mappings, "") }
	retitled := strings.Replace(planRepositories, `"title":".name"`, `"title":".name + \"!\""`, 1)
	for name, tt := range map[string]struct {
		change    func(b *planBench)
		root      string   // of the mapping
		blocks    []string // of a mapping in a file; nil: that in Port
		want      []string
		err       error
		unchanged int64
	}{
		"in step": {unchanged: 10},
		"changed": {
			change: func(b *planBench) {
				b.world.Project("Alpha").AddRepository("alpha-new").Push("main", ado.Files{"a": "b"})
				b.repos["beta-web"].Delete()
				b.pulls[0].Update(func(p *ado.PullRequest) { p.Title = "Better" })
				b.pulls[3].Complete()
			},
			want: []string{`change pull/1 title: "Feature" → "Better"`, "create repo/alpha-new", "delete pull/4", "delete repo/beta-web"}, err: preview.Changes, unchanged: 7,
		},
		"another mapping": {
			blocks: []string{repos(`.name != "beta-web"`, retitled), block("project", "true", planProjects, "")}, root: `"entityDeletionThreshold":` + all + `,`,
			want: []string{
				`change repo/alpha-api title: "alpha-api" → "alpha-api!"`, `change repo/alpha-web title: "alpha-web" → "alpha-web!"`, `change repo/beta-api title: "beta-api" → "beta-api!"`,
				"delete pull/1", "delete pull/2", "delete pull/3", "delete pull/4", "delete repo/beta-web",
			}, err: preview.Changes, unchanged: 2,
		},
		"another mapping that replaces": {
			blocks: []string{
				repos("true", `{"identifier":".name","blueprint":"\"repo\"","properties":{"size":"2"}}`), block("project", "true", planProjects, ""), block("pull-request", "true", planPulls, ""),
			}, root: `"enableMergeEntity":false,`,
			want: []string{
				`change repo/alpha-api properties.note: "Alpha" → null, properties.size: 1 → 2, relations.project: "Alpha" → null, title: "alpha-api" → null`,
				`change repo/alpha-web properties.note: "Alpha" → null, properties.size: 1 → 2, relations.project: "Alpha" → null, title: "alpha-web" → null`,
				`change repo/beta-api properties.note: "Beta" → null, properties.size: 1 → 2, relations.project: "Beta" → null, title: "beta-api" → null`,
				`change repo/beta-web properties.note: "Beta" → null, properties.size: 1 → 2, relations.project: "Beta" → null, title: "beta-web" → null`,
			}, err: preview.Changes, unchanged: 6,
		},
		"entities that a search finds": {
			blocks: []string{
				repos("true", `{"identifier":{"combinator":"\"and\"","rules":[{"property":"\"$title\"","operator":"\"=\"","value":".name"}]},"blueprint":"\"repo\"","properties":{"size":"if .name == \"beta-web\" then 3 else 1 end"},`+
					`"relations":{"project":{"combinator":"\"and\"","rules":[{"property":"\"name\"","operator":"\"=\"","value":"\"Alpha\""}]}}}`),
				block("project", "true", planProjects, ""), block("pull-request", "true", planPulls, ""),
			},
			want: []string{`change repo/beta-api relations.project: "Beta" → "Alpha"`, `change repo/beta-web properties.size: 1 → 3, relations.project: "Beta" → "Alpha"`}, err: preview.Changes, unchanged: 8,
		},
		"several blocks of one entity": {
			blocks: []string{
				repos("true", strings.Replace(planRepositories, `"size":"1"`, `"size":"7"`, 1)), repos("true", planRepositories),
				repos("true", `{"identifier":".name","blueprint":"\"repo\"","properties":{"tier":"\"gold\""}}`), repos("true", `{"identifier":".name + \"-copy\"","blueprint":"\"repo\"","properties":{"size":"1"}}`),
				repos(`.name == "beta-web"`, `{"identifier":".name + \"-copy\"","blueprint":"\"repo\"","properties":{"size":"2"}}`),
				block("project", "true", planProjects, ""), block("pull-request", "true", planPulls, ""),
			},
			want: []string{
				`change repo/alpha-api properties.tier: null → "gold"`, `change repo/alpha-web properties.tier: null → "gold"`, `change repo/beta-api properties.tier: null → "gold"`, `change repo/beta-web properties.tier: null → "gold"`,
				"create repo/alpha-api-copy", "create repo/alpha-web-copy", "create repo/beta-api-copy", "create repo/beta-web-copy",
			}, err: preview.Changes, unchanged: 6,
		},
		"what nothing refers to any more": {
			blocks: []string{
				repos("true", strings.Replace(planRepositories, `".project.name"}}`, `"\"Alpha\""}}`, 1)), block("project", `.name == "Alpha"`, planProjects, ""), block("pull-request", "true", planPulls, ""),
			},
			want: []string{`change repo/beta-api relations.project: "Beta" → "Alpha"`, `change repo/beta-web relations.project: "Beta" → "Alpha"`, "delete project/Beta"}, err: preview.Changes, unchanged: 7,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPlanBench(t)
			if tt.change != nil {
				tt.change(b)
			}
			o := preview.PlanOptions{JSON: true}
			after := b.document
			if tt.blocks != nil {
				after = b.mapping(tt.root, tt.blocks...)
				o.Mapping = b.file(after)
			}
			out, err := b.plan(o)
			got, others, sum := b.planned(out)
			if !errors.Is(err, tt.err) || !slices.Equal(got, tt.want) || len(others) > 0 {
				t.Errorf("plan, %v:\n%s\nwant\n%s\nothers %v", err, strings.Join(got, "\n"), strings.Join(tt.want, "\n"), others)
			}
			if !sum.Get("complete").Bool() || sum.Get("unchanged").Int() != tt.unchanged {
				t.Errorf("summary %s, want %d unchanged", sum, tt.unchanged)
			}
			before := b.entities()
			b.document = after
			b.resync()
			if did := difference(before, b.entities()); !slices.Equal(did, got) {
				t.Errorf("a resync does\n%s\nthe plan foretold\n%s", strings.Join(did, "\n"), strings.Join(got, "\n"))
			}
		})
	}
}

// What Port would refuse, as far as the blueprint tells.
func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ members, reason string }{
		"a type":                    {`"properties":{"note":"{a:1}"}`, `property "note" is {"a":1}, which is no string`},
		"a number":                  {`"properties":{"size":"\"much\""}`, `property "size" is "much", which is no number`},
		"a list":                    {`"properties":{"list":"{a:1}"}`, `property "list" is {"a":1}, which is no array`},
		"an enum":                   {`"properties":{"tier":"\"tin\""}`, `property "tier" is "tin", which the blueprint does not list among its values`},
		"an unknown property":       {`"properties":{"what":"1"}`, `the blueprint has no property "what"`},
		"an unknown relation":       {`"relations":{"what":".name"}`, `the blueprint has no relation "what"`},
		"a list of related ones":    {`"relations":{"project":"[\"Alpha\",\"Beta\"]"}`, `relation "project" leads to one entity, not to a list`},
		"one for a list of related": {`"relations":{"friends":".name"}`, `relation "friends" wants a list`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPlanBench(t)
			doc := b.mapping("", block("repository", "true", `{"identifier":".name","blueprint":"\"repo\"",`+tt.members+`}`, ""), block("repository", `.name == "beta-web"`, `{"identifier":"\"new\"","blueprint":"\"repo\"",`+tt.members+`}`, ""),
				block("project", "true", planProjects, ""), block("pull-request", "true", planPulls, ""))
			out, err := b.plan(preview.PlanOptions{JSON: true, Mapping: b.file(doc)})
			changes, others, sum := b.planned(out)
			var want []string
			for _, id := range []string{"alpha-api", "alpha-web", "beta-api", "beta-web"} {
				want = append(want, "repo/"+id+": "+tt.reason)
			}
			if err != nil || len(changes) > 0 || !slices.Equal(others["refuse"], want) {
				t.Errorf("plan %v, %v, %v, want %v", err, changes, others, want)
			}
			if n := sum.Get("refusals.0.entities").Int(); n != 5 {
				t.Errorf("%d refusals in all, want 5: %s", n, sum)
			}
			b.document = doc
			before := b.entities()
			if b.resync(); len(difference(before, b.entities())) > 0 {
				t.Errorf("Port takes them: %v", difference(before, b.entities()))
			}
		})
	}
	t.Run("what is required", func(t *testing.T) {
		t.Parallel()
		b := newPlanBench(t)
		doc := b.mapping("", block("project", "true", `{"identifier":".name","blueprint":"\"project\"","properties":{"name":"null"}}`, ""))
		out, _ := b.plan(preview.PlanOptions{JSON: true, Kinds: []string{"project"}, Mapping: b.file(doc)})
		_, others, _ := b.planned(out)
		if want := []string{`project/Alpha: property "name" is required and has no value`, `project/Beta: property "name" is required and has no value`}; !slices.Equal(others["refuse"], want) {
			t.Errorf("refused %v, want %v", others, want)
		}
	})
}

// What could not be read is kept, with the reason.
func TestPlanOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newPlanBench(t)
	b.repos["beta-web"].Delete()
	b.ado.Fault(ado.Status(reposRoute, 403).In(b.world.Project("Beta").ID))
	out, err := b.plan(preview.PlanOptions{JSON: true})
	changes, others, sum := b.planned(out)
	if err != nil || len(changes) > 0 || sum.Get("complete").Bool() || len(sum.Get("problems").Array()) == 0 {
		t.Errorf("plan %v, %v, %s", err, changes, sum)
	}
	kept := strings.Join(others["keep"], "\n")
	for _, ref := range []string{"repo/beta-api", "repo/beta-web"} {
		if !strings.Contains(kept, ref+": ") || !strings.Contains(kept, "could not be read") {
			t.Errorf("%s is not kept:\n%s", ref, kept)
		}
	}
	if _, err := b.plan(preview.PlanOptions{Strict: true}); err == nil || errors.Is(err, preview.Changes) {
		t.Errorf("plan under strict exit: %v", err)
	}
	b.ado.ClearFaults()
}

// What Port holds is not known where it does not answer: nothing is foretold then.
func TestPlanWithoutPort(t *testing.T) {
	t.Parallel()
	b := newPlanBench(t)
	doc := strings.Replace(b.document, `"title":".name"`, `"title":".name + \"!\""`, 1)
	b.port.Fault(porttest.Status("POST /v1/entities/search", 400))
	out, err := b.plan(preview.PlanOptions{JSON: true, Mapping: b.file(doc)})
	changes, _, sum := b.planned(out)
	if err != nil || len(changes) > 0 || sum.Get("complete").Bool() || !strings.Contains(sum.Get("problems").Raw, "what Port holds of repo") {
		t.Errorf("plan %v, %v, %s", err, changes, sum)
	}
	b.port.ClearFaults()
	b.port.Fault(porttest.Status("POST /v1/blueprints/entities/datasource-entities", 400))
	out, err = b.plan(preview.PlanOptions{JSON: true, Mapping: b.file(doc)})
	changes, _, sum = b.planned(out)
	if !errors.Is(err, preview.Changes) || len(changes) != 4 || sum.Get("complete").Bool() {
		t.Errorf("plan without what is ours %v, %v, %s", err, changes, sum)
	}
	b.port.ClearFaults()
}

// What Port has made for a relation is nothing to speak of; what a record made and
// others still refer to is kept.
func TestPlanOfWhatOthersReferTo(t *testing.T) {
	t.Parallel()
	b := newPlanBench(t)
	doc := b.mapping("", block("repository", "true", strings.Replace(planRepositories, `"project":".project.name"`, `"project":"\"Nowhere\""`, 1), ""),
		block("project", "true", planProjects, ""), block("pull-request", "true", planPulls, ""))
	b.document = doc
	b.resync() // makes Nowhere
	out, err := b.plan(preview.PlanOptions{JSON: true})
	if changes, others, sum := b.planned(out); err != nil || len(changes) > 0 || len(others) > 0 || sum.Get("unchanged").Int() != 11 {
		t.Errorf("plan with a placeholder %v, %v, %v, %s", err, changes, others, sum)
	}
	b.document = strings.Replace(b.document, `"\"Nowhere\""`, `"\"Beta\""`, 1)
	b.resync()
	b.document = strings.Replace(b.document, `"kind":"project","selector":{"query":"true"`, `"kind":"project","selector":{"query":".name == \"Alpha\""`, 1)
	out, err = b.plan(preview.PlanOptions{JSON: true})
	if changes, others, _ := b.planned(out); err != nil || len(changes) > 0 || len(others["keep"]) != 1 || !strings.HasPrefix(others["keep"][0], "project/Beta: another entity refers to it") {
		t.Errorf("plan %v, %v, %v", err, changes, others)
	}
}

// More than may go at once is kept, by threshold and by brake.
func TestPlanOfTooMany(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		root  string
		brake bool
	}{"threshold": {`"entityDeletionThreshold":0.1,`, false}, "brake": {"", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPlanBench(t)
			project := b.world.Project("Alpha")
			var more []*ado.Repository
			for i := range 30 {
				r := project.AddRepository(fmt.Sprint("more-", i))
				r.Push("main", ado.Files{"a": "b"})
				more = append(more, r)
			}
			b.document = strings.Replace(b.document, "{", "{"+tt.root, 1)
			b.resync()
			for _, r := range append(more, b.repos["alpha-api"], b.repos["alpha-web"], b.repos["beta-api"]) {
				r.Delete()
			}
			out, err := b.plan(preview.PlanOptions{JSON: true})
			_, others, sum := b.planned(out)
			if err == nil || !errors.Is(err, preview.TooMany) || len(others["keep"]) < 33 || sum.Get("delete").Int() > 5 {
				t.Errorf("plan %v, %d kept, %s", err, len(others["keep"]), sum)
			}
			before := b.entities()
			b.resync()
			for _, line := range difference(before, b.entities()) {
				if strings.HasPrefix(line, "delete repo") {
					t.Errorf("a resync does %s", line)
				}
			}
		})
	}
}

// A plan of some kinds leaves the others alone.
func TestPlanOfKinds(t *testing.T) {
	t.Parallel()
	b := newPlanBench(t)
	b.repos["beta-web"].Delete()
	b.pulls[3].Complete()
	var o preview.PlanOptions
	fs := flag.NewFlagSet("plan", flag.ContinueOnError)
	o.Register(fs)
	if err := fs.Parse([]string{"--kind", "pull-request", "-kind", "project"}); err != nil {
		t.Fatal(err)
	}
	o.JSON = true
	out, err := b.plan(o)
	if changes, _, _ := b.planned(out); !errors.Is(err, preview.Changes) || len(changes) != 1 || changes[0] != "delete pull/4" {
		t.Errorf("plan %v, %v", err, changes)
	}
	if err := os.RemoveAll(filepath.Join(b.state, "origins")); err != nil { // without them it is the blueprint that tells
		t.Fatal(err)
	}
	o.Kinds = []string{"repository"}
	out, err = b.plan(o)
	if changes, _, _ := b.planned(out); !errors.Is(err, preview.Changes) || !slices.Equal(changes, []string{"delete repo/beta-web"}) {
		t.Errorf("plan %v, %v", err, changes)
	}
	o.Kinds = []string{"starship"}
	if _, err := b.plan(o); err == nil || !strings.Contains(err.Error(), "want one of project, pull-request, repository") {
		t.Errorf("plan of a kind that the mapping does not have: %v", err)
	}
}

func TestPlanText(t *testing.T) {
	t.Parallel()
	b := newPlanBench(t)
	b.repos["beta-web"].Delete()
	o := preview.PlanOptions{Detailed: true, Mapping: b.file(`
entityDeletionThreshold: 1
resources:
- kind: repository
  selector: {query: "true"}
  port:
    entity:
      mappings:
        identifier: .name
        title: 'if .name == "alpha-api" then "` + strings.Repeat("long", 40) + `" else .name end'
        blueprint: '"repo"'
        properties: {note: .project., size: 'if .name == "alpha-web" then [1] else 1 end'}
- kind: project
  selector: {query: "true"}
  port: {entity: {mappings: {identifier: .name + .name, blueprint: '"project"', properties: {name: .name}}}}
`)}
	out, err := b.plan(o)
	want := `The mapping does not make these any more:

project
  - Alpha
  - Beta

pull
  - 1
  - 2
  - 3
  - 4

repo
  - beta-web

project
  + AlphaAlpha  (project, resources[1])
  + BetaBeta  (project, resources[1])

repo
  ~ alpha-api  (repository, resources[0])
      title: "alpha-api" → "` + strings.Repeat("long", 19) + `lo…
  ! alpha-web  Port would refuse it: property "size" is [1], which is no number
    beta-api  (repository, resources[0])

`
	if !errors.Is(err, preview.Changes) || !strings.HasPrefix(out, want) || !strings.Contains(out, "Left out of the mapping") ||
		!strings.HasSuffix(out, "\nPlan: 2 to create, 1 to change, 7 to delete, 1 unchanged, 1 that Port would refuse.\n") {
		t.Errorf("plan %v:\n%s\nwant\n%s", err, out, want)
	}
	o.Color, o.Detailed = true, false
	if out, _ := b.plan(o); !strings.Contains(out, "\x1b[31m- beta-web\x1b[0m\n") || strings.Contains(out, "beta-api") {
		t.Errorf("in colours:\n%s", out)
	}
	b.document = "5"
	if _, err := b.plan(preview.PlanOptions{}); err == nil || !strings.Contains(err.Error(), "mapping") {
		t.Errorf("a plan without a mapping: %v", err)
	}
}
