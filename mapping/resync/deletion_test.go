package resync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// scopeOf is a project, as records name it.
func scopeOf(b *bench, project string) azuredevops.Scope {
	return azuredevops.Scope{Organization: azuredevops.OrganizationKey(b.ado.OrganizationURL()), Project: b.world.Project(project).ID}
}

// What a block that does not run might have made is not deleted.
func TestRejectedBlocksAndDoubt(t *testing.T) {
	t.Parallel()
	const gone = `"query":".name != \"Beta\" and .name != \"beta-web\""`
	broken := strings.Replace(withReadme, `["README.md"]`, `5`, 1)
	for name, tt := range map[string]struct {
		rejected        string
		repos, projects string
	}{
		"none":                 {"", "alpha-api alpha-web beta-api", "Alpha"},
		"of one blueprint":     {broken, "alpha-api alpha-web beta-api beta-web", "Alpha"},
		"of computed ones":     {strings.Replace(broken, `"\"repo\""`, `".kind"`, 1), "alpha-api alpha-web beta-api beta-web", "Alpha Beta"},
		"of unknown kind":      {strings.Replace(repositories, `"repository"`, `"spaceship"`, 1), "alpha-api alpha-web beta-api beta-web", "Alpha"},
		"without any content":  {`5`, "alpha-api alpha-web beta-api beta-web", "Alpha Beta"},
		"of another blueprint": {strings.Replace(broken, `repo\""`, `task\""`, 1), "alpha-api alpha-web beta-api", "Alpha"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping = doc(repositories, projects)
			b.resync(resync.StateCompleted)
			blocks := []string{strings.Replace(repositories, `"query":"true"`, gone, 1), strings.Replace(projects, `"query":"true"`, gone, 1)}
			state := resync.StateCompleted
			if tt.rejected != "" {
				blocks, state = append(blocks, tt.rejected), resync.StateFailed
			}
			b.mapping = doc(blocks...)
			sum := b.resync(state)
			if got := ids(b, "repo"); got != tt.repos {
				t.Errorf("repositories %s, want %s", got, tt.repos)
			}
			if got := ids(b, "project"); got != tt.projects {
				t.Errorf("projects %s, want %s", got, tt.projects)
			}
			if kept := len(strings.Fields(tt.repos+" "+tt.projects)) - 4; held(sum, resync.HoldUnread) != kept {
				t.Errorf("%d not deleted, want %d", held(sum, resync.HoldUnread), kept)
			}
		})
	}
}

// held counts what was not deleted for a reason.
func held(sum *resync.Summary, h resync.Hold) (n int) {
	for _, x := range sum.NotDeleted {
		if x.Hold == h {
			n += x.Entities
		}
	}
	return n
}

func ids(b *bench, blueprint string) string {
	var out []string
	for _, e := range b.port.Entities(blueprint) {
		out = append(out, e.Identifier)
	}
	return strings.Join(out, " ")
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		threshold string
		gone      int // of 4
		deleted   bool
	}{{"0", 1, false}, {"0.25", 1, true}, {"0.5", 2, true}, {"0.5", 3, false}, {"1", 4, true}} {
		t.Run(fmt.Sprint(tt.threshold, " ", tt.gone), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.resync(resync.StateCompleted)
			for _, name := range []string{"alpha-api", "alpha-web", "beta-api", "beta-web"}[:tt.gone] {
				b.world.Repository(repository(t, b, name)).Delete()
			}
			b.mapping = `{"entityDeletionThreshold":` + tt.threshold + `,` + b.mapping[1:]
			sum := b.resync(resync.StateCompleted)
			deleted, over := tt.gone, 0
			if !tt.deleted {
				deleted, over = 0, tt.gone
			}
			if sum.Total.Deleted != int64(deleted) || held(sum, resync.HoldThreshold) != over || len(b.port.Entities("repo")) != 4-deleted {
				t.Errorf("%d deleted, %d over the threshold, %d left", sum.Total.Deleted, held(sum, resync.HoldThreshold), len(b.port.Entities("repo")))
			}
		})
	}
}

// Deletions are counted where the entity came from, as far as that is known.
func TestDeletionsAreCountedByOrigin(t *testing.T) {
	t.Parallel()
	second := strings.Replace(projects, `\"project\"`, `\"repo\"`, 1) // projects are repo entities as well
	for _, memory := range []bool{false, true} {
		b := newBench(t)
		b.mapping = doc(second, repositories)
		if memory {
			b.state = t.TempDir()
		}
		b.resync(resync.StateCompleted)
		b.world.Repository(repository(t, b, "beta-web")).Delete()
		sum := b.resync(resync.StateCompleted)
		got := map[string]int64{}
		for _, k := range sum.Kinds {
			for _, p := range k.Projects {
				if p.Counts.Deleted > 0 {
					got[k.Kind+" "+p.Project] = p.Counts.Deleted
				}
			}
		}
		want := "map[project :1]" // the first block that writes the blueprint
		if memory {
			want = "map[repository Beta:1]"
		}
		if fmt.Sprint(got) != want {
			t.Errorf("memory %v: deletions are counted as %v, want %s", memory, got, want)
		}
	}
}

