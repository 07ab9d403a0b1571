package resync_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	cursorRoute = "GET /v1/integration/{integration}/cursor"
	tasks       = `{"kind":"work-item","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".id | tostring","title":".fields.\"System.Title\"","blueprint":"\"task\""}}}}`
	found       = `{"kind":"repository","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":{"combinator":"\"and\"","rules":[{"property":"\"$title\"","operator":"\"=\"","value":".name"}]},"blueprint":"\"repo\"","properties":{"note":"\"found\""}}}}}`
	searching   = `{"kind":"repository","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".name","title":".name","blueprint":"\"repo\"","relations":{"project":{"combinator":"\"and\"","rules":[{"property":"\"$title\"","operator":"\"=\"","value":".project.name"}]}}}}}}`
)

func TestLearnWritesNothingAndDeletesWhatIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	b.world.Repository(repository(t, b, "alpha-web")).Delete()
	b.world.Project("Alpha").AddRepository("alpha-new")
	b.mapping = doc(strings.Replace(repositories, ".project.name", `\"changed\"`, 1))
	b.state = t.TempDir()
	book := origins.Open(b.state, slog.New(slog.DiscardHandler))
	ended := 0
	b.config = func(cfg *resync.Config) {
		cfg.Book, cfg.Ended, cfg.Observer = book, func(*resync.Summary) { ended++ }, observer(func() { ended++ })
	}
	states := len(b.port.Integration().States)
	sum, err := b.runner().Learn(t.Context())
	if err != nil || sum.State != resync.StateCompleted || sum.Total.Deleted != 1 || sum.Total.Written != 0 {
		t.Errorf("Learn = %+v, %v", sum, err)
	}
	b.want("repo", "note", "alpha-api Alpha, beta-api Beta, beta-web Beta")
	if n := len(b.port.Integration().States) - states; n != 0 || ended != 0 {
		t.Errorf("port was told %d states, others %d ends: learning is nobody's resync", n, ended)
	}
	known, err := book.Of("repository", scopeOf(b, "Alpha"))
	if err != nil || !book.Known() || len(known) != 2 {
		t.Errorf("the book knows %v of Alpha, %v", known, err)
	}
}

// What learning does not send may have been made all the same.
func TestLearnKeepsWhatSearchesMean(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]string{"identifier": found, "relation": searching} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping = doc(repositories, projects)
			b.resync(resync.StateCompleted)
			b.mapping = doc(block, projects)
			if sum, err := b.runner().Learn(t.Context()); err != nil || sum.State != resync.StateCompleted {
				t.Errorf("Learn = %+v, %v", sum, err)
			}
			b.want("repo", "note", everything)
		})
	}
}

// An observer counts calls.
type observer func()

func (f observer) Started(*resync.Status) { f() }
func (f observer) Ended(*resync.Summary)  { f() }

func TestOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		interval       time.Duration
		strict, broken bool
		want           string
		mapping        string
	}{
		"good":                        {0, true, false, "", doc(repositories, tasks)},
		"failed":                      {0, true, true, "the resync failed: ", doc(repositories, tasks)},
		"failed, as Python has it":    {0, false, true, "", doc(repositories, tasks)},
		"incremental":                 {time.Hour, true, false, "", doc(repositories, tasks)},
		"incremental, without cursor": {time.Hour, true, true, "the resync failed: ", doc(repositories, tasks)},
		"left out":                    {0, true, false, "the mapping is not used completely: ", doc(strings.Replace(repositories, ".project.name", ".project | | ", 1))},
		"left out, as Python has it":  {0, false, false, "", doc(strings.Replace(repositories, ".project.name", ".project | | ", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping = tt.mapping
			if tt.broken {
				b.ado.Fault(ado.Status(reposRoute, 404).In("Beta"))
				b.port.Fault(porttest.Status(cursorRoute, 400))
			}
			err := b.runner().Once(t.Context(), tt.interval, tt.strict)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Once = %v, want %q", err, tt.want)
			}
			if n := len(b.port.Integration().States); (n == 0) != (tt.interval > 0) {
				t.Errorf("port was told %d states", n)
			}
		})
	}
}

func TestStoppedOnceIsAGoodEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.runner()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Once(ctx, 0, true); err != nil {
		t.Errorf("Once = %v", err)
	}
}

func TestCursorThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(tasks)
	b.port.Fault(porttest.Status("PUT /v1/integration/{integration}/cursor", 400), porttest.Status("POST /v1/integration/{integration}/cursor", 400))
	sum, err := b.runner().Incremental(t.Context(), time.Hour)
	if err != nil || sum.State != resync.StateFailed || !strings.Contains(sum.Reason(), "saving the cursor of work-item (resources[0])") {
		t.Errorf("Incremental = %s, %v: %s", sum.State, err, sum.Reason())
	}
}

