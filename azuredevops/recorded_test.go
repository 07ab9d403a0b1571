package azuredevops

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// recorded serves what the vendor documents, from testdata, by the end of the path.
func recorded(t *testing.T) *fakeService {
	t.Helper()
	files := map[string]string{
		"/_apis/work/boards/":                      "board/get.json",
		"/_apis/work/teamsettings/iterations":      "iteration/list.json",
		"/_apis/work/teamsettings/teamfieldvalues": "team/fieldvalues.json",
		"/_apis/wit/classificationnodes/Areas":     "area-path/areas.json",
		"/_apis/teams":                             "team/list.json", "/members": "member/list.json",
		"/_apis/graph/users": "user/graph.json", "/_apis/userentitlements": "user/entitlements.json",
		"/_apis/graph/memberships/": "group-member/memberships.json", "/_apis/graph/subjectlookup": "group-member/lookup.json",
	}
	return &fakeService{Serve: func(r *http.Request) *http.Response {
		path := r.URL.Path
		switch {
		case strings.HasSuffix(path, "/_apis/projects"):
			return answer(200, values(`{"id":"6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c"}`, `{"id":"a7573007-bbb3-4341-b726-0c4148a07853"}`))
		case strings.HasSuffix(path, "/teams") && strings.Contains(path, "/_apis/projects/") && r.URL.Query().Get("$skip") == "0":
			b, err := os.ReadFile("testdata/team/list.json")
			if err != nil {
				t.Error(err)
			}
			id := path[strings.Index(path, "/_apis/projects/")+len("/_apis/projects/") : len(path)-len("/teams")]
			return answer(200, values(gjson.GetBytes(b, `value.#(projectId=="`+id+`")`).Raw))
		case strings.HasSuffix(path, "/_apis/work/boards"): // only of one board there are details
			b, err := os.ReadFile("testdata/board/list.json")
			if err != nil {
				t.Error(err)
			}
			return answer(200, values(gjson.GetBytes(b, `value.#(id=="41688c28-a3fc-4811-977d-247a33f18a00")`).Raw))
		case strings.HasSuffix(path, "/_apis/graph/groups"):
			return answer(200, values(groupJSON("a")))
		case r.URL.Query().Get("$skip") != "" && r.URL.Query().Get("$skip") != "0":
			return answer(200, values())
		case r.URL.Query().Has("continuationToken"):
			return answer(200, `{"members":[],"continuationToken":null}`)
		}
		for end, file := range files {
			if strings.HasSuffix(path, end) || strings.HasSuffix(end, "/") && strings.HasSuffix(path[:strings.LastIndex(path, "/")+1], end) {
				b, err := os.ReadFile("testdata/" + file)
				if err != nil {
					t.Error(err)
				}
				return answer(200, string(b))
			}
		}
		return answer(404, "")
	}}
}

// Every record is an object of the recorded answer with nothing lost.
func TestRecordedAnswers(t *testing.T) {
	for _, tt := range []struct {
		kind, selector, file, path string
		want                       int
	}{
		{"board", `{}`, "board/get.json", "", 2},
		{"iteration", `{}`, "iteration/list.json", "value", 2},
		{"team", `{"includeMembers":true,"includeAreaPaths":true}`, "team/list.json", "value", 2},
		{"member", `{}`, "member/list.json", "value", 6},
		{"user", `{}`, "user/entitlements.json", "members", 2},
		{"user", `{"source":"graph"}`, "user/graph.json", "value", 5},
	} {
		s := newTestClient(t, recorded(t), options{}).Snapshot()
		recs, errs := collect(t, s, tt.kind, tt.selector, ListOptions{})
		b, _ := os.ReadFile("testdata/" + tt.file)
		if tt.path != "" {
			b = rawjson.Raw(b, tt.path)
		} else {
			b = slices.Concat([]byte("["), b, []byte("]"))
		}
		var originals []map[string]any
		if err := json.Unmarshal(b, &originals); err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			if got := withoutOwn(t, rec.JSON); !slices.ContainsFunc(originals, func(o map[string]any) bool { return reflect.DeepEqual(o, got) }) {
				t.Errorf("%s: not an object of %s: %s", tt.kind, tt.file, rec.JSON)
			}
			if len(rec.Missing) != 0 {
				t.Errorf("%s: missing %v", tt.kind, rec.Missing)
			}
		}
		if len(recs) != tt.want || errs != nil {
			t.Errorf("%s %s: %d records, %v, want %d", tt.kind, tt.selector, len(recs), errs, tt.want)
		}
	}
}

// withoutOwn decodes a record and drops the keys that are not the service's.
func withoutOwn(t *testing.T, record []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.NewDecoder(bytes.NewReader(record)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	for key := range v {
		if strings.HasPrefix(key, "__") {
			delete(v, key)
		}
	}
	return v
}

func TestRecordedTrees(t *testing.T) {
	s := newTestClient(t, recorded(t), options{}).Snapshot()
	recs, errs := collect(t, s, "area-path", `{"depth":2}`, ListOptions{})
	if len(recs) == 0 || errs != nil || strings.Contains(texts(recs), `"children"`) {
		t.Errorf("areas %s, %v", texts(recs), errs)
	}
	recs, errs = collect(t, s, "column", `{}`, ListOptions{})
	if len(recs) == 0 || errs != nil || !strings.Contains(texts(recs[:1]), `"__stateName":"New"`) {
		t.Errorf("columns %.2000s, %v", texts(recs), errs)
	}
	recs, errs = collect(t, s, "group-member", `{}`, ListOptions{})
	if recs != nil || len(errs) != 1 {
		t.Errorf("group members %s, %v: the recorded lookup does not know the recorded member", texts(recs), errs)
	}
}
