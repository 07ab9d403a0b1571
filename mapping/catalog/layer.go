package catalog

import (
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// A Source is where entities come from, such as one resource of the mapping in
// one project. It counts what becomes of them. Safe for concurrent use.
type Source interface {
	// Members are those that its entities may set, as a search names them:
	// "title", "properties.state", "relations.project".
	Members() []string
	// Origin is the kind and the place of its block in the mapping, such as
	// "repository" and "resources[1]"; the place is empty outside of it.
	Origin() (kind, resource string)
	Count(o Outcome, n int)
}

// An Outcome is what became of an entity.
type Outcome int

// Outcomes.
const (
	Written Outcome = iota
	Unchanged
	Merged  // joined to an earlier layer of the entity, and shares its fate
	Refused // by Port, or because Port would
	Kept    // left as it is: incomplete, and one is there, or its search found none
)

// A Layer is what one record says of one entity.
type Layer struct {
	port.Entity
	Source Source
	// Partial says that something of the record could not be read: the layer must
	// not replace an entity that exists.
	Partial bool
}

func (l *Layer) ref() port.Ref { return port.Ref{Blueprint: l.Blueprint, Identifier: l.Identifier} }

// A draft is one entity on its way to Port: one layer, or several to be merged.
type draft struct {
	key    Key // zero: no layer joins it
	layers []Layer
	// differences are what a comparison of these layers has found; nil: none was made.
	differences []mapping.Difference
}

// join adds a layer.
func (d *draft) join(l Layer) {
	d.layers, d.differences = append(d.layers, l), nil
}

func (d *draft) last() *Layer { return &d.layers[len(d.layers)-1] }

// count counts what became of the draft: for its first layer, which the others
// were joined to.
func (d *draft) count(o Outcome) {
	d.layers[0].Source.Count(o, 1)
	for i := range d.layers[1:] {
		d.layers[i+1].Source.Count(Merged, 1)
	}
}

// size bounds the memory in bytes, and so the body.
func (d *draft) size() int {
	n := 0
	for i := range d.layers {
		n += len(d.layers[i].Body) + 1
	}
	for i := range d.differences {
		n += len(d.differences[i].From)
	}
	return n
}

// body is what to write: the layers over each other. Without merging at Port the
// last layer replaces the entity, so it alone counts.
func (d *draft) body(merge bool) []byte {
	last := d.last().Body
	if !merge {
		return last
	}
	body := d.layers[0].Body
	for i := range d.layers[1:] {
		merged, err := mapping.MergeBodies(body, d.layers[i+1].Body)
		if err != nil { // cannot happen to bodies that we have made
			return last
		}
		body = merged
	}
	return body
}