// Blocks that share a listing list from the earliest cursor.
func TestIncrementalSharesListings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begun := time.Now()
	b.world.Now = func() time.Time { return begun.Add(-30 * time.Minute) }
	b.world.Project("Alpha").AddWorkItem("Bug", "half an hour ago")
	second := strings.Replace(tasks, ".id | tostring", `(.id | tostring) + \"b\"`, 1)
	for _, blocks := range [][]string{{tasks}, {tasks, second}} {
		b.mapping = doc(blocks...)
		if sum, err := b.runner().Incremental(t.Context(), time.Hour); err != nil || sum.State != resync.StateCompleted {
			t.Errorf("Incremental = %+v, %v", sum, err)
		}
	}
	if got := ids(b, "task"); got != "1 1b" {
		t.Errorf("tasks %s, want that of the second block too", got)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := resync.New(resync.Config{}); err == nil {
		t.Error("a runner of nothing")
	}
}

func TestMappingThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.resync(resync.StateCompleted)
	away := errors.New("port is away")
	var last *resync.Summary
	b.config = func(cfg *resync.Config) {
		cfg.Log, cfg.Ended = nil, func(s *resync.Summary) { last = s }
		cfg.Mapping = func(context.Context) (*mapping.Mapping, error) { return nil, away }
	}
	sum := b.resync(resync.StateFailed)
	if sum != last || sum.Reason() != away.Error() {
		t.Errorf("reason %q, told %+v", sum.Reason(), last)
	}
	b.want("repo", "note", everything)
	states := b.port.Integration().States
	if s := string(states[len(states)-1]); !strings.Contains(s, "failed") {
		t.Errorf("port was told %s", s)
	}
}

func TestReconsiderWithoutAResync(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.runner().Reconsider(t.Context()) // nothing runs: nothing to end
	b.resync(resync.StateCompleted)
}

// Port is told what it shows: states with the next one, kinds, examples, signs of life.
func TestReportsToPort(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects, tasks)
	next := time.Now().Add(time.Hour)
	b.config = func(cfg *resync.Config) {
		cfg.SendExamples, cfg.Heartbeat, cfg.Interval = true, time.Millisecond, 30*time.Minute
		cfg.Schedule = func(time.Time) time.Time { return next }
	}
	for range 4 {
		b.world.Project("Alpha").AddRepository("more").Push("main", ado.Files{"x": "y"})
	}
	b.ado.Fault(ado.Slow(reposRoute, 20*time.Millisecond))
	b.resync(resync.StateCompleted)
	i := b.port.Integration()
	if len(i.States) != 2 || len(i.Heartbeats) == 0 {
		t.Errorf("states %s, %d heartbeats", i.States, len(i.Heartbeats))
	}
	if s := string(i.States[1]); !strings.Contains(s, next.UTC().Format("2006-01-02T15:04")) || !strings.Contains(s, "completed") {
		t.Errorf("the last state is %s, want the next resync in it", s)
	}
	var examples []json.RawMessage
	if err := json.Unmarshal(i.Examples["repository"], &examples); err != nil || len(examples) != 5 {
		t.Errorf("%d examples of 8 repositories, %v; want the first 5: %s", len(examples), err, i.Examples)
	}
	if len(i.Examples["project"]) == 0 || len(i.Examples["work-item"]) != 0 {
		t.Errorf("examples %s, want projects and no work items", i.Examples)
	}
	want := map[string]string{
		"repository-0": "pending syncing completed", "project-1": "pending syncing completed", "work-item-2": "pending syncing completed",
		"__runtime__": "syncing completed", "__reconciliation__": "syncing completed",
	}
	if diff := cmp.Diff(want, told(b.port.Metrics(), i.Heartbeats[0])); diff != "" {
		t.Errorf("what Port was told of each (-want +got):\n%s", diff)
	}
	last := b.port.Metrics()[len(b.port.Metrics())-1]
	if s := string(last); !strings.Contains(s, "__runtime__") || strings.Contains(s, "extract") {
		t.Errorf("the last report is %s, want the end of the whole, and no records of it", s)
	}
}

// told is what was reported of each kind, in order, under one id.
func told(events []json.RawMessage, id string) map[string]string {
	out := map[string]string{}
	for _, e := range events {
		if kind := gjson.GetBytes(e, "kindIdentifier").Str; gjson.GetBytes(e, "eventId").Str == id {
			out[kind] = strings.TrimSpace(out[kind] + " " + gjson.GetBytes(e, "syncState").Str)
		}
	}
	return out
}

