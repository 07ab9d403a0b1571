package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// A Plan is what sessions would do. A session that has one asks Port what it holds
// and writes nothing. Safe for concurrent use.
type Plan struct {
	detailed bool

	mu        sync.Mutex
	lines     map[Key]*Planned
	unchanged map[Key]struct{} // besides, where they are not in lines
	failed    []error
}

// Intent is what would become of an entity.
type Intent string

// Intents, the weightier ones first: an entity has one.
const (
	ToCreate Intent = "create"
	ToChange Intent = "change"
	ToDelete Intent = "delete"
	ToRefuse Intent = "refuse" // Port would not take it
	ToKeep   Intent = "keep"   // it stays as it is, although nothing makes it or not all of it was read
	AsItIs   Intent = "unchanged"
)

func (i Intent) weight() int {
	return slices.Index([]Intent{AsItIs, ToKeep, ToRefuse, ToDelete, ToChange, ToCreate}, i)
}

// Planned is one entity of a plan.
type Planned struct {
	Intent     Intent               `json:"action"`
	Blueprint  string               `json:"blueprint"`
	Identifier string               `json:"identifier"`
	Changes    []mapping.Difference `json:"changes,omitempty"` // of a change
	Kind       string               `json:"kind,omitempty"`    // what makes it
	Resource   string               `json:"resource,omitempty"`
	Reason     string               `json:"reason,omitempty"` // of what is kept or refused
}

func (p *Planned) key() Key { return KeyOf(p.Blueprint, p.Identifier) }

// NewPlan makes an empty plan. A detailed one also lists what stays as it is.
func NewPlan(detailed bool) *Plan {
	return &Plan{detailed: detailed, lines: map[Key]*Planned{}, unchanged: map[Key]struct{}{}}
}

// Keep notes that an entity stays although nothing made it; a nil plan notes nothing.
func (p *Plan) Keep(ref port.Ref, reason string) {
	if p != nil {
		p.note(&Planned{Intent: ToKeep, Blueprint: ref.Blueprint, Identifier: ref.Identifier, Reason: reason})
	}
}

// referred notes that an entity stays because others refer to it. One that Port itself
// has made for them is nothing to speak of.
func (p *Plan) referred(d Deletion) {
	switch {
	case p == nil:
	case d.Made:
		p.Keep(d.Ref, "another entity refers to it, so Port would make it again")
	default:
		p.note(&Planned{Intent: AsItIs, Blueprint: d.Blueprint, Identifier: d.Identifier})
	}
}

// refuse notes that Port would not take an entity. One that it does not hold stays
// what it was, nothing, and is only listed in detail.
func (p *Plan) refuse(n *Planned, held bool) {
	if n.Intent = ToRefuse; held || p.detailed {
		p.note(n)
	}
}

func (p *Plan) note(n *Planned) {
	k := n.key()
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.lines[k]
	switch {
	case n.Intent == AsItIs && !p.detailed:
		p.unchanged[k] = struct{}{}
	case before == nil || n.Intent.weight() > before.Intent.weight():
		p.lines[k] = n
	}
}

// change notes what writing a body would change. Where the entity was to be changed
// before, by an earlier layer, the later one has its way.
func (p *Plan) change(n *Planned, body []byte) {
	k := n.key()
	p.mu.Lock()
	before := p.lines[k]
	if before != nil && before.Intent == ToChange {
		delete(p.lines, k)
		set := MembersOf(body)
		for _, d := range before.Changes {
			if !slices.Contains(set, d.Path) {
				n.Changes = append(n.Changes, d)
			}
		}
	}
	p.mu.Unlock()
	if n.Intent = ToChange; len(n.Changes) == 0 {
		n.Intent = AsItIs
	}
	p.note(n)
}

// unrelates says whether an entity would not refer to another any more.
func (p *Plan) unrelates(r port.Reference) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.lines[EntityKey(r.From)]
	if line == nil || line.Intent != ToChange {
		return false
	}
	to, _ := json.Marshal(r.To) //nolint:errchkjson // a text always does
	return slices.ContainsFunc(line.Changes, func(d mapping.Difference) bool {
		return mapping.Refers(d.From, to) && !mapping.Refers(d.To, to)
	})
}

func (p *Plan) fail(err error) {
	p.mu.Lock()
	p.failed = append(p.failed, err)
	p.mu.Unlock()
}

// Err joins why it is not known what would become of some entities.
func (p *Plan) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.failed...)
}

// Lines are the entities by blueprint and identifier. Without detail those that stay
// as they are are only counted.
func (p *Plan) Lines() (lines []*Planned, unchanged int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, n := range p.lines {
		lines = append(lines, n)
		delete(p.unchanged, k)
		if n.Intent == AsItIs {
			unchanged++
		}
	}
	slices.SortFunc(lines, func(a, b *Planned) int {
		return cmp.Or(cmp.Compare(a.Blueprint, b.Blueprint), cmp.Compare(a.Identifier, b.Identifier))
	})
	return lines, unchanged + len(p.unchanged)
}
