package azuredevopstest_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

const frontEnd = "/Web%20&%20API's/_apis/git/repositories/front%20end"

type item struct {
	Path, ObjectID, GitObjectType, CommitID, Content string
	IsFolder                                         bool
}

func paths(items []item) string {
	var out []string
	for _, i := range items {
		p := i.Path
		if i.IsFolder {
			p += "/"
		}
		out = append(out, p)
	}
	return strings.Join(out, " ")
}

func TestItems(t *testing.T) {
	t.Parallel()
	w, _, r := small()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	for _, c := range []struct{ query, want string }{
		{"scopePath=/&recursionLevel=OneLevel", "// /README.md /src/"},
		{"scopePath=/&recursionLevel=Full", "// /README.md /src/ /src/a/ /src/a/one.txt /src/two.txt"},
		{"scopePath=/src&recursionLevel=oneLevel&versionDescriptor.version=main", "/src/ /src/a/ /src/two.txt"},
		{"scopePath=/src", "/src/"},
	} {
		var out struct{ Value []item }
		get(t, s, frontEnd+"/items?"+c.query).into(t, &out)
		if got := paths(out.Value); got != c.want {
			t.Errorf("%s = %s, want %s", c.query, got, c.want)
		}
	}
	file := get(t, s, frontEnd+"/items?path=README.md&versionType=Branch&version=main")
	if file.body != "# Front end\n" || file.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("content %q of type %s", file.body, file.header.Get("Content-Type"))
	}
	var meta item
	get(t, s, frontEnd+"/items?path=/README.md&includeContent=true", "Accept", "application/json").into(t, &meta)
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(file.body), file.body))
	if meta.ObjectID != hex.EncodeToString(sum[:]) || meta.Content != file.body || meta.CommitID != r.Branch("main").ID {
		t.Errorf("%+v", meta)
	}
}

// The ids were made with git write-tree.
func TestObjectIDsAreGits(t *testing.T) {
	t.Parallel()
	w, _, _ := small()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	var out struct{ Value []item }
	get(t, s, frontEnd+"/items?scopePath=/&recursionLevel=Full").into(t, &out)
	for path, want := range map[string]string{
		"/":      "212f3d6747828f65ab1880249c5be2fbe2fe3dd2",
		"/src":   "1f29d5baf76175fdb9f7baf942c663c03bc3ab27",
		"/src/a": "9578438512aacacffd04d45ab1d93e096b3998c7",
	} {
		i := slices.IndexFunc(out.Value, func(i item) bool { return i.Path == path })
		if got := out.Value[i].ObjectID; got != want {
			t.Errorf("tree of %s = %s, want %s", path, got, want)
		}
	}
}

