package preview_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/preview"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// source is a mapping of these blocks.
func source(blocks ...string) *resync.Source {
	return resync.NewSource(resync.SourceConfig{Read: func(context.Context) (json.RawMessage, error) {
		return json.RawMessage(`{"resources":[` + strings.Join(blocks, ",") + `]}`), nil
	}})
}

func block(kind, query, mappings, more string) string {
	return `{"kind":"` + kind + `","selector":{"query":` + string(mustJSON(query)) + `},"port":{` + more + `"entity":{"mappings":` + mappings + `}}}`
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

const (
	good   = `{"identifier":".id","title":".name","blueprint":"\"repo\"","properties":{"branch":".defaultBranch"},"relations":{"project":".project.name"}}`
	faulty = `{"identifier":".id","blueprint":"\"repo\"","properties":{"owner":".own.","size":".name + 5"}}`
)

// show runs the command and returns what it printed.
func show(t *testing.T, o preview.MapOptions) (string, error) {
	t.Helper()
	if o.Limit == 0 {
		o.Limit = 3
	}
	var out bytes.Buffer
	err := preview.Map(t.Context(), o, &out)
	return out.String(), err
}

// from is what shows the records of a text.
func from(o preview.MapOptions, kind string, m *resync.Source, records string) preview.MapOptions {
	o.Kind, o.Source, o.From, o.Input = kind, m, "-", strings.NewReader(records)
	return o
}

var (
	all    = preview.MapOptions{Resource: -1}
	asJSON = preview.MapOptions{Resource: -1, JSON: true}
)

// What is shown is what a resync writes.
func TestMapShowsWhatAResyncWrites(t *testing.T) {
	t.Parallel()
	world := ado.NewWorld("contoso")
	for _, name := range []string{"Alpha", "Beta"} {
		p := world.AddProject(name)
		p.AddRepository(strings.ToLower(name)+"-api").Push("main", ado.Files{"README.md": "# " + name})
		p.AddWorkItem("Bug", "It is <wrong>")
	}
	org := ado.New(ado.Options{World: world, PAT: "pat"})
	t.Cleanup(org.Close)
	target := porttest.New(porttest.Options{})
	t.Cleanup(target.Close)
	target.AddBlueprint(
		`{"identifier":"project","schema":{"properties":{}},"relations":{}}`,
		`{"identifier":"repo","schema":{"properties":{"branch":{"type":"string"},"readme":{"type":"string"}}},"relations":{"project":{"target":"project","many":false,"required":false}}}`,
		`{"identifier":"item","schema":{"properties":{"title":{"type":"string"}}},"relations":{}}`)
	m := source(
		block("repository", `.name | startswith("alpha")`, good, ""),
		block("work-item", "true", `{"identifier":".id | tostring","blueprint":"\"item\"","properties":{"title":".fields.\"System.Title\" | ascii_upcase"}}`, ""))
	client, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: org.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("pat")})
	if err != nil {
		t.Fatal(err)
	}
	api, err := port.New(port.ClientConfig{ClientID: "client-id", ClientSecret: "secret", BaseURL: target.URL, IntegrationType: "azure-devops", Identifier: "ado", Version: "0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		t.Fatal(err)
	}
	runner, err := resync.New(resync.Config{
		Organizations: []*azuredevops.Client{client}, Port: api, Catalog: catalog.New(catalog.Config{Port: api}),
		Mapping: m.Fresh,
	})
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := runner.Full(t.Context(), "test"); err != nil || sum.State != resync.StateCompleted {
		t.Fatalf("the resync ended as %+v, %v", sum, err)
	}
	for kind, blueprint := range map[string]string{"repository": "repo", "work-item": "item"} {
		out, err := show(t, preview.MapOptions{Resource: -1, Kind: kind, Source: m, Organizations: []*azuredevops.Client{client}, JSON: true})
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]gjson.Result{}
		for line := range strings.Lines(out) {
			if e := gjson.Get(line, "entity"); e.IsObject() {
				shown[e.Get("identifier").String()] = e
			}
		}
		written := target.Entities(blueprint)
		if len(written) == 0 || len(shown) != len(written) {
			t.Errorf("%s: %d entities shown, %d written\n%s", kind, len(shown), len(written), out)
		}
		for _, w := range written {
			e := shown[w.Identifier]
			if e.Get("blueprint").String() != blueprint || e.Get("title").String() != w.Title || !mapping.Equal([]byte(e.Get("properties").Raw), w.Properties) ||
				e.Get("relations.project").String() != strings.Join(w.Relation("project"), ",") {
				t.Errorf("shown   %s\nwritten %+v", e.Raw, w)
			}
		}
	}
}

