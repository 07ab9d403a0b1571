// Package deploy_test holds the documents to what the program does: a reader may
// copy every example, follow every link and set every variable that is named.
package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
)

const root = ".."

// documents are the Markdown files of the project, by path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	walk(t, ".md", func(path, text string) {
		if !strings.Contains(path, "testdata/") {
			docs[path] = text
		}
	})
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md", "deploy/KINDS.md", "deploy/CONFIGURATION.md"} {
		if docs[name] == "" {
			t.Fatalf("%s is missing", name)
		}
	}
	return docs
}

// walk reads the files of the project with a suffix.
func walk(t *testing.T, suffix string, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != root:
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, suffix):
			return nil
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		visit(filepath.ToSlash(rel), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The first page stays short enough to be read.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	readme := documents(t)["README.md"]
	if n := strings.Count(readme, "\n"); n > 200 {
		t.Errorf("README.md has %d lines, want at most 200: reference belongs to deploy/", n)
	}
	for _, command := range []string{"go run . demo", "go test ./..."} {
		if !strings.Contains(readme, "\n"+command+"\n") {
			t.Errorf("README.md does not show %q on a line of its own", command)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	fenced  = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	// In a list a block is indented.
	fencedDeeper = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	notSlug      = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the targets of links into a document, as GitHub names them.
func anchors(doc string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(doc, ""), -1) {
		text := strings.ToLower(link.ReplaceAllString(m[1], "]"))
		out = append(out, strings.ReplaceAll(notSlug.ReplaceAllString(text, ""), " ", "-"))
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	for name, doc := range docs {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(doc, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link %s: %v", name, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(docs[target]), anchor) {
				t.Errorf("%s: link %s: %s has no such heading", name, m[1], target)
			}
		}
	}
}

// CONFIGURATION.md has every variable: its tables are generated from the structs
// of the program. Names that end in `__…` or `__*` stand for all that begin so.
func TestVariablesExist(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	row := regexp.MustCompile("(?m)^\\| `([A-Z0-9_*]+)` \\|")
	var known []string
	for _, m := range row.FindAllStringSubmatch(docs["deploy/CONFIGURATION.md"], -1) {
		known = append(known, m[1])
	}
	if len(known) < 80 {
		t.Fatalf("CONFIGURATION.md has %d variables", len(known))
	}
	// Parents that take one JSON value, the prefixes of names, and what is not one any more.
	prefixes := []string{
		"OCEAN__STATE_MEMORY_BYTES", // the deprecated name of another
		"OCEAN__", "OCEAN__EVENT_LISTENER", "OCEAN__HOOKS__", "OCEAN__INTEGRATION__CONFIG__", "OCEAN__ACTIONS_PROCESSOR__",
	}
	named := regexp.MustCompile(`(OCEAN__|APPLICATION__)[A-Z0-9_]*`)
	texts := maps.Clone(docs)
	walk(t, ".yml", func(path, text string) { texts[path] = text })
	walk(t, ".yaml", func(path, text string) { texts[path] = text })
	for name, text := range texts {
		for _, v := range named.FindAllString(text, -1) {
			is := func(k string) bool {
				prefix, many := strings.CutSuffix(k, "*")
				return k == v || many && strings.HasPrefix(v, prefix)
			}
			if !slices.ContainsFunc(known, is) && !slices.Contains(prefixes, v) {
				t.Errorf("%s: there is no variable %s", name, v)
			}
		}
	}
}

func TestYAMLParses(t *testing.T) {
	t.Parallel()
	for name, doc := range documents(t) {
		for _, m := range fencedDeeper.FindAllStringSubmatch(doc, -1) {
			var v any
			if m[1] == "yaml" && yaml.Unmarshal([]byte(m[2]), &v) != nil {
				t.Errorf("%s: this is no YAML:\n%s", name, m[2])
			}
		}
	}
	parse := func(path, text string) {
		if strings.Contains(path, "/templates/") {
			return // of the chart: YAML when Helm has rendered them
		}
		dec := yaml.NewDecoder(strings.NewReader(text))
		for {
			var v any
			if err := dec.Decode(&v); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
		}
	}
	walk(t, ".yml", parse)
	walk(t, ".yaml", parse)
}

// What the tables of troubles and messages quote is what the program says. A
// quotation is cut where something is inserted, at `…` and at numbers.
func TestQuotedMessagesExist(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	walk(t, ".go", func(path, text string) {
		if !strings.HasSuffix(path, "_test.go") {
			code.WriteString(text)
		}
	})
	fromElsewhere := []string{ // the system, and a name put into a sentence
		"no such host", "connection refused", "certificate signed by unknown authority", "address already in use", "sign-in of the service principal",
	}
	quoted, inserted := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`…|[0-9]+|: `)
	for _, name := range []string{"README.md", "deploy/OPERATING.md"} {
		quotes := false
		for line := range strings.Lines(documents(t)[name]) {
			switch {
			case strings.HasPrefix(line, "| You see |"), strings.HasPrefix(line, "| Message |"):
				quotes = true
			case !strings.HasPrefix(line, "|"):
				quotes = false
			}
			if !quotes {
				continue
			}
			cells := strings.Split(line, "|")
			if len(cells) < 3 {
				continue
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
				for _, part := range inserted.Split(m[1], -1) {
					part = strings.TrimSpace(part)
					if !strings.Contains(code.String(), part) && !slices.Contains(fromElsewhere, part) {
						t.Errorf("%s: the program never says %q", name, part)
					}
				}
			}
		}
	}
}

// A section of KINDS.md says all there is: options, events and an example.
func TestEveryKindHasItsSection(t *testing.T) {
	t.Parallel()
	sections := map[string]string{}
	for part := range strings.SplitSeq("\n"+documents(t)["deploy/KINDS.md"], "\n## ") {
		name, text, _ := strings.Cut(part, "\n")
		sections[name] = text
	}
	for _, kind := range azuredevops.Kinds() {
		text, ok := sections[kind]
		if !ok || !strings.Contains(text, "\n- kind: "+kind+"\n") {
			t.Errorf("KINDS.md has no section %s with an example", kind)
			continue
		}
		for _, event := range azuredevops.EventsOf(kind) {
			if !strings.Contains(text, "`"+event+"`") {
				t.Errorf("KINDS.md, %s: the event %s is missing", kind, event)
			}
		}
		for _, option := range options(t, kind) {
			if !regexp.MustCompile("`" + option + "(\\.|\\[|`)").MatchString(text) {
				t.Errorf("KINDS.md, %s: the option %s is missing", kind, option)
			}
		}
	}
}

// A section of KINDS.md names the scopes that listing the kind needs: with those and
// Project and Team nothing is refused, with fewer something is.
func TestScopesOfKinds(t *testing.T) {
	t.Parallel()
	srv := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: azuredevopstest.DemoWorld(1), PAT: "x"})
	defer srv.Close()
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: srv.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("x"), Transport: srv.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	probe, err := c.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const everyKind = "Project and Team (Read)"
	line := regexp.MustCompile(`(?s)\n- Token scope: ([^.;]*?)[.;]`)
	for part := range strings.SplitSeq("\n"+documents(t)["deploy/KINDS.md"], "\n## ") {
		kind, text, _ := strings.Cut(part, "\n")
		if !slices.Contains(azuredevops.Kinds(), kind) {
			continue
		}
		l, _, err := azuredevops.Bind(kind, json.RawMessage(`{"files":{"path":"README.md"},"folders":[{"path":"*"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		want := "Token scope is missing"
		if m := line.FindStringSubmatch(text); m != nil {
			want = strings.Join(strings.Fields(m[1]), " ")
		}
		granted := []string{everyKind}
		for {
			var names []string
			for _, s := range granted {
				name, _, _ := strings.Cut(s, " (")
				names = append(names, name)
			}
			srv.SetScopes(names...)
			seen := probe.Look(t.Context(), l, nil)
			if len(seen.Errors) == 0 {
				break
			}
			scope := azuredevops.ScopeFor(seen.Errors[0])
			if scope == "" || slices.Contains(granted, scope) {
				t.Fatalf("%s: %v", kind, seen.Errors[0])
			}
			granted = append(granted, scope)
		}
		if len(granted) > 1 {
			granted = granted[1:]
		}
		if got := strings.Join(granted, " and "); got != want {
			t.Errorf("KINDS.md, %s: Token scope is %q, and it needs %q", kind, want, got)
		}
	}
}

// options are those of a kind's selector: the key of a listing names them all.
func options(t *testing.T, kind string) []string {
	t.Helper()
	l, _, err := azuredevops.Bind(kind, json.RawMessage(`{"files":{"path":"a"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for name := range gjson.Get(strings.TrimPrefix(l.Key, kind+" "), "@this").Map() {
		if name != "defaultTeam" || kind == "project" { // accepted by others without effect
			out = append(out, name)
		}
	}
	return out
}

// An example is a document with resources, or some blocks of one.
type example struct {
	document string
	mapping  *mapping.Mapping
}

// examples are the mappings in the documents, compiled.
func examples(t *testing.T) []example {
	t.Helper()
	var out []example
	for name, doc := range documents(t) {
		for _, m := range fenced.FindAllStringSubmatch(doc, -1) {
			if m[1] != "yaml" || !strings.Contains(m[2], "kind:") || strings.Contains(m[2], "workload:") { // values of a chart
				continue
			}
			var v any
			if err := yaml.Unmarshal([]byte(m[2]), &v); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if blocks, ok := v.([]any); ok {
				v = map[string]any{"resources": blocks}
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compiled, err := mapping.Parse(text, mapping.Options{Bind: func(kind string, selector json.RawMessage) ([]string, error) {
				_, warnings, err := azuredevops.Bind(kind, selector)
				return warnings, err
			}})
			if err != nil {
				t.Errorf("%s: %v in\n%s", name, err, m[2])
				continue
			}
			for _, p := range compiled.Problems {
				t.Errorf("%s: %s in\n%s", name, p, m[2])
			}
			for _, w := range compiled.Warnings {
				t.Errorf("%s: %s in\n%s", name, w, m[2])
			}
			out = append(out, example{name, compiled})
		}
	}
	return out
}

// Every mapping in the documents makes entities of the simulated organization, and
// each of its expressions gives something for some record.
func TestMappingExamplesWork(t *testing.T) {
	t.Parallel()
	server := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: azuredevopstest.DemoWorld(1), PAT: "secret"})
	client, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: server.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("secret"), Transport: server.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := client.Snapshot()
	for _, e := range examples(t) {
		for _, r := range e.mapping.Resources {
			t.Run(e.document+" "+r.Kind, func(t *testing.T) {
				checkExample(t, snapshot, r)
			})
		}
	}
}

// identifier is what Port accepts as one.
var identifier = regexp.MustCompile(`^[\p{L}0-9@_.+:\\/=-]{1,1000}$`)

func checkExample(t *testing.T, s *azuredevops.Snapshot, r *mapping.Resource) {
	t.Helper()
	l, _, err := azuredevops.Bind(r.Kind, r.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var report mapping.Report
	entities := 0
	for rec, err := range l.Records(t.Context(), s, azuredevops.ListOptions{Files: r.Files()}) {
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.Map(context.Background(), rec.JSON, rec.Files, &report)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range res.Entities {
			if !identifier.MatchString(e.Identifier) {
				t.Fatalf("Port refuses the identifier %q", e.Identifier)
			}
		}
		entities += len(res.Entities)
	}
	if entities == 0 {
		t.Error("no entities")
	}
	for path, x := range report.Expressions {
		if x.Errors > 0 {
			t.Errorf("%s: %s fails for %d records: %s", path, x.Expression, x.Errors, x.FirstError)
		}
		if x.Null >= entities {
			t.Errorf("%s: %s is null for all records", path, x.Expression)
		}
	}
}
