package mapping_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/mapping"
)

var update = flag.Bool("update", false, "rewrite testdata/*/entities.golden")

// TestGolden maps testdata/<kind>/records.json by resource.json and compares
// with entities.golden; review the diff after -update.
func TestGolden(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/*/resource.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			block, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := resource(t, `{"resources":[`+string(block)+`]}`)
			got := mapAll(t, r, filepath.Join(dir, "records.json"))
			golden := filepath.Join(dir, "entities.golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s:\n%s\nwant:\n%s", golden, got, want)
			}
		})
	}
}

func mapAll(t *testing.T, r *mapping.Resource, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var records []json.RawMessage
	if err := json.Unmarshal(data, &records); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	rep := &mapping.Report{}
	var sum mapping.Result
	for _, rec := range records {
		res, err := r.Map(t.Context(), rec, nil, rep)
		if err != nil {
			t.Fatal(err)
		}
		sum.Items += res.Items
		sum.Filtered += res.Filtered
		sum.Faulty += res.Faulty
		sum.SelectorErrors += res.SelectorErrors
		for _, e := range res.Entities {
			fmt.Fprintf(&out, "%s\n", e.Body)
		}
	}
	fmt.Fprintf(&out, "items %d, filtered %d, faulty %d, selector errors %d\n", sum.Items, sum.Filtered, sum.Faulty, sum.SelectorErrors)
	for _, line := range lines(rep) {
		fmt.Fprintln(&out, line)
	}
	return out.String()
}

// body maps one record by one property.
func body(t *testing.T, mappings map[string]any, rec string) string {
	t.Helper()
	if _, ok := mappings["identifier"]; !ok {
		mappings["identifier"], mappings["blueprint"] = `"i"`, `"b"`
	}
	res, err := resource(t, document("project", mappings)).Map(t.Context(), []byte(rec), nil, nil)
	if err != nil || len(res.Entities) != 1 {
		t.Fatalf("Map(%s) = %+v, %v", rec, res, err)
	}
	return strings.TrimPrefix(string(res.Entities[0].Body), `{"identifier":"i",`)
}

func TestSelector(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query                    string
		entities, filtered, errs int
	}{
		{"true", 1, 0, 0},
		{"false", 0, 1, 0},
		{".t", 1, 0, 0},
		{".f", 0, 1, 0},
		{"null", 0, 0, 1},
		{".missing", 0, 0, 1},
		{"1", 0, 0, 1},
		{`"true"`, 0, 0, 1},
		{"empty", 0, 0, 1},
		{"select(false)", 0, 0, 1},
		{`.t | startswith("x")`, 0, 0, 1},
		{".t and .missing", 0, 1, 0},
		{".a == 'x'", 1, 0, 0},
		{".a=='y'", 0, 1, 0},
		{"true, false", 1, 0, 0},
		{"file://x", 0, 0, 1},
	}
	for _, tt := range tests {
		doc := fmt.Sprintf(`{"resources":[{"kind":"k","selector":{"query":%q},"port":{"entity":{"mappings":{"identifier":"\"i\"","blueprint":"\"b\""}}}}]}`, tt.query)
		rep := &mapping.Report{}
		res, err := resource(t, doc).Map(t.Context(), []byte(`{"id":7,"t":true,"f":false,"a":"x"}`), nil, rep)
		if err != nil || len(res.Entities) != tt.entities || res.Filtered != tt.filtered || res.SelectorErrors != tt.errs || res.Items != 1 {
			t.Errorf("query %s: %+v, %v", tt.query, res, err)
		}
		if x := rep.Expressions["selector.query"]; tt.errs > 0 && (x == nil || x.Errors != 1 || x.Sample != "7") {
			t.Errorf("query %s: report %+v", tt.query, x)
		}
	}
}

func TestFaulty(t *testing.T) {
	t.Parallel()
	for _, id := range []string{`null`, `""`, `0`, `0.0`, `false`, `[]`, `{}`, `.missing`, `empty`, `error("x")`, `-0`} {
		for _, m := range []map[string]any{{"identifier": id, "blueprint": `"b"`}, {"identifier": `"i"`, "blueprint": id}} {
			res, err := resource(t, document("k", m)).Map(t.Context(), []byte(`{}`), nil, nil)
			if err != nil || res.Faulty != 1 || len(res.Entities) != 0 {
				t.Errorf("%v: %+v, %v", m, res, err)
			}
		}
	}
	if got := body(t, map[string]any{"identifier": `5`, "blueprint": `"b"`}, `{}`); got != `{"identifier":5,"blueprint":"b"}` {
		t.Errorf("a number identifies: %s", got)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	const rec = `{"n":1.0,"big":9007199254740993,"e":1e3,"d":1.50,"tiny":0.0000001,"s":"<é>\u0041","l":[1,{"b":2,"a":1}],"o":{"z":1,"a":null},"z":null,"esc":"\ud800x"}`
	tests := []struct{ expr, want string }{
		{`.n`, `1.0`},
		{`.n + 1`, `2`},
		{`.big`, `9007199254740993`},
		{`.big + 0`, `9007199254740992`},
		{`{v: .big}`, `{"v":9007199254740993}`},
		{`.e`, `1e3`},
		{`.e | tostring`, `"1000.0"`},
		{`.d | tostring`, `"1.5"`},
		{`.n | tostring`, `"1.0"`},
		{`.d | "\(.)" + (1.50 | tostring)`, `"1.51.50"`},
		{`.big | tostring`, `"9007199254740993"`},
		{`.tiny | tojson`, `"1E-7"`},
		{`.s`, `"<é>\u0041"`},
		{`.s + "!"`, `"<é>A!"`},
		{`.l`, `[1,{"b":2,"a":1}]`},
		{`.l[1]`, `{"b":2,"a":1}`},
		{`.o`, `{"z":1,"a":null}`},
		{`.o | keys`, `["a","z"]`},
		{`.o | keys_unsorted`, `["z","a"]`},
		{`.z`, `null`},
		{`.missing`, `null`},
		{`.s.x`, `null`},
		{`nan`, `null`},
		{`infinite`, `1.7976931348623157e+308`},
		{`-infinite`, `-1.7976931348623157e+308`},
		{`1.0`, `1`},
		{`1e3`, `1000`},
		{`9007199254740993`, `9007199254740992`},
		{`empty`, `null`},
		{`1, error("x")`, `1`},
		{`error("x")`, `null`},
		{`.esc`, `"` + "\uFFFD" + `x"`},
		{`"a" // 1`, `"a"`},
		{`.z // "d"`, `"d"`},
		{`.missing.x // 'd'`, `"d"`},
		{`.s // "d"`, `"<é>\u0041"`},
		{`.s.x // "d"`, `null`},
		{`now | type`, `"number"`},
		{`halt`, `null`},
		{`0 * -1`, `0`},
	}
	for _, tt := range tests {
		got := body(t, map[string]any{"properties": map[string]string{"p": tt.expr}}, rec)
		if want := `"blueprint":"b","properties":{"p":` + tt.want + `}}`; got != want {
			t.Errorf("%s: %s, want %s", tt.expr, got, want)
		}
	}
}

func TestWholeRecord(t *testing.T) {
	t.Parallel()
	tests := []struct{ rec, want string }{
		{`{"b":1.50,"a":[]}`, `{"b":1.50,"a":[]}`},
		{`{ "b" : 1 }`, `{ "b" : 1 }`},
		{`{"id":1,"x":2,"id":3}`, `{"id":3,"x":2}`},
		{"{\"id\":\"\xff\"}", "{\"id\":\"\uFFFD\"}"},
		{`{"id":"\ud83d\ude00"}`, `{"id":"😀"}`},
	}
	for _, tt := range tests {
		got := body(t, map[string]any{"properties": map[string]string{"raw": ".", "id": ".id"}}, tt.rec)
		if want := `"raw":` + tt.want + `}`; !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", tt.rec, got, want)
		}
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key  string
		expr any
		want string
	}{
		{"icon", `"Git"`, `"Git"`},
		{"icon", `5`, `"5"`},
		{"icon", `null`, `null`},
		{"icon", `{a: 1}`, `null`},
		{"icon", `[1]`, `null`},
		{"icon", `.t`, `"True"`},
		{"team", `"a"`, `"a"`},
		{"team", `["a","b"]`, `["a","b"]`},
		{"team", `1.5`, `"1.5"`},
		{"team", `null`, `null`},
		{"title", `5`, `5`},
		{"title", `{a: 1}`, `{"a":1}`},
		{
			"team",
			map[string]any{"combinator": `"and"`, "rules": []any{map[string]any{"property": `"$team"`, "operator": `"="`, "value": `.x`}}},
			`{"combinator":"and","rules":[{"property":"$team","operator":"=","value":"v"}]}`,
		},
	}
	for _, tt := range tests {
		got := body(t, map[string]any{tt.key: tt.expr}, `{"t":true,"x":"v"}`)
		if !strings.Contains(got, `"`+tt.key+`":`+tt.want) {
			t.Errorf("%s %v: %s, want %s", tt.key, tt.expr, got, tt.want)
		}
	}
}

func TestRelations(t *testing.T) {
	t.Parallel()
	r := resource(t, document("k", map[string]any{"identifier": `"i"`, "blueprint": `"b"`, "relations": map[string]any{
		"a": `.one`, "b": `.many`, "c": `null`, "d": map[string]any{"combinator": `"and"`, "rules": []any{map[string]any{"property": `"p"`, "operator": `"="`, "value": `.one`}}},
	}}))
	res, err := r.Map(t.Context(), []byte(`{"one":"x\u00e9","many":["y","z"]}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := res.Entities[0]
	if got := fmt.Sprint(e.Relations); got != "[{a [xé]} {b [y z]} {c []} {d []}]" || !e.Search {
		t.Errorf("Relations = %s, Search %v", got, e.Search)
	}
	want := `{"identifier":"i","blueprint":"b","relations":{"a":"x\u00e9","b":["y","z"],"c":null,"d":{"combinator":"and","rules":[{"property":"p","operator":"=","value":"x\u00e9"}]}}}`
	if string(e.Body) != want {
		t.Errorf("body %s, want %s", e.Body, want)
	}
}

func TestSearchIdentifier(t *testing.T) {
	t.Parallel()
	r := resource(t, document("k", map[string]any{"blueprint": `"b"`, "identifier": map[string]any{
		"combinator": `"or"`, "rules": []any{map[string]any{"combinator": `"and"`, "rules": []any{map[string]any{"property": `"p"`, "operator": `"="`, "value": `.x`, "junk": "1"}}}},
	}}))
	res, err := r.Map(t.Context(), []byte(`{"x":1}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := res.Entities[0]
	want := `{"identifier":{"combinator":"or","rules":[{"combinator":"and","rules":[{"property":"p","operator":"=","value":1}]}]},"blueprint":"b"}`
	if string(e.Body) != want || e.Identifier != "" || !e.Search {
		t.Errorf("entity %q %v %s, want %s", e.Identifier, e.Search, e.Body, want)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	r := resource(t, document("k", map[string]any{"identifier": `"i"`, "blueprint": `"b"`, "title": "file://T", "properties": map[string]any{
		"a": "file://A", "b": "file://B", "c": "file://C", "d": map[string]any{"x": "file://C", "y": []any{"file://C", "1"}},
	}}))
	text := "# Ü\n"
	rep := &mapping.Report{}
	res, err := r.Map(t.Context(), []byte(`{}`), map[string]*string{"A": &text, "B": nil}, rep)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"identifier":"i","blueprint":"b","properties":{"a":"# Ü\n","b":null,"d":{"y":[null,1]}}}`
	if got := string(res.Entities[0].Body); got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	if x := rep.Expressions["properties.c"]; x == nil || x.Errors != 1 || rep.Expressions["title"].Errors != 1 {
		t.Errorf("report %v", lines(rep))
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, port, rec string
		bodies          []string
		faulty          int
	}{
		{"path", `"itemsToParse":".l"`, `{"id":1,"l":["a",{"x":1.50}]}`, []string{`{"id":1,"item":"a"}`, `{"id":1,"item":{"x":1.50}}`}, 0},
		{"name", `"itemsToParse":".l","itemsToParseName":"it"`, `{"it":0,"l":["a"]}`, []string{`{"it":"a"}`}, 0},
		{"keep", `"itemsToParse":".l","itemsToParseTopLevelTransform":false`, `{"l":["a"]}`, []string{`{"l":["a"],"item":"a"}`}, 0},
		{"only list", `"itemsToParse":".l"`, `{"l":["a"]}`, []string{`{"item":"a"}`}, 0},
		{"snake case", `"items_to_parse":".l","items_to_parse_name":"x"`, `{"l":[1]}`, []string{`{"x":1}`}, 0},
		{"deep", `"itemsToParse":".f.\"S.T\" | split(\"; \")"`, `{"f":{"S.T":"a; b","u":1}}`, []string{`{"f":{"u":1},"item":"a"}`, `{"f":{"u":1},"item":"b"}`}, 0},
		{"computed", `"itemsToParse":"[.a,.b]"`, `{"a":1,"b":2}`, []string{`{"a":1,"b":2,"item":1}`, `{"a":1,"b":2,"item":2}`}, 0},
		{"empty", `"itemsToParse":".l"`, `{"l":[]}`, nil, 0},
		{"no list", `"itemsToParse":".l"`, `{"l":"x"}`, nil, 1},
		{"missing", `"itemsToParse":".l"`, `{}`, nil, 1},
		{"failed", `"itemsToParse":".l | map(.x)"`, `{"l":[1]}`, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc := `{"resources":[{"kind":"k","selector":{"query":"true"},"port":{` + tt.port + `,"entity":{"mappings":{"identifier":"\"i\"","blueprint":"\"b\"","properties":{"r":"."}}}}}]}`
			res, err := resource(t, doc).Map(t.Context(), []byte(tt.rec), nil, nil)
			if err != nil || res.Faulty != tt.faulty || len(res.Entities) != len(tt.bodies) {
				t.Fatalf("%+v, %v", res, err)
			}
			for i, e := range res.Entities {
				if want := `{"identifier":"i","blueprint":"b","properties":{"r":` + tt.bodies[i] + `}}`; string(e.Body) != want {
					t.Errorf("item %d: %s, want %s", i, e.Body, want)
				}
			}
		})
	}
}

// The selector sees the item.
func TestItemsSelector(t *testing.T) {
	t.Parallel()
	doc := `{"resources":[{"kind":"k","selector":{"query":".item > 1"},"port":{"itemsToParse":".l","entity":{"mappings":{"identifier":".item|tostring","blueprint":"\"b\""}}}}]}`
	res, err := resource(t, doc).Map(t.Context(), []byte(`{"l":[1,2,3]}`), nil, nil)
	if err != nil || res.Items != 3 || res.Filtered != 1 || len(res.Entities) != 2 || res.Entities[1].Identifier != "3" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestMapFails(t *testing.T) {
	t.Parallel()
	endless := `last(range(infinite))`
	slow := document("k", map[string]any{"identifier": `"i"`, "blueprint": `"b"`, "properties": map[string]string{"p": endless, "q": endless, "r": endless}})
	m := parse(t, slow, mapping.Options{ItemTimeout: 20 * time.Millisecond})
	if _, err := m.Resources[0].Map(t.Context(), []byte(`{}`), nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := resource(t, slow).Map(ctx, []byte(`{}`), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, rec := range []string{``, `[]`, `5`, `{"a"`, `{"a":1`, `{"a":1}x`, `{"a" 1}`, `{"a":}`, `{,}`} {
		if res, err := resource(t, workItemMapping()).Map(t.Context(), []byte(rec), nil, nil); err == nil {
			t.Errorf("Map(%q) = %+v, want an error", rec, res)
		}
	}
}

// TestLimits hits limits in one place of a mapping after the other: the other
// expressions go on, and an entity that is lost may be one that Port has.
func TestLimits(t *testing.T) {
	t.Parallel()
	const good = `"identifier":"1","blueprint":"b"`
	endless := `reduce range(60) as $i ([1]; [., .]) | last(..)`
	for _, bad := range []string{
		endless, `"x" * 1000000000`, `reduce range(4100000) as $i (null; [.])`,
		`("x" * 16000000) as $x | [range(100) | $x]`, `reduce range(40) as $i ([1]; [., .])`,
	} {
		timeout := time.Minute
		if bad == endless {
			timeout = time.Second // of which an expression gets half
		}
		tests := []struct {
			path, body string
		}{
			{"properties.p", `{` + good + `,"title":"t","properties":{"p":null,"q":7}}`},
			{"title", `{` + good + `,"title":null,"properties":{"q":7}}`},
			{"identifier", ""},
			{"blueprint", ""},
			{"selector.query", ""},
			{"itemsToParse", ""},
		}
		if strings.HasPrefix(bad, "reduce range(4") { // which take a moment
			tests = tests[:1]
		}
		for _, tt := range tests {
			mappings := map[string]any{"identifier": ".id", "blueprint": `"b"`, "title": `"t"`}
			properties, selector := map[string]any{"q": "7"}, map[string]any{"query": "true"}
			port := map[string]any{"entity": map[string]any{"mappings": mappings}}
			mappings["properties"] = properties
			group, name, nested := strings.Cut(tt.path, ".")
			switch {
			case group == "selector":
				selector["query"] = bad
			case group == "itemsToParse":
				port[group] = bad
			case nested:
				properties[name] = bad
			default:
				mappings[group] = bad
			}
			doc, err := json.Marshal(map[string]any{"resources": []any{map[string]any{"kind": "k", "selector": selector, "port": port}}})
			if err != nil {
				t.Fatal(err)
			}
			rep := &mapping.Report{}
			m := parse(t, string(doc), mapping.Options{ItemTimeout: timeout})
			res, err := m.Resources[0].Map(t.Context(), []byte(`{"id":"1"}`), nil, rep)
			if err != nil {
				t.Errorf("%s in %s: %v", bad, tt.path, err)
				continue
			}
			if x := rep.Expressions[tt.path]; x == nil || x.Errors != 1 {
				t.Errorf("%s in %s is not reported: %q", bad, tt.path, lines(rep))
			}
			switch {
			case tt.body == "" && (res.SelectorErrors != 1 || len(res.Entities) != 0):
				t.Errorf("%s in %s: %+v, want an item that is not known", bad, tt.path, res)
			case tt.body != "" && (len(res.Entities) != 1 || string(res.Entities[0].Body) != tt.body):
				t.Errorf("%s in %s: %.300v, want %s", bad, tt.path, res.Entities, tt.body)
			}
		}
	}
}

// A slowContext lets time pass whenever the clock is looked at, in a bubble of synctest.
type slowContext struct{ context.Context } //nolint:containedctx // of a test

func (c slowContext) Err() error {
	time.Sleep(time.Millisecond)
	return c.Context.Err()
}

// An expression that runs out of time again and again is given up.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	doc := document("k", map[string]any{"identifier": ".id", "blueprint": `"b"`, "properties": map[string]string{"p": `last(range(infinite))`}})
	synctest.Test(t, func(t *testing.T) {
		const records, timeout = 1000, 20 * time.Millisecond
		r, rep := parse(t, doc, mapping.Options{ItemTimeout: timeout}).Resources[0], &mapping.Report{}
		begun := time.Now()
		for range records {
			if _, err := r.Map(slowContext{t.Context()}, []byte(`{"id":"1"}`), nil, rep); err != nil {
				t.Fatal(err)
			}
		}
		if x := rep.Expressions["properties.p"]; x.Errors != records {
			t.Errorf("%d errors, want %d", x.Errors, records)
		}
		if took := time.Since(begun); took > records*timeout/10 {
			t.Errorf("it was tried for %s", took)
		}
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := resource(t, document("k", map[string]any{"identifier": `.id`, "blueprint": `"b"`, "title": `.t`, "properties": map[string]any{"p": `.s | tonumber`, "q": map[string]string{"x": `.q.r`}}}))
	rep, other := &mapping.Report{}, &mapping.Report{}
	for i, x := range []*mapping.Report{rep, rep, other} {
		if _, err := r.Map(t.Context(), []byte(fmt.Sprintf(`{"id":"e%d","s":"x","q":1}`, i)), nil, x); err != nil {
			t.Fatal(err)
		}
	}
	rep.Merge(other)
	want := []string{
		`properties.p: failed 3 times, no value 3 times, first for "e0": .s | tonumber: string ("x") cannot be parsed as a number`,
		`properties.q.x: failed 3 times, no value 3 times, first for "e0": .q.r: Cannot index number with string ("r")`,
		`title: no value 3 times, first for "e0": .t`,
	}
	if got := lines(rep); !slices.Equal(got, want) {
		t.Errorf("Lines() = %q, want %q", got, want)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	r, rec := resource(t, document("k", map[string]any{
		"identifier": `.id | tostring`, "blueprint": `"b"`,
		"properties": map[string]string{"a": `del(.fields) | length`, "b": `.fields | to_entries | length`, "c": `.fields."System.Title" | test("(?<=sign )in")`, "d": "."},
	})), record(t, "work-item")
	before := string(rec)
	want, err := r.Map(t.Context(), rec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				got, err := r.Map(t.Context(), rec, nil, nil)
				if err != nil || string(got.Entities[0].Body) != string(want.Entities[0].Body) {
					t.Errorf("Map = %+v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if string(rec) != before {
		t.Error("the record was changed")
	}
}

// env shows what Options.Environ gives, and nothing without it.
func TestEnviron(t *testing.T) {
	t.Parallel()
	doc := document("k", map[string]any{"identifier": `env.HOME // "none"`, "blueprint": `"b"`})
	for want, opt := range map[string]mapping.Options{"none": {}, "/h": {Environ: func() []string { return []string{"HOME=/h"} }}} {
		res, err := parse(t, doc, opt).Resources[0].Map(t.Context(), []byte(`{}`), nil, nil)
		if err != nil || res.Entities[0].Identifier != want {
			t.Errorf("%+v, %v, want %s", res, err, want)
		}
	}
}

func lines(rep *mapping.Report) []string {
	failed, empty := rep.Lines()
	all := append(failed, empty...)
	slices.Sort(all)
	return all
}
