package azuredevops

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/content"
)

// A treeHost serves the files of repositories: texts by path, by "repository" or
// "repository@branch".
type treeHost struct {
	files  map[string]map[string]string
	strict bool                                     // a batch with an absent path is refused
	fault  func(method, call string) *http.Response // call: "repository level path", level "blob" for contents
}

func (h *treeHost) serve(r *http.Request) *http.Response {
	parts := strings.Split(r.URL.Path, "/")
	repo, route := parts[6], parts[7]
	if route == "itemsbatch" {
		var in struct {
			ItemDescriptors []struct{ Path, RecursionLevel, Version, VersionType string }
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		if resp := h.faulty("POST", repo+" batch"); resp != nil {
			return resp
		}
		var lists []string
		for _, d := range in.ItemDescriptors {
			items := h.items(repo, d.Version, strings.Trim(d.Path, "/"), d.RecursionLevel == "Full")
			if items == nil && h.strict {
				return h.noItem()
			}
			if items != nil {
				lists = append(lists, "["+strings.Join(items, ",")+"]")
			}
		}
		return answer(200, values(lists...))
	}
	q := r.URL.Query()
	branch, path := q.Get("versionDescriptor.version"), strings.Trim(q.Get("scopePath")+q.Get("path"), "/")
	if q.Get("version") != branch || q.Get("versionType") != "branch" {
		return answer(400, `{"message":"version"}`)
	}
	if h.files[h.key(repo, branch)] == nil {
		return answer(404, `{"message":"TF401175","typeKey":"GitUnresolvableToCommitException"}`)
	}
	if q.Has("path") {
		if resp := h.faulty("GET", repo+" blob "+path); resp != nil {
			return resp
		}
		return answer(200, h.files[h.key(repo, branch)][path], "Content-Type", "application/octet-stream")
	}
	level := q.Get("recursionLevel")
	if resp := h.faulty("GET", repo+" "+level+" "+path); resp != nil {
		return resp
	}
	if items := h.items(repo, branch, path, level == "Full"); items != nil {
		return answer(200, values(items...))
	}
	return h.noItem()
}

func (h *treeHost) noItem() *http.Response {
	return answer(404, `{"message":"TF401174","typeKey":"GitItemNotFoundException"}`)
}

func (h *treeHost) faulty(method, call string) *http.Response {
	if h.fault == nil {
		return nil
	}
	return h.fault(method, call)
}

func (h *treeHost) key(repo, branch string) string {
	if branch == "main" {
		return repo
	}
	return repo + "@" + branch
}

// items are the folder and what is in it, sorted; nil when it is absent.
func (h *treeHost) items(repo, branch, folder string, full bool) []string {
	all := map[string]string{}
	for path, text := range h.files[h.key(repo, branch)] {
		all["/"+path] = fmt.Sprintf(`{"objectId":%q,"gitObjectType":"blob","commitId":"c1","path":%q,"url":"u"}`, blobID(text), "/"+path)
		for at := content.Parent("/" + path); ; at = content.Parent(at) {
			name := at
			if name == "" {
				name = "/"
			}
			all[name] = fmt.Sprintf(`{"objectId":"%040x","gitObjectType":"tree","commitId":"c1","path":%q,"isFolder":true,"url":"u"}`, 1, name)
			if at == "" {
				break
			}
		}
	}
	self := "/" + folder
	if all[self] == "" || strings.Contains(all[self], `"blob"`) {
		return nil
	}
	out := []string{all[self]}
	prefix := strings.TrimSuffix(self, "/") + "/"
	var paths []string
	for path := range all {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" && (full || !strings.Contains(rest, "/")) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		out = append(out, all[path])
	}
	return out
}

func (h *treeHost) service(repositories ...string) *fakeService {
	return &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":             always(projectsOf("A")),
		"p1/_apis/git/repositories":  always(values(repositories...)),
		"p1/_apis/git/repositories/": h.serve,
	})}
}

func namedRepo(id, name string) string { return repo(id, `,"name":"`+name+`"`) }

