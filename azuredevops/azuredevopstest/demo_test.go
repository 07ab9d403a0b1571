package azuredevopstest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

func fixedClock() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func TestDemoWorld(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(7, fixedClock)
	var repositories, pipelines, builds, items, releases, pulls int
	for _, p := range w.Projects {
		repositories += len(p.Repositories)
		pipelines += len(p.Pipelines)
		builds += len(p.Builds)
		items += len(p.WorkItems)
		releases += len(p.Releases)
		pulls += len(p.PullRequests)
	}
	if len(w.Projects) != 6 || repositories != 40 || items != 600 {
		t.Errorf("%d projects, %d repositories, %d work items; want 6, 40, 600", len(w.Projects), repositories, items)
	}
	if pipelines < 50 || pipelines > 62 || builds != 4*pipelines || releases == 0 || pulls < 40 {
		t.Errorf("%d pipelines, %d builds, %d releases, %d pull requests", pipelines, builds, releases, pulls)
	}
}

func TestDemoWorldIsDeterministic(t *testing.T) {
	t.Parallel()
	read := func() string {
		s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: azuredevopstest.DemoWorldAt(7, fixedClock)})
		var all string
		for _, path := range []string{
			"/_apis/projects", "/_apis/git/repositories", "/Payments/_apis/build/builds", "/Payments/_apis/wit/workitems/600",
			"/Storefront/_apis/git/policy/configurations", "/Logistics/_apis/release/releases",
		} {
			all += get(t, s, path).body
		}
		return all
	}
	if a, b := read(), read(); a != b {
		t.Error("two demo worlds of one seed differ")
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(7, fixedClock)
	types := map[string]int{}
	cancel := w.Subscribe(func(e azuredevopstest.Event) {
		types[e.Type]++
		if !json.Valid(e.Payload("subscription", 1)) || w.Project(e.Project) == nil {
			t.Errorf("event %s of project %q is no JSON", e.Type, e.Project)
		}
	})
	for range 300 {
		w.Step()
	}
	cancel()
	for _, typ := range []string{"workitem.updated", "workitem.created", "workitem.deleted", "git.push", "build.complete", "git.pullrequest.created", "git.repo.created", "ms.vss-release.release-created-event"} {
		if types[typ] == 0 {
			t.Errorf("300 steps made no %s; made %v", typ, types)
		}
	}
	before := types["git.push"]
	w.Projects[0].Repositories[0].Push("main", azuredevopstest.Files{"x": "y"})
	if types["git.push"] != before {
		t.Error("an event came after cancel")
	}
}
