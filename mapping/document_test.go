package mapping_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/mapping"
)

const block = `{"kind":"project","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".id","blueprint":"\"b\""}}}}`

func parse(t *testing.T, doc string, opt mapping.Options) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse([]byte(doc), opt)
	if err != nil {
		t.Fatalf("Parse(%s): %v", doc, err)
	}
	return m
}

func TestParseDefaults(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{}`, `{"resources":null}`, `{"resources":[],"unknown":1}`} {
		m := parse(t, doc, mapping.Options{})
		if !m.DeleteDependentEntities || !m.CreateMissingRelatedEntities || !m.EnableMergeEntity ||
			m.EntityDeletionThreshold != 0.9 || m.Branch != "main" || !slices.Equal(m.SpecPath, []string{"port.yml"}) || m.UseDefaultBranch != nil {
			t.Errorf("Parse(%s) = %+v", doc, m)
		}
	}
}

func TestParseRoot(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"deleteDependentEntities":false,"createMissingRelatedEntities":"no","enableMergeEntity":0,"entityDeletionThreshold":0.5,"specPath":["a","b"],"useDefaultBranch":true,"branch":"dev"}`,
		`{"delete_dependent_entities":false,"create_missing_related_entities":false,"enable_merge_entity":false,"entity_deletion_threshold":"0.5","spec_path":["a","b"],"use_default_branch":"true","branch":"dev"}`,
	} {
		m := parse(t, doc, mapping.Options{})
		if m.DeleteDependentEntities || m.CreateMissingRelatedEntities || m.EnableMergeEntity || m.EntityDeletionThreshold != 0.5 ||
			m.Branch != "dev" || !slices.Equal(m.SpecPath, []string{"a", "b"}) || m.UseDefaultBranch == nil || !*m.UseDefaultBranch {
			t.Errorf("Parse(%s) = %+v", doc, m)
		}
	}
}

func TestParseUnusable(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		``, `[]`, `null`, `{"resources":{}}`, `{"resources":"x"}`, `{"entityDeletionThreshold":null}`, `{"entityDeletionThreshold":2}`,
		`{"enableMergeEntity":"maybe"}`, `{"specPath":{}}`, `{"branch":[]}`, `{"useDefaultBranch":"x"}`, `{"resources":[]`,
	} {
		if m, err := mapping.Parse([]byte(doc), mapping.Options{}); !errors.Is(err, mapping.ErrDocument) {
			t.Errorf("Parse(%s) = %+v, %v, want ErrDocument", doc, m, err)
		}
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, block, path, reason string
		blueprints                []string
		unknown                   bool
	}{
		{"not an object", `5`, "resources[0]", "want an object", nil, true},
		{"no selector", `{"kind":"project","port":{"entity":{"mappings":{"identifier":".id","blueprint":"\"b\""}}}}`, "resources[0].selector", "missing", []string{"b"}, false},
		{"no query", strings.Replace(block, `"query":"true"`, ``, 1), "resources[0].selector.query", "required", []string{"b"}, false},
		{"null query", strings.Replace(block, `"true"`, `null`, 1), "resources[0].selector.query", "required", []string{"b"}, false},
		{"broken query", strings.Replace(block, `"true"`, `".a |"`, 1), "resources[0].selector.query", "syntax error", []string{"b"}, false},
		{"kind", strings.Replace(block, `"project"`, `5`, 1), "resources[0].kind", "want a string", []string{"b"}, false},
		{"bind", strings.Replace(block, `"project"`, `"nope"`, 1), "resources[0].selector", "unknown kind", []string{"b"}, false},
		{"no port", `{"kind":"project","selector":{"query":"true"}}`, "resources[0].port", "missing", nil, true},
		{"no identifier", strings.Replace(block, `"identifier":".id",`, ``, 1), "resources[0].port.entity.mappings.identifier", "missing", []string{"b"}, false},
		{"broken identifier", strings.Replace(block, `".id"`, `"foo("`, 1), "resources[0].port.entity.mappings.identifier", "syntax error", []string{"b"}, false},
		{"computed blueprint", strings.Replace(strings.Replace(block, `"\"b\""`, `".kind"`, 1), `".id"`, `"undefined_function"`, 1), "resources[0].port.entity.mappings.identifier", "not defined", nil, true},
		{"blueprint list", strings.Replace(block, `"\"b\""`, `[]`, 1), "resources[0].port.entity.mappings.blueprint", "want a jq expression", nil, true},
		{"properties list", strings.Replace(block, `"identifier"`, `"properties":[],"identifier"`, 1), "resources[0].port.entity.mappings.properties", "want an object", []string{"b"}, false},
		{"items", strings.Replace(block, `"port":{`, `"port":{"itemsToParse":"][",`, 1), "resources[0].port.itemsToParse", "syntax error", []string{"b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := parse(t, `{"resources":[`+tt.block+`,`+block+`]}`, mapping.Options{Bind: bindProjects})
			if len(m.Resources) != 1 || m.Resources[0].Index != 1 || len(m.Problems) != 1 {
				t.Fatalf("%d resources, problems %v", len(m.Resources), m.Problems)
			}
			p := m.Problems[0]
			if p.Path != tt.path || !strings.Contains(p.Reason, tt.reason) || !slices.Equal(p.Blueprints, tt.blueprints) || p.Unknown != tt.unknown {
				t.Errorf("problem %+v, want path %s, reason with %q, blueprints %q, unknown %v", p, tt.path, tt.reason, tt.blueprints, tt.unknown)
			}
		})
	}
}

