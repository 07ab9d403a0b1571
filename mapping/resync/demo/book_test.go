package demo

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

func entity(id, title, properties string) *porttest.Entity {
	return &porttest.Entity{Ref: port.Ref{Blueprint: "b", Identifier: id}, Title: title, Properties: []byte(properties), Relations: []byte(`{}`)}
}

func changed(event string, before, after *porttest.Entity) porttest.Change {
	c := porttest.Change{Before: before, After: after, Event: event}
	if after != nil {
		c.Ref = after.Ref
	} else {
		c.Ref = before.Ref
	}
	return c
}

// What is written for one change is told of that one, whatever else is under way.
func TestBookTellsWhatCameOfAChange(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := &book{out: &out}
	step := func(what string, events ...string) {
		b.step(func() string {
			for _, id := range events {
				b.happened(azuredevopstest.Event{ID: id})
			}
			return what
		})
	}
	audited := func(event, id string) { b.audited(event, port.Ref{Blueprint: "b", Identifier: id}, "Thing") }
	step("first", "e1", "e2")
	step("second", "e3")
	step("third", "e4")
	step("")
	b.happened(azuredevopstest.Event{ID: "e5"}) // outside of any step
	b.written(changed("http_request", entity("x", "X", `{"state":"New","when":"2026-01-02T03:04:05Z"}`), entity("x", "X", `{"state":"Done","when":"2026-02-02T03:04:05Z"}`)))
	b.written(changed("resync", nil, entity("y", "Y", `{}`)))
	b.written(changed("http_request", nil, entity("y", "Y", `{}`)))
	b.written(changed("http_request", entity("z", "", `{}`), nil))
	audited("e3", "y")
	audited("e1", "x")
	audited("e5", "y")
	audited("e9", "z")
	b.written(changed("http_request", entity("x", "X", `{"state":"Done"}`), entity("x", "X", `{"state":"Done"}`)))
	audited("e2", "x") // says the same
	open := b.open()
	if len(open) != 3 {
		t.Fatalf("%d changes are open, want 3", len(open))
	}
	b.settled(open)
	all := b.changes()
	for i, want := range []struct{ what, result string }{
		{"third", "nothing that is mapped"},
		{"second", `Thing "Y" created, `},
		{"first", `Thing "X": state New → Done, when 2026-01-02T03:04:05Z → 2026-02-02T03:04:05Z, `},
	} {
		if c := all[i]; c.What != want.what || !strings.HasPrefix(c.Result, want.result) || strings.Contains(c.Result, ";") || c.Waits {
			t.Errorf("change %d: %+v, want %+v", i, c, want)
		}
		if !strings.Contains(out.String(), "  "+want.what+"\n          "+want.result) {
			t.Errorf("%q is not told in\n%s", want.what, &out)
		}
	}
	if len(b.open()) != 0 || b.steps != 3 || b.changed != 2 || b.deleted != 0 {
		t.Errorf("%d open, %d steps, %d entities, %d deleted", len(b.open()), b.steps, b.changed, b.deleted)
	}
}

// A demo that runs for days keeps its size.
func TestBookIsBounded(t *testing.T) {
	t.Parallel()
	b := &book{out: new(bytes.Buffer)}
	for i := range 1000 {
		id := fmt.Sprint(i)
		b.step(func() string { b.happened(azuredevopstest.Event{ID: id}); return id })
		b.written(changed("http_request", nil, entity("x", "X", `{}`))) // never audited
		b.settled(b.open())
	}
	if len(b.rows) > rowsKept || len(b.byEvent) > rowsKept || len(b.writes) != 1 || len(b.writes[port.Ref{Blueprint: "b", Identifier: "x"}]) > maxWrites {
		t.Errorf("%d rows, %d events, %d entities", len(b.rows), len(b.byEvent), len(b.writes))
	}
	if all := b.changes(); len(all) != rowsKept || all[0].What != "999" {
		t.Errorf("%d changes, the first %+v", len(all), all[0])
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ö", 100)
	for _, tt := range []struct {
		name          string
		before, after *porttest.Entity
		want          string
		differs       bool
	}{
		{"created", nil, entity("x", "", `{}`), `T "x" created`, true},
		{"deleted", entity("x", "X", `{}`), nil, `T "X" deleted`, true},
		{"same", entity("x", "X", `{"a":1,"b":null}`), entity("x", "X", `{"a":1}`), `T "X" written, as it was`, false},
		{"title", entity("x", "X", `{}`), entity("x", "Y", `{}`), `T "Y": title X → Y`, true},
		{"long", entity("x", "X", `{"a":"`+long+`"}`), entity("x", "X", `{"a":null}`), `T "X": a ` + long[:2*mostLetters] + `… → none`, true},
		{"alike", entity("x", "X", `{"a":"one two `+long+`","c":"p"}`), entity("x", "X", `{"a":"one 2 `+long+`","c":"q"}`), `T "X": c p → q, a …two ` + long[:2*(mostLetters-4)] + `… → …2 ` + long[:2*(mostLetters-2)] + `…`, true},
		{"many", entity("x", "X", `{}`), entity("x", "X", `{"a":1,"b":2,"c":3,"d":4,"e":5}`), `T "X": a none → 1, b none → 2 and 3 more`, true},
	} {
		c := porttest.Change{Before: tt.before, After: tt.after}
		if got, differs := describe(&c, "T"); got != tt.want || differs != tt.differs {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, differs, tt.want)
		}
	}
}

func TestButtons(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := &Demo{book: book{out: &out}, ado: azuredevopstest.NewUnstarted(azuredevopstest.Options{World: azuredevopstest.DemoWorld(seed)}), catalog: porttest.NewUnstarted(porttest.Options{}), on: map[string]bool{}}
	defer d.ado.Close()
	defer d.catalog.Close()
	for _, name := range []string{buttonAzure, buttonPort, buttonPort, buttonAzure} {
		before := d.on[name]
		if err := d.Press(name); err != nil || d.on[name] == before {
			t.Errorf("Press(%q): %v, on %v", name, err, d.on[name])
		}
	}
	if n := strings.Count(out.String(), `  button "Port is away": o`); n != 2 {
		t.Errorf("it is told %d times that a button was pressed\n%s", n, &out)
	}
	if d.Press("x") == nil {
		t.Error("there is a button x")
	}
	d = nil
	d.Changed("e", "b", "i")
	if d.Show() != nil || d.Host() != "" {
		t.Error("a real service shows a demo")
	}
}