func TestPlan(t *testing.T) {
	r := &repository{ID: "r1", Branch: "main", JSON: []byte(repo("r1", ""))}
	never := func(*repository) bool { return false }
	for _, tt := range []struct {
		name  string
		wants []want
		on    *repository
		want  string
	}{
		{"nothing", nil, r, ""},
		{"same", []want{{Place: content.Place{Path: "/a"}}, {Place: content.Place{Path: "/a"}}}, r, "/a"},
		{"several bring the root", []want{{Place: content.Place{Path: "/b"}}, {Place: content.Place{Path: "/a/x"}}}, r, " /a/x /b"},
		{"covered", []want{{Place: content.Place{Path: "/a/x"}}, {Place: content.Place{Path: "/a", Deep: true}}, {Place: content.Place{Path: "/ab"}}, {Place: content.Place{Path: "/a/y", Deep: true}, raw: true}}, r, " /a(full,raw) /ab"},
		{"all", []want{{Place: content.Place{Path: "/a"}, raw: true}, {}, {Place: content.Place{Deep: true}}}, r, "(full,raw)"},
		{"other repositories", []want{{Place: content.Place{Path: "/a"}}, {Place: content.Place{Path: "/b"}, of: never}}, r, "/a"},
		{"other branches", []want{{Place: content.Place{Path: "/a"}}, {Place: content.Place{Path: "/b"}, branch: "dev"}, {Place: content.Place{Path: "/c"}, branch: "main"}}, r, " /a /c"},
		{"on a branch", []want{{Place: content.Place{Path: "/a"}}, {Place: content.Place{Path: "/b"}, branch: "dev"}}, r.on("dev"), "/b"},
	} {
		var got []string
		for _, w := range planFor(tt.wants, tt.on) {
			s := w.Path
			if w.Deep {
				s += "(full"
				if w.raw {
					s += ",raw"
				}
				s += ")"
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Every way to the tree gives the same files.
func TestTreeCalls(t *testing.T) {
	files := map[string]map[string]string{"r1": {"README.md": "hi", "docs/a.md": "A", "docs/x/b.md": "B", "src/c.go": "C"}}
	const included = `{"includedFiles":["README.md","docs/a.md","src/c.go","no/such","src/c.go/x","lib/a"]}`
	want := `"__includedFiles":{"README.md":"hi","docs/a.md":"A","src/c.go":"C","no/such":"","src/c.go/x":"","lib/a":""}`
	status := func(code int) func(string, string) *http.Response {
		return func(method, _ string) *http.Response {
			if method == "POST" {
				return answer(code, `{"message":"no"}`)
			}
			return nil
		}
	}
	for _, tt := range []struct {
		name  string
		host  treeHost
		calls int // for metadata
	}{
		{"batch", treeHost{}, 1},
		{"refused", treeHost{strict: true}, 4}, // the batch, the root, docs, src
		{"bad request", treeHost{fault: status(400)}, 4},
		{"no such route", treeHost{fault: status(404)}, 4},
		{"batch of something else", treeHost{fault: func(method, _ string) *http.Response {
			if method == "POST" {
				return answer(200, values(`[{"path":"/elsewhere"}]`))
			}
			return nil
		}}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.host.files = files
			f := tt.host.service(repo("r1", ""))
			recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "repository", included, ListOptions{})
			if errs != nil || len(recs) != 1 || recs[0].Missing != nil || !strings.Contains(texts(recs), want) {
				t.Fatalf("records %s, errors %v, missing %v", texts(recs), errs, recs[0].Missing)
			}
			if n := f.Count("/r1/items") - f.Count("?path="); n != tt.calls {
				t.Errorf("%d calls, want %d: %q", n, tt.calls, f.Sent())
			}
		})
	}
}

// Only the service's own word for an absent path is one, and only for what it has
// not just listed.
func TestTreeUnknown(t *testing.T) {
	noItem := (&treeHost{}).noItem
	for _, tt := range []struct {
		name, selector string
		fault          func(method, call string) *http.Response
		unknown        int
	}{
		{"one folder, absent", `{"includedFiles":["a/x"]}`, func(string, string) *http.Response { return noItem() }, 0},
		{"one folder, other 404", `{"includedFiles":["a/x"]}`, func(string, string) *http.Response { return answer(404, `{"message":"TF401019"}`) }, 1},
		{"root, absent", `{"includedFiles":["x"]}`, func(string, string) *http.Response { return noItem() }, 1},
		{"listed by the root", `{"includedFiles":["x","a/x","b/x"]}`, func(method, call string) *http.Response {
			if method == "POST" || strings.HasSuffix(call, " a") {
				return noItem()
			}
			return nil
		}, 1},
		{"forbidden", `{"includedFiles":["x","a/x"]}`, func(string, string) *http.Response { return answer(403, "") }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &treeHost{files: map[string]map[string]string{"r1": {"a/x": "A", "b/x": "B", "x": "X"}}, fault: tt.fault}
			recs, errs := collect(t, newTestClient(t, h.service(repo("r1", "")), options{}).Snapshot(), "repository", tt.selector, ListOptions{})
			if errs != nil || len(recs) != 1 || len(recs[0].Missing) != tt.unknown {
				t.Fatalf("records %s, errors %v, missing %v", texts(recs), errs, recs[0].Missing)
			}
			for _, err := range recs[0].Missing {
				if errors.Is(err, ErrNotFound) {
					t.Errorf("missing = %v", err)
				}
			}
		})
	}
}

// The kinds of a resync share a tree, and one that needs more does not take it
// away from the others.
func TestExpect(t *testing.T) {
	const files, folders = `{"files":{"path":"**/*.md"}}`, `{"folders":[{"path":"docs"}]}`
	for _, broken := range []bool{false, true} {
		h := &treeHost{files: map[string]map[string]string{"r1": {"README.md": "hi", "docs/a.md": "A"}}}
		if broken {
			h.fault = func(_, call string) *http.Response {
				if strings.Contains(call, " Full ") {
					return answer(403, "")
				}
				return nil
			}
		}
		f := h.service(repo("r1", ""))
		s := newTestClient(t, f, options{}).Snapshot()
		for kind, selector := range map[string]string{"file": files, "folder": folders, "project": `{}`} {
			l, _, err := Bind(kind, []byte(selector))
			if err != nil {
				t.Fatal(err)
			}
			s.Expect(l, ListOptions{})
			s.Expect(l, ListOptions{})
		}
		recs, errs := collect(t, s, "folder", folders, ListOptions{})
		if errs != nil || len(recs) != 1 {
			t.Errorf("folders %s, errors %v", texts(recs), errs)
		}
		recs, errs = collect(t, s, "file", files, ListOptions{})
		if broken && (scopes(errs) != "p1/r1/" || recs != nil) || !broken && (errs != nil || len(recs) != 2) {
			t.Errorf("files %s, errors %v", texts(recs), errs)
		}
		want := 1
		if broken {
			want = 2
		}
		if n := f.Count("scopePath"); n != want {
			t.Errorf("%d listings, want %d: %q", n, want, f.Sent())
		}
	}
}
