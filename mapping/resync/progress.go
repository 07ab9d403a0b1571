package resync

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// A Status looks at a running resync. Safe for concurrent use.
type Status struct{ run *run }

// KindStatus is how far one block of the mapping is.
type KindStatus struct {
	Resource string `json:"resource"` // such as "repository (resources[1])"
	State    string `json:"state"`    // pending, syncing, completed or failed
	Counts   Counts `json:"counts"`
	// Projects are the first ones that something was listed of.
	Projects     []ProjectStatus `json:"projects,omitempty"`
	MoreProjects int             `json:"moreProjects,omitempty"`
}

// ProjectStatus is how far one block of the mapping is in one project.
type ProjectStatus struct {
	Project string `json:"project"` // name, or id where no name is known; empty: no project
	Counts  Counts `json:"counts"`
}

// Kinds returns where every block stands.
func (s *Status) Kinds() []KindStatus {
	out := make([]KindStatus, len(s.run.resources))
	for i, b := range s.run.resources {
		k := KindStatus{Resource: b.Name(), State: b.state()}
		for _, src := range b.all() {
			c := src.counted()
			k.Counts.Add(c)
			if len(k.Projects) < maxTableProjects {
				k.Projects = append(k.Projects, ProjectStatus{cmp.Or(src.scope.ProjectName, src.scope.Project), c})
			} else {
				k.MoreProjects++
			}
		}
		out[i] = k
	}
	return out
}

// A Screen is a terminal that understands ANSI escapes.
type Screen struct {
	io.Writer
	// Size is how large it is now, in columns and rows.
	Size func() (columns, rows int)
	// Clean makes a line of what others wrote harmless.
	Clean func(string) string
	Color bool
}

// usualColumns and usualRows are those of a terminal that does not tell its size.
const usualColumns, usualRows = 80, 24

// NewScreen is that of a terminal; nil: there is none.
func NewScreen(terminal *os.File, clean func(string) string, color bool) Screen {
	if terminal == nil {
		return Screen{}
	}
	size := func() (columns, rows int) {
		columns, rows, err := term.GetSize(int(terminal.Fd()))
		if err != nil || columns < 1 || rows < 1 {
			return usualColumns, usualRows
		}
		return columns, rows
	}
	return Screen{Writer: terminal, Size: size, Clean: clean, Color: color}
}

// A Terminal shows a running resync as one live line per block, and then the table.
type Terminal struct {
	screen  Screen
	verbose bool // the table has the projects
	stop    chan struct{}
	done    sync.WaitGroup
	drawn   []int // columns of the lines that are there
}

// NewTerminal draws on a screen.
func NewTerminal(screen Screen, verbose bool) *Terminal {
	return &Terminal{screen: screen, verbose: verbose}
}

const redraw = 200 * time.Millisecond

// Started begins the live lines.
func (t *Terminal) Started(s *Status) {
	t.stop, t.drawn = make(chan struct{}), nil
	t.done.Go(func() {
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.draw(s.Kinds())
			case <-t.stop:
				t.draw(s.Kinds())
				return
			}
		}
	})
}

// Ended prints the table below the live lines.
func (t *Terminal) Ended(sum *Summary) {
	if t.stop != nil {
		close(t.stop)
		t.done.Wait()
		t.stop = nil
	}
	for _, l := range sum.lines(t.verbose) {
		l.text = t.screen.Clean(l.text)
		fmt.Fprintln(t.screen, t.screen.mark(l))
	}
}

// draw writes over the lines of the last time. A terminal that has become narrower
// since shows them in more rows.
func (t *Terminal) draw(kinds []KindStatus) {
	columns, rows := t.screen.Size()
	up := 0
	for _, n := range t.drawn {
		up += max(1, (n+columns-1)/columns)
	}
	var b strings.Builder
	if up = min(up, rows-1); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	b.WriteString("\r\x1b[J")
	t.drawn = t.drawn[:0]
	for _, l := range progress(kinds, columns-1, rows-1) {
		t.drawn = append(t.drawn, utf8.RuneCountInString(l.text)+marked)
		fmt.Fprintln(&b, t.screen.mark(l))
	}
	_, _ = io.WriteString(t.screen, b.String())
}

// progress are at most so many lines that fit into so many columns. Blocks that are
// done make room first.
func progress(kinds []KindStatus, columns, most int) []line {
	left := len(kinds) - max(most-1, 1)
	if len(kinds) <= most {
		left = 0
	}
	done := 0
	var out []line
	for _, k := range kinds {
		if ended := k.State == "completed" || k.State == "failed"; ended && done < left || len(out) == len(kinds)-left {
			done++
			continue
		}
		out = append(out, line{levelOf(k.State), k.line(columns - marked)})
	}
	if done > 0 {
		out = append(out, line{plain, clip(fmt.Sprintf("and %d more blocks", done), columns-marked)})
	}
	return out
}

func levelOf(state string) level {
	switch state {
	case "completed":
		return good
	case "failed":
		return bad
	}
	return plain
}

// line is the block's, cut to the columns. The narrower it is, the fewer figures
// it has.
func (k *KindStatus) line(columns int) string {
	right := fmt.Sprintf(" %-9s %8d listed", k.State, k.Counts.Listed)
	if columns >= 70 {
		right += fmt.Sprintf(" %8d written", k.Counts.Written)
	}
	if columns >= 90 {
		right += fmt.Sprintf(" %8d unchanged", k.Counts.Unchanged)
	}
	room := min(columns-len(right), 40)
	return clip(fmt.Sprintf("%-*s%s", room, clip(k.Resource, room), right), columns)
}

// clip cuts a text to so many characters.
func clip(text string, most int) string {
	if most = max(most, 1); utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// A line for people is good or bad news, or neither.
type line struct {
	level level
	text  string
}

type level int

const (
	plain level = iota
	good
	bad
)

// marked is how many columns a mark takes.
const marked = 2

// mark is the line with a mark before it, in color where that is wanted.
func (s *Screen) mark(l line) string {
	mark, color := " ", ""
	switch l.level {
	case good:
		mark, color = "✓", "32"
	case bad:
		mark, color = "✗", "31"
	case plain:
	}
	if !s.Color || color == "" {
		return mark + " " + l.text
	}
	return "\x1b[" + color + "m" + mark + "\x1b[0m " + l.text
}
