package preview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/mapping/catalog"
)

// A sign stands before an entity, in a colour on a terminal.
type sign struct{ text, color string }

var signs = map[catalog.Intent]sign{
	catalog.ToCreate: {"+", "32"}, catalog.ToChange: {"~", "33"}, catalog.ToDelete: {"-", "31"},
	catalog.ToRefuse: {"!", "35"}, catalog.ToKeep: {"!", "35"}, catalog.AsItIs: {" ", "0"},
}

// plannedValue bounds a value in the text, in characters.
const plannedValue = 80

// text is the plan for people: what the mapping takes away first, then by blueprint.
func (r *result) text(color bool) string {
	t := &planText{color: color}
	if len(r.remapped) > 0 {
		t.b.WriteString("The mapping does not make these any more:\n")
		for _, bp := range r.remapped {
			fmt.Fprintf(&t.b, "\n%s\n", bp)
			for _, n := range r.lines {
				if n.Blueprint == bp && n.Intent == catalog.ToDelete {
					t.entity(n)
				}
			}
		}
		t.b.WriteString("\n")
	}
	blueprint := ""
	for _, n := range r.lines {
		if n.Intent == catalog.ToDelete && slices.Contains(r.remapped, n.Blueprint) {
			continue
		}
		if n.Blueprint != blueprint {
			if blueprint != "" {
				t.b.WriteString("\n")
			}
			blueprint = n.Blueprint
			t.b.WriteString(blueprint + "\n")
		}
		t.entity(n)
	}
	if blueprint != "" {
		t.b.WriteString("\n")
	}
	var refusals []string
	for _, x := range r.refusals {
		refusals = append(refusals, fmt.Sprintf("%d of %s, such as %s: %s", x.Entities, x.Blueprint, x.Sample, x.Reason))
	}
	t.list("Port would refuse", refusals)
	t.list("Left out of the mapping, so that what Port holds for it stays", r.leftOut)
	t.list("Not everything is known, and what depends on it is kept", r.problems)
	t.b.WriteString(r.last())
	return t.b.String()
}

// last is the last line.
func (r *result) last() string {
	s := fmt.Sprintf("Plan: %d to create, %d to change, %d to delete, %d unchanged", r.count[catalog.ToCreate], r.count[catalog.ToChange], r.count[catalog.ToDelete], r.unchanged)
	if n := r.count[catalog.ToKeep]; n > 0 {
		s += fmt.Sprintf(", %d kept", n)
	}
	if n := r.count[catalog.ToRefuse]; n > 0 {
		s += fmt.Sprintf(", %d that Port would refuse", n)
	}
	return s + ".\n"
}

type planText struct {
	b     strings.Builder
	color bool
}

// list writes something under a title, unless there is none.
func (t *planText) list(title string, list []string) {
	if len(list) == 0 {
		return
	}
	t.b.WriteString(title + ":\n")
	for _, s := range list {
		t.b.WriteString("  " + oneLine(s) + "\n")
	}
	t.b.WriteString("\n")
}

func (t *planText) entity(n *catalog.Planned) {
	m := signs[n.Intent]
	line := m.text + " " + oneLine(n.Identifier)
	if t.color && m.color != "0" {
		line = "\x1b[" + m.color + "m" + line + "\x1b[0m"
	}
	t.b.WriteString("  " + line)
	switch n.Intent {
	case catalog.ToCreate, catalog.ToChange, catalog.AsItIs:
		if n.Resource != "" {
			fmt.Fprintf(&t.b, "  (%s, %s)", n.Kind, n.Resource)
		}
	case catalog.ToKeep:
		t.b.WriteString("  kept: " + oneLine(n.Reason))
	case catalog.ToRefuse:
		t.b.WriteString("  Port would refuse it: " + oneLine(n.Reason))
	case catalog.ToDelete:
	}
	t.b.WriteString("\n")
	for _, d := range n.Changes {
		fmt.Fprintf(&t.b, "      %s: %s → %s\n", oneLine(d.Path), cut(oneLine(string(d.From)), plannedValue), cut(oneLine(string(d.To)), plannedValue))
	}
}