func TestMapJSON(t *testing.T) {
	t.Parallel()
	m := source(
		block("repository", ".archived | not", faulty, ""),
		block("repository", "true |", good, ""),
		block("repository", "true", `{"identifier":".item","blueprint":"\"topic\""}`, `"itemsToParse":".topics",`),
		block("project", "true", good, ""))
	records := `{"id":"r1","name":"a","topics":["x","y"]}` + "\n" + `{"id":2,"archived":true,"topics":5}`
	out, err := show(t, from(asJSON, "repository", m, records))
	if !errors.Is(err, preview.ErrMapping) {
		t.Errorf("error %v, want that something failed", err)
	}
	want := `{"resource":"resources[1]","kind":"repository","id":"","item":0,"selector":{"error":"the block is invalid"},"entity":null,"errors":[{"path":"selector.query","expression":"true |","column":6,"error":"syntax error: unexpected EOF"}]}
{"resource":"resources[0]","kind":"repository","id":"r1","item":0,"selector":true,"entity":{"identifier":"r1","blueprint":"repo","properties":{"size":null}},"errors":[{"path":"properties.size","expression":".name + 5","error":"string (\"a\") and number (5) cannot be added"},{"path":"properties.owner","expression":".own.","column":5,"error":"syntax error: unexpected EOF"}]}
{"resource":"resources[2]","kind":"repository","id":"r1","item":0,"selector":true,"entity":{"identifier":"x","blueprint":"topic"},"errors":[]}
{"resource":"resources[2]","kind":"repository","id":"r1","item":1,"selector":true,"entity":{"identifier":"y","blueprint":"topic"},"errors":[]}
{"resource":"resources[0]","kind":"repository","id":"2","item":0,"selector":false,"entity":null,"errors":[]}
{"resource":"resources[2]","kind":"repository","id":"2","item":0,"selector":{"error":"itemsToParse did not give a list"},"entity":null,"errors":[{"path":"itemsToParse","expression":".topics","error":"itemsToParse did not give a list"}]}
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestMapText(t *testing.T) {
	t.Parallel()
	m := source(block("repository", "true", faulty, ""))
	out, err := show(t, from(all, "repository", m, `{"id":"r1","name":"a"}`))
	if !errors.Is(err, preview.ErrMapping) {
		t.Errorf("error %v", err)
	}
	want := `repository (resources[0]), record r1
  identifier        .id  →  "r1"
  blueprint         "repo"  →  "repo"
  properties.size   .name + 5
                    failed: string ("a") and number (5) cannot be added
  properties.owner  .own.
                        ^ syntax error: unexpected EOF

`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestMapChooses(t *testing.T) {
	t.Parallel()
	m := source(block("repository", "true", good, ""), block("repository", "false", good, ""), block("project", "true", `{"identifier":"file://README.md","blueprint":"\"b\""}`, ""))
	const records = `[{"id":1},{"id":2},{"id":3},{"id":4,"name":"four"}]`
	for _, tt := range []struct {
		name  string
		kind  string
		opt   preview.MapOptions
		in    string
		lines int
		err   string
	}{
		{name: "the first three, for both blocks", kind: "repository", opt: all, in: records, lines: 6},
		{name: "one block", kind: "repository", opt: preview.MapOptions{Resource: 1}, in: records, lines: 3},
		{name: "one record", kind: "repository", opt: preview.MapOptions{Resource: 0, ID: "4"}, in: records, lines: 1},
		{name: "one record by its name", kind: "repository", opt: preview.MapOptions{Resource: 0, ID: "four"}, in: records, lines: 1},
		{name: "an answer of Azure DevOps", kind: "repository", opt: preview.MapOptions{Resource: 0}, in: `{"count":2,"value":` + records + `}`, lines: 3},
		{name: "a mark at the start", kind: "repository", opt: preview.MapOptions{Resource: 0}, in: "\ufeff" + records, lines: 3},
		{name: "files are not missed", kind: "project", opt: all, in: `{"id":1}`, lines: 1},
		{name: "no such record", kind: "repository", opt: preview.MapOptions{Resource: 0, ID: "5"}, in: records, err: "no such record"},
		{name: "no record", kind: "repository", opt: all, in: " ", err: "no such record"},
		{name: "no object", kind: "repository", opt: preview.MapOptions{Resource: 0}, in: `{"id":1} 5`, lines: 1, err: "record 2 of the input: want a JSON object"},
		{name: "cut off", kind: "repository", opt: all, in: `{"id":`, err: "the text ends within it"},
		{name: "another block", kind: "repository", opt: preview.MapOptions{Resource: 2}, in: records, err: "resources[2] of the mapping is no block for repository"},
		{name: "no block", kind: "wiki", opt: all, in: records, err: "it has project, repository"},
		{name: "no kind", kind: "repositry", opt: all, in: records, err: "did you mean repository?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opt.JSON = true
			out, err := show(t, from(tt.opt, tt.kind, m, tt.in))
			if strings.Count(out, "\n") != tt.lines || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q; want %d lines, got\n%s", err, tt.err, tt.lines, out)
			}
		})
	}
}

// What cannot be read is said when there is nothing else.
func TestMapUnread(t *testing.T) {
	t.Parallel()
	org := ado.New(ado.Options{World: ado.NewWorld("contoso"), PAT: "pat"})
	t.Cleanup(org.Close)
	client, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: org.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("wrong")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = show(t, preview.MapOptions{Resource: -1, Kind: "project", Source: source(block("project", "true", good, "")), Organizations: []*azuredevops.Client{client}})
	if !errors.Is(err, azuredevops.ErrUnauthorized) {
		t.Errorf("error %v, want that nobody is signed in", err)
	}
}

// A mapping may come from a file, as a document or as a list of blocks.
func TestMapReadsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"list.yaml":     "- kind: repository\n  selector: {query: true}\n  port: {entity: {mappings: {identifier: .id, blueprint: '\"repo\"'}}}\n",
		"document.json": `{"resources":[` + block("repository", "true", good, "") + `]}`,
		"bad.yaml":      "resources: none",
		"torn.yaml":     "resources: [",
		"empty.yaml":    "",
		"records.json":  `{"id":"1"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"list.yaml": "", "document.json": "", "bad.yaml": "resources: want a list", "torn.yaml": "torn.yaml: ", "empty.yaml": "want an object", "none.yaml": "no such file",
	} {
		o := preview.MapOptions{Resource: -1, JSON: true, Kind: "repository", Source: source(), Directory: dir, Mapping: name, From: filepath.Join(dir, "records.json")}
		out, err := show(t, o)
		if want == "" && (err != nil || !strings.Contains(out, `"identifier":"1"`)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q\n%s", name, err, want, out)
		}
	}
}

// However records are written, they are objects or there is an error.
func FuzzRecords(f *testing.F) {
	for _, in := range []string{`{"id":1}`, `[{"id":1},{}]`, "{}\n{}", `{"count":1,"value":[{}]}`, "\ufeff[]", `[1]`, `{"a":`, `{"count":1,"value":5}`, `[[{}]]`} {
		f.Add(in)
	}
	m := source(block("project", "true", good, ""))
	f.Fuzz(func(t *testing.T, in string) {
		out, err := show(t, from(asJSON, "project", m, in))
		if out == "" && err == nil {
			t.Errorf("%q gives neither records nor an error", in)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%q gives %q, which is no JSON", in, line)
			}
		}
	})
}
