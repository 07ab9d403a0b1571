package azuredevops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// wikiService has a project wiki of 101 pages and a code wiki that fails.
func wikiService(code int) *fakeService {
	pages := func(r *http.Request) *http.Response {
		var in struct {
			Top               int
			ContinuationToken string
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.Top != 100 || r.URL.Query().Get("api-version") != "" {
			return answer(400, "")
		}
		var out []string
		switch in.ContinuationToken {
		case "":
			for i := range 100 {
				out = append(out, fmt.Sprintf(`{"path":"/P%d","id":%d}`, i+1, i+1))
			}
			return answer(200, values(out...), "x-ms-continuationtoken", "100")
		case "100":
			return answer(200, values(`{"path":"/P101","id":101}`), "x-ms-continuationtoken", "101")
		}
		return answer(200, values())
	}
	return &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":                    always(projectsOf("A", "B")),
		"p1/_apis/wiki/wikis":               always(values(`{"id":"w1","type":"projectWiki"}`, `{"id":"w2","type":"codeWiki"}`)),
		"p2/_apis/wiki/wikis":               status(403, ""),
		"p1/_apis/wiki/wikis/w1/pagesbatch": pages,
		"p1/_apis/wiki/wikis/w2/pagesbatch": status(code, ""),
		"p1/_apis/wiki/wikis/w1/pages/": func(r *http.Request) *http.Response {
			id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			if id == "7" || r.URL.Query().Get("includeContent") != "true" {
				return answer(404, "")
			}
			return answer(200, `{"id":`+id+`,"path":"/P`+id+`","content":"text"}`)
		},
	})}
}

const wikiKeys = `,"__wiki":{"id":"w1","type":"projectWiki","__project":{"id":"p1","name":"A"}},"__project":{"id":"p1","name":"A"}` + orgKeys + `}`

func TestWikiPages(t *testing.T) {
	for _, code := range []int{404, 403} {
		f := wikiService(code)
		recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "wiki", `{}`, ListOptions{})
		if len(recs) != 101 || scopes(errs) != "p1//w2 p2//" {
			t.Fatalf("%d records, errors %v", len(recs), errs)
		}
		if got := string(recs[100].JSON); got != `{"path":"/P101","id":101`+wikiKeys {
			t.Errorf("record = %s", got)
		}
		if s := recs[0].Scope; s.Project != "p1" || s.ID != "w1" {
			t.Errorf("scope = %+v", s)
		}
		if n := f.Count("w1/pagesbatch"); n != 3 {
			t.Errorf("%d batches", n)
		}
	}
}

func TestWikiContent(t *testing.T) {
	f := wikiService(404)
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "wiki", `{"wikiType":"projectWiki","includeContent":"yes"}`, ListOptions{})
	if len(recs) != 101 || scopes(errs) != "p2//" || f.Count("/w2/") != 0 {
		t.Fatalf("%d records, errors %v", len(recs), errs)
	}
	for i, r := range recs {
		want := fmt.Sprintf(`{"id":%d,"path":"/P%d","content":"text"`, i+1, i+1)
		if i == 6 {
			want = `{"path":"/P7","id":7`
		}
		if string(r.JSON) != want+wikiKeys || (len(r.Missing) == 1) != (i == 6) {
			t.Fatalf("record %d = %s, missing %v", i, r.JSON, r.Missing)
		}
	}
}

// A service that gives the same token for ever does not hold the resync.
func TestWikiTokenRepeats(t *testing.T) {
	f := wikiService(404)
	n := 0
	under := f.Serve
	f.Serve = func(r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "pagesbatch") {
			n++
			return answer(200, values(fmt.Sprintf(`{"id":%d}`, n)), "x-ms-continuationtoken", "same")
		}
		return under(r)
	}
	_, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "wiki", `{"wikiType":"projectWiki"}`, ListOptions{})
	if scopes(errs) != "p1//w1 p2//" || n != 2 {
		t.Errorf("%d batches, errors %v", n, errs)
	}
}

func TestWikiSelector(t *testing.T) {
	for selector, want := range map[string]string{
		`{"wikiType":"wiki"}`:        "wikiType: want one of projectWiki, codeWiki",
		`{"includeContent":"maybe"}`: "includeContent: want true or false",
		`{"apiVersion":[]}`:          "apiVersion: want a string",
		`{"apiVersion":7.0}`:         "",
	} {
		if _, _, err := Bind("wiki", []byte(selector)); errText(err) != want {
			t.Errorf("Bind(%s) = %v, want %q", selector, err, want)
		}
	}
}
