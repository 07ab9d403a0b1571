package azuredevops

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func folderHost() *treeHost {
	return &treeHost{files: map[string]map[string]string{
		"r1":     {"README.md": "# One\n", "src/api/docs/a.md": "a", "src/web/b.go": "b", "src/web/docs/c.md": "c", "Src/x": "x"},
		"r1@dev": {"README.md": "# Dev\n", "src/new/d.go": "d"},
		"r2":     {"src/app/main.go": "m"},
	}}
}

func TestFolders(t *testing.T) {
	for _, tt := range []struct {
		name, selector string
		want           string // repository, branch, pattern, path
		calls          int    // for metadata
	}{
		{"top", `{"folders":[{"path":"*"}]}`, "r1 main * /, r1 main * /Src, r1 main * /src, r2 main * /, r2 main * /src", 2},
		{"plain", `{"folders":[{"path":"src/"},{"path":"src"}]}`, "r1 main src/ /src, r1 main src /src, r2 main src/ /src, r2 main src /src", 2},
		{"below", `{"folders":[{"path":"/src/?[!p]*"}]}`, "r1 main /src/?[!p]* /src/web", 2},
		{"behind a wildcard", `{"folders":[{"path":"src/*/docs"}]}`, "r1 main src/*/docs /src/api/docs, r1 main src/*/docs /src/web/docs", 2},
		{"absent", `{"folders":[{"path":"lib/*"},{"path":"src/{a}"}]}`, "", 2},
		{"named repository", `{"folders":[{"path":"src"},{"path":"src/*","repos":[{"name":"one"}]}]}`, "r1 main src/* /src/api, r1 main src/* /src/web, r2 main src /src", 2},
		{"branch", `{"folders":[{"path":"src/*","repos":[{"name":"one","branch":"dev"},{"name":"two","branch":"none"}]}]}`, "r1 dev src/* /src/new", 2},
		{"two branches", `{"folders":[{"path":"src/w*","repos":[{"name":"one"},{"name":"one","branch":"dev"}]},{"path":"src","repos":[{"name":"one","branch":"dev"}]}]}`, "r1 main src/w* /src/web, r1 dev src /src", 2},
		{"project", `{"project_name":"a","folders":[{"path":"src"}]}`, "r1 main src /src, r2 main src /src", 2},
		{"other project", `{"projectName":"Other","folders":[{"path":"src"}]}`, "", 0},
		{"nothing", `{}`, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := folderHost().service(namedRepo("r1", "one"), namedRepo("r2", "two"), repo("r3", `,"isDisabled":true`), `{"id":"r5","name":"empty"}`)
			under := f.Serve
			f.Serve = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "/projects/Other") {
					return answer(404, `{"message":"TF200016","typeKey":"ProjectDoesNotExistWithNameException"}`)
				}
				return under(r)
			}
			recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "folder", tt.selector, ListOptions{})
			var got []string
			for _, r := range recs {
				v := gjson.GetManyBytes(r.JSON, "__repository.id", "__branch", "__pattern", "path")
				got = append(got, v[0].Str+" "+v[1].Str+" "+v[2].Str+" "+v[3].Str)
			}
			if errs != nil || strings.Join(got, ", ") != tt.want {
				t.Errorf("folders %q, errors %v", got, errs)
			}
			if n := f.Count("/items"); n != tt.calls {
				t.Errorf("%d calls, want %d: %q", n, tt.calls, f.Sent())
			}
		})
	}
}

func TestFolderRecord(t *testing.T) {
	f := folderHost().service(namedRepo("r1", "one"))
	sel := `{"folders":[{"path":"src","repos":[{"name":"one"},{"name":"one","branch":"dev"}]}],"includedFiles":["README.md"]}`
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "folder", sel, ListOptions{Files: []string{"README.md"}})
	if errs != nil || len(recs) != 2 {
		t.Fatalf("records %s, errors %v", texts(recs), errs)
	}
	want := `{"objectId":"0000000000000000000000000000000000000001","gitObjectType":"tree","commitId":"c1","path":"/src","isFolder":true,"url":"u",` +
		`"__repository":` + namedRepo("r1", "one") + `,"__branch":"main","__pattern":"src","__includedFiles":{"README.md":"# One\n"}` + orgKeys + `}`
	if got := string(recs[0].JSON); got != want {
		t.Errorf("record = %s\nwant     %s", got, want)
	}
	for i, want := range []string{"# One\n", "# Dev\n"} {
		if text := recs[i].Files["README.md"]; text == nil || *text != want || gjson.GetBytes(recs[i].JSON, `__includedFiles.README\.md`).Str != want {
			t.Errorf("record %d: %s, files %v", i, recs[i].JSON, recs[i].Files)
		}
	}
	if s := recs[0].Scope; s.Repository != "r1" || s.ID != "src:/src" || s.Project != "p1" {
		t.Errorf("scope = %+v", s)
	}
}

func TestFoldersUnknown(t *testing.T) {
	h := folderHost()
	h.fault = func(_, call string) *http.Response {
		if strings.HasPrefix(call, "r1 ") {
			return answer(404, `{"message":"TF401019"}`)
		}
		return nil
	}
	f := h.service(namedRepo("r1", "one"), namedRepo("r2", "two"))
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "folder", `{"folders":[{"path":"src"}]}`, ListOptions{})
	if len(recs) != 1 || scopes(errs) != "p1/r1/" {
		t.Errorf("records %s, errors %v", texts(recs), errs)
	}
	// A project that cannot be asked for is not one that does not exist.
	recs, errs = collect(t, newTestClient(t, f, options{}).Snapshot(), "folder", `{"project_name":"B","folders":[{"path":"src"}]}`, ListOptions{})
	if len(recs) != 0 || scopes(errs) != "//" {
		t.Errorf("records %s, errors %v", texts(recs), errs)
	}
}

// A project that only its name finds, such as one with an excluded tag.
func TestFoldersOfNamedProject(t *testing.T) {
	h := folderHost()
	f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":             always(projectsOf("A")),
		"_apis/projects/p1/":         always(values(`{"name":"Microsoft.TeamFoundation.Project.Tag.old"}`)),
		"_apis/projects/A":           always(`{"id":"p1","name":"A"}`),
		"p1/_apis/git/repositories":  always(values(namedRepo("r2", "two"))),
		"p1/_apis/git/repositories/": h.serve,
	})}
	recs, errs := collect(t, newTestClient(t, f, options{tags: []string{"old"}}).Snapshot(), "folder", `{"project_name":"A","folders":[{"path":"src"}]}`, ListOptions{})
	if len(recs) != 1 || errs != nil || recs[0].Scope.ProjectName != "A" {
		t.Errorf("records %s, errors %v", texts(recs), errs)
	}
}

func TestFolderSelector(t *testing.T) {
	for selector, want := range map[string]string{
		`{"folders":"src"}`:                             "folders: want a list",
		`{"folders":[{"repos":[]}]}`:                    "folders[0].path: is missing",
		`{"folders":[{"path":1}]}`:                      "folders[0].path: want a string",
		`{"folders":[{"path":"a","repos":["x"]}]}`:      "folders[0].repos[0]: want an object",
		`{"folders":[{"path":"a","repos":[{}]}]}`:       "folders[0].repos[0].name: is missing",
		`{"project_name":[]}`:                           "project_name: want a string",
		`{"folders":[{"path":"a[","unknown":1}],"y":2}`: "",
	} {
		if _, _, err := Bind("folder", []byte(selector)); errText(err) != want {
			t.Errorf("Bind(%s) = %v, want %q", selector, err, want)
		}
	}
}
