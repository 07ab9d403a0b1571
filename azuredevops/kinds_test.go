package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

func scopes(errs []error) string {
	var out []string
	for _, err := range errs {
		e, ok := errors.AsType[*ScopeError](err)
		if !ok {
			return "not a ScopeError: " + err.Error()
		}
		out = append(out, e.Scope.Project+"/"+e.Scope.Repository+"/"+e.Scope.ID)
	}
	return strings.Join(out, " ")
}

func TestProjects(t *testing.T) {
	f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":    always(values(`{"id":"p1","name":"A","revision":12345678901234567890}`, `{"id":"p2","name":"B","__organizationName":"fake"}`)),
		"_apis/projects/p1": always(`{"id":"p1","defaultTeam":{"id":"t"}}`),
		"_apis/projects/p2": status(404, `{"message":"gone"}`),
	})}
	c := newTestClient(t, f, options{})
	s := c.Snapshot()
	recs, errs := collect(t, s, "project", `{}`, ListOptions{Files: []string{"x"}})
	want := `{"id":"p1","name":"A","revision":12345678901234567890` + orgKeys + "}\n" + `{"id":"p2","name":"B"` + orgKeys + `}`
	if texts(recs) != want || errs != nil {
		t.Errorf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
	}
	if text, ok := recs[0].Files["x"]; text != nil || !ok {
		t.Errorf("files = %v, want x without text", recs[0].Files)
	}
	if got, want := recs[1].Scope, (Scope{Organization: testOrg, Project: "p2", ProjectName: "B", ID: "p2"}); got != want {
		t.Errorf("scope = %+v, want %+v", got, want)
	}
	recs, errs = collect(t, s, "project", `{"defaultTeam":true}`, ListOptions{})
	want = `{"id":"p1","defaultTeam":{"id":"t"}` + orgKeys + "}\n" + `{"id":"p2","name":"B"` + orgKeys + `}`
	if texts(recs) != want || errs != nil {
		t.Errorf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
	}
	if len(recs[0].Missing) != 0 || len(recs[1].Missing) != 1 || errors.Is(recs[1].Missing[0], ErrNotFound) {
		t.Errorf("missing = %v, %v: 404 of a listed project is unknown", recs[0].Missing, recs[1].Missing)
	}
	collect(t, s, "project", `{"defaultTeam":true}`, ListOptions{})
	if n := len(f.Sent()); n != 3 {
		t.Errorf("%d requests, want the list and two projects once: %q", n, f.Sent())
	}
}

func TestProjectsListFails(t *testing.T) {
	for _, code := range []int{401, 403, 404} {
		f := &fakeService{Serve: status(code, "")}
		s := newTestClient(t, f, options{}).Snapshot()
		for _, kind := range []string{"project", "repository", "pipeline", "work-item"} {
			recs, errs := collect(t, s, kind, `{}`, ListOptions{})
			if len(recs) != 0 || scopes(errs) != "//" || errors.Is(errs[0], ErrNotFound) {
				t.Errorf("%d, %s: %d records, %v, want the organization unknown", code, kind, len(recs), errs)
			}
		}
		if n := len(f.Sent()); n != 1 {
			t.Errorf("%d: %d requests, want the failure remembered", code, n)
		}
	}
}

func TestExcludedTags(t *testing.T) {
	tag := func(name string) func(*http.Request) *http.Response {
		return always(values(`{"name":"Microsoft.TeamFoundation.Project.Tag.`+name+`","value":"true"}`, `{"name":"archived"}`))
	}
	f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":               always(projectsOf("A", "B", "C", "D")),
		"_apis/projects/p1/properties": tag("Archived"),
		"_apis/projects/p2/properties": tag("archived"),
		"_apis/projects/p3/properties": status(404, ""),
		"_apis/projects/p4/properties": always(values()),
	})}
	s := newTestClient(t, f, options{tags: []string{"archived"}}).Snapshot()
	recs, errs := collect(t, s, "project", `{}`, ListOptions{})
	if got := len(recs); got != 2 || recs[0].Scope.ID != "p1" || recs[1].Scope.ID != "p4" || scopes(errs) != "p3//" {
		t.Errorf("records %s, errors %v: want p1 and p4, p3 unknown", texts(recs), errs)
	}
}

