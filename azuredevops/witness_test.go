package azuredevops_test

import (
	"cmp"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// A witnessed world is one whose clock a test sets, and a client that resyncs it.
type witnessed struct {
	t      *testing.T
	world  *azuredevopstest.World
	srv    *azuredevopstest.Server
	client *azuredevops.Client
	all    []*azuredevops.Listing
	now    time.Time

	project *azuredevopstest.Project
	repo    *azuredevopstest.Repository
}

// long is long enough for everything to settle.
const long = 24 * time.Hour

func newWitnessed(t *testing.T, kinds ...string) *witnessed {
	t.Helper()
	w := &witnessed{t: t, world: azuredevopstest.NewWorld("contoso"), now: time.Now().Add(-30 * long)}
	w.world.Now = func() time.Time { return w.now }
	w.project = w.world.AddProject("Payments")
	w.repo = w.project.AddRepository("api")
	w.repo.Push("main", azuredevopstest.Files{"README.md": "# One", "src/a.go": "package a", "docs/x.md": "x"})
	w.srv = azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w.world, PAT: "secret"})
	w.client = storingClient(t, w.srv, newStore(t, t.TempDir()))
	for _, kind := range kinds {
		name, selector, _ := strings.Cut(kind, " ")
		w.all = append(w.all, bind(t, name, cmp.Or(selector, "{}")))
	}
	return w
}

// resync reads everything, compares it with what a client without a past reads, and
// returns how many requests there were whose path has a text in it.
func (w *witnessed) resync(text string) int {
	w.t.Helper()
	w.srv.ClearRequests()
	got, _ := readAll(w.t, w.client, w.all, azuredevops.Reading{}, time.Time{})
	n := w.asked(text)
	want, _ := readAll(w.t, storingClient(w.t, w.srv, nil), w.all, azuredevops.Reading{}, time.Time{})
	for i, l := range w.all {
		if !reflect.DeepEqual(got[i], want[i]) {
			w.t.Errorf("%s: %v, want %v", l.Kind, got[i], want[i])
		}
	}
	return n
}

func (w *witnessed) asked(text string) (n int) {
	for _, r := range w.srv.Requests() {
		if strings.Contains(r.Path, text) {
			n++
		}
	}
	return n
}

// want checks the number of requests of a resync.
func (w *witnessed) want(what, text string, want int) {
	w.t.Helper()
	if got := w.resync(text); got != want {
		w.t.Errorf("%s: %d requests for %s, want %d", what, got, text, want)
	}
}

// stored checks that what was read last is all in the store.
func (w *witnessed) stored(since time.Time) {
	w.t.Helper()
	want, _ := readAll(w.t, w.client, w.all, azuredevops.Reading{}, time.Time{})
	for _, how := range []azuredevops.Reading{{Since: since}, {Since: since, Only: true}} {
		got, calls := readAll(w.t, w.client, w.all, how, time.Time{})
		if calls != 0 || !reflect.DeepEqual(got, want) {
			w.t.Errorf("%+v: %d calls, %v, want %v", how, calls, got, want)
		}
	}
}

// A pipeline whose builds are as they were is not asked for its runs.
func TestRunsOfUnchangedBuilds(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, "pipeline-run", "build")
	one, two := w.project.AddPipeline("one", w.repo), w.project.AddPipeline("two", w.repo)
	first, _ := one.QueueBuild(""), one.QueueBuild("")
	second := two.QueueBuild("")
	for _, b := range w.project.Builds {
		b.Finish("succeeded")
	}
	w.want("first resync", "/runs", 2)
	w.want("nothing changed", "/runs", 0)
	since := time.Now()
	w.want("nothing changed", "/runs", 0)
	w.stored(since)
	w.world.Edit(func() { first.Result = "failed" })
	w.want("a run has another result", "/runs", 1)
	w.want("nothing changed", "/runs", 0)
	w.world.Edit(func() { w.project.Builds = w.project.Builds[1:] })
	w.want("a run is gone", "/runs", 1)
	third := one.QueueBuild("")
	w.want("a run is queued", "/runs", 1)
	w.want("it may change at any time", "/runs", 1)
	w.now = time.Now()
	third.Finish("failed")
	w.want("it has just finished", "/runs", 1)
	w.want("it has just finished", "/runs", 1)
	w.world.Edit(func() { one.Name = "renamed" })
	w.want("a pipeline is renamed", "/runs", 1)
	w.world.Edit(func() { second.Number = "20260101.9" })
	w.want("a run has another number", "/runs", 2)
}

