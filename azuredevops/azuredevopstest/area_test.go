package azuredevopstest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

func TestTeamsAndBoards(t *testing.T) {
	t.Parallel()
	w, p, _ := small()
	p.Tags = []string{"x"}
	ann := w.AddPerson("Ann", "ann@contoso.example")
	p.AddTeam("Core", ann)
	p.AddTeam("No sprint").NoIteration = true
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	if teams, _ := list(t, s, "/_apis/projects/"+p.ID+"/teams?$top=2&$skip=1"); len(teams) != 2 || teams[0]["name"] != "Core" {
		t.Error(teams)
	}
	if members, _ := list(t, s, "/_apis/projects/"+p.ID+"/teams/Core/members"); len(members) != 1 || members[0]["isTeamAdmin"] != true {
		t.Error(members)
	}
	if tags, _ := list(t, s, "/_apis/projects/"+p.ID+"/properties?keys=Microsoft.TeamFoundation.Project.Tag.*&api-version=7.1-preview.1"); len(tags) != 1 {
		t.Error(tags)
	}
	boards, _ := list(t, s, "/"+p.ID+"/Core/_apis/work/boards")
	if len(boards) != 3 {
		t.Fatal(boards)
	}
	id, _ := boards[0]["id"].(string)
	var board struct {
		Columns []struct {
			Name, ColumnType string
			StateMappings    map[string]string
		}
	}
	get(t, s, "/"+p.ID+"/Core/_apis/work/boards/"+id).into(t, &board)
	if len(board.Columns) != 4 || board.Columns[1].StateMappings["Bug"] != "Active" {
		t.Errorf("%+v", board)
	}
	if a := get(t, s, "/"+p.ID+"/No%20sprint/_apis/work/boards"); a.status != 500 {
		t.Error(a.status)
	}
	if a := get(t, s, "/"+p.ID+"/Nobody/_apis/work/boards"); a.status != 404 {
		t.Error(a.status)
	}
}

func TestPipelinesAndBuilds(t *testing.T) {
	t.Parallel()
	w, p, r := small()
	var events []string
	w.Subscribe(func(e azuredevopstest.Event) { events = append(events, e.Type) })
	d := p.AddPipeline("ci", r)
	d.Stages = []string{"Build", "Deploy"}
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	base := "/" + p.ID + "/_apis/"
	a := do(t, s, "POST", base+"pipelines/1/runs?api-version=7.1", `{"resources":{"repositories":{"self":{"refName":"refs/heads/main"}}}}`)
	var run struct {
		ID    int
		State string
	}
	a.into(t, &run)
	if run.State != "inProgress" {
		t.Error(a.body)
	}
	if a := get(t, s, base+"build/builds/"+strconv.Itoa(run.ID)+"/timeline"); a.status != 204 {
		t.Error("timeline of a queued build:", a.status)
	}
	b := p.Builds[0]
	b.Start()
	b.Finish("succeeded")
	var timeline struct {
		Records []struct{ Type, Result string }
	}
	get(t, s, base+"build/builds/1/timeline").into(t, &timeline)
	if len(timeline.Records) != 6 || timeline.Records[0].Type != "Stage" || timeline.Records[0].Result != "succeeded" {
		t.Errorf("%+v", timeline)
	}
	if n := len(events); n != 6 || events[5] != "build.complete" || !slices.Contains(events, "ms.vss-pipelines.run-state-changed-event") {
		t.Error(events)
	}
	for range 4 {
		d.QueueBuild("")
	}
	if builds, pages := list(t, s, base+"build/builds?queryOrder=queueTimeDescending&$top=2"); len(builds) != 5 || pages != 3 || builds[0]["id"] != 5.0 {
		t.Error(builds, pages)
	}
	if runs, _ := list(t, s, base+"pipelines/1/runs"); len(runs) != 5 {
		t.Error(runs)
	}
	var def struct{ Repository struct{ ID string } }
	get(t, s, base+"build/definitions/1").into(t, &def)
	if def.Repository.ID != r.ID {
		t.Errorf("%+v", def)
	}
	if a := get(t, s, base+"build/definitions/9"); a.status != 404 {
		t.Error(a.status)
	}
	if a := do(t, s, "POST", base+"pipelines/9/runs?api-version=7.1", `{}`); a.status != 404 {
		t.Error(a.status)
	}
}

