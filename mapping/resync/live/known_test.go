package live_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
)

// What nobody has found and no registered subscription tells is not known, also
// when it names a project that exists.
func TestKnows(t *testing.T) {
	t.Parallel()
	const project, repository, forged = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", "33333333-3333-3333-3333-333333333333"
	orgs, err := azuredevops.Clients(azuredevops.Config{OrganizationURL: "https://dev.azure.com/acme", PersonalAccessToken: "x"}, azuredevops.Shared{})
	if err != nil {
		t.Fatal(err)
	}
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	follower := func() *live.Follower {
		return live.New(live.Config{Organizations: orgs, Book: origins.Open(dir, log), Registered: func(id string) *azuredevops.Client {
			if id == "ours" {
				return orgs[0]
			}
			return nil
		}})
	}
	repo := func(id string) string { return fmt.Sprintf(`"repository":{"id":%q,"project":{"id":%q}}`, id, project) }
	events := []struct {
		name, subscription, event, resource string
		want                                bool
	}{
		{"a work item", "", "workitem.updated", `"workItemId":5`, true},
		{"a work item that nobody has seen", "", "workitem.updated", `"workItemId":6`, false},
		{"the same from our subscription", "ours", "workitem.updated", `"workItemId":6`, true},
		{"a push", "theirs", "git.push", repo(repository), true},
		{"a push to a repository that nobody has seen", "theirs", "git.push", repo(forged), false},
		{"a new pull request", "", "git.pullrequest.created", repo(repository) + `,"pullRequestId":9`, true},
		{"a pull request in a repository that nobody has seen", "", "git.pullrequest.created", repo(forged) + `,"pullRequestId":9`, false},
		{"nothing", "", "workitem.updated", `"x":1`, false},
	}
	check := func(f *live.Follower, everything bool) {
		t.Helper()
		for _, tt := range events {
			ev, err := azuredevops.ParseEvent(fmt.Appendf(nil, `{"subscriptionId":%q,"eventType":%q,"publisherId":"tfs","resource":{%s},"resourceContainers":{"project":{"id":%q}}}`,
				tt.subscription, tt.event, tt.resource, project))
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Knows(&ev); got != (tt.want || everything) {
				t.Errorf("%s: %v", tt.name, got)
			}
		}
	}
	check(follower(), true) // nothing to compare with

	w := origins.NewWriter(dir, log)
	for _, o := range []origins.Origin{
		{Kind: "work-item", Scope: azuredevops.Scope{Project: project, ID: "5"}},
		{Kind: "repository", Scope: azuredevops.Scope{Project: project, Repository: repository, ID: repository}},
	} {
		o.Scope.Organization, o.Ref = orgs[0].Organization(), port.Ref{Blueprint: o.Kind, Identifier: o.Scope.ID}
		w.Add(o)
	}
	if err := w.Commit(true, func(*origins.Origin) bool { return false }); err != nil {
		t.Fatal(err)
	}
	check(follower(), false)
}
