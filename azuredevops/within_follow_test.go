package azuredevops_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// A follower keeps what it knows of an organization in step by its events alone.
type follower struct {
	t        *testing.T
	client   *azuredevops.Client
	touched  map[string]bool // kinds that events since the last check were about
	listings []*azuredevops.Listing
	known    map[string]map[string]seen // by listing and identity
}

func follow(t *testing.T, w *azuredevopstest.World, c *azuredevops.Client) *follower {
	t.Helper()
	f := &follower{t: t, client: c, known: map[string]map[string]seen{}, touched: map[string]bool{}}
	selectors := withinSelectors()
	for _, kind := range azuredevops.Kinds() {
		if len(azuredevops.EventsOf(kind)) == 0 {
			continue
		}
		for _, sel := range selectors[kind] {
			if strings.Contains(sel, `"maxResults":1}`) {
				continue // one more pushes another one out, which no event tells
			}
			f.listings = append(f.listings, bind(t, kind, sel))
		}
	}
	for _, l := range f.listings {
		f.known[l.Key] = f.fresh(l)
	}
	t.Cleanup(w.Subscribe(f.handle))
	return f
}

func (f *follower) fresh(l *azuredevops.Listing) map[string]seen {
	out := map[string]seen{}
	for _, rec := range listAll(f.t, f.client, l) {
		out[identity(rec)] = settled(rec)
	}
	return out
}

// settled leaves out of a record what no event tells: the size of the repository
// inside a policy.
func settled(rec seen) seen {
	if doc, ok := rec.JSON.(map[string]any); ok {
		if r, ok := doc["__repository"].(map[string]any); ok && doc["settings"] != nil {
			delete(r, "size")
		}
	}
	return rec
}

// identity tells records apart, those that share a scope too.
func identity(rec seen) string {
	doc, _ := rec.JSON.(map[string]any)
	s := rec.Scope
	return strings.Join([]string{s.Project, s.Repository, s.ID, fmt.Sprint(doc["id"]), fmt.Sprint(doc["path"]), fmt.Sprint(doc["name"])}, " ")
}

// handle is what becomes of a delivery.
func (f *follower) handle(announced azuredevopstest.Event) {
	e, err := azuredevops.ParseEvent(announced.Payload("00000000-0000-0000-0000-000000000000", 1))
	if err != nil {
		f.t.Errorf("%s: %v", announced.Type, err)
		return
	}
	s := f.client.Snapshot()
	changes, err := s.Settle(f.t.Context(), azuredevops.Changes(&e))
	if err != nil {
		f.t.Errorf("%s: %v", announced.Type, err)
	}
	for _, c := range changes {
		f.touched[c.Kind] = true
		for _, l := range f.listings {
			if l.Kind == c.Kind {
				f.refresh(s, l, c)
			}
		}
	}
}

func (f *follower) refresh(s *azuredevops.Snapshot, l *azuredevops.Listing, c azuredevops.Change) {
	known := f.known[l.Key]
	if !c.Partial {
		maps.DeleteFunc(known, func(_ string, rec seen) bool { return inside(c.Scope, rec.Scope) })
	}
	for rec, err := range l.Within(f.t.Context(), s, c.Scope, azuredevops.ListOptions{Change: c}) {
		if err != nil {
			f.t.Errorf("%s %s: %v", l.Key, c.Scope, err)
			return
		}
		got := settled(see(f.t, rec))
		known[identity(got)] = got
	}
}

// check compares what events were about with what a resync finds now; with all,
// everything.
func (f *follower) check(after string, all bool) {
	f.t.Helper()
	for _, l := range f.listings {
		if !all && !f.touched[l.Kind] {
			continue
		}
		if diff := gocmp.Diff(f.fresh(l), f.known[l.Key]); diff != "" {
			f.t.Errorf("after %s, %s:\n%.2500s", after, l.Key, diff)
		}
	}
	clear(f.touched)
}

// Events alone lead to what a resync finds.
func TestEventsAreEnough(t *testing.T) {
	t.Parallel()
	w, srv := world(t)
	w.Edit(func() { w.Projects = w.Projects[:2] })
	payments := w.Project("Payments")
	storefront := w.Project("Storefront")
	c := newClient(t, srv)
	f := follow(t, w, c)
	api, bff := payments.Repositories[0], storefront.Repositories[1]
	steps := []struct {
		name string
		do   func()
	}{
		{"push", func() { api.Push("main", azuredevopstest.Files{"README.md": "# New", "deploy/x.yaml": "a: 1"}) }},
		{"branch", func() { api.Push("feature/x", azuredevopstest.Files{"x": "y"}) }},
		{"pull request", func() {
			api.OpenPullRequest("X", "feature/x", "main").Update(func(p *azuredevopstest.PullRequest) { p.Title = "Y" })
		}},
		{"branch deleted", func() { api.DeleteBranch("feature/x") }},
		{"completion", func() {
			bff.Push("feature/y", azuredevopstest.Files{"y": "y"})
			bff.OpenPullRequest("Z", "feature/y", "main").Complete()
		}},
		{"abandonment", func() { openPull(payments).Abandon() }},
		{"run", func() { payments.Pipelines[0].QueueBuild("").Start() }},
		{"end of the run", func() { payments.Builds[len(payments.Builds)-1].Finish("failed") }},
		{"new work item", func() { payments.AddWorkItem("Task", "New") }},
		{"closed work item", func() { payments.WorkItems[3].Update(func(i *azuredevopstest.WorkItem) { i.State = "Closed" }) }},
		{"deleted work item", func() { payments.WorkItems[4].Delete() }},
		{"release", func() { payments.ReleaseDefinitions[0].Release() }},
		{"deployment", func() {
			r := payments.Releases[len(payments.Releases)-1]
			r.Deploy(r.Environments[0].Name)
			r.FinishDeploy(r.Environments[0].Name, "succeeded")
		}},
		{"abandoned release", func() { payments.Releases[0].Abandon() }},
		{"new repository", func() { payments.AddRepository("new").Push("main", azuredevopstest.Files{"README.md": "# n"}) }},
		{"disabled repository", func() { storefront.Repositories[2].SetDisabled(true) }},
		{"enabled repository", func() { storefront.Repositories[2].SetDisabled(false) }},
		// Builds have the name in them too: those are left to the next resync.
		{"renamed repository", func() { payments.Repositories[len(payments.Repositories)-1].Rename("renamed") }},
		{"deleted repository", func() { storefront.Repositories[0].Delete() }},
	}
	for _, s := range steps {
		s.do()
		f.check(s.name, false)
	}
	f.check("everything", true)
}

func openPull(p *azuredevopstest.Project) *azuredevopstest.PullRequest {
	i := slices.IndexFunc(p.PullRequests, func(pr *azuredevopstest.PullRequest) bool { return pr.Status == "active" })
	return p.PullRequests[cmp.Or(i, 0)]
}