// Half a list of projects: what is known is listed, the rest is unknown.
func TestProjectsPageTwoFails(t *testing.T) {
	f := &fakeService{Serve: func(r *http.Request) *http.Response {
		switch {
		case r.URL.Query().Has("continuationToken"):
			return answer(404, "")
		case strings.HasSuffix(r.URL.Path, "/_apis/projects"):
			return answer(200, projectsOf("A"), "x-ms-continuationtoken", "1")
		}
		return answer(200, values(`{"id":"r1"}`))
	}}
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "repository", `{}`, ListOptions{})
	if len(recs) != 1 || scopes(errs) != "//" {
		t.Errorf("records %s, errors %v", texts(recs), errs)
	}
}

// fakeGit is a repository host: files by repository.
type fakeGit struct {
	files map[string]map[string]string // by repository, by path without slash
	fail  map[string]int               // status by "repository path"
	wrong map[string]string            // content that does not match its id
}

func (g *fakeGit) items(r *http.Request) *http.Response {
	repo := strings.Split(r.URL.Path, "/")[6]
	q := r.URL.Query()
	if q.Get("versionDescriptor.version") != "main" || q.Get("version") != "main" || q.Get("versionType") != "branch" {
		return answer(400, `{"message":"version"}`)
	}
	path := strings.Trim(q.Get("scopePath")+q.Get("path"), "/")
	if code := g.fail[repo+" "+path]; code != 0 {
		return answer(code, "")
	}
	if q.Has("path") {
		if r.Header.Get("Accept") != "application/octet-stream" {
			return answer(400, "")
		}
		text, ok := g.wrong[path]
		if !ok {
			text = g.files[repo][path]
		}
		return answer(200, text, "Content-Type", "application/octet-stream")
	}
	items := []string{fmt.Sprintf(`{"objectId":"%040d","gitObjectType":"tree","path":"/%s","isFolder":true}`, 1, path)}
	seen := map[string]bool{}
	for name, text := range g.files[repo] {
		rest := name
		if path != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(name, path+"/"); !ok {
				continue
			}
		}
		at := strings.TrimSuffix(path+"/", "/")
		if at != "" {
			at = "/" + at
		}
		dir, _, deeper := strings.Cut(rest, "/")
		switch {
		case !deeper:
			items = append(items, fmt.Sprintf(`{"objectId":%q,"gitObjectType":"blob","path":%q}`, blobID(text), at+"/"+rest))
		case !seen[dir]:
			seen[dir] = true
			items = append(items, fmt.Sprintf(`{"objectId":"%040d","gitObjectType":"tree","path":%q,"isFolder":true}`, 2, at+"/"+dir))
		}
	}
	slices.Sort(items[1:])
	return answer(200, values(items...))
}

func gitService(g *fakeGit, repositories ...string) *fakeService {
	return &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":             always(projectsOf("A")),
		"p1/_apis/git/repositories":  always(values(repositories...)),
		"p1/_apis/git/repositories/": g.items,
	})}
}

func repo(id, more string) string {
	return `{"id":"` + id + `","defaultBranch":"refs/heads/main"` + more + `}`
}

