package azuredevops

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func fileHost() *treeHost {
	return &treeHost{files: map[string]map[string]string{
		"r1": {
			"README.md": "# One\n", "CODEOWNERS": "* @a\n", "app/chart.yaml": "name: app\n", "app/x/values.YAML": "---\na: 1\n---\nb: 2\n",
			"data.json": `{"n": 9007199254740993}`, "empty.yaml": "", "bin.yaml": "\xff\xfe", "big.yaml": strings.Repeat("a", maxFileBytes+1),
		},
		"r4": {"README.md": "# Four\n"},
	}}
}

func TestFiles(t *testing.T) {
	h := fileHost()
	f := h.service(namedRepo("r1", "one"), repo("r2", `,"isDisabled":true`), `{"id":"r3","name":"three"}`, namedRepo("r4", "four"))
	var log lockedBuffer
	s := newTestClient(t, f, options{log: &log}).Snapshot()
	recs, errs := collect(t, s, "file", `{"files":{"path":["README.md","**/*.yaml","*.md","data.json"]},"includedFiles":["CODEOWNERS","/CODEOWNERS"]}`, ListOptions{Files: []string{"README.md"}})
	if errs != nil || len(recs) != 5 {
		t.Fatalf("%d records %s, errors %v", len(recs), texts(recs), errs)
	}
	want := `{"file":{"path":"README.md","objectId":"` + blobID("# One\n") + `","size":6,"isFolder":false,"commitId":"c1",` +
		`"content":{"raw":"# One\n","parsed":"# One\n"}},"repo":` + namedRepo("r1", "one") +
		`,"__includedFiles":{"CODEOWNERS":"* @a\n","/CODEOWNERS":"* @a\n"}` + orgKeys + `}`
	if got := string(recs[0].JSON); got != want {
		t.Errorf("record = %s\nwant     %s", got, want)
	}
	for i, want := range []string{"r1 README.md", "r1 app/chart.yaml", "r1 app/x/values.YAML", "r1 data.json", "r4 README.md"} {
		if got := recs[i].Scope.Repository + " " + recs[i].Scope.ID; got != want || recs[i].Missing != nil {
			t.Errorf("record %d is %s, missing %v, want %s", i, got, recs[i].Missing, want)
		}
	}
	for i, want := range map[int]string{1: `{"name":"app"}`, 2: `[{"a":1},{"b":2}]`, 3: `{"n":9007199254740993}`} {
		if got := gjson.GetBytes(recs[i].JSON, "file.content.parsed").Raw; got != want {
			t.Errorf("parsed %d = %s, want %s", i, got, want)
		}
	}
	if got := gjson.GetBytes(recs[4].JSON, "__includedFiles").Raw; got != `{"CODEOWNERS":"","/CODEOWNERS":""}` {
		t.Errorf("absent files = %s", got)
	}
	// Two trees; five contents that are records, CODEOWNERS, and the two left out.
	if n := f.Count("/items"); n != 10 || f.Count("/r2/")+f.Count("/r3/") != 0 {
		t.Errorf("%d calls: %q", n, f.Sent())
	}
	if got := log.String(); !strings.Contains(got, "not_text=1 above_limit=1") {
		t.Errorf("log = %s", got)
	}
}

func TestFilesOfNamedRepositories(t *testing.T) {
	f := fileHost().service(namedRepo("r1", "one"), namedRepo("r4", "four"))
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "file", `{"files":{"path":"README.md","repos":["four"]}}`, ListOptions{})
	if errs != nil || len(recs) != 1 || recs[0].Scope.Repository != "r4" || f.Count("/r1/") != 0 {
		t.Errorf("records %s, errors %v, calls %q", texts(recs), errs, f.Sent())
	}
}

