package rawjson_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

func TestObjectsOnly(t *testing.T) {
	b := []byte(` { "a" : {"value":[1]} , "value" : [ {"id": 1.50} , null, {"x":"]}\"\\"} ,{} ] , "count":3 } `)
	var got []string
	for o := range rawjson.Objects(b, "value") {
		got = append(got, string(o))
	}
	if want := []string{`{"id": 1.50}`, `{"x":"]}\"\\"}`, `{}`}; !reflect.DeepEqual(got, want) {
		t.Errorf("objects = %q, want %q", got, want)
	}
	if got := rawjson.Text(b, "count"); got != "3" {
		t.Errorf("count = %q", got)
	}
}

func TestText(t *testing.T) {
	obj := []byte(`{"s":"a\u0041\"","n":12345678901234567890,"z":null,"b":true,"o":{"s":1}}`)
	for name, want := range map[string]string{"s": `aA"`, "n": "12345678901234567890", "z": "", "b": "true", "none": "", "o": `{"s":1}`} {
		if got := rawjson.Text(obj, name); got != want {
			t.Errorf("rawjson.Text(%s) = %q, want %q", name, got, want)
		}
	}
	if rawjson.Raw(obj, "z") != nil || string(rawjson.Raw(obj, "o")) != `{"s":1}` {
		t.Errorf("Raw = %s, %s", rawjson.Raw(obj, "z"), rawjson.Raw(obj, "o"))
	}
}

func TestWith(t *testing.T) {
	added := rawjson.Members{}.Text("__a", "x<\"é").Raw("__b", []byte(`{"c":1.0}`))
	for _, tt := range []struct{ obj, want string }{
		{`{}`, `{"__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{` { } `, `{ "__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"n":1e400}`, `{"n":1e400,"__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"__a":1, "k" : "__b" }`, `{"k":"__b","__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"\u005f_b":[],"__c":2}`, `{"__c":2,"__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"k":{"__a":1}}`, `{"k":{"__a":1},"__a":"x\u003c\"é","__b":{"c":1.0}}`},
	} {
		if got := string(rawjson.With([]byte(tt.obj), added)); got != tt.want {
			t.Errorf("rawjson.With(%s) = %s, want %s", tt.obj, got, tt.want)
		}
	}
	if got := string(rawjson.With([]byte(`{"project":1,"x":2}`), rawjson.Members{}.Raw("project", []byte("3")))); got != `{"x":2,"project":3}` {
		t.Errorf("replaced member = %s", got)
	}
}

// FuzzObjects compares the splitting of pages with a decoder, seeded from pages that
// servers send.
func FuzzObjects(f *testing.F) {
	for _, name := range fixtures(f) {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"value":[{"a":"\\\""},null,[],{"b":[{}]}],"count":4}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !gjson.ValidBytes(b) || !json.Valid(b) {
			return
		}
		ok := rawjson.Array(b, "value") != nil
		var doc map[string]json.RawMessage
		if json.Unmarshal(b, &doc) != nil || bytes.Count(b, []byte(`"value"`)) > 1 || bytes.Contains(b, []byte(`\u`)) {
			return // which of several counts is not defined
		}
		var want []json.RawMessage
		isList := json.Unmarshal(doc["value"], &want) == nil && len(doc["value"]) > 0 && doc["value"][0] == '['
		if ok != isList {
			t.Fatalf("Array(%s): ok = %v, want %v", b, ok, isList)
		}
		if !ok {
			return
		}
		i := 0
		for o := range rawjson.Objects(b, "value") {
			for i < len(want) && (len(want[i]) == 0 || want[i][0] != '{') {
				i++
			}
			if i == len(want) || !bytes.Equal(o, want[i]) {
				t.Fatalf("object %d = %s", i, o)
			}
			i++
		}
	})
}

// FuzzWith checks that a record is what a decoder makes of the object plus the
// added rawjson.Members.
func FuzzWith(f *testing.F) {
	for _, s := range []string{`{}`, `{"__a":1,"b":[2,"__a"]}`, `{"\u005f\u005fa":null}`, "{ \"x\":\"}\"\n}", `{"":{"__b":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want map[string]any
		if !gjson.ValidBytes(b) || json.Unmarshal(b, &want) != nil || want == nil {
			return
		}
		got := map[string]any{}
		out := rawjson.With(b, rawjson.Members{}.Text("__a", "A"), rawjson.Members{}.Raw("__b", []byte("2")))
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("rawjson.With(%s) = %s: %v", b, out, err)
		}
		want["__a"], want["__b"] = "A", 2.0
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("rawjson.With(%s) = %s", b, out)
		}
		if r := gjson.GetBytes(out, "__a"); r.Str != "A" {
			t.Fatalf("a reader of paths finds %s in %s", r.Raw, out)
		}
	})
}

func fixtures(tb testing.TB) []string {
	tb.Helper()
	names, err := filepath.Glob("testdata/pages/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatal("no pages in testdata", err)
	}
	return names
}

func FuzzMembersOf(f *testing.F) {
	f.Add(`{"id":1,"a":[{}]}`, `{"id":"x","b":null}`)
	f.Add(`{}`, ` { } `)
	f.Add(`{"a":1}`, `{"\u0061":2,"a":3}`)
	f.Fuzz(func(t *testing.T, obj, by string) {
		var a, b, got map[string]any
		if json.Unmarshal([]byte(obj), &a) != nil || json.Unmarshal([]byte(by), &b) != nil || a == nil || b == nil {
			return
		}
		merged := rawjson.With([]byte(strings.TrimSpace(obj)), rawjson.MembersOf([]byte(by)))
		if err := json.Unmarshal(merged, &got); err != nil {
			t.Fatalf("With(%s, %s) = %s: %v", obj, by, merged, err)
		}
		maps.Copy(a, b)
		if !reflect.DeepEqual(got, a) {
			t.Fatalf("With(%s, %s) = %s", obj, by, merged)
		}
	})
}

func FuzzWithout(f *testing.F) {
	f.Add(`{"a":1,"\u0061":2,"b":{"a":3}}`)
	f.Add(` { "b" : [ ] , "a" : "}" } `)
	f.Fuzz(func(t *testing.T, obj string) {
		var want, got map[string]any
		if !gjson.Valid(obj) || json.Unmarshal([]byte(obj), &want) != nil || want == nil {
			return
		}
		delete(want, "a")
		if out := rawjson.Without([]byte(obj), "a"); json.Unmarshal(out, &got) != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("Without(%s) = %s", obj, out)
		}
	})
}

// Added members can be added to further in two ways.
func TestMembersAreValues(t *testing.T) {
	m := rawjson.Members{}.Text("a", "1")
	x, y := m.Text("b", "x"), m.Text("b", "y")
	for want, m := range map[string]rawjson.Members{`{"a":"1"}`: m, `{"a":"1","b":"x"}`: x, `{"a":"1","b":"y"}`: y} {
		if got := string(rawjson.With([]byte("{}"), m)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestDeeper(t *testing.T) {
	for text, want := range map[string]bool{``: false, `[[]]`: false, `[[],[[`: true, `{"[[[[":[]}`: false, `[]]]][[[`: false, `"`: false} {
		if got := rawjson.Deeper([]byte(text), 2); got != want {
			t.Errorf("Deeper(%s) = %v", text, got)
		}
	}
}