func TestRepositoryFiles(t *testing.T) {
	g := &fakeGit{
		files: map[string]map[string]string{
			"r1": {"README.md": "# R1 <é>\n", "docs/a b/x.txt": "deep", "bin": "\xff\xfe", "empty": ""},
			"r4": {"README.md": "four"},
		},
	}
	f := gitService(g, repo("r1", ""), repo("r2", `,"isDisabled":true`), `{"id":"r3"}`, repo("r4", ""))
	s := newTestClient(t, f, options{}).Snapshot()
	sel := `{"includedFiles":["/README.md","docs/a b/x.txt","bin","empty","no/such","docs","README.md/x","/README.md"]}`
	recs, errs := collect(t, s, "repository", sel, ListOptions{Files: []string{"README.md", "docs/a b/x.txt", "bin", "empty", "none"}})
	if errs != nil || len(recs) != 4 {
		t.Fatalf("%d records, %v", len(recs), errs)
	}
	want := `{"/README.md":"# R1 \u003cé\u003e\n","docs/a b/x.txt":"deep","bin":null,"empty":"","no/such":"","docs":"","README.md/x":""}`
	if got := gjson.GetBytes(recs[0].JSON, "__includedFiles").Raw; got != want {
		t.Errorf("included = %s, want %s", got, want)
	}
	for i, n := range []int{0, 7, 7, 6} { // empty texts
		if got := strings.Count(gjson.GetBytes(recs[i].JSON, "__includedFiles").Raw, `:""`); i > 0 && got != n {
			t.Errorf("repository %d: %s", i+1, recs[i].JSON)
		}
		if len(recs[i].Missing) != 0 || len(recs[i].Files) != 5 {
			t.Errorf("repository %d: missing %v, files %v", i+1, recs[i].Missing, recs[i].Files)
		}
	}
	if text := recs[0].Files["docs/a b/x.txt"]; text == nil || *text != "deep" {
		t.Errorf("file = %v", text)
	}
	for _, path := range []string{"bin", "empty", "none"} {
		if text := recs[0].Files[path]; text != nil {
			t.Errorf("%s = %q, want none", path, *text)
		}
	}
	if n := f.Count("/r2/") + f.Count("/r3/"); n != 0 {
		t.Errorf("%d requests for a disabled and an empty repository", n)
	}
	// r1: two folders, three contents; r4: the root and README. The batch that
	// would list both folders is refused.
	if n := f.Count("/items?"); n != 7 {
		t.Errorf("%d requests for items, want 7: %q", n, f.Sent())
	}
	collect(t, s, "repository", `{"includedFiles":["README.md"]}`, ListOptions{})
	if n := f.Count("/items?"); n != 7 {
		t.Errorf("a second listing read folders or contents again")
	}
	if n := f.Count("repositories?") + f.Count("git/repositories "); n > 1 {
		t.Errorf("%d lists of repositories", n)
	}
}

// What cannot be read is unknown: the key is left out, the record incomplete.
func TestRepositoryFilesUnknown(t *testing.T) {
	for _, tt := range []struct {
		name string
		g    fakeGit
	}{
		{"root 404", fakeGit{fail: map[string]int{"r1 ": 404}}},
		{"root 403", fakeGit{fail: map[string]int{"r1 ": 403}}},
		{"content 404", fakeGit{fail: map[string]int{"r1 a.txt": 404}}},
		{"content 203", fakeGit{fail: map[string]int{"r1 a.txt": 203}}},
		{"other content", fakeGit{wrong: map[string]string{"a.txt": "<html>sign in</html>"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.g
			g.files = map[string]map[string]string{"r1": {"a.txt": "A", "b.txt": "B"}}
			f := gitService(&g, repo("r1", ""))
			recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "repository", `{"includedFiles":["a.txt"]}`, ListOptions{Files: []string{"a.txt"}})
			if errs != nil || len(recs) != 1 {
				t.Fatalf("%d records, %v", len(recs), errs)
			}
			r := recs[0]
			_, has := r.Files["a.txt"]
			if got := gjson.GetBytes(r.JSON, "__includedFiles").Raw; got != "{}" || has || len(r.Missing) != 2 {
				t.Errorf("included = %s, files %v, missing %v", got, r.Files, r.Missing)
			}
			for _, err := range r.Missing {
				if errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "file a.txt: ") {
					t.Errorf("missing = %v", err)
				}
			}
		})
	}
}

func TestRepositoriesOfOneProjectUnknown(t *testing.T) {
	f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":            always(projectsOf("A", "B", "C")),
		"p1/_apis/git/repositories": always(values(`{"id":"r1"}`)),
		"p2/_apis/git/repositories": status(403, `{"message":"no"}`),
		"p3/_apis/git/repositories": always(values(`{"id":"r3"}`)),
	})}
	c := newTestClient(t, f, options{})
	s := c.Snapshot()
	for range 2 {
		recs, errs := collect(t, s, "repository", `{}`, ListOptions{})
		if len(recs) != 2 || scopes(errs) != "p2//" || !errors.Is(errs[0], ErrForbidden) {
			t.Errorf("records %s, errors %v", texts(recs), errs)
		}
	}
	if n := len(f.Sent()); n != 4 {
		t.Errorf("%d requests: %q", n, f.Sent())
	}
	want := []rest.KindCalls{{Kind: "repository", Calls: 1}, {Kind: "repository", Project: "p1", Calls: 1}, {Kind: "repository", Project: "p2", Calls: 1}, {Kind: "repository", Project: "p3", Calls: 1}}
	if got := c.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls = %v, want %v", got, want)
	}
}

