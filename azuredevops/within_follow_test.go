package azuredevops_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

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
	store    *azuredevops.Client        // has read everything once, and is told what events are about
	read     time.Time                  // when that began
}

func follow(t *testing.T, w *azuredevopstest.World, c, store *azuredevops.Client) *follower {
	t.Helper()
	f := &follower{t: t, client: c, known: map[string]map[string]seen{}, touched: map[string]bool{}, store: store, read: time.Now()}
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
		f.stored(l, azuredevops.Reading{})
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

// stored is what a listing has that uses what was stored at the beginning.
func (f *follower) stored(l *azuredevops.Listing, reading azuredevops.Reading) map[string]seen {
	out := map[string]seen{}
	for rec, err := range l.Records(f.t.Context(), f.store.SnapshotOf(reading), azuredevops.ListOptions{Now: f.read}) {
		if err != nil {
			f.t.Fatal(l.Key, err)
		}
		got := settled(see(f.t, rec))
		out[identity(got)] = got
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
	f.store.Touch(azuredevops.Changes(&e))
	f.store.Touch(changes)
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
		fresh := f.fresh(l)
		if diff := gocmp.Diff(fresh, f.known[l.Key]); diff != "" {
			f.t.Errorf("after %s, %s:\n%.2500s", after, l.Key, diff)
		}
		if diff := gocmp.Diff(fresh, f.stored(l, azuredevops.Reading{Since: f.read})); diff != "" {
			f.t.Errorf("after %s, %s, from the store:\n%.2500s", after, l.Key, diff)
		}
	}
	clear(f.touched)
}

// A step is what somebody does in an organization.
type step struct {
	name string
	do   func()
}

// Events alone lead to what a resync finds, and whatever they are about is read again
// where stored answers are used: a project of its own for each family of events.
func TestEventsAreEnough(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		family, project string
		steps           func(p *azuredevopstest.Project) []step
	}{
		{"branches", "Payments", func(p *azuredevopstest.Project) []step {
			api := p.Repositories[0]
			return []step{
				{"push", func() { api.Push("main", azuredevopstest.Files{"README.md": "# New", "deploy/x.yaml": "a: 1"}) }},
				{"branch", func() { api.Push("feature/x", azuredevopstest.Files{"x": "y"}) }},
				{"pull request", func() {
					api.OpenPullRequest("X", "feature/x", "main").Update(func(p *azuredevopstest.PullRequest) { p.Title = "Y" })
				}},
				{"branch deleted", func() { api.DeleteBranch("feature/x") }},
				{"abandonment", func() { openPull(p).Abandon() }},
			}
		}},
		{"runs", "Payments", func(p *azuredevopstest.Project) []step {
			return []step{
				{"run", func() { p.Pipelines[0].QueueBuild("").Start() }},
				{"end of the run", func() { p.Builds[len(p.Builds)-1].Finish("failed") }},
			}
		}},
		{"work items and releases", "Payments", func(p *azuredevopstest.Project) []step {
			return []step{
				{"new work item", func() { p.AddWorkItem("Task", "New") }},
				{"closed work item", func() { p.WorkItems[3].Update(func(i *azuredevopstest.WorkItem) { i.State = "Closed" }) }},
				{"deleted work item", func() { p.WorkItems[4].Delete() }},
				{"release", func() { p.ReleaseDefinitions[0].Release() }},
				{"deployment", func() {
					r := p.Releases[len(p.Releases)-1]
					r.Deploy(r.Environments[0].Name)
					r.FinishDeploy(r.Environments[0].Name, "succeeded")
				}},
				{"abandoned release", func() { p.Releases[0].Abandon() }},
			}
		}},
		{"repositories", "Storefront", func(p *azuredevopstest.Project) []step {
			bff := p.Repositories[1]
			return []step{
				{"completion", func() {
					bff.Push("feature/y", azuredevopstest.Files{"y": "y"})
					bff.OpenPullRequest("Z", "feature/y", "main").Complete()
				}},
				{"new repository", func() { p.AddRepository("new").Push("main", azuredevopstest.Files{"README.md": "# n"}) }},
				{"disabled repository", func() { p.Repositories[2].SetDisabled(true) }},
				{"enabled repository", func() { p.Repositories[2].SetDisabled(false) }},
				// Builds have the name in them too: those are left to the next resync.
				{"renamed repository", func() { p.Repositories[len(p.Repositories)-1].Rename("renamed") }},
				{"deleted repository", func() { p.Repositories[0].Delete() }},
			}
		}},
	} {
		t.Run(tt.family, func(t *testing.T) {
			t.Parallel()
			w, srv := world(t)
			p := w.Project(tt.project)
			w.Edit(func() { w.Projects = []*azuredevopstest.Project{p} })
			neighbour := w.AddProject("Neighbour") // whose records nothing changes
			neighbour.AddRepository("one").Push("main", azuredevopstest.Files{"README.md": "# One"})
			neighbour.AddWorkItem("Task", "One")
			f := follow(t, w, newClient(t, srv), storingClient(t, srv, newStore(t, t.TempDir())))
			for _, s := range tt.steps(p) {
				s.do()
				f.check(s.name, false)
			}
			f.check("everything", true)
		})
	}
}

func openPull(p *azuredevopstest.Project) *azuredevopstest.PullRequest {
	i := slices.IndexFunc(p.PullRequests, func(pr *azuredevopstest.PullRequest) bool { return pr.Status == "active" })
	return p.PullRequests[cmp.Or(i, 0)]
}