func TestItemsThatAreNotThere(t *testing.T) {
	t.Parallel()
	w, p, r := small()
	p.AddRepository("empty")
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	check := func(path, want string) {
		t.Helper()
		if a := get(t, s, path); a.status != 404 || typeKey(t, a) != want {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
	}
	check(frontEnd+"/items?path=nope.md", "GitItemNotFoundException")
	check(frontEnd+"/items?path=README.md&version=nope", "GitUnresolvableToCommitException")
	check("/"+p.ID+"/_apis/git/repositories/empty/items?path=README.md", "GitItemNotFoundException")
	check("/"+p.ID+"/_apis/git/repositories/nope/items?path=README.md", "GitRepositoryNotFoundException")
	check("/_apis/git/repositories/front%20end/items?path=README.md", "GitRepositoryNotFoundException") // a name needs a project
	r.SetDisabled(true)
	check("/_apis/git/repositories/"+r.ID+"/items?path=README.md", "GitRepositoryNotFoundException")
	check("/_apis/git/repositories/"+r.ID+"/refs", "GitRepositoryNotFoundException")
	var out struct {
		Value []struct {
			Name, DefaultBranch string
			IsDisabled          bool
		}
	}
	get(t, s, "/_apis/git/repositories").into(t, &out)
	if len(out.Value) != 2 || !out.Value[0].IsDisabled || out.Value[1].DefaultBranch != "" {
		t.Errorf("%+v", out.Value)
	}
}

func TestItemsBatch(t *testing.T) {
	t.Parallel()
	w, _, _ := small()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	post := func(descriptors string) answer {
		return do(t, s, "POST", frontEnd+"/itemsbatch?api-version=7.1", `{"itemDescriptors":[`+descriptors+`]}`)
	}
	var out struct {
		Count int
		Value [][]item
	}
	post(`{"path":"/README.md","recursionLevel":"none","version":"main","versionType":"branch"},{"path":"/nope"},{"path":"/src","recursionLevel":"full"}`).into(t, &out)
	if out.Count != 2 || paths(out.Value[0]) != "/README.md" || paths(out.Value[1]) != "/src/ /src/a/ /src/a/one.txt /src/two.txt" {
		t.Errorf("%+v", out)
	}
	if a := post(`{"path":"/nope"}`); a.status != 404 {
		t.Errorf("status %d", a.status)
	}
	if a := post(``); a.status != 400 {
		t.Errorf("status %d", a.status)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w, _, r := small()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	first := r.Branch("main").ID
	c := r.Push("main", azuredevopstest.Files{"src/two.txt": "two", "new.txt": "n"})
	r.Push("feature/x", azuredevopstest.Files{"x": "y"})
	r.Remove("main", "src/a")
	var commits struct {
		Value []struct{ CommitID string }
	}
	get(t, s, frontEnd+"/commits?searchCriteria.$top=2&searchCriteria.$skip=1").into(t, &commits)
	if len(commits.Value) != 2 || commits.Value[0].CommitID != c.ID || commits.Value[1].CommitID != first {
		t.Errorf("%+v", commits)
	}
	changes := func(a answer) map[string]string {
		var out struct {
			Changes []struct {
				ChangeType string
				Item       item
			}
		}
		a.into(t, &out)
		m := map[string]string{}
		for _, c := range out.Changes {
			m[c.Item.Path] = c.ChangeType
		}
		return m
	}
	if got := changes(get(t, s, frontEnd+"/commits/"+c.ID+"/changes")); !maps.Equal(got, map[string]string{"/new.txt": "add", "/src/two.txt": "edit"}) {
		t.Error(got)
	}
	if got := changes(get(t, s, frontEnd+"/diffs/commits?baseVersionType=commit&baseVersion="+first+"&targetVersion=main")); got["/src/a/one.txt"] != "delete" || len(got) != 3 {
		t.Error(got)
	}
	refs, pages := list(t, s, frontEnd+"/refs?filter=heads/&$top=1")
	if len(refs) != 2 || pages != 2 || refs[0]["name"] != "refs/heads/feature/x" {
		t.Error(refs, pages)
	}
	if all, pages := list(t, s, frontEnd+"/refs"); len(all) != 2 || pages != 1 {
		t.Error("refs without $top were paged")
	}
	if a := get(t, s, frontEnd+"/commits/0000"); a.status != 404 {
		t.Error(a.status)
	}
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	w, _, r := small()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	for i := range 3 {
		branch := fmt.Sprint("topic-", i)
		r.Push(branch, azuredevopstest.Files{branch: "x"})
		r.OpenPullRequest("Topic", branch, "main").Update(func(pr *azuredevopstest.PullRequest) { pr.Description = strings.Repeat("ä", 500) })
	}
	prs := r.Project().PullRequests
	prs[0].Abandon()
	prs[1].Complete()
	count := func(query string) int {
		var out struct {
			Value []struct{ Description string }
		}
		get(t, s, frontEnd+"/pullrequests?"+query).into(t, &out)
		for _, v := range out.Value {
			if n := len([]rune(v.Description)); n != 400 {
				t.Errorf("description of %d characters in a list", n)
			}
		}
		return len(out.Value)
	}
	for query, want := range map[string]int{
		"": 1, "searchCriteria.status=all": 3, "searchCriteria.status=all&$top=2&$skip=2": 1,
		"searchCriteria.status=completed&searchCriteria.queryTimeRangeType=closed&searchCriteria.minTime=2026-03-02%2008:00:00.000000%2B00:00": 1,
		"searchCriteria.status=abandoned&searchCriteria.queryTimeRangeType=closed&searchCriteria.minTime=2026-03-03T00:00:00Z":                 0,
	} {
		if got := count(query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	if r.Branch("main").Message != "Merged PR 2: Topic" {
		t.Error(r.Branch("main").Message)
	}
	if a := get(t, s, "/_apis/git/pullrequests/2"); a.status != 200 || len(a.body) < 900 {
		t.Error(a.status, a.body)
	}
	if a := get(t, s, "/_apis/git/pullrequests/99"); a.status != 404 {
		t.Error(a.status)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	w, p, r := small()
	other := p.AddRepository("other")
	other.Push("main", azuredevopstest.Files{"a": "b"})
	r.RequireReviewers(2)
	other.RequireWorkItem()
	p.AddPolicy("Comment requirements", nil, azuredevopstest.PolicyScope{Ref: "refs/heads/rel", MatchKind: "Prefix"})
	p.AddPolicy("Comment requirements", nil, azuredevopstest.PolicyScope{Repository: r})
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	for query, want := range map[string]int{
		"":                     4,
		"repositoryId=" + r.ID: 1,
		"repositoryId=" + r.ID + "&refName=refs/heads/main":        2,
		"repositoryId=" + other.ID + "&refName=refs/heads/rel/1":   1,
		"repositoryId=" + other.ID + "&refName=refs/heads/release": 0,
	} {
		if got, _ := list(t, s, "/"+p.ID+"/_apis/git/policy/configurations?"+query); len(got) != want {
			t.Errorf("%s: %d policies, want %d", query, len(got), want)
		}
	}
	if got, pages := list(t, s, "/"+p.ID+"/_apis/git/policy/configurations?$top=1"); len(got) != 4 || pages != 4 {
		t.Errorf("%d policies on %d pages", len(got), pages)
	}
}