// Kinds that live in repositories: one that cannot be read hides no other.
func TestPerRepository(t *testing.T) {
	f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":                     always(projectsOf("A")),
		"p1/_apis/git/repositories":          always(values(repo("r1", ""), repo("r2", `,"isDisabled":true`), repo("r3", `,"project":{"state":"deleting"}`), repo("r4", ""), repo("r5", ""))),
		"p1/_apis/git/repositories/r1/refs/": always(values(`{"name":"a"}`, `{"name":"b"}`)),
		"p1/_apis/git/repositories/r4/refs/": status(404, ""),
		"p1/_apis/git/repositories/r5/refs/": always(values(`{"name":"c"}`)),
	})}
	l := newLister(newTestClient(t, f, options{}))
	refs := l.perRepository((*repository).healthy, func(ctx context.Context, r *repository) iter.Seq2[batch, error] {
		return l.batches(ctx, &request{Project: r.Project.ID, Route: "_apis/git/repositories/{repositoryId}/refs/{filter}", Args: []string{r.ID, "heads/x y"}},
			batch{scope: r.inside(), id: "name"})
	})
	var recs []Record
	var errs []error
	for r, err := range refs(t.Context()) {
		if err != nil {
			errs = append(errs, err)
		} else {
			recs = append(recs, r)
		}
	}
	want := `{"name":"a"` + orgKeys + "}\n" + `{"name":"b"` + orgKeys + "}\n" + `{"name":"c"` + orgKeys + `}`
	if texts(recs) != want || scopes(errs) != "p1/r4/" {
		t.Errorf("records =\n%s, errors %v, want\n%s and r4 unknown", texts(recs), errs, want)
	}
	if got := recs[2].Scope; got.Repository != "r5" || got.ID != "c" {
		t.Errorf("scope = %+v", got)
	}
	if f.Count("/refs/heads%2Fx%20y") != 3 {
		t.Errorf("requests = %q", f.Sent())
	}
}

func TestPipelines(t *testing.T) {
	f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":                   always(projectsOf("A")),
		"p1/_apis/pipelines":               tokenPages(values(`{"id":1}`, `{"id":2}`), values(`{"id":3}`, `{"id":4}`)),
		"p1/_apis/build/definitions/1":     always(`{"id":1,"project":{"id":"p1"},"repository":{"id":"r1","clean":null,"project":"old"}}`),
		"p1/_apis/build/definitions/2":     status(404, ""),
		"p1/_apis/build/definitions/3":     always(`{"id":3,"project":{"id":"p1"}}`),
		"p1/_apis/build/definitions/4":     always(`{"id":4,"repository":{"id":"r4"}}`),
		"p1/_apis/build/definitions/other": always(`{}`),
	})}
	s := newTestClient(t, f, options{}).Snapshot()
	recs, errs := collect(t, s, "pipeline", `{"includeRepo":"yes"}`, ListOptions{})
	keys := `,"__projectId":"p1"` + orgKeys
	want := strings.Join([]string{
		`{"id":1` + keys + `,"__repository":{"id":"r1","clean":null,"project":{"id":"p1"}}}`,
		`{"id":2` + keys + `}`, `{"id":3` + keys + `}`,
		`{"id":4` + keys + `,"__repository":{"id":"r4"}}`,
	}, "\n")
	if texts(recs) != want || errs != nil {
		t.Errorf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
	}
	if len(recs[1].Missing) != 1 || errors.Is(recs[1].Missing[0], ErrNotFound) || len(recs[2].Missing) != 0 {
		t.Errorf("missing = %v, %v", recs[1].Missing, recs[2].Missing)
	}
	if recs[3].Scope.ID != "4" || recs[3].Scope.Project != "p1" {
		t.Errorf("scope = %+v", recs[3].Scope)
	}
}

// fakeBoard has work items 1 to n, of which some are gone.
type fakeBoard struct {
	mu      sync.Mutex
	n       int
	gone    map[int]bool
	queries []string
}

func (b *fakeBoard) wiql(r *http.Request) *http.Response {
	body, _ := io.ReadAll(r.Body)
	query := gjson.GetBytes(body, "query").String()
	b.mu.Lock()
	b.queries = append(b.queries, query)
	b.mu.Unlock()
	from := 0
	if _, after, ok := strings.Cut(query, "[System.Id] > "); ok {
		from, _ = strconv.Atoi(strings.Fields(after)[0])
	}
	top, _ := strconv.Atoi(r.URL.Query().Get("$top"))
	var out []string
	for id := from + 1; id <= min(b.n, from+top); id++ {
		out = append(out, `{"id":`+strconv.Itoa(id)+`}`)
	}
	return answer(200, `{"queryType":"flat","workItems":[`+strings.Join(out, ",")+`]}`)
}

