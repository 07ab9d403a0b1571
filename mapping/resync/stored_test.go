package resync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/azuredevops/records"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// Causes of a resync: an edit of the mapping, or the button in Port, and deliveries
// that were missed.
const (
	causeEdit   = "edit"
	causeMissed = "missed"
)

// newStoring is a bench with a record store and remembered origins.
func newStoring(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.state = t.TempDir()
	b.restart()
	return b
}

// restart closes the store and opens it again, as another process would.
func (b *bench) restart() {
	b.t.Helper()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

func (b *bench) open() {
	b.t.Helper()
	b.store = records.OpenIn(b.state, 16<<20, slog.New(slog.DiscardHandler))
	if b.store == nil {
		b.t.Fatal("no store")
	}
	b.t.Cleanup(func() { b.store.Close() })
}

// run runs a resync for a cause in a process of its own, and wants so many calls of
// Azure DevOps; -1: some, -2: any number.
func (b *bench) run(cause string, calls int64) *resync.Summary {
	b.t.Helper()
	sum, err := b.runner().Full(b.t.Context(), cause)
	if err != nil || sum.State != resync.StateCompleted {
		b.t.Fatalf("%s: Full = %s, %v\n%+v", cause, sum.State, err, sum)
	}
	if sum.Calls != calls && (calls >= 0 || calls == -1 && sum.Calls == 0) {
		b.t.Errorf("%s took %d calls, want %d", cause, sum.Calls, calls)
	}
	return sum
}

// inStep wants that a resync that reads everything finds nothing to do.
func (b *bench) inStep(after string) {
	b.t.Helper()
	if sum := b.run(causeMissed, -1); sum.Total.Written+sum.Total.Deleted > 0 || sum.Held() > 0 {
		b.t.Errorf("after %s a resync that reads has %+v to do, and keeps %d", after, sum.Total, sum.Held())
	}
}

// event lets live events bring the catalog in step with changes.
func (b *bench) event(changes ...azuredevops.Change) {
	b.t.Helper()
	b.runner()
	f := live.New(live.Config{Organizations: b.cfg.Organizations, Catalog: b.cfg.Catalog, Mapping: b.cfg.Mapping, Book: origins.Open(b.state, slog.New(slog.DiscardHandler)), StateDirectory: b.state})
	if err := f.Relist(b.t.Context(), b.cfg.Organizations[0], catalog.Cause{Event: catalog.EventLive}, changes); err != nil {
		b.t.Fatal(err)
	}
}

// An edit of the mapping takes no call for what is stored, and leads where a resync
// that reads would.
func TestEdits(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.port.AddBlueprint(`{"identifier":"service","schema":{"properties":{"note":{"type":"string"}}},"relations":{}}`)
	original := doc(repositories, projects)
	b.mapping = original
	b.run("start", -1)
	all := b.run(causeMissed, -1).Calls
	noted := func(s string) string { return strings.NewReplacer(" Alpha", " "+s, " Beta", " "+s).Replace(everything) }
	for _, step := range []struct {
		name, mapping string
		calls         int64
		repo, service string
	}{
		{"an expression", doc(strings.Replace(repositories, ".project.name", `\"x\"`, 1), projects), 0, noted("x"), ""},
		{"a query", doc(strings.Replace(repositories, `"true"`, `".name != \"alpha-api\""`, 1), projects), 0, strings.TrimPrefix(everything, "alpha-api Alpha, "), ""},
		{"the original", original, 0, everything, ""},
		{"a blueprint", doc(strings.Replace(repositories, `\"repo\"`, `\"service\"`, 1), projects), 0, "", everything},
		{"the original again", original, 0, everything, ""},
		{"a second block", doc(repositories, projects, strings.Replace(repositories, `\"repo\"`, `\"service\"`, 1)), 0, everything, everything},
		{"a block less", doc(repositories), 0, everything, ""},
		{"the block again", original, 0, everything, ""},
		{"other files", doc(repositories, projects, strings.Replace(withReadme, `.name`, `.name + \"2\"`, 1)), -1, "", ""},
		{"a new kind", doc(repositories, projects, tasks), 3, everything, ""},
		{"after a start", doc(strings.Replace(repositories, ".project.name", `\"x\"`, 1), projects), 0, noted("x"), ""},
		{"the button", doc(strings.Replace(repositories, ".project.name", `\"x\"`, 1), projects), all, noted("x"), ""},
	} {
		if step.name == "after a start" {
			b.restart()
		}
		b.mapping = step.mapping
		b.run(causeEdit, step.calls)
		if step.name != "other files" {
			b.want("repo", "note", step.repo)
			b.want("service", "note", step.service)
		}
	}
	b.mapping = original
	for _, cause := range []string{causeMissed, "schedule"} {
		b.run(cause, all)
	}
	b.inStep("all edits")
}

// What live events were about is read again; what others have made is not deleted.
func TestEditAfterEvents(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.run("start", -1)
	added := b.world.Project("Alpha").AddRepository("alpha-new")
	created := azuredevops.Change{Kind: "repository", Scope: azuredevops.Scope{Project: b.world.Project("Alpha").ID, Repository: added.ID, ID: added.ID}}
	b.event(created)
	b.restart()
	b.mapping = doc(strings.Replace(repositories, `"note":`, `"readme":"\"x\"","note":`, 1))
	b.run(causeEdit, -2)
	b.want("repo", "note", "alpha-api Alpha, alpha-new Alpha, alpha-web Alpha, beta-api Beta, beta-web Beta")
	b.world.Repository(added.ID).Delete()
	b.event(created)
	b.want("repo", "note", everything)
	b.mapping = doc(repositories)
	b.run(causeEdit, -2)
	b.want("repo", "note", everything)
	b.mapping = doc(strings.Replace(repositories, ".project.name", ".name", 1))
	b.run(causeEdit, 0)
	b.inStep("events and edits")
}

// A project that is newer than the stored list of projects has live entities: they stay.
func TestEditKeepsNewProjects(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.mapping = doc(repositories, projects)
	b.run("start", -1)
	p := b.world.AddProject("Gamma")
	r := p.AddRepository("gamma-api")
	b.event(azuredevops.Change{Kind: "repository", Scope: azuredevops.Scope{Project: p.ID, Repository: r.ID, ID: r.ID}})
	b.mapping = doc(strings.Replace(repositories, `"note":`, `"readme":"\"x\"","note":`, 1), projects)
	b.run(causeEdit, -2)
	b.want("repo", "note", everything+", gamma-api Gamma")
}

// Where it is not known what made an entity, an edit does not delete it.
func TestEditWithoutOrigins(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.run("start", -1)
	if err := os.Remove(filepath.Join(b.state, "origins")); err != nil {
		t.Fatal(err)
	}
	b.mapping = doc(strings.Replace(repositories, `"true"`, `".name != \"alpha-api\""`, 1))
	b.run(causeEdit, 0)
	b.want("repo", "note", everything)
	b.run("schedule", -1)
	b.want("repo", "note", strings.TrimPrefix(everything, "alpha-api Alpha, "))
}

// What could not be read is asked again by an edit: older records do not take its place.
func TestEditAfterAFailure(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.run("start", -1)
	b.world.Project("Beta").AddRepository("beta-new")
	b.ado.Fault(ado.Status(reposRoute, 403).In("Beta"))
	b.resync(resync.StateFailed)
	b.ado.ClearFaults()
	b.mapping = doc(strings.Replace(repositories, `"note":`, `"readme":"\"x\"","note":`, 1))
	b.run(causeEdit, 1)
	b.want("repo", "note", "alpha-api Alpha, alpha-web Alpha, beta-api Beta, beta-new Beta, beta-web Beta")
	b.inStep("a failure and an edit")
}

// A store that knows of fewer resyncs than Port, as an older copy of it does, is not used.
func TestOlderStore(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.run("start", -1)
	b.world.Project("Alpha").AddRepository("alpha-new")
	other := port.ResyncState{Status: port.ResyncRunning, Start: time.Now().Add(time.Minute)}
	if err := b.cfg.Port.SetResyncState(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	b.mapping = doc(strings.Replace(repositories, `"note":`, `"readme":"\"x\"","note":`, 1))
	b.run(causeEdit, -1)
	b.want("repo", "note", "alpha-api Alpha, alpha-new Alpha, alpha-web Alpha, beta-api Beta, beta-web Beta")
}

// A resync that was interrupted, wherever that was, goes on with what it had read.
func TestResume(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) *bench {
		b := newStoring(t)
		for i := range 12 {
			b.world.Project("Beta").AddRepository(fmt.Sprintf("gamma-%02d", i)).Push("main", ado.Files{"README.md": fmt.Sprint("# ", i)})
		}
		b.mapping = doc(withReadme, projects, tasks)
		return b
	}
	whole := begin(t)
	undisturbed := whole.run("start", -1).Calls
	want := whole.catalog("repo", "readme")
	at := func(n int) (string, func(*bench, func())) {
		return fmt.Sprintf("call %d", n), func(b *bench, stop func()) { b.ado.Fault(ado.Do("", stop).Skip(n).Times(1)) }
	}
	cases := map[string]func(*bench, func()){
		"owned entities": func(b *bench, stop func()) { b.port.Fault(porttest.Do(ownedRoute, stop).Times(1)) },
		"writing":        func(b *bench, stop func()) { b.port.Fault(porttest.Do(bulk, stop).Times(1)) },
	}
	for n := 0; n < int(undisturbed); n += 4 {
		name, f := at(n)
		cases[name] = f
	}
	for name, interrupt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t)
			ctx, stop := context.WithCancel(t.Context())
			interrupt(b, stop)
			first, err := b.runner().Full(ctx, "start")
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("Full = %s, %v", first.State, err)
			}
			b.ado.ClearFaults()
			b.restart()
			second := b.run("start", -2)
			if sum := first.Calls + second.Calls; sum > undisturbed+16 { // so many are under way at once
				t.Errorf("%d and %d calls, want about %d", first.Calls, second.Calls, undisturbed)
			}
			if got := b.catalog("repo", "readme"); got != want {
				t.Errorf("catalog = %s\nwant %s", got, want)
			}
			b.inStep("an interruption")
		})
	}
}