// A resync that is stopped leaves the origins of the one before.
func TestStoppedResyncDiscardsOrigins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state = t.TempDir()
	b.resync(resync.StateCompleted)
	b.mapping = doc(projects)
	ctx, cancel := context.WithCancel(t.Context())
	b.port.Fault(porttest.Do(bulk, cancel))
	if sum, err := b.runner().Full(ctx, "test"); sum.State != resync.StateAborted || !errors.Is(err, context.Canceled) {
		t.Fatalf("Full = %s, %v", sum.State, err)
	}
	book := origins.Open(b.state, slog.New(slog.DiscardHandler))
	for _, kind := range []string{"repository", "project"} {
		known, err := book.Of(kind, azuredevops.Scope{Organization: azuredevops.OrganizationKey(b.ado.OrganizationURL())})
		if want := map[string]int{"repository": 4}[kind]; err != nil || len(known) != want {
			t.Errorf("%d origins of %s, %v; want %d", len(known), kind, err, want)
		}
	}
}

// Where the origins cannot be read, deletion needs complete listings again.
func TestDamagedOrigins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state = t.TempDir()
	b.resync(resync.StateCompleted)
	damage(t, b.state)
	b.world.Repository(repository(t, b, "alpha-web")).Delete()
	b.ado.Fault(ado.Status(reposRoute, 404).In("Beta"))
	b.resync(resync.StateFailed)
	b.want("repo", "note", everything)
	for _, want := range []string{"the origins of entities cannot be used", "origins of entities are not remembered"} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	b.ado.ClearFaults()
	b.resync(resync.StateCompleted) // all was read: what the damaged file knew is not needed
	b.want("repo", "note", "alpha-api Alpha, beta-api Beta, beta-web Beta")
	if !origins.Open(b.state, slog.New(slog.DiscardHandler)).Known() {
		t.Error("the origins stay unknown for ever")
	}
}

// What live events have found since the last resync counts like what that found, as long
// as its part cannot be read.
func TestOriginsThatLiveEventsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping, b.state = doc(repositories), t.TempDir()
	b.resync(resync.StateCompleted)
	also := origins.Origin{Kind: "repository", Scope: scopeOf(b, "Beta"), Ref: port.Ref{Blueprint: "repo", Identifier: "alpha-web"}}
	also.Scope.ID = "another"
	if err := origins.Open(b.state, slog.New(slog.DiscardHandler)).Note(t.Context(), []origins.Origin{also}, nil); err != nil {
		t.Fatal(err)
	}
	b.world.Repository(repository(t, b, "alpha-web")).Delete()
	b.ado.Fault(ado.Status(reposRoute, 404).In("Beta"))
	for range 2 {
		b.resync(resync.StateFailed)
		if got := ids(b, "repo"); got != "alpha-api alpha-web beta-api beta-web" {
			t.Errorf("left %s", got)
		}
	}
	b.ado.ClearFaults()
	b.resync(resync.StateCompleted)
	if got := ids(b, "repo"); got != "alpha-api beta-api beta-web" {
		t.Errorf("left %s", got)
	}
}

// The origins follow what was read: those of unread parts stay, even of an entity
// that something else makes; those of deleted entities go.
func TestOriginsThatAreRemembered(t *testing.T) {
	t.Parallel()
	both := doc(strings.Replace(projects, `\"project\"`, `\"repo\"`, 1), strings.Replace(repositories, `"identifier":".name"`, `"identifier":".project.name"`, 1))
	for name, tt := range map[string]struct {
		mapping     string
		fault       *ado.Fault
		gone        string
		alpha, beta int // origins of repositories
	}{
		"unread":         {doc(repositories), ado.Status(reposRoute, 404).In("Beta"), "alpha-web", 1, 2},
		"read":           {doc(repositories), nil, "beta-web", 2, 1},
		"made elsewhere": {both, ado.Status(reposRoute, 404).In("Beta"), "alpha-web", 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping, b.state = tt.mapping, t.TempDir()
			b.resync(resync.StateCompleted)
			b.world.Repository(repository(t, b, tt.gone)).Delete()
			state := resync.StateCompleted
			if tt.fault != nil {
				b.ado.Fault(tt.fault)
				state = resync.StateFailed
			}
			b.resync(state)
			book := origins.Open(b.state, slog.New(slog.DiscardHandler))
			for project, want := range map[string]int{"Alpha": tt.alpha, "Beta": tt.beta} {
				if known, err := book.Of("repository", scopeOf(b, project)); err != nil || len(known) != want {
					t.Errorf("%d origins of %s, %v; want %d", len(known), project, err, want)
				}
			}
		})
	}
}