func (b *fakeBoard) items(r *http.Request) *http.Response {
	q := r.URL.Query()
	list := strings.Split(q.Get("ids"), ",")
	if len(list) > workItemChunk || q.Get("errorPolicy") != "omit" {
		return answer(400, `{}`)
	}
	var out []string
	for _, id := range list {
		if n, _ := strconv.Atoi(id); b.gone[n] {
			out = append(out, "null")
		} else {
			out = append(out, `{"id":`+id+`,"x":"`+q.Get("$expand")+`"}`)
		}
	}
	return answer(200, values(out...))
}

func (b *fakeBoard) service(project string) *fakeService {
	return &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
		"_apis/projects":         always(projectsOf(project)),
		"p1/_apis/wit/wiql":      b.wiql,
		"p1/_apis/wit/workitems": b.items,
	})}
}

func TestWorkItems(t *testing.T) {
	b := &fakeBoard{n: 20_400, gone: map[int]bool{7: true, 20_001: true}}
	f := b.service("O'Brien")
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "work-item", `{"wiql":"[A] = 1 ORDER BY [B]","expand":"None"}`, ListOptions{})
	if len(recs) != b.n-2 || scopes(errs) != "p1//7 p1//20001" {
		t.Errorf("%d records, errors %v: want all but two, those unknown", len(recs), errs)
	}
	want := `{"id":1,"x":"None","__projectId":"p1","__project":{"id":"p1","name":"O'Brien"}` + orgKeys + `}`
	if got := string(recs[0].JSON); got != want {
		t.Errorf("record = %s, want %s", got, want)
	}
	const head = "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = 'O''Brien' AND ([A] = 1)"
	if want := []string{head + " ORDER BY [System.Id] ASC", head + " AND [System.Id] > 19999 ORDER BY [System.Id] ASC"}; !slices.Equal(b.queries, want) {
		t.Errorf("queries = %q, want %q", b.queries, want)
	}
	last := 0
	for _, r := range recs {
		id, _ := strconv.Atoi(r.Scope.ID)
		if id <= last {
			t.Fatalf("item %d behind %d", id, last)
		}
		last = id
	}
}

func TestWorkItemsUnknown(t *testing.T) {
	b := &fakeBoard{n: 3}
	for _, tt := range []struct {
		name, route string
		serve       func(*http.Request) *http.Response
	}{
		{"query 404", "p1/_apis/wit/wiql", status(404, "")},
		{"query without list", "p1/_apis/wit/wiql", always(`{}`)},
		{"ids going back", "p1/_apis/wit/wiql", always(`{"workItems":[{"id":2},{"id":1}]}`)},
		{"ids not numbers", "p1/_apis/wit/wiql", always(`{"workItems":[{"id":"x"}]}`)},
		{"items 404", "p1/_apis/wit/workitems", status(404, "")},
		{"items without list", "p1/_apis/wit/workitems", always(`{"value":null}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := map[string]func(*http.Request) *http.Response{
				"_apis/projects": always(projectsOf("A")), "p1/_apis/wit/wiql": b.wiql, "p1/_apis/wit/workitems": b.items,
			}
			table[tt.route] = tt.serve
			recs, errs := collect(t, newTestClient(t, &fakeService{Serve: routes(table)}, options{}).Snapshot(), "work-item", `{}`, ListOptions{})
			if len(recs) != 0 || scopes(errs) != "p1//" || errors.Is(errs[0], ErrNotFound) {
				t.Errorf("%d records, %v, want the project unknown", len(recs), errs)
			}
		})
	}
}

func TestRecordsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBoard{n: 5000}
		s := newTestClient(t, b.service("A"), options{}).Snapshot()
		l, _, err := Bind("work-item", nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range l.Records(t.Context(), s, ListOptions{}) {
			if n++; n == 10 {
				break
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		n = 0
		for _, err := range l.Records(ctx, s, ListOptions{}) {
			last = err
			if n++; n == 10 {
				cancel()
			}
		}
		if !errors.Is(last, context.Canceled) || n > 11 {
			t.Errorf("last error = %v after %d, want ctx's at once", last, n)
		}
	})
}
