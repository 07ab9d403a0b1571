package resync_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
)

// screenOf is a screen of a size that never changes.
func screenOf(w io.Writer, columns, rows int) resync.Screen {
	return resync.Screen{Writer: w, Size: func() (int, int) { return columns, rows }, Clean: func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") }}
}

func TestTerminalShowsEveryKind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = doc(repositories, projects)
	var screen bytes.Buffer
	b.config = func(cfg *resync.Config) {
		cfg.Observer = resync.NewObserver(nil, screenOf(&screen, 100, 24), true, false)
	}
	b.resync(resync.StateCompleted)
	for _, want := range []string{
		"✓ repository (resources[0])           completed        4 listed        4 written        0 unchanged\n",
		"✓ project (resources[1])              completed        2 listed        2 written",
		"resync completed after",
	} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("the screen lacks %q:\n%q", want, &screen)
		}
	}
	if strings.Contains(screen.String(), "\x1b[3") {
		t.Errorf("a color on a screen without: %q", &screen)
	}
}

// An organization with more kinds than the screen has rows, on screens of every
// width that change while it is drawn on.
func TestTerminalStaysInPlace(t *testing.T) {
	t.Parallel()
	for _, size := range [][4]int{{80, 24, 80, 24}, {60, 10, 60, 10}, {200, 50, 61, 12}, {60, 12, 200, 50}} {
		kinds := make([]resync.KindStatus, 30)
		for i := range kinds {
			kinds[i] = resync.KindStatus{Resource: fmt.Sprintf("repository (resources[%d])", i), State: "pending"}
		}
		var out bytes.Buffer
		screen := screenOf(&out, size[0], size[1])
		drawn := 0
		screen.Size = func() (int, int) {
			if drawn < 3 {
				return size[0], size[1]
			}
			return size[2], size[3]
		}
		screen.Color = true
		terminal := resync.NewTerminal(screen, false)
		for _, state := range []string{"pending", "syncing", "completed", "failed", "completed"} {
			for i := range kinds[:len(kinds)*drawn/4] {
				kinds[i].State, kinds[i].Counts.Listed = state, 4
			}
			out.Reset()
			terminal.Draw(kinds)
			drawn++
			columns, rows := screen.Size()
			columns, rows = max(size[0], columns), max(size[1], rows)
			frame := escapes.ReplaceAllString(out.String(), "")
			if n := strings.Count(frame, "\n"); n >= rows {
				t.Errorf("%v: a frame of %d lines", size, n)
			}
			for line := range strings.Lines(frame) {
				if len([]rune(strings.Trim(line, "\r\n"))) >= columns {
					t.Errorf("%v: a line does not fit: %q", size, line)
				}
			}
			if !strings.Contains(frame, "more blocks") && rows < len(kinds) {
				t.Errorf("%v: %q", size, frame)
			}
		}
		out.Reset()
		if terminal.Ended(&resync.Summary{State: resync.StateCompleted}); !strings.Contains(out.String(), "\x1b[32m✓\x1b[0m resync completed") {
			t.Errorf("%v: %q", size, out.String())
		}
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9]*[A-Za-z]")

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
	for _, want := range []string{"repository (resources[0]) pending", "project (resources[1]) pending", "repository (resources[0]) syncing", "repository (resources[0]) failed", "project (resources[1]) completed"} {
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
	for _, tt := range []struct{ screen, table, onScreen, onOut bool }{{true, false, true, false}, {true, true, true, false}, {false, true, false, true}, {false, false, false, false}} {
		var out, errs bytes.Buffer
		var screen resync.Screen
		if tt.screen {
			screen = screenOf(&errs, 80, 24)
		}
		if o := resync.NewObserver(&out, screen, tt.table, false); o != nil {
			o.Ended(&resync.Summary{State: resync.StateCompleted})
		}
		if (out.Len() > 0) != tt.onOut || (errs.Len() > 0) != tt.onScreen {
			t.Errorf("screen %v, table %v: %d bytes out, %d on the screen", tt.screen, tt.table, out.Len(), errs.Len())
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	sum := &resync.Summary{
		State: resync.StateFailed, Duration: 1234 * time.Millisecond, Calls: 7, Throttled: 2 * time.Second, PortCalls: 3,
		Total: resync.Counts{Listed: 11, Mapped: 1, Filtered: 6, Failed: 4, Refused: 1, Deleted: 2},
		Kinds: []resync.KindSummary{{Kind: "repository", Resource: "resources[0]", Throttled: time.Second, Counts: resync.Counts{Listed: 11, Refused: 1, Failed: 4}, Projects: []resync.ProjectSummary{
			{Project: "Alpha", Calls: 5, Counts: resync.Counts{Filtered: 6}}, {},
		}}},
		Empty:       []string{"repository (resources[0]): note"},
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
	var out, brief bytes.Buffer
	table := resync.NewObserver(&out, resync.Screen{}, true, true)
	table.Started(nil)
	table.Ended(sum)
	text := out.String()
	for _, want := range []string{
		"… and 7 more", "p37", "not read: Beta (all of it; repository-0): 404\n", "not read: acme (2 records; user-1): 403\n", "mapping: repository (resources[0]): note\n",
		"mapping block did not run: resources[3]\n", "refused by Port: 1 repo entity, such as x: 422\n", "refused by Port: 2 task entities, such as y: 400\n",
		"mapping: repository-0: title\n", "problem: a problem\n", "not deleted: 1 repo entity, because boards of Beta could not be read\n", "not deleted: 5 task entities, because of the brake\n",
		"resync failed after 1.23s: 11 records listed, 0 entities written, 2 deleted, 7 calls to Azure DevOps, 3 to Port\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "p38") {
		t.Error("more than 40 projects")
	}
	if err := sum.WriteTable(&brief, false); err != nil || strings.Contains(brief.String(), "Alpha") || strings.Contains(brief.String(), "note") {
		t.Errorf("projects without being asked for, %v:\n%s", err, &brief)
	}
	for part, want := range map[string]string{
		"block ":      "block listed filtered failed mapped refused deleted calls throttled", // and none that is empty
		"total ":      "total 11 6 4 1 1 2 7 2s",
		"repository ": "repository (resources[0]) 11 - 4 - 1 - 5 1s",
	} {
		i := strings.LastIndex(brief.String(), part)
		if got := strings.Join(strings.Fields(strings.SplitN(brief.String()[max(i, 0):], "\n", 2)[0]), " "); got != want {
			t.Errorf("the row is %q, want %q", got, want)
		}
	}
	if err := sum.WriteTable(brokenPipe{}, false); err == nil {
		t.Error("a table that nobody got")
	}
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
