package azuredevops_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// changesOf are those of the last event of a change of the world.
func changesOf(t *testing.T, s *azuredevops.Snapshot, announced azuredevopstest.Event) []azuredevops.Change {
	t.Helper()
	e, err := azuredevops.ParseEvent(announced.Payload("00000000-0000-0000-0000-000000000000", 1))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := s.Settle(t.Context(), azuredevops.Changes(&e))
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// What is gone is absent without an error, whatever the kind.
func TestWithinAbsent(t *testing.T) {
	t.Parallel()
	w, srv := world(t)
	p := w.Project("Payments")
	c := newClient(t, srv)
	gone := w.Project("Logistics")
	w.Edit(func() { w.Projects = w.Projects[:2] })
	for _, kind := range azuredevops.Kinds() {
		for _, sel := range withinSelectors()[kind] {
			l := bind(t, kind, sel)
			for _, s := range []azuredevops.Scope{
				{Project: gone.ID},
				{Project: gone.ID, Repository: gone.Repositories[0].ID},
				{Project: gone.ID, ID: "7"},
				{Project: p.ID, Repository: gone.Repositories[0].ID},
				{Project: p.ID, ID: "999999"},
				{Project: p.ID, Repository: p.Repositories[0].ID, ID: "999999"},
			} {
				if s.Repository != "" && kind == "group-member" {
					continue
				}
				if got, errs := listWithin(t, c, l, azuredevops.Change{Scope: s}); len(got) > 0 || len(errs) > 0 {
					t.Errorf("%s %+v: %d records, %v", l.Key, s, len(got), errs)
				}
			}
		}
	}
	pipeline, run := strconv.Itoa(p.Pipelines[0].ID), bind(t, "pipeline-run", `{}`)
	if got, errs := listWithin(t, c, run, azuredevops.Change{Scope: azuredevops.Scope{Project: p.ID, ID: pipeline}}); len(got) == 0 || len(errs) > 0 {
		t.Errorf("runs of a pipeline: %d, %v", len(got), errs)
	}
}

// A project with an excluded tag is empty, for kinds below projects.
func TestWithinExcludedTags(t *testing.T) {
	t.Parallel()
	w, srv := world(t)
	w.Edit(func() { w.Projects = w.Projects[:2] })
	p := w.Project("Payments") // has the tag pci
	c := newClient(t, srv, "pci")
	for _, kind := range azuredevops.Kinds() {
		for _, sel := range withinSelectors()[kind] {
			l := bind(t, kind, sel)
			var want []seen
			for _, rec := range listAll(t, c, l) {
				if rec.Scope.Project == p.ID {
					want = append(want, rec)
				}
			}
			got, errs := listWithin(t, c, l, azuredevops.Change{Scope: azuredevops.Scope{Project: p.ID}})
			if len(errs) > 0 || len(got) != len(want) {
				t.Errorf("%s: %d records, %v, want %d", l.Key, len(got), errs, len(want))
			}
		}
	}
}

// A fault never looks like something that is gone.
func TestWithinFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]func(string) *azuredevopstest.Fault{
		"403":       func(p string) *azuredevopstest.Fault { return azuredevopstest.Status(p, 403) },
		"404":       func(p string) *azuredevopstest.Fault { return azuredevopstest.Status(p, 404) },
		"500":       func(p string) *azuredevopstest.Fault { return azuredevopstest.Status(p, 500) },
		"sign-in":   azuredevopstest.SignInHTML,
		"empty":     azuredevopstest.Empty,
		"malformed": azuredevopstest.Malformed,
		"truncated": azuredevopstest.Truncate,
		"reset":     azuredevopstest.Reset,
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, srv := world(t)
				w.Edit(func() { w.Projects = w.Projects[:2] })
				p := w.Project("Payments")
				item := p.WorkItems[0]
				var events []azuredevopstest.Event
				cancel := w.Subscribe(func(e azuredevopstest.Event) { events = append(events, e) })
				defer cancel()
				p.Repositories[0].Push("main", azuredevopstest.Files{"README.md": "# x"})
				item.Update(func(i *azuredevopstest.WorkItem) { i.Title = "x" })
				openPull(p).Update(func(pr *azuredevopstest.PullRequest) { pr.Title = "x" })
				p.Pipelines[0].QueueBuild("").Start()
				p.Releases[0].Deploy(p.Releases[0].Environments[0].Name)
				c := newClient(t, srv)
				for _, e := range events {
					for _, ch := range changesOf(t, c.Snapshot(), e) {
						faultsOf(t, srv, ch, fault)
					}
				}
			})
		})
	}
}

