package azuredevops_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// gitWorld has policies with every form of scope, and pull requests in all
// states, some repositories with more of them than are asked for.
func gitWorld(now time.Time) *azuredevopstest.World {
	w := azuredevopstest.NewWorld("contoso")
	for _, name := range []string{"Payments", "O'Brien & Sons"} {
		p := w.AddProject(name)
		var repos []*azuredevopstest.Repository
		for i := range 6 {
			r := p.AddRepository(fmt.Sprintf("r%d", i))
			repos = append(repos, r)
			if i == 3 {
				continue // empty, without a default branch
			}
			r.Push("main", azuredevopstest.Files{"README.md": "# r"})
			r.Push("release/1", azuredevopstest.Files{"a": "b"})
			r.RequireReviewers(2)
			for n := range 3 * i {
				pr := r.OpenPullRequest("Title", "release/1", "main")
				if n%3 > 0 {
					w.Edit(func() {
						pr.Status = []string{"", "completed", "abandoned"}[n%3]
						pr.Closed = now.Add(-time.Duration(n) * 24 * time.Hour)
					})
				}
			}
		}
		w.Edit(func() { repos[1].DefaultBranch = "refs/heads/release/1" })
		type scope = azuredevopstest.PolicyScope
		p.AddPolicy("Everywhere", nil)
		p.AddPolicy("Main", nil, scope{Ref: "refs/heads/main"})
		p.AddPolicy("Default", nil, scope{MatchKind: "DefaultBranch"})
		p.AddPolicy("Releases", nil, scope{Ref: "refs/heads/release/", MatchKind: "Prefix"}, scope{Repository: repos[3], Ref: "refs/heads/x", MatchKind: "Exact"})
		p.AddPolicy("Size", nil, scope{Repository: repos[4]}, scope{Repository: repos[4], Ref: "refs/heads/main", MatchKind: "Exact"})
		p.AddPolicy("Nowhere", nil, scope{Repository: repos[4], Ref: "refs/heads/x", MatchKind: "Exact"})
		repos[5].SetDisabled(true)
	}
	return w
}

// Lists of projects give the records that the repositories give.
func TestListsOfProjects(t *testing.T) {
	now := time.Now()
	srv := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: gitWorld(now), PAT: "secret"})
	list := func(kind, selector string, each bool) (records []string, calls int64) {
		c, err := azuredevops.New(azuredevops.ClientConfig{
			OrganizationURL: "https://dev.azure.com/contoso", Credential: azuredevops.PersonalAccessToken("secret"), Transport: srv.Transport(),
			PoliciesPerRepository: each, PullRequestsPerRepository: each,
		})
		if err != nil {
			t.Fatal(err)
		}
		l, _, err := azuredevops.Bind(kind, json.RawMessage(selector))
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range l.Records(t.Context(), c.Snapshot(), azuredevops.ListOptions{}) {
			if err != nil {
				t.Errorf("%s: %v", kind, err)
				continue
			}
			records = append(records, fmt.Sprintf("%+v %s", r.Scope, r.JSON))
		}
		slices.Sort(records)
		for _, k := range c.Calls() {
			calls += k.Calls
		}
		return records, calls
	}
	for _, tt := range []struct {
		kind, selector string
		records        int
		whole, each    int64 // calls, besides one list of projects and two of repositories
	}{
		{"repository-policy", `{}`, 2 * (3 + 2 + 4 + 5 + 2 + 1), 2, 10},
		{"pull-request", `{}`, 2 * (3 + 6 + 8), 6 + 6 + 2, 30},
		{"pull-request", `{"maxResults":2,"minTimeInDays":30}`, 2 * (3 + 6 + 8), 6 + 6 + 2 + 4, 30},
		{"pull-request", `{"minTimeInDays":1}`, 2 * (1 + 2 + 4), 6 + 2 + 2, 30},
	} {
		t.Run(tt.kind+tt.selector, func(t *testing.T) {
			whole, calls := list(tt.kind, tt.selector, false)
			each, more := list(tt.kind, tt.selector, true)
			if diff := cmp.Diff(each, whole); diff != "" {
				t.Errorf("per repository (-) and per project (+): %s", diff)
			}
			if len(whole) != tt.records || calls != 3+tt.whole || more != 3+tt.each {
				t.Errorf("%d records with %d and %d calls, want %d with %d and %d", len(whole), calls, more, tt.records, 3+tt.whole, 3+tt.each)
			}
		})
	}
}