func TestReleases(t *testing.T) {
	t.Parallel()
	w, p, _ := small()
	d := p.AddReleaseDefinition("prod", "Stage", "Prod")
	for range 60 {
		d.Release()
	}
	p.Releases[3].Abandon()
	p.Releases[4].Deploy("Stage")
	p.Releases[4].FinishDeploy("Stage", "succeeded")
	s := azuredevopstest.New(azuredevopstest.Options{World: w})
	defer s.Close()
	get := func(path string) ([]map[string]any, int) { return list(t, s, "/"+p.ID+"/_apis/release/"+path) }
	if all, pages := get("releases"); len(all) != 60 || pages != 2 || all[0]["name"] != "Release-60" {
		t.Error(len(all), pages)
	}
	if some, _ := get("releases?statusFilter=abandoned"); len(some) != 1 {
		t.Error(some)
	}
	if deployments, _ := get("deployments"); len(deployments) != 1 || deployments[0]["deploymentStatus"] != "succeeded" {
		t.Error(deployments)
	}
	if defs, _ := get("definitions?$expand=environments"); len(defs[0]["environments"].([]any)) != 2 {
		t.Error(defs)
	}
}

func TestForbiddenProject(t *testing.T) {
	t.Parallel()
	w, p, r := small()
	p.Forbidden = true
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	for path, want := range map[string]int{
		"/_apis/projects/" + p.ID: 200, "/" + p.ID + "/_apis/git/repositories": 403, "/_apis/git/repositories/" + r.ID: 403, "/" + p.ID + "/_apis/pipelines": 403,
	} {
		if a := get(t, s, path); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
}

func TestRepositoryLifeIsAnnounced(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.NewWorld("contoso")
	w.Now = fixedClock
	var got []string
	w.Subscribe(func(e azuredevopstest.Event) {
		var payload struct {
			EventType          string
			ResourceContainers struct{ Project struct{ ID string } }
			Resource           struct {
				Repository struct{ Name string }
				RefUpdates []struct{ Name, NewObjectID string }
			}
		}
		if err := json.Unmarshal(e.Payload("s", 1), &payload); err != nil {
			t.Error(err)
		}
		if payload.ResourceContainers.Project.ID != w.Projects[0].ID {
			t.Error("no project in", e.Type)
		}
		line := payload.EventType + " " + payload.Resource.Repository.Name
		for _, u := range payload.Resource.RefUpdates {
			line += " " + u.Name + fmt.Sprint(strings.Trim(u.NewObjectID, "0") == "")
		}
		got = append(got, line)
	})
	r := w.AddProject("P").AddRepository("a")
	r.Push("main", azuredevopstest.Files{"x": "1"})
	r.Push("topic", azuredevopstest.Files{"y": "1"})
	r.OpenPullRequest("T", "topic", "main").Complete()
	r.DeleteBranch("topic")
	r.Rename("b")
	r.SetDisabled(true)
	r.Delete()
	want := []string{
		"git.repo.created a", "git.push a refs/heads/mainfalse", "git.push a refs/heads/topicfalse", "git.pullrequest.created a",
		"git.push a refs/heads/mainfalse", "git.pullrequest.updated a", "git.pullrequest.merged a", "git.push a refs/heads/topictrue",
		"git.repo.renamed b", "git.repo.statuschanged b", "git.repo.deleted ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.DeleteBranch("gone").Type != "" {
		t.Error("an event without a change")
	}
}

// Readers and writers at once: for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(3, fixedClock)
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 60 {
			w.Step()
		}
	})
	for _, path := range []string{
		"/_apis/git/repositories", "/Payments/_apis/build/builds", "/Payments/_apis/wit/workitems/600",
		"/_apis/git/pullrequests", "/Storefront/_apis/pipelines", "/Storefront/_apis/git/repositories/storefront-web/items?scopePath=/&recursionLevel=full",
	} {
		wg.Go(func() {
			for range 10 {
				get(t, s, path)
			}
		})
	}
	wg.Wait()
}
