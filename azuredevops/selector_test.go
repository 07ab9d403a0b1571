package azuredevops

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// trial has every form of option that the kinds use.
type trial struct {
	ignoredDefaultTeam
	Flag  bool     `json:"flag"`
	Count int      `json:"count" default:"7" min:"1"`
	Mode  string   `json:"mode" default:"A" oneof:"A,B"`
	List  []string `json:"list"`
	Name  string   `json:"project_name" alias:"projectName"`
	Depth *int     `json:"depth"`
	Files struct {
		Path any1 `json:"path" required:"true"`
	} `json:"files" strict:"true"`
	Folders []struct {
		Path string `json:"path" required:"true"`
	} `json:"folders"`
}

// any1 is a string or a list of strings.
type any1 []string

func (a *any1) decodeSelector(v any) error {
	switch v := v.(type) {
	case string:
		*a = any1{v}
		return nil
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return errors.New("want a string or a list of strings")
			}
			*a = append(*a, s)
		}
		return nil
	}
	return errors.New("want a string or a list of strings")
}

func TestDecodeSelector(t *testing.T) {
	three := 3
	for _, tt := range []struct {
		name, doc string
		want      func(*trial)
		warnings  []string
		errs      []string
	}{
		{name: "absent", doc: "", want: func(*trial) {}},
		{name: "null", doc: "null", want: func(*trial) {}},
		{name: "nulls", doc: `{"flag":null,"count":null,"mode":null,"list":null}`, want: func(*trial) {}},
		{name: "query is not ours", doc: `{"query":true,"exportEnvVariables":["A"]}`, want: func(*trial) {}},
		{name: "texts for others", doc: `{"flag":"Yes","count":"12","mode":"B","project_name":5}`, want: func(s *trial) { s.Flag, s.Count, s.Mode, s.Name = true, 12, "B", "5" }},
		{name: "numbers", doc: `{"flag":1,"count":3.0,"depth":3}`, want: func(s *trial) { s.Flag, s.Count, s.Depth = true, 3, &three }},
		{name: "alias", doc: `{"projectName":"x"}`, want: func(s *trial) { s.Name = "x" }},
		{name: "ignored but checked", doc: `{"defaultTeam":true}`, want: func(*trial) {}},
		{name: "nested", doc: `{"files":{"path":"a"},"folders":[{"path":"b"}]}`, want: func(s *trial) {
			s.Files.Path = any1{"a"}
			s.Folders = append(s.Folders, struct {
				Path string `json:"path" required:"true"`
			}{"b"})
		}},
		{name: "unknown", doc: `{"Flag":1,"other":2}`, want: func(*trial) {}, warnings: []string{`Flag: unknown key, did you mean "flag"? (ignored)`, "other: unknown key (ignored)"}},
		{name: "not an object", doc: `[]`, errs: []string{"want an object"}},
		{name: "not JSON", doc: `{`, errs: []string{"want an object"}},
		{
			name: "all wrong", doc: `{"defaultTeam":"maybe","flag":"maybe","count":0,"mode":"C","list":"a","project_name":true,"depth":"x","files":{"paths":1},"folders":[{},1],"exportEnvVariables":1}`,
			errs: []string{
				"exportEnvVariables: want a list", "defaultTeam: want true or false", "flag: want true or false", "count: want an integer of at least 1", "mode: want one of A, B", "list: want a list",
				"project_name: want a string", "depth: want an integer", "files.path: is missing", `files.paths: unknown key, did you mean "path"?`, "folders[0].path: is missing", "folders[1]: want an object",
			},
		},
		{name: "element", doc: `{"list":["a",{}]}`, errs: []string{"list[1]: want a string"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got trial
			warnings, err := decodeSelector(json.RawMessage(tt.doc), &got)
			if tt.errs != nil {
				if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), tt.errs) {
					t.Fatalf("err = %v, want %q", err, tt.errs)
				}
				return
			}
			want := trial{Count: 7, Mode: "A"}
			tt.want(&want)
			if err != nil || !reflect.DeepEqual(got, want) || !slices.Equal(warnings, tt.warnings) {
				t.Errorf("decodeSelector = %+v, %q, %v, want %+v, %q", got, warnings, err, want, tt.warnings)
			}
		})
	}
}

