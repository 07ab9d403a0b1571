package azuredevopstest_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// Every listing of the 29 kinds that the demo has something for.
func TestOtherAreas(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(1, fixedClock)
	s := azuredevopstest.New(azuredevopstest.Options{World: w})
	defer s.Close()
	p := w.Project("Payments")
	api := "/" + p.ID + "/_apis/"
	for path, want := range map[string]int{
		"/_apis/graph/users?api-version=7.1-preview.1":                             24,
		"/_apis/graph/groups":                                                      13,
		"/_apis/graph/memberships/" + w.Groups[1].Descriptor() + "?direction=Down": 12,
		"/_apis/graph/memberships/" + w.Groups[1].Descriptor() + "?direction=Up":   1,
		api + "distributedtask/environments":                                       2,
		"/" + p.ID + "/" + p.Teams[0].ID + "/_apis/work/teamsettings/iterations":   10,
		api + "wiki/wikis": 1,
		api + "alert/repositories/" + p.Repositories[0].ID + "/alerts?api-version=7.2-preview.1&criteria.states=active&$top=1": 2,
	} {
		if got, _ := list(t, s, path); len(got) != want {
			t.Errorf("%s: %d, want %d", path, len(got), want)
		}
	}
	runs, _ := list(t, s, api+"test/runs?includeRunDetails=true&$top=3&$skip=1")
	if len(runs) != 3 {
		t.Fatal(runs)
	}
	if results, pages := list(t, s, fmt.Sprint(api, "test/runs/", runs[0]["id"], "/results?$top=3")); len(results) != 4 || pages != 2 {
		t.Errorf("%d results on %d pages", len(results), pages)
	}
	deployments := 0
	for _, e := range p.Environments {
		got, _ := list(t, s, fmt.Sprint(api, "distributedtask/environments/", e.ID, "/environmentdeploymentrecords?top=2"))
		deployments += len(got)
	}
	if deployments == 0 {
		t.Error("no deployments")
	}
	if a := get(t, s, api+"alert/repositories/"+p.Repositories[1].ID+"/alerts"); a.status != 400 {
		t.Error(a.status)
	}
}

func TestTreesAndLookups(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(1, fixedClock)
	s := azuredevopstest.New(azuredevopstest.Options{World: w})
	defer s.Close()
	p := w.Project("Payments")
	p.AddArea(p.Areas[0], "Cards & more")
	type node struct {
		Name, Path, URL string
		HasChildren     bool
		Children        []node
	}
	var flat, tree node
	get(t, s, "/"+p.ID+"/_apis/wit/classificationnodes/Areas").into(t, &flat)
	get(t, s, "/"+p.ID+"/_apis/wit/classificationnodes/Areas?$depth=5").into(t, &tree)
	if !flat.HasChildren || flat.Children != nil || tree.Children[0].Children[0].Path != `\Payments\Area\Backend\Cards & more` {
		t.Errorf("%+v\n%+v", flat, tree)
	}
	body := fmt.Sprintf(`{"lookupKeys":[{"descriptor":%q},{"descriptor":"aad.nobody"},{"descriptor":%q}]}`, w.People[3].Descriptor(), w.Groups[0].Descriptor())
	var found struct {
		Count int
		Value map[string]struct{ SubjectKind, PrincipalName string }
	}
	do(t, s, "POST", "/_apis/graph/subjectlookup?api-version=7.1-preview.1", body).into(t, &found)
	if found.Count != 2 || found.Value[w.Groups[0].Descriptor()].PrincipalName != `[harborline]\Project Collection Administrators` {
		t.Errorf("%+v", found)
	}
	var users struct {
		Items             []struct{ User struct{ DisplayName string } }
		ContinuationToken string
	}
	get(t, s, "/_apis/userentitlements?$top=20").into(t, &users)
	token := users.ContinuationToken
	get(t, s, "/_apis/userentitlements?$top=20&continuationToken="+url.QueryEscape(token)).into(t, &users)
	if token == "" || len(users.Items) != 4 {
		t.Errorf("%d on the second page", len(users.Items))
	}
	wiki := "/" + p.ID + "/_apis/wiki/wikis/" + p.Wikis[0].ID
	a := do(t, s, "POST", wiki+"/pagesbatch?api-version=7.1", `{"top":2}`)
	if a.status != 200 || a.header.Get("x-ms-continuationtoken") == "" {
		t.Error(a.status, a.header)
	}
	a = do(t, s, "POST", wiki+"/pagesbatch?api-version=7.1", `{"top":2,"continuationToken":"`+a.header.Get("x-ms-continuationtoken")+`"}`)
	if a.status != 200 || a.header.Get("x-ms-continuationtoken") != "" {
		t.Error(a.body, a.header)
	}
	var page struct{ Content string }
	get(t, s, fmt.Sprint(wiki, "/pages/", p.Wikis[0].Pages[0].ID, "?includeContent=true")).into(t, &page)
	if page.Content == "" {
		t.Error("a page without content")
	}
}