// A resync that is stopped, and one that cannot begin, end for Port too.
func TestReportsOfResyncsThatDoNotEndWell(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects)
	ctx, stop := context.WithCancel(t.Context())
	b.ado.Fault(ado.Do(reposRoute, stop))
	if _, err := b.runner().Full(ctx, "test"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var id string
	for _, m := range b.port.Metrics() {
		id = gjson.GetBytes(m, "eventId").Str
	}
	got := told(b.port.Metrics(), id)
	got["project-1"] = "" // as far as it came
	want := map[string]string{"repository-0": "pending syncing aborted", "project-1": "", "__runtime__": "syncing aborted", "__reconciliation__": "aborted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
	b.ado.ClearFaults()
	b.config = func(cfg *resync.Config) {
		cfg.Mapping = func(context.Context) (*mapping.Mapping, error) { return nil, errors.New("no mapping") }
	}
	b.resync(resync.StateFailed)
	m := b.port.Metrics()
	last := m[len(m)-1]
	if diff := cmp.Diff(map[string]string{"__runtime__": "failed"}, told(m, gjson.GetBytes(last, "eventId").Str)); diff != "" {
		t.Errorf("not begun (-want +got):\n%s", diff)
	}
}

// Whoever OCEAN__METRICS__WEBHOOK_URL names gets the same events, and does no harm.
func TestMetricsWebhook(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"taken":   func(http.ResponseWriter, *http.Request) {},
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping = doc(repositories, projects)
			var mu sync.Mutex
			var events []json.RawMessage
			hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.RawQuery != "token=hook-token" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s as %s", r.URL, r.Header)
				}
				mu.Lock()
				events = append(events, body)
				mu.Unlock()
				answer(w, r)
			}))
			defer hook.Close()
			b.client = func(cfg *port.ClientConfig) { cfg.MetricsWebhook = port.Secret(hook.URL + "/in?token=hook-token") }
			sum := b.resync(resync.StateCompleted)
			b.want("repo", "note", everything)
			want := map[string]string{
				"repository-0": "syncing completed", "project-1": "syncing completed", "__runtime__": "syncing completed", "__reconciliation__": "syncing completed",
			}
			if diff := cmp.Diff(want, told(events, sum.ID)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if said := strings.Contains(b.log.String(), "did not take all events"); said == (name == "taken") || strings.Contains(b.log.String(), "hook-token") {
				t.Errorf("log:\n%s", b.log.String())
			}
		})
	}
}

// Reports that Port does not take do not harm the resync.
func TestReportsThatPortDoesNotTake(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config = func(cfg *resync.Config) { cfg.SendExamples = true }
	for _, route := range []string{
		"POST /v1/metrics/*", "PUT /v1/metrics/*", "POST /v1/integration/{integration}/kinds/{kind}/examples", "PATCH /v1/integration/{integration}/resync-state",
	} {
		b.port.Fault(porttest.Status(route, 400))
	}
	b.resync(resync.StateCompleted)
	b.want("repo", "note", everything)
	for _, want := range []string{"port was not shown examples", "port was not told the state"} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// A resource that searches waits for those that write what it searches in, in
// mapping order, and for everything where it cannot be told what that is.
func TestSearchesSeeWhatWasWrittenBefore(t *testing.T) {
	t.Parallel()
	about := func(blueprint string) func(*http.Request, []byte) bool {
		return func(r *http.Request, _ []byte) bool { return strings.Contains(r.URL.Path+"/", "/"+blueprint+"/") }
	}
	for name, tt := range map[string]struct {
		first  string
		faults []porttest.Rule
	}{
		"relations":                    {projects, nil},
		"computed blueprints":          {strings.Replace(projects, `"\"project\""`, `"if .name then \"project\" else null end"`, 1), nil},
		"a blueprint that is not read": {projects, []porttest.Rule{porttest.Status("GET /v1/blueprints/{blueprint}", 400).When(about("repo")).Times(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mapping = doc(tt.first, searching)
			r := b.runner()
			b.port.Fault(append(tt.faults, porttest.Slow(bulk, 50*time.Millisecond).When(about("project")))...)
			if sum, err := r.Full(t.Context(), "test"); err != nil || sum.State != resync.StateCompleted {
				t.Errorf("Full = %+v, %v", sum, err)
			}
			for _, e := range b.port.Entities("repo") {
				if len(e.Relation("project")) != 1 {
					t.Errorf("%s has no project", e.Identifier)
				}
			}
		})
	}
}

// Without its blueprint a search may be about anything: then everything waits.
func TestSearchInAnUnknownBlueprint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(strings.Replace(searching, `\"repo\"`, `\"nowhere\"`, 1), repositories)
	sum := b.resync(resync.StateCompleted)
	b.want("repo", "note", everything)
	if sum.Total.Refused != 4 || len(sum.Refused) != 1 {
		t.Errorf("refused %+v, want 4 entities of a blueprint that is not there", sum.Refused)
	}
}
