package gitops

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func TestInside(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a": "a", "/a": "a", "./a/./b//c": "f/g/a/b/c", "a/../b": "b", "a/b/../../c": "c", "../a": "f/a", "../../a": "a", "../../../a": "", "a/../../b": "",
		"/..": "", "": "", "/": "", ".": "", "./": "f/g", "a/..": "", "...": "...", "..a/b..": "..a/b..", `..\a`: `..\a`,
	} {
		if got, ok := inside("f/g", path); got != want || ok != (want != "") {
			t.Errorf("inside(%q) = %q, %t, want %q", path, got, ok, want)
		}
	}
	for path, want := range map[string]string{"./a": "a", "../a": "", "a": "a"} {
		if got, ok := inside("", path); got != want || ok != (want != "") {
			t.Errorf("at the root: inside(%q) = %q, %t, want %q", path, got, ok, want)
		}
	}
}

// Whatever a spec says: what cannot be told apart is a fault, every entity that is
// made is JSON with the members of Port's API, and no path leads out of the
// repository.
func FuzzSpec(f *testing.F) {
	for _, s := range []string{
		"identifier: a\nblueprint: b\n", "- {identifier: 1, blueprint: b, properties: {x: file://./a/../c.json, y: [file://z]}}\n- text\n---\nnull\n",
		`{"identifier":"a","blueprint":"b","relations":{"r":["x",{"y":1}],"s":{"combinator":"and"}},"team":{"rules":[]}}`,
		"identifier: &a [*a]\nblueprint: b", "identifier: a\nblueprint: b\nproperties: {p: 'file://../../etc', \"q\\\"\": 1}\n", "a: [", "\xff", "",
	} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, text, content string) {
		s := parseSpec("deep/port.yml", []byte(text))
		if !s.whole && len(s.faults) == 0 {
			t.Errorf("%q: incomplete without a fault", text)
		}
		files := map[string]reference{}
		for _, path := range filesOf(s.entries) {
			if slices.Contains(strings.Split(path, "/"), "..") || strings.HasPrefix(path, "/") {
				t.Errorf("%q refers to %s", text, path)
			}
			files[path] = reference{file: file{path: path, text: []byte(content)}}
		}
		for i := range s.entries {
			e := &s.entries[i]
			if e.Blueprint == "" || e.Identifier == "" {
				t.Errorf("%q: entity %v", text, e.Ref)
			}
			if e.fault != nil {
				continue
			}
			entity, err := e.entity(files)
			if err != nil {
				continue
			}
			v := gjson.ParseBytes(entity.Body)
			if !json.Valid(entity.Body) || v.Get("identifier").Str != e.Identifier || !v.Get("properties").IsObject() || !utf8.Valid(entity.Body) {
				t.Errorf("%q makes %s", text, entity.Body)
			}
		}
	})
}
