package catalog

import (
	"context"
	"errors"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// upsertBatch writes a batch and counts what became of it.
func (w *Writer) upsertBatch(ctx context.Context, b *batch) {
	if w.s.opt.Plan != nil {
		w.planBatch(ctx, b)
		return
	}
	entities := make([]port.Entity, len(b.drafts))
	for i, d := range b.drafts {
		entities[i] = d.last().Entity
		entities[i].Body = d.body(w.s.opt.Merge)
		w.s.forget(d.last().ref()) // also where the answer is lost
	}
	res, err := w.s.c.port.Upsert(ctx, w.s.upsertOptions(), entities)
	for i, d := range b.drafts {
		switch e := res.Err(i); {
		case err != nil:
			w.s.refuse(d, err)
		case e != nil && len(d.layers) > 1: // one layer may be refused and the others not
			for j := range d.layers {
				w.upsertBatch(ctx, &batch{drafts: []*draft{{key: d.key, layers: d.layers[j : j+1]}}})
			}
		case e != nil:
			w.s.refuse(d, e)
		default:
			w.taken(ctx, d, entities[i].Body, res.Identifiers[i], res.Fates[i])
		}
	}
}

// taken notes that Port took an entity; identifier is empty where a search found
// nothing to write to.
func (w *Writer) taken(ctx context.Context, d *draft, body []byte, identifier string, fate port.Fate) {
	l := d.last()
	if identifier == "" {
		d.count(Kept)
		return
	}
	ref := port.Ref{Blueprint: l.Blueprint, Identifier: identifier}
	if l.Identifier == "" {
		w.resMu.Lock()
		w.found = append(w.found, EntityKey(ref))
		w.resMu.Unlock()
		w.s.forget(ref)
	}
	c := Change{Ref: ref, Differences: d.differences, body: body}
	c.Kind, c.Resource = l.Source.Origin()
	switch {
	case fate == port.Created:
		c.Action, c.Differences = Created, nil
	case c.Differences != nil:
		c.Action = Updated
	default:
		c.Action = Put
	}
	w.s.wrote(ctx, &c)
	d.count(Written)
}

// same notes that Port holds an entity as it is.
func (s *Session) same(d *draft) {
	d.count(Unchanged)
	if s.opt.Plan == nil {
		return
	}
	l := d.last()
	n := &Planned{Intent: AsItIs, Blueprint: l.Blueprint, Identifier: l.Identifier}
	n.Kind, n.Resource = l.Source.Origin()
	s.opt.Plan.change(n, d.body(s.opt.Merge))
}

// maxIncluded bounds the names of members that a comparison asks for, in bytes:
// they are part of its address.
const maxIncluded = 4 << 10

// compareBatch asks Port for its version of the entities and hands those that
// differ back to the writer.
func (w *Writer) compareBatch(ctx context.Context, b *batch) {
	wanted := make(map[string]*draft, len(b.drafts))
	ids := make([]string, len(b.drafts))
	for i, d := range b.drafts {
		ids[i] = d.layers[0].Identifier
		wanted[ids[i]] = d
	}
	w.unchanged(ctx, b, wanted)
	ids = slices.DeleteFunc(ids, func(id string) bool { return wanted[id] == nil })
	include, size := b.members()
	few := !w.s.owned.known() && len(ids) < w.s.opt.CompareFrom
	if !few && size <= maxIncluded && len(ids) > 0 {
		w.differing(ctx, b.blueprint, ids, include, wanted)
	}
	w.resMu.Lock()
	defer w.resMu.Unlock()
	for _, d := range b.drafts { // in their order
		if wanted[d.layers[0].Identifier] == d {
			w.changed = append(w.changed, d)
		}
	}
}

// differing takes out of wanted what Port holds as it is.
func (w *Writer) differing(ctx context.Context, blueprint string, ids, include []string, wanted map[string]*draft) {
	q := port.SearchQuery{Blueprint: blueprint, IDs: ids, Include: include, Feature: w.s.opt.Feature}
	for held, err := range w.s.c.port.Search(ctx, q) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				w.s.log.WarnContext(ctx, "entities could not be compared with the catalog and are written without a comparison", "blueprint", blueprint, "err", err)
			}
			return
		}
		id := gjson.GetBytes(held, "identifier").String()
		d := wanted[id]
		if d == nil {
			continue
		}
		body := d.body(w.s.opt.Merge)
		if mapping.Equal(body, held) {
			w.s.same(d)
			delete(wanted, id)
			continue
		}
		d.differences = mapping.Differences(body, held)
	}
}

// members lists what the sources of a batch set, and how long the names are.
func (b *batch) members() (names []string, size int) {
	done := map[Source]bool{}
	have := map[string]bool{}
	for _, d := range b.drafts {
		for i := range d.layers {
			src := d.layers[i].Source
			if done[src] {
				continue
			}
			done[src] = true
			for _, m := range src.Members() {
				if !have[m] {
					have[m] = true
					names, size = append(names, m), size+len("&include=")+len(m)
				}
			}
		}
	}
	return names, size
}