// A run that came and went while both lists were read is not kept for ever.
func TestRunsThatTheBuildsDoNotShow(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, "pipeline-run", "build")
	one := w.project.AddPipeline("one", w.repo)
	one.QueueBuild("").Finish("succeeded")
	builds := w.project.Builds
	w.srv.Fault(azuredevopstest.Do("GET /{project}/_apis/pipelines/{pipeline}/runs", func() { one.QueueBuild("") }).Times(1))
	got, _ := readAll(t, w.client, w.all, azuredevops.Reading{}, time.Time{})
	if len(got[0].Records) != 2 {
		t.Fatalf("%d runs, want 2", len(got[0].Records))
	}
	w.world.Edit(func() { w.project.Builds = builds })
	w.want("the run is gone", "/runs", 1)
}

// Without a kind that lists builds they are not asked for.
func TestRunsWithoutBuilds(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, "pipeline-run")
	w.project.AddPipeline("one", w.repo).QueueBuild("").Finish("succeeded")
	w.want("first resync", "/_apis/build/builds", 0)
	w.want("second resync", "/runs", 1)
}

// Folders of a branch that is at the same commit are not listed.
func TestFoldersOfAnUnchangedBranch(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, `repository {"includedFiles":["README.md","docs/x.md"]}`, "branch", `folder {"folders":[{"path":"*"},{"path":"src/*"}]}`)
	w.want("first resync", "/refs", 1)
	w.want("nothing changed", "/items", 0)
	w.want("nothing changed", "/refs", 1)
	since := time.Now()
	w.want("nothing changed", "/items", 0)
	w.stored(since)
	w.repo.Push("other", azuredevopstest.Files{"a": "b"})
	w.want("another branch has changed", "/items", 0)
	first := w.repo.Branch("main")
	w.repo.Push("main", azuredevopstest.Files{"README.md": "# Two", "new/b.md": "b"})
	w.want("a push", "/items", 2) // folders, README.md
	w.want("nothing changed", "/items", 0)
	w.repo.Reset("main", first)
	w.want("an older commit", "/items", 1)
	w.want("nothing changed", "/items", 0)
	w.repo.Rename("renamed")
	w.want("another name", "/items", 1)
	w.repo.Push("old", azuredevopstest.Files{"old.md": "old"})
	w.world.Edit(func() { w.repo.DefaultBranch = "refs/heads/old" })
	w.want("another default branch", "/items", 1)
}

// A push between two requests of a resync is found by the next one.
func TestPushWhileFoldersAreListed(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, `repository {"includedFiles":["README.md"]}`, "branch")
	w.want("first resync", "/refs", 1)
	w.repo.Push("main", azuredevopstest.Files{"README.md": "# Two"})
	second := w.repo.Branch("main")
	between := azuredevopstest.Do("GET /{project}/_apis/git/repositories/{repository}/items", func() {
		w.repo.Push("main", azuredevopstest.Files{"README.md": "# In between"})
	}).Times(1)
	w.srv.Fault(between)
	readAll(t, w.client, w.all, azuredevops.Reading{}, time.Time{})
	if w.srv.Hits(between) != 1 {
		t.Fatal("nothing was pushed in between")
	}
	w.repo.Reset("main", second)
	w.want("back where it was before", "/items", 2) // folders, README.md
}

// Folders that were listed at several commits are listed again.
func TestPushBetweenFolders(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, `folder {"folders":[{"path":"*"},{"path":"src/*"}]}`, "branch")
	w.srv.Fault(azuredevopstest.Status("POST /{project}/_apis/git/repositories/{repository}/itemsbatch", http.StatusBadRequest))
	between := azuredevopstest.Do("GET /{project}/_apis/git/repositories/{repository}/items", func() {
		w.repo.Push("main", azuredevopstest.Files{"src/new/b.go": "package b"})
	}).Skip(1).Times(1)
	w.srv.Fault(between)
	readAll(t, w.client, w.all, azuredevops.Reading{}, time.Time{})
	if w.srv.Hits(between) != 1 {
		t.Fatal("nothing was pushed in between")
	}
	w.want("one folder was listed later", "/items", 3) // and the refused batch
	w.want("nothing changed", "/items", 0)
}

// Without kind branch the folders are listed: to ask for the branches would cost what it
// saves.
func TestFoldersWithoutBranches(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, `repository {"includedFiles":["README.md"]}`)
	w.want("first resync", "/refs", 0)
	w.want("second resync", "/items", 1)
}