func TestBind(t *testing.T) {
	for _, tt := range []struct{ kind, selector, key, err string }{
		{"project", `{"query":"true"}`, `project {"defaultTeam":false}`, ""},
		{"project", `{"defaultTeam":"on","query":"x"}`, `project {"defaultTeam":true}`, ""},
		{"work-item", `{}`, `work-item {"wiql":"","expand":"All"}`, ""},
		{"work-item", `{"wiql":{}}`, "", "wiql: want a string"},
		{"work-item", `{"expand":"all"}`, "", "expand: want one of None, Fields, Relations, Links, All"},
		{"repository", `{"includedFiles":["a",true]}`, "", "includedFiles[1]: want a string"},
		{"repository", `{"includedFiles":"a"}`, "", "includedFiles: want a list"},
		{"pipeline", `{"includeRepo":"x"}`, "", "includeRepo: want true or false"},
		{"Project", `{}`, "", `unknown kind "Project": did you mean project?`},
		{"pullRequest", `{}`, "", `unknown kind "pullRequest": did you mean pull-request?`},
		{"work_items", `{}`, "", `unknown kind "work_items": did you mean work-item?`},
		{"team-member", `{}`, "", `unknown kind "team-member": want one of `},
		{"x", `{}`, "", `unknown kind "x": want one of `},
	} {
		l, _, err := Bind(tt.kind, json.RawMessage(tt.selector))
		switch {
		case tt.err != "":
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("Bind(%s, %s) = %v, want %s", tt.kind, tt.selector, err, tt.err)
			}
		case err != nil || l.Key != tt.key || l.Kind != tt.kind:
			t.Errorf("Bind(%s, %s) = %+v, %v, want key %s", tt.kind, tt.selector, l, err, tt.key)
		}
	}
	if _, _, err := Bind("x", nil); !errors.Is(err, ErrUnknownKind) {
		t.Errorf("err = %v", err)
	}
}

var update = flag.Bool("update", false, "rewrite golden files")

// The whole list on one page, for reviewers: testdata/kinds.golden.
func TestKinds(t *testing.T) {
	var out strings.Builder
	least := map[string]string{"file": `{"files":{"path":"a"}}`}
	for _, name := range Kinds() {
		l, _, err := Bind(name, []byte(least[name]))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n  default key: %s\n", name, l.Key)
		for _, e := range kinds[name].events {
			fmt.Fprintf(&out, "  event: %s\n", e)
		}
	}
	const golden = "testdata/kinds.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || out.String() != string(want) {
		t.Errorf("kinds =\n%s, want\n%s(%v); -update rewrites it", out.String(), want, err)
	}
}

func FuzzDecodeSelector(f *testing.F) {
	for _, s := range []string{`{"flag":"t","count":1e0,"list":["a"],"files":{"path":["x"]}}`, `{"count":1e999999}`, `{"folders":[{"path":1}],"depth":-0}`, `{} {}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second trial
		_, err := decodeSelector(b, &first)
		if err != nil {
			return
		}
		if first.Count < 1 || first.Mode != "A" && first.Mode != "B" || first.DefaultTeam {
			t.Fatalf("decodeSelector(%s) = %+v", b, first)
		}
		again, _ := json.Marshal(first)
		again = []byte(strings.Replace(string(again), `"files":{"path":null},`, "", 1))
		if _, err := decodeSelector(again, &second); err != nil || !sameJSON(first, second) {
			t.Fatalf("%s became %s: %+v, %v", b, again, second, err)
		}
	})
}

func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return strings.ReplaceAll(string(x), "[]", "null") == strings.ReplaceAll(string(y), "[]", "null")
}

func TestWIQLQuery(t *testing.T) {
	const head = "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = 'O''Brien & Sons'"
	const tail = " ORDER BY [System.Id] ASC"
	for _, tt := range []struct{ wiql, last, want string }{
		{"", "", head + tail},
		{"  ", "7", head + " AND [System.Id] > 7" + tail},
		{"[System.State] = 'New'", "", head + " AND ([System.State] = 'New')" + tail},
		{"[A] > 1 OR [B] = 2\n\torder\tBy [System.ChangedDate] DESC", "5", head + " AND ([A] > 1 OR [B] = 2) AND [System.Id] > 5" + tail},
		{"ORDER BY [System.Id] DESC", "", head + tail},
		{"[Title] CONTAINS ' order by '' order by x'", "", head + " AND ([Title] CONTAINS ' order by '' order by x')" + tail},
		{"[Custom.Order By] = 1", "", head + " AND ([Custom.Order By] = 1)" + tail},
		{"[A] = 1 ORDER BY [B] ASOF '2026-01-01'", "", head + " AND ([A] = 1)" + tail + " ASOF '2026-01-01'"},
	} {
		if got := wiqlQuery("O'Brien & Sons", tt.wiql, tt.last); got != tt.want {
			t.Errorf("wiqlQuery(%q) =\n%s, want\n%s", tt.wiql, got, tt.want)
		}
	}
}

func FuzzWIQL(f *testing.F) {
	for _, s := range []string{"[a] = 'b' order by [c]", "'", "[", "asof x order by y", "order by asof"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		conditions, asOf := wiqlFilter(s)
		if !strings.Contains(s, conditions) || !strings.Contains(s, asOf) {
			t.Fatalf("wiqlFilter(%q) = %q, %q: not parts of it", s, conditions, asOf)
		}
		if again, _ := wiqlFilter(conditions); len(again) > len(conditions) {
			t.Fatalf("%q grew to %q", conditions, again)
		}
	})
}