// faultsOf fails each request that a change takes in turn.
func faultsOf(t *testing.T, srv *azuredevopstest.Server, ch azuredevops.Change, fault func(string) *azuredevopstest.Fault) {
	t.Helper()
	for _, sel := range withinSelectors()[ch.Kind] {
		l := bind(t, ch.Kind, sel)
		srv.ClearFaults()
		srv.ClearRequests()
		want, errs := listWithin(t, newClient(t, srv), l, ch)
		if len(errs) > 0 {
			t.Fatalf("%s %s: %v", l.Key, ch.Scope, errs)
		}
		routes := map[string]bool{}
		for _, r := range srv.Requests() {
			routes[r.Route] = true
		}
		for route := range routes {
			srv.ClearFaults()
			srv.Fault(fault(route))
			records, lacking, failed := 0, 0, 0
			for rec, err := range l.Within(t.Context(), newClient(t, srv).Snapshot(), ch.Scope, azuredevops.ListOptions{Change: ch}) {
				if err != nil {
					if _, ok := errors.AsType[*azuredevops.ScopeError](err); !ok {
						t.Errorf("%s, %s: %v is no ScopeError", l.Key, route, err)
					}
					failed++
					continue
				}
				records++
				if len(rec.Missing) > 0 {
					lacking++
				}
			}
			if records < len(want) && failed == 0 && !ch.Partial {
				t.Errorf("%s %s, fault on %s: %d records, want %d or an error", l.Key, ch.Scope, route, records, len(want))
			}
		}
	}
	srv.ClearFaults()
}

func TestWithinCanceled(t *testing.T) {
	t.Parallel()
	_, srv := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, kind := range azuredevops.Kinds() {
		l := bind(t, kind, withinSelectors()[kind][0])
		n := 0
		for _, err := range l.Within(ctx, newClient(t, srv).Snapshot(), azuredevops.Scope{Project: srv.World().Projects[0].ID}, azuredevops.ListOptions{}) {
			if n++; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d errors", kind, n)
		}
	}
}

// changeOf is the change of a kind that events lead to.
func changeOf(t *testing.T, c *azuredevops.Client, kind string, events []azuredevopstest.Event) azuredevops.Change {
	t.Helper()
	for _, e := range events {
		for _, ch := range changesOf(t, c.Snapshot(), e) {
			if ch.Kind == kind {
				return ch
			}
		}
	}
	t.Fatalf("no change of %s", kind)
	return azuredevops.Change{}
}

// What an event costs when others came before it: requests, and how many of them
// have to wait for each other.
func TestWithinCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, srv := world(t)
		p := w.Project("Payments")
		c := newClient(t, srv)
		var events []azuredevopstest.Event
		defer w.Subscribe(func(e azuredevopstest.Event) { events = append(events, e) })()
		srv.Fault(azuredevopstest.Slow("", time.Second))
		push := func() { p.Repositories[0].Push("main", azuredevopstest.Files{"a": time.Now().String()}) }
		run := func() { p.Pipelines[0].QueueBuild("").Start() }
		release := func() { p.ReleaseDefinitions[0].Release() }
		for _, s := range []struct {
			kind, selector string
			do             func()
			calls, trips   int
		}{
			{"repository", `{}`, push, 1, 1},
			{"branch", `{}`, push, 2, 1},
			{"work-item", `{"wiql":"[System.State] <> 'x'"}`, func() { p.WorkItems[0].Update(func(i *azuredevopstest.WorkItem) { i.Title += "." }) }, 2, 1},
			{"pull-request", `{}`, func() { openPull(p).Update(func(pr *azuredevopstest.PullRequest) { pr.Title += "." }) }, 1, 1},
			{"pipeline-run", `{}`, run, 2, 1},
			{"pipeline", `{"includeRepo":true}`, run, 2, 1},
			{"build", `{}`, run, 1, 1},
			{"pipeline-stage", `{}`, run, 2, 1},
			{"release", `{}`, release, 1, 1},
			{"release-definition", `{}`, release, 1, 1},
			{"release-deployment", `{}`, func() { p.Releases[0].Deploy(p.Releases[0].Environments[0].Name) }, 1, 1},
		} {
			for round := range 2 { // the first one may have to read what the next one knows
				events = nil
				s.do()
				ch := changeOf(t, c, s.kind, events)
				srv.ClearRequests()
				began := time.Now()
				got, errs := listWithin(t, c, bind(t, s.kind, s.selector), ch)
				calls, trips := len(srv.Requests()), int(time.Since(began)/time.Second)
				if len(got) == 0 || len(errs) > 0 {
					t.Errorf("%s: %d records, %v", s.kind, len(got), errs)
				}
				if round == 1 && (calls != s.calls || trips != s.trips) {
					t.Errorf("%s: %d calls and %d trips, want %d and %d: %v", s.kind, calls, trips, s.calls, s.trips, srv.Requests())
				}
			}
		}
	})
}
