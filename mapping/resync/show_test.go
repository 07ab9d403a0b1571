package resync_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
)

func TestTerminalShowsEveryKind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects)
	var screen, table bytes.Buffer
	b.config = func(cfg *resync.Config) { cfg.Observer = resync.NewObserver(nil, &table, &screen, true) }
	b.resync(resync.StateCompleted)
	for _, want := range []string{
		"\x1b[2Krepository-0                 completed       4 listed       4 written       0 unchanged\n",
		"\x1b[2Kproject-1                    completed       2 listed       2 written",
	} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("the screen lacks %q:\n%q", want, &screen)
		}
	}
	if !strings.Contains(table.String(), "resync completed after") || strings.Contains(table.String(), "\x1b") {
		t.Errorf("the table is %q", &table)
	}
}

// The states of kinds, from the first to the last.
func TestStatusOfKinds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects)
	b.ado.Fault(ado.Status(reposRoute, 404).In("Beta"))
	var status *resync.Status
	seen := map[string]bool{}
	look := func() {
		for _, k := range status.Kinds() {
			seen[k.Resource+" "+k.State] = true
		}
	}
	b.config = func(cfg *resync.Config) { cfg.Observer = begins(func(s *resync.Status) { status = s; look() }) }
	b.ado.Fault(ado.Do(reposRoute, func() { look() }).In("Alpha"))
	b.resync(resync.StateFailed)
	look()
	for _, want := range []string{"repository-0 pending", "project-1 pending", "repository-0 syncing", "repository-0 failed", "project-1 completed"} {
		if !seen[want] {
			t.Errorf("%s was not seen: %v", want, seen)
		}
	}
}

// An observer of the begin.
type begins func(*resync.Status)

func (f begins) Started(s *resync.Status) { f(s) }
func (f begins) Ended(*resync.Summary)    {}

func TestObserverThatIsWanted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		screen, table bool
		out, errs     bool // where the table goes
	}{{true, false, false, true}, {true, true, false, true}, {false, true, true, false}, {false, false, false, false}} {
		var out, errs bytes.Buffer
		var screen io.Writer
		if tt.screen {
			screen = io.Discard
		}
		if o := resync.NewObserver(&out, &errs, screen, tt.table); o != nil {
			o.Ended(&resync.Summary{State: resync.StateCompleted})
		}
		if (out.Len() > 0) != tt.out || (errs.Len() > 0) != tt.errs {
			t.Errorf("screen %v, table %v: %d bytes out, %d to the errors", tt.screen, tt.table, out.Len(), errs.Len())
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	sum := &resync.Summary{
		State: resync.StateFailed, Duration: 1234 * time.Millisecond, Calls: 7, Throttled: 2 * time.Second, PortCalls: 3,
		Total: resync.Counts{Listed: 1, Mapped: 1, Written: 1, Deleted: 2},
		Kinds: []resync.KindSummary{{Resource: "repository-0", Counts: resync.Counts{Listed: 1, Refused: 3, Failed: 4}, Projects: []resync.ProjectSummary{
			{Project: "Alpha", Calls: 5, Throttled: time.Second, Counts: resync.Counts{Filtered: 6}}, {},
		}}},
		Unread:      []resync.Unread{{Resources: []string{"repository-0"}, Scope: "Beta", Reason: "404"}, {Resources: []string{"user-1"}, Scope: "acme", Reason: "403", Records: 2}},
		Refused:     []catalog.Refusal{{Blueprint: "repo", Reason: "422", Entities: 1, Sample: "x"}, {Blueprint: "task", Reason: "400", Entities: 2, Sample: "y"}},
		Rejected:    []string{"resources[3]"},
		Expressions: []string{"repository-0: title"},
		Problems:    []string{"a problem"},
		NotDeleted:  []resync.NotDeleted{{Blueprint: "repo", Entities: 1, Reason: "boards of Beta could not be read"}, {Blueprint: "task", Entities: 5, Hold: resync.HoldBrake, Reason: "of the brake"}},
	}
	for i := range 45 {
		sum.Kinds[0].Projects = append(sum.Kinds[0].Projects, resync.ProjectSummary{Project: fmt.Sprint("p", i)})
	}
	var out bytes.Buffer
	resync.NewTable(&out).Started(nil)
	resync.NewTable(&out).Ended(sum)
	text := out.String()
	for _, want := range []string{
		"… and 7 more", "p37", "not read: Beta (all of it; repository-0): 404\n", "not read: acme (2 records; user-1): 403\n",
		"mapping block did not run: resources[3]\n", "refused by Port: 1 entity of repo, such as x: 422\n", "refused by Port: 2 entities of task, such as y: 400\n",
		"mapping: repository-0: title\n", "problem: a problem\n", "not deleted: 1 repo entity, because boards of Beta could not be read\n", "not deleted: 5 task entities, because of the brake\n",
		"resync failed after 1.23s: 1 record listed, 1 entity written, 2 deleted, 7 calls to Azure DevOps, 3 to Port\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "p38") {
		t.Error("more than 40 projects")
	}
	line := strings.Fields(lineWith(text, "repository-0 "))
	if got := strings.Join(line, " "); got != "repository-0 all 1 0 - 7 0 0 - 5 1s" {
		t.Errorf("the kind's row is %q", got)
	}
	if err := sum.WriteTable(brokenPipe{}); err == nil {
		t.Error("a table that nobody got")
	}
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestReason(t *testing.T) {
	t.Parallel()
	for want, sum := range map[string]resync.Summary{
		"Beta: 404":    {Unread: []resync.Unread{{Scope: "Beta", Reason: "404"}}, Problems: []string{"x"}},
		"a problem":    {Problems: []string{"a problem"}, Rejected: []string{"x"}},
		"resources[3]": {Rejected: []string{"resources[3]"}},
		"failed":       {State: resync.StateFailed},
	} {
		if got := sum.Reason(); got != want {
			t.Errorf("Reason = %q, want %q", got, want)
		}
	}
}
