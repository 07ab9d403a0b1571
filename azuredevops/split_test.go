package azuredevops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestListLeavesOutNulls(t *testing.T) {
	b := []byte(` { "a" : {"value":[1]} , "value" : [ {"id": 1.50} , null, {"x":"]}\"\\"} ,{} ] , "count":3 } `)
	objects, ok := list(b, "value")
	var got []string
	for o := range objects {
		got = append(got, string(o))
	}
	if want := []string{`{"id": 1.50}`, `{"x":"]}\"\\"}`, `{}`}; !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("list = %q, want %q", got, want)
	}
	if got := textAt(b, "count"); got != "3" {
		t.Errorf("count = %q", got)
	}
}

func TestTextAt(t *testing.T) {
	obj := []byte(`{"s":"a\u0041\"","n":12345678901234567890,"z":null,"b":true,"o":{"s":1}}`)
	for name, want := range map[string]string{"s": `aA"`, "n": "12345678901234567890", "z": "", "b": "true", "none": "", "o": `{"s":1}`} {
		if got := textAt(obj, name); got != want {
			t.Errorf("textAt(%s) = %q, want %q", name, got, want)
		}
	}
	if rawAt(obj, "z") != nil || string(rawAt(obj, "o")) != `{"s":1}` {
		t.Errorf("rawAt = %s, %s", rawAt(obj, "z"), rawAt(obj, "o"))
	}
}

func TestObject(t *testing.T) {
	added := newMembers(1).text("__a", "x<\"é").raw("__b", []byte(`{"c":1.0}`))
	for _, tt := range []struct{ obj, want string }{
		{`{}`, `{"__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{` { } `, `{ "__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"n":1e400}`, `{"n":1e400,"__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"__a":1, "k" : "__b" }`, `{"k":"__b","__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"\u005f_b":[],"__c":2}`, `{"__c":2,"__a":"x\u003c\"é","__b":{"c":1.0}}`},
		{`{"k":{"__a":1}}`, `{"k":{"__a":1},"__a":"x\u003c\"é","__b":{"c":1.0}}`},
	} {
		if got := string(object([]byte(tt.obj), added)); got != tt.want {
			t.Errorf("object(%s) = %s, want %s", tt.obj, got, tt.want)
		}
	}
	if got := string(object([]byte(`{"project":1,"x":2}`), newMembers(1).raw("project", []byte("3")))); got != `{"x":2,"project":3}` {
		t.Errorf("replaced member = %s", got)
	}
}

// FuzzList compares the splitting of pages with a decoder, seeded from pages that
// servers send.
func FuzzList(f *testing.F) {
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
		objects, ok := list(b, "value")
		var doc map[string]json.RawMessage
		if json.Unmarshal(b, &doc) != nil || bytes.Count(b, []byte(`"value"`)) > 1 || bytes.Contains(b, []byte(`\u`)) {
			return // which of several counts is not defined
		}
		var want []json.RawMessage
		isList := json.Unmarshal(doc["value"], &want) == nil && len(doc["value"]) > 0 && doc["value"][0] == '['
		if ok != isList {
			t.Fatalf("list(%s): ok = %v, want %v", b, ok, isList)
		}
		if !ok {
			return
		}
		i := 0
		for o := range objects {
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

// FuzzObject checks that a record is what a decoder makes of the object plus the
// added members.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"__a":1,"b":[2,"__a"]}`, `{"\u005f\u005fa":null}`, "{ \"x\":\"}\"\n}", `{"":{"__b":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want map[string]any
		if !gjson.ValidBytes(b) || json.Unmarshal(b, &want) != nil || want == nil {
			return
		}
		got := map[string]any{}
		out := object(b, newMembers(1).text("__a", "A"), newMembers(1).raw("__b", []byte("2")))
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("object(%s) = %s: %v", b, out, err)
		}
		want["__a"], want["__b"] = "A", 2.0
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("object(%s) = %s", b, out)
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

// workItemPage is like a page of 200 expanded work items: 1.1 MB.
func workItemPage() []byte {
	var b strings.Builder
	b.WriteString(`{"count":200,"value":[`)
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"rev":3,"fields":{"System.Title":"Work \"item\" %d","System.Description":%q`, i+1, i, strings.Repeat("<div>text &amp; markup</div>", 60))
		for k := range 40 {
			fmt.Fprintf(&b, `,"Custom.Field%d":{"displayName":"Somebody %d","url":"https://example.com/%d"}`, k, k, i)
		}
		fmt.Fprintf(&b, `},"url":"https://example.com/_apis/wit/workItems/%d"}`, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkPageOf200WorkItems(b *testing.B) {
	body := workItemPage()
	c := newTestClient(b, &fakeService{}, options{})
	l := newLister(c)
	added := newMembers(2).text("__projectId", "p1").raw("__project", bytes.Repeat([]byte(" "), 400))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if !gjson.ValidBytes(body) {
			b.Fatal("invalid")
		}
		n := 0
		l.unfold(batch{page: &page{Body: body}, key: "value", id: "id", added: added}, func(Record, error) bool { n++; return true })
		if n != 200 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