// What live events were about while a resync was interrupted is read again, and after
// deliveries that were missed everything is.
func TestResumeAfterEvents(t *testing.T) {
	t.Parallel()
	for cause, fresh := range map[string]bool{"start": false, causeMissed: true, causeEdit: true} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			b := newStoring(t)
			b.run("start", -1)
			ctx, stop := context.WithCancel(t.Context())
			b.port.Fault(porttest.Do(bulk, stop).Times(1))
			b.world.Project("Beta").AddRepository("beta-new")
			if _, err := b.runner().Full(ctx, "schedule"); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			b.port.ClearFaults()
			// Nobody tells of one, and an event of the other.
			b.world.Project("Beta").AddRepository("beta-other")
			r := b.world.Project("Alpha").AddRepository("alpha-new")
			b.event(azuredevops.Change{Kind: "repository", Scope: azuredevops.Scope{Project: b.world.Project("Alpha").ID, Repository: r.ID, ID: r.ID}})
			b.restart()
			want := "alpha-api Alpha, alpha-new Alpha, alpha-web Alpha, beta-api Beta, beta-new Beta, "
			calls := int64(-2)
			if fresh {
				want, calls = want+"beta-other Beta, ", -1
			}
			b.run(cause, calls)
			b.want("repo", "note", want+"beta-web Beta")
		})
	}
}