// One file, or one repository, that cannot be read hides no other.
func TestFilesUnknown(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		status      int
		want        string
		records     int
	}{
		{"tree", "r1 Full ", 403, "p1/r1/", 1},
		{"tree 404", "r1 Full ", 404, "p1/r1/", 1},
		{"content", "r1 blob app/chart.yaml", 404, "p1/r1/app/chart.yaml", 3},
		{"sign-in page", "r1 blob app/chart.yaml", 203, "p1/r1/app/chart.yaml", 3},
		{"included", "r1 blob CODEOWNERS", 403, "", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fileHost()
			h.fault = func(_, call string) *http.Response {
				if call == tt.fault {
					return answer(tt.status, "")
				}
				return nil
			}
			f := h.service(namedRepo("r1", "one"), namedRepo("r4", "four"))
			recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "file", `{"files":{"path":["**/*.md","app/**"]},"includedFiles":["CODEOWNERS"]}`, ListOptions{})
			if scopes(errs) != tt.want || len(recs) != tt.records {
				t.Fatalf("%d records, errors %v: %q", len(recs), errs, scopes(errs))
			}
			for _, r := range recs {
				incomplete := tt.name == "included" && r.Scope.Repository == "r1"
				if (len(r.Missing) != 0) != incomplete || strings.Contains(string(r.JSON), "CODEOWNERS") == incomplete {
					t.Errorf("record %s, missing %v", r.JSON, r.Missing)
				}
			}
		})
	}
}

func TestFilesBreak(t *testing.T) {
	f := fileHost().service(namedRepo("r1", "one"), namedRepo("r4", "four"))
	l, _, err := Bind("file", []byte(`{"files":{"path":"**"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for range l.Records(t.Context(), newTestClient(t, f, options{}).Snapshot(), ListOptions{}) {
		break
	}
}

func TestFileSelector(t *testing.T) {
	for selector, want := range map[string]string{
		`{}`:                                 "files: is missing",
		`{"files":["a"]}`:                    "files: want an object",
		`{"files":{"paths":"a"}}`:            `files.path: is missing` + "\n" + `files.paths: unknown key, did you mean "path"?`,
		`{"files":{"path":[]},"x":1}`:        "",
		`{"files":{"path":["a",1]}}`:         "files.path: [1]: want a string",
		`{"files":{"path":["a","/"]}}`:       "files.path: [1]: want the path of a file",
		`{"files":{"path":"a\\"}}`:           "",
		`{"files":{"path":"[z-a]"}}`:         "",
		`{"files":{"path":"a","repos":"r"}}`: "files.repos: want a list",
		`{"files":{"path":"` + strings.Repeat("{a,b}", 11) + `"}}`: "files.path: [0]: more than 1000 alternatives",
	} {
		_, _, err := Bind("file", []byte(selector))
		if got := errText(err); got != want {
			t.Errorf("Bind(%s) = %q, want %q", selector, got, want)
		}
	}
	one, _, _ := Bind("file", []byte(`{"files":{"path":"a"}}`))
	list, _, _ := Bind("file", []byte(`{"query":"true","files":{"path":["a"],"repos":[]}}`))
	if one.Key != list.Key {
		t.Errorf("keys %s and %s, want one", one.Key, list.Key)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A repository that a selector names and that is not there is said, unless not all
// of them are known.
func TestNamedRepositories(t *testing.T) {
	for _, tt := range []struct {
		name, kind, selector string
		status               int // of the list of the second project
		said                 int
		want                 []string
	}{
		{"files", "file", `{"files":{"path":"x","repos":["web-shop","Web-Shop","gone","gone"]}}`, 200, 2, []string{"repository=Web-Shop did_you_mean=web-shop", "repository=gone"}},
		{"folders", "folder", `{"folders":[{"path":"/a","repos":[{"name":"web-shop"},{"name":"gone"}]},{"path":"/b"}]}`, 200, 1, []string{"kind=folder repository=gone"}},
		{"not all known", "file", `{"files":{"path":"x","repos":["gone"]}}`, 403, 0, nil},
		{"none named", "file", `{"files":{"path":"x"}}`, 200, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
				"_apis/projects": always(projectsOf("A", "B")), "p1/_apis/git/repositories": always(values(`{"id":"r1","name":"web-shop"}`)),
				"p2/_apis/git/repositories": status(tt.status, values(`{"id":"r2","name":"api"}`)),
			})}
			var log lockedBuffer
			collect(t, newTestClient(t, f, options{log: &log}).Snapshot(), tt.kind, tt.selector, ListOptions{})
			for _, want := range tt.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("log = %s, want %s", log.String(), want)
				}
			}
			if n := strings.Count(log.String(), "no such repository"); n != tt.said {
				t.Errorf("said %d times, want %d: %s", n, tt.said, log.String())
			}
		})
	}
}