// A record that cannot be mapped may have made any entity of its block.
func TestFaultyRecordsDeleteNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		query  string
		config func(*resync.Config, *bench)
		reason string
	}{
		"selector without a boolean": {`if .name == \"beta-web\" then 5 else true end`, nil, "selector.query is neither true nor false"},
		"mapping takes too long": {`[range(1e9)] | length > 0`, func(cfg *resync.Config, b *bench) {
			m, err := mapping.Parse([]byte(b.mapping), mapping.Options{ItemTimeout: 1})
			if err != nil {
				b.t.Fatal(err)
			}
			cfg.Mapping = func(context.Context) (*mapping.Mapping, error) { return m, nil }
		}, "mapping: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.resync(resync.StateCompleted)
			b.mapping = doc(strings.Replace(repositories, `"query":"true"`, `"query":"`+tt.query+`"`, 1))
			if tt.config != nil {
				b.config = func(cfg *resync.Config) { tt.config(cfg, b) }
			}
			sum := b.resync(resync.StateFailed)
			b.want("repo", "note", everything)
			if !strings.Contains(sum.Reason(), tt.reason) {
				t.Errorf("reason %q, want %q", sum.Reason(), tt.reason)
			}
		})
	}
}

// An entity with a search that Port refuses could have been any of its blueprint.
func TestRefusedSearchDeletesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	b.mapping = doc(strings.Replace(found, `"note":"\"found\""`, `"size":"\"large\""`, 1)) // a text for a number
	b.resync(resync.StateCompleted)
	if got := ids(b, "repo"); got != "alpha-api alpha-web beta-api beta-web" {
		t.Errorf("repositories %s, want all", got)
	}
	if !strings.Contains(b.log.String(), "an entity with a search could not be written") {
		t.Error("the log does not say why")
	}
}

// Entities that wait where nothing can hold them are all the same brought to
// Port, and none of the rest is taken for gone.
func TestWaitingEntitiesWithoutRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(strings.Replace(repositories, ".project.name", `.project.name + (\"x\" * 900000)`, 1))
	b.resync(resync.StateCompleted)
	b.config = func(cfg *resync.Config) { cfg.TempDirectory = "/nowhere/at/all" }
	release := make(chan struct{})
	b.port.Fault(
		porttest.Gate(ownedRoute, release).After(1), // nothing is loaded before everything is listed
		porttest.Do("PUT /v1/metrics/integration/{ingest}/syncMetrics/resync/{event}/kind/{kind}", func() { close(release) }).After(1).Times(1),
	)
	sum := b.resync(resync.StateFailed)
	if got := ids(b, "repo"); got != "alpha-api alpha-web beta-api beta-web" {
		t.Errorf("repositories %s, want all", got)
	}
	if sum.Total.Listed != 4 || !strings.Contains(sum.Reason(), "no file can hold them") {
		t.Errorf("%d listed, %s", sum.Total.Listed, sum.Reason())
	}
}

// What Port does not let go is a problem of the resync, and the rest goes.
func TestDeletionsThatPortRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects)
	b.resync(resync.StateCompleted)
	b.port.AddBlueprint(`{"identifier":"deploy","schema":{"properties":{}},"relations":{"of":{"target":"repo","many":false,"required":true}}}`)
	b.port.PutEntity("somebody", `{"blueprint":"deploy","identifier":"d","relations":{"of":"beta-web"}}`)
	b.mapping = `{"deleteDependentEntities":false,` + doc(
		strings.Replace(repositories, `"query":"true"`, `"query":".name != \"beta-web\" and .name != \"beta-api\""`, 1),
		strings.Replace(projects, `"query":"true"`, `"query":".name != \"Beta\""`, 1))[1:]
	sum := b.resync(resync.StateFailed)
	if got := ids(b, "repo") + " " + ids(b, "project"); got != "alpha-api alpha-web beta-web Alpha" {
		t.Errorf("left %s", got)
	}
	if sum.Total.Deleted != 2 || !strings.Contains(sum.Reason(), "deleting what is gone") {
		t.Errorf("%d deleted, %s", sum.Total.Deleted, sum.Reason())
	}
}

// damage cuts the file of origins.
func damage(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "origins")
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-3)
	}
	if err != nil {
		t.Fatal(err)
	}
}