// A wiki that nobody has pushed to is not read page by page.
func TestPagesOfAnUnchangedWiki(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"project", "code"} {
		t.Run(of, func(t *testing.T) {
			t.Parallel()
			w := newWitnessed(t, `wiki {"includeContent":true}`)
			var r *azuredevopstest.Repository
			push := func() {}
			if of == "code" {
				r = w.repo
				push = func() { r.Push("main", azuredevopstest.Files{"page.md": w.now.String()}) }
			}
			wiki := w.project.AddWiki("wiki", r)
			home := wiki.AddPage("/Home", "# Home")
			wiki.AddPage("/Other", "# Other")
			push()
			w.want("first resync", "/pushes", 0)
			w.want("nothing changed", "/pages", 0)
			since := time.Now()
			w.want("nothing changed", "/pushes", 1)
			w.stored(since)
			w.now = time.Now()
			wiki.Write(home, "# New")
			push()
			w.want("a page has changed", "/pages", 3)
			w.want("it has changed a moment ago", "/pages", 3)
			w.now = w.now.Add(-long)
			w.world.Edit(func() { wiki.Name = "renamed" })
			w.want("another name", "/pages", 3)
		})
	}
}

// Where pushes cannot be read, the pages are.
func TestWikiWithoutPushes(t *testing.T) {
	t.Parallel()
	const pushes = "GET /{project}/_apis/git/repositories/{pushed}/pushes"
	for name, fault := range map[string]*azuredevopstest.Fault{
		"forbidden":  azuredevopstest.Status(pushes, http.StatusForbidden),
		"not found":  azuredevopstest.Status(pushes, http.StatusNotFound),
		"malformed":  azuredevopstest.Malformed(pushes),
		"no body":    azuredevopstest.Empty(pushes),
		"undercount": azuredevopstest.Answer(pushes, http.StatusOK, "application/json", `{"count":1,"value":[]}`),
		"no date":    azuredevopstest.Answer(pushes, http.StatusOK, "application/json", `{"count":1,"value":[{"pushId":1}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // a fake clock for retries
				w := newWitnessed(t, `wiki {"includeContent":true}`)
				w.project.AddWiki("wiki", nil).AddPage("/Home", "# Home")
				w.want("first resync", "/pages", 2)
				w.srv.Fault(fault)
				w.want("second", "/pages", 2)
				w.want("third", "/pages", 2)
			})
		})
	}
}

// What a live event was about is asked again, whatever the witness says.
func TestTouchedParts(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, "pipeline-run", "build", `repository {"includedFiles":["README.md"]}`, "branch")
	w.project.AddPipeline("one", w.repo).QueueBuild("").Finish("succeeded")
	w.want("first resync", "/runs", 1)
	at := azuredevops.Scope{Project: w.project.ID}
	w.client.Touch([]azuredevops.Change{{Kind: "pipeline-run", Scope: at}})
	w.want("runs are touched", "/runs", 1)
	w.want("nothing changed", "/runs", 0)
	at.Repository = w.repo.ID
	w.client.Touch([]azuredevops.Change{{Kind: "repository", Scope: at}})
	w.want("a repository is touched", "/items", 1)
	w.want("nothing changed", "/items", 0)
}

// A forgetful store loses values whose key has a text in it.
type forgetful struct {
	azuredevops.Store
	text *string
}

func (s forgetful) Get(key string) ([]byte, bool) {
	if *s.text != "" && strings.Contains(key, *s.text) {
		return nil, false
	}
	return s.Store.Get(key)
}

// Where the store has lost a part of a list, that part is asked for.
func TestLostPageOfAnUnchangedWiki(t *testing.T) {
	t.Parallel()
	w := newWitnessed(t, `wiki {"includeContent":true}`)
	lost := ""
	w.client = storingClient(t, w.srv, forgetful{newStore(t, t.TempDir()), &lost})
	wiki := w.project.AddWiki("wiki", nil)
	for i := range 150 {
		wiki.AddPage("/Page "+strconv.Itoa(i), "# "+strconv.Itoa(i))
	}
	w.want("first resync", "/pagesbatch", 2)
	lost = "continuationToken"
	w.want("the second page of the list is lost", "/pagesbatch", 1)
	lost = "/pages/7?"
	w.want("a page of the wiki is lost", "/pages/", 1)
	lost = ""
	w.want("nothing changed", "/pages", 0)
	lost = "note"
	w.want("what was noted is lost", "/pages/", 150)
}
