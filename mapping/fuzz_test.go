package mapping_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/jq"
)

func FuzzParse(f *testing.F) {
	f.Add(`{"resources":[` + block + `]}`)
	f.Add(workItemMapping())
	f.Add(`{"resources":[{"selector":{"query":true},"port":{"itemsToParse":".a","entity":{"mappings":{"identifier":{"combinator":"1","rules":[{}]},"blueprint":5,"properties":{"a":[[{}]]}}}}}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		m, err := mapping.Parse([]byte(doc), mapping.Options{ItemTimeout: 50 * time.Millisecond})
		if err != nil {
			return
		}
		for _, r := range m.Resources {
			res, err := r.Map(t.Context(), []byte(`{"id":"x","a":[1]}`), nil, nil)
			if err != nil && strings.Contains(err.Error(), "internal error") {
				t.Fatal(err)
			}
			for _, e := range res.Entities {
				if !json.Valid(e.Body) {
					t.Errorf("not JSON: %s", e.Body)
				}
			}
		}
	})
}

func FuzzMap(f *testing.F) {
	f.Add(string(record(f, "work-item")))
	f.Add(`{"id":1,"id":{"a":[]},"fields":null,"__project":5}`)
	f.Add(`{"\u0069d":1, "fields" : {"System.Title":"\ud800"} }`)
	mappings := []*mapping.Resource{
		resource(f, workItemMapping()),
		resource(f, document("k", map[string]any{"identifier": `.id | tostring`, "blueprint": `"b"`, "properties": map[string]string{"raw": ".", "f": ".fields", "k": "keys"}})),
		resource(f, strings.Replace(document("k", map[string]any{"identifier": `"i"`, "blueprint": `"b"`, "title": ".item"}), `"port":{`, `"port":{"itemsToParse":".fields.list",`, 1)),
	}
	f.Fuzz(func(t *testing.T, rec string) {
		for _, r := range mappings {
			res, err := r.Map(t.Context(), []byte(rec), nil, nil)
			if err != nil {
				if strings.Contains(err.Error(), "internal error") {
					t.Fatal(err)
				}
				continue
			}
			for _, e := range res.Entities {
				if json.Valid([]byte(rec)) && !json.Valid(e.Body) {
					t.Errorf("Map(%q): not JSON: %s", rec, e.Body)
				}
				if !mapping.Equal(e.Body, e.Body) && json.Valid([]byte(rec)) {
					t.Errorf("Map(%q): not equal to itself: %s", rec, e.Body)
				}
			}
		}
	})
}

func FuzzMergeBodies(f *testing.F) {
	f.Add(`{"identifier":"i","properties":{"x":1}}`, `{"title":"t","properties":{"x":2,"y":[]},"relations":{"r":null}}`)
	f.Fuzz(func(t *testing.T, earlier, later string) {
		if !json.Valid([]byte(earlier)) || !json.Valid([]byte(later)) {
			_, _ = mapping.MergeBodies([]byte(earlier), []byte(later))
			return
		}
		v, err := jq.Decode([]byte(later)) // without repeated names
		if err != nil {
			t.Fatal(err)
		}
		later = string(jq.AppendJSON(nil, v))
		got, err := mapping.MergeBodies([]byte(earlier), []byte(later))
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("MergeBodies(%q, %q) = %q", earlier, later, got)
		}
		if !mapping.Equal([]byte(later), got) {
			t.Errorf("MergeBodies(%q, %q) = %q lacks the later layer", earlier, later, got)
		}
	})
}

// Entities differ exactly where they are not equal, and what differs is JSON.
func FuzzDifferences(f *testing.F) {
	f.Add(`{"title":"a","team":["x"],"properties":{"n":1,"o":{"x":[1]}},"relations":{"r":["a","b"]}}`, `{"title":null,"team":"x","properties":{"n":"1"},"relations":{"r":["b","a"]}}`)
	f.Add(`{"properties":{"a":1,"a":2},"relations":5}`, `{"properties":[],"title":{}}`)
	f.Add(`{}`, `5`)
	f.Fuzz(func(t *testing.T, body, held string) {
		if !json.Valid([]byte(body)) || !json.Valid([]byte(held)) || strings.TrimSpace(held)[0] != '{' || strings.TrimSpace(body)[0] != '{' {
			_ = mapping.Differences([]byte(body), []byte(held))
			_ = mapping.Lost([]byte(body), []byte(held))
			return
		}
		list := mapping.Differences([]byte(body), []byte(held))
		if equal := mapping.Equal([]byte(body), []byte(held)); equal != (len(list) == 0) {
			t.Errorf("Equal(%s, %s) = %v, and the differences are %v", body, held, equal, list)
		}
		for _, d := range append(list, mapping.Lost([]byte(body), []byte(held))...) {
			if !json.Valid(d.From) || !json.Valid(d.To) {
				t.Errorf("%s: from %s to %s is not JSON", d.Path, d.From, d.To)
			}
		}
	})
}