// Whatever is damaged, nothing is written or deleted that a resync that reads would not.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	mapping := func(title string) string { return doc(strings.Replace(tasks, `.fields.\"System.Title\"`, title, 1)) }
	b.mapping = mapping(".id | tostring")
	p := b.world.Project("Alpha")
	p.AddWorkItem("Task", "One")
	began := time.Now()
	b.run("start", -1)
	b.event(azuredevops.Change{Kind: "work-item", Scope: azuredevops.Scope{Project: p.ID, ID: strconv.Itoa(p.AddWorkItem("Task", "Two").ID)}})
	now := b.catalog("task", "")
	if strings.Count(now, ",") != 1 {
		t.Fatalf("tasks %s", now)
	}
	b.store.Close()
	whole := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(whole, os.DirFS(b.state)); err != nil {
		t.Fatal(err)
	}
	size := len(fileOf(t, whole))
	damage := map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)*2/3] },
		"emptied": func([]byte) []byte { return nil },
	}
	for i := range 50 { // half of them at the end, where it is noted what the event was about
		at := i * size / 25
		if i >= 25 {
			at = size - 1000 + (i-25)*40
		}
		damage[fmt.Sprintf("byte %d", at)] = func(b []byte) []byte { b[at] ^= 1 << (i % 8); return b }
	}
	for name, change := range damage {
		for _, indexed := range []bool{true, false} {
			if err := errors.Join(os.RemoveAll(b.state), os.CopyFS(b.state, os.DirFS(whole))); err != nil {
				t.Fatal(err)
			}
			if !indexed {
				os.Remove(filepath.Join(b.state, "records", "records.index"))
			}
			if err := os.WriteFile(filepath.Join(b.state, "records", "records"), change(fileOf(t, whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := b.cfg.Port.SetResyncState(t.Context(), port.ResyncState{Status: port.ResyncRunning, Start: began}); err != nil {
				t.Fatal(err) // or the store would be an older copy
			}
			b.open()
			b.mapping = mapping(fmt.Sprintf(`\"%s %v\"`, name, indexed))
			b.run(causeEdit, -2)
			if got := b.catalog("task", ""); got != now {
				t.Fatalf("%s, with the index %v: %s", name, indexed, got)
			}
			b.store.Close()
		}
	}
}

func fileOf(t *testing.T, state string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(state, "records", "records"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Nothing stored is used where other processes may know more.
func TestOtherProcessesKnowMore(t *testing.T) {
	t.Parallel()
	b := newStoring(t)
	b.run("start", -1)
	for _, step := range []struct {
		note  string
		all   bool
		err   error
		calls int64
	}{
		{".name", true, nil, 0},
		{"(.name)", false, nil, -1},
		{".name|.", true, errors.New("no connection"), -1},
		{".|.name", true, nil, 0},
	} {
		b.config = func(c *resync.Config) {
			c.Touched = func(context.Context) (bool, error) { return step.all, step.err }
		}
		b.mapping = doc(strings.Replace(repositories, ".project.name", step.note, 1))
		b.run(causeEdit, step.calls)
		b.want("repo", "note", "alpha-api alpha-api, alpha-web alpha-web, beta-api beta-api, beta-web beta-web")
	}
}