func bindProjects(kind string, selector json.RawMessage) ([]string, error) {
	if !json.Valid(selector) {
		return nil, errors.New("selector is not JSON")
	}
	if kind == "nope" {
		return nil, errors.New("unknown kind")
	}
	return []string{"odd"}, nil
}

func TestParseLenient(t *testing.T) {
	t.Parallel()
	doc := `{"resources":[{"selector":{"query":true,"x":1},"port":{"entity":{"mappings":{"identifier":".id","blueprint":"'b'","title":null,"icon":[],
		"properties":{"n":5,"t":true,"skipped":null,"nested":{"a":".a","b":[".b",null]},"bad":"foo(","x":".x | test(\"(?P<n>a)\")"},"relations":null}}}}]}`
	m := parse(t, doc, mapping.Options{Bind: bindProjects})
	if len(m.Resources) != 1 {
		t.Fatalf("problems %v", m.Problems)
	}
	r := m.Resources[0]
	if r.Kind != "release-deployment" || r.KindIndex() != "release-deployment-0" {
		t.Errorf("kind %s", r.Kind)
	}
	if id, ok := r.Blueprint(); id != "b" || !ok {
		t.Errorf("Blueprint() = %q, %v", id, ok)
	}
	if want := []string{"properties.n", "properties.t", "properties.nested", "properties.x"}; !slices.Equal(r.Keys(), want) {
		t.Errorf("Keys() = %q, want %q", r.Keys(), want)
	}
	res, err := r.Map(t.Context(), []byte(`{"id":"1","a":[1.0],"b":"x"}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"identifier":"1","blueprint":"b","properties":{"n":5,"t":true,"nested":{"a":[1.0],"b":["x"]},"x":null},"relations":{}}`
	if got := string(res.Entities[0].Body); got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	text := strings.Join(m.Warnings, "\n")
	for _, part := range []string{"selector: odd", "icon", "properties.skipped", "nested.b[1]", "properties.x: regular expression"} {
		if !strings.Contains(text, part) {
			t.Errorf("warnings lack %q:\n%s", part, text)
		}
	}
}

func TestResourceQuestions(t *testing.T) {
	t.Parallel()
	doc := document("repository", map[string]any{
		"identifier": map[string]any{"combinator": `"and"`, "rules": []any{map[string]any{"property": `"p"`, "operator": `"="`, "value": ".x", "other": "1"}}},
		"blueprint":  "if .a then \"x\" else \"y\" end", "title": "file://README.md", "team": ".t",
		"properties": map[string]any{"a": "file://README.md", "b": "file://docs/x.md"},
		"relations":  map[string]any{"r": map[string]any{"combinator": `"or"`, "rules": []any{}}, "s": ".s"},
	})
	r := resource(t, doc)
	if _, literal := r.Blueprint(); literal {
		t.Error("a computed blueprint is no literal")
	}
	if want := []string{"README.md", "docs/x.md"}; !slices.Equal(r.Files(), want) {
		t.Errorf("Files() = %q", r.Files())
	}
	if want := []string{"title", "team", "properties.a", "properties.b", "relations.r", "relations.s"}; !slices.Equal(r.Keys(), want) {
		t.Errorf("Keys() = %q", r.Keys())
	}
	if !r.UsesSearch() || !slices.Equal(r.SearchRelations(), []string{"r"}) {
		t.Error("searches are not told")
	}
}

// A member whose expression does not compile is left out, and what needs it
// rejects the block: both are said before the first record.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	search := func(value string) map[string]any {
		return map[string]any{"combinator": `"and"`, "rules": []any{map[string]any{"property": `"p"`, "operator": `"="`, "value": value}}}
	}
	const at = "resources[0].port.entity.mappings."
	tests := []struct {
		name  string
		set   map[string]any
		path  string // of what is left out or rejected
		block bool
		body  string
	}{
		{"title", map[string]any{"title": ".a |"}, at + "title", false, `{"identifier":"1","blueprint":"b"}`},
		{"icon", map[string]any{"icon": "("}, at + "icon", false, `{"identifier":"1","blueprint":"b"}`},
		{"team", map[string]any{"team": search("nope(1)")}, at + "team.rules[0].value", false, `{"identifier":"1","blueprint":"b"}`},
		{"property", map[string]any{"properties": map[string]any{"a": ".a", "x": "nope"}}, at + "properties.x", false, `{"identifier":"1","blueprint":"b","properties":{"a":2}}`},
		{"part of a property", map[string]any{"properties": map[string]any{"x": map[string]any{"y": ".a", "z": []any{"}"}}}}, at + "properties.x.z[0]", false, `{"identifier":"1","blueprint":"b","properties":{}}`},
		{"relation", map[string]any{"relations": map[string]any{"r": ".a", "s": ".["}}, at + "relations.s", false, `{"identifier":"1","blueprint":"b","relations":{"r":2}}`},
		{"relation that is a search", map[string]any{"relations": map[string]any{"s": search("$x")}}, at + "relations.s.rules[0].value", false, `{"identifier":"1","blueprint":"b","relations":{}}`},
		{"identifier", map[string]any{"identifier": ".id +"}, at + "identifier", true, ""},
		{"identifier that is a search", map[string]any{"identifier": search("(")}, at + "identifier.rules[0].value", true, ""},
		{"blueprint", map[string]any{"blueprint": "'b"}, at + "blueprint", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mappings := map[string]any{"identifier": ".id", "blueprint": `"b"`}
			maps.Copy(mappings, tt.set)
			m := parse(t, document("k", mappings), mapping.Options{})
			found := m.LeftOut
			if tt.block {
				found = m.Problems
			}
			if len(m.LeftOut)+len(m.Problems) != 1 || len(found) != 1 || found[0].Path != tt.path || found[0].Kind != "k" || found[0].Reason == "" {
				t.Fatalf("problems %v, left out %v, want %s", m.Problems, m.LeftOut, tt.path)
			}
			if tt.block {
				return
			}
			res, err := m.Resources[0].Map(t.Context(), []byte(`{"id":"1","a":2}`), nil, nil)
			if err != nil || len(res.Entities) != 1 || string(res.Entities[0].Body) != tt.body {
				t.Errorf("%+v, %v, want %s", res, err, tt.body)
			}
		})
	}
}
