package demo

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// A book knows what came of which change. Three tell it: the organization says which
// events a change makes, Port which entities were written, and the audit of the service
// which event an entity was written for. Nothing is guessed from the time.
type book struct {
	out   io.Writer
	begun time.Time

	mu      sync.Mutex
	current *row // of the step under way; nil: none is
	rows    []*row
	byEvent map[string]*row
	writes  map[port.Ref][]write // that the audit has not told of yet

	steps, changed, deleted int
	slowest                 time.Duration
}

// A row is one change of the organization.
type row struct {
	at      time.Time
	what    string
	events  []string // ids
	results []string
	same    string // an entity that was written as it was
	done    bool
}

// A write is a change of an entity.
type write struct {
	porttest.Change
	at time.Time
}

// rowsKept are how many are shown; those that wait for something are kept besides.
const rowsKept = 50

// maxWrites bounds what the audit may be behind.
const maxWrites = 8

// step makes one change and notes it.
func (b *book) step(change func() string) {
	r := &row{at: time.Now()}
	b.mu.Lock()
	b.current = r
	b.mu.Unlock()
	what := change()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = nil
	if what == "" {
		return
	}
	r.what = what
	b.steps++
	b.rows = append(b.rows, r)
	for len(b.rows) > rowsKept && b.rows[0].done {
		for _, id := range b.rows[0].events {
			delete(b.byEvent, id)
		}
		b.rows = b.rows[1:]
	}
	for _, text := range r.results { // the service was faster
		b.tell(r, text)
	}
}

// happened is told of every event of the organization.
func (b *book) happened(e azuredevopstest.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == nil {
		return
	}
	if b.byEvent == nil {
		b.byEvent = map[string]*row{}
	}
	b.byEvent[e.ID] = b.current
	b.current.events = append(b.current.events, e.ID)
}

// written is told of every entity that is written or deleted in Port. What a resync
// does follows from no single change.
func (b *book) written(c porttest.Change) {
	if c.Event == "resync" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writes == nil {
		b.writes = map[port.Ref][]write{}
	}
	list := append(b.writes[c.Ref], write{c, time.Now()})
	b.writes[c.Ref] = list[max(0, len(list)-maxWrites):]
}

// audited is told which event an entity was written for, after it was written, and the
// name of its blueprint.
func (b *book) audited(event string, ref port.Ref, blueprint string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.writes[ref]
	if len(list) == 0 {
		return
	}
	w := list[0]
	if b.writes[ref] = list[1:]; len(list) == 1 {
		delete(b.writes, ref)
	}
	r := b.byEvent[event]
	if r == nil {
		return
	}
	what, differs := describe(&w.Change, blueprint)
	if !differs { // several events say the same, or it is about something that is not mapped
		r.same = what
		return
	}
	took := w.at.Sub(r.at)
	if w.After == nil {
		b.deleted++
	} else {
		b.changed++
	}
	b.slowest = max(b.slowest, took)
	text := fmt.Sprintf("%s, %d ms", what, took.Milliseconds())
	r.results = append(r.results, text)
	if r.what != "" {
		b.tell(r, text)
	}
}

// pressed prints that a button was.
func (b *book) pressed(label string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, "%s  button %q: %s\n", time.Now().Format(time.TimeOnly), label, map[bool]string{true: "on", false: "off"}[on])
}

// tell prints what came of a change.
func (b *book) tell(r *row, text string) {
	fmt.Fprintf(b.out, "%s  %s\n          %s\n", r.at.Format(time.TimeOnly), r.what, text)
}

// open are the changes that the service may still work on.
func (b *book) open() (out []*row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if !r.done {
			out = append(out, r)
		}
	}
	return out
}

// settled notes that everything about them was handled.
func (b *book) settled(rows []*row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range rows {
		if r.done = true; len(r.results) == 0 {
			r.results = []string{cmp.Or(r.same, "nothing that is mapped")}
			b.tell(r, r.results[0])
		}
	}
}

// A Change is a row as the page shows it.
type Change struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Result string    `json:"result"`
	Waits  bool      `json:"waits"`
}

// changes are the rows for the page, newest first.
func (b *book) changes() []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Change, 0, rowsKept)
	for _, r := range slices.Backward(b.rows) {
		if len(out) == rowsKept {
			break
		}
		c := Change{r.at, r.what, strings.Join(r.results, "; "), len(r.results) == 0}
		if c.Waits {
			c.Result = "waits"
		}
		out = append(out, c)
	}
	return out
}
