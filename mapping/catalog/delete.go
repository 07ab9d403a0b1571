package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
)

// A Deletion is an entity that is to go, and in words the proof that nothing makes
// it any more.
type Deletion struct {
	port.Ref
	Proof string
	Made  bool // a record is known to have made it: Port did not do so by itself
}

// Deleted is what became of deletions.
type Deleted struct {
	Gone     []port.Ref
	Referred []port.Ref // they stay, because others refer to them
	Failed   []port.Ref // they may still be there; the error or Refusals say why
	// Refusals are what Port refuses, however often it is asked.
	Refusals []error
}

// Delete deletes entities of this installation, those that refer to others before
// those that they refer to. Entities of somebody else are left alone. The error
// joins what failed and is worth another try.
func (s *Session) Delete(ctx context.Context, all []Deletion) (Deleted, error) {
	var done Deleted
	byBlueprint := map[string][]Deletion{}
	going := map[Key]bool{}
	for _, d := range all {
		byBlueprint[d.Blueprint] = append(byBlueprint[d.Blueprint], d)
		going[EntityKey(d.Ref)] = true
	}
	var errs []error
	for _, bp := range s.dependentsFirst(ctx, sortedKeys(byBlueprint)) {
		if err := s.deleteFrom(ctx, bp, byBlueprint[bp], going, &done); err != nil {
			err = fmt.Errorf("deleting entities of %s: %w", bp, err)
			if refusal(err) {
				done.Refusals = append(done.Refusals, err)
			} else {
				errs = append(errs, err)
			}
		}
	}
	return done, errors.Join(errs...)
}

// deleteFrom deletes entities of one blueprint. going are all that are to go;
// what stays is taken out of it.
func (s *Session) deleteFrom(ctx context.Context, bp string, list []Deletion, going map[Key]bool, done *Deleted) error {
	failed := func(list []Deletion) {
		for _, d := range list {
			done.Failed = append(done.Failed, d.Ref)
			delete(going, EntityKey(d.Ref))
		}
	}
	list, err := s.ours(ctx, bp, list)
	if err != nil || len(list) == 0 {
		failed(list)
		return err
	}
	referred, err := s.referred(ctx, bp, list, going)
	if err != nil {
		failed(list)
		return fmt.Errorf("asking what refers to them: %w", err)
	}
	ids := make([]string, 0, len(list))
	proof := map[string]string{}
	for _, d := range list {
		if referred[d.Identifier] {
			done.Referred = append(done.Referred, d.Ref)
			delete(going, EntityKey(d.Ref))
			s.opt.Plan.referred(d)
			continue
		}
		ids, proof[d.Identifier] = append(ids, d.Identifier), d.Proof
	}
	if s.opt.Plan != nil {
		for _, id := range ids {
			ref := port.Ref{Blueprint: bp, Identifier: id}
			s.opt.Plan.note(&Planned{Intent: ToDelete, Blueprint: bp, Identifier: id})
			done.Gone = append(done.Gone, ref)
		}
		return nil
	}
	gone, err := s.c.port.Delete(ctx, port.DeleteOptions{
		Dependents: s.opt.DeleteDependents, EventType: s.opt.Cause.Event, ResyncID: s.opt.Cause.ID, Feature: s.opt.Feature,
	}, bp, ids)
	for _, id := range gone {
		d := Deletion{Ref: port.Ref{Blueprint: bp, Identifier: id}, Proof: proof[id]}
		s.deleted(ctx, d)
		done.Gone = append(done.Gone, d.Ref)
	}
	if err == nil {
		return nil
	}
	failed(slices.DeleteFunc(list, func(d Deletion) bool { return referred[d.Identifier] || slices.Contains(gone, d.Identifier) }))
	return err
}

// ours leaves out what this installation has not written last, and what another
// session writes beside a resync. On an error the list is whole.
func (s *Session) ours(ctx context.Context, bp string, list []Deletion) ([]Deletion, error) {
	if s.owned.known() {
		return slices.DeleteFunc(slices.Clone(list), func(d Deletion) bool {
			k := EntityKey(d.Ref)
			return !s.owned.has(k) || s.c.wasTouched(k)
		}), nil
	}
	q := port.SearchQuery{Blueprint: bp, Feature: s.opt.Feature}
	for _, d := range list {
		q.IDs = append(q.IDs, d.Identifier)
	}
	held := map[string]bool{}
	for entity, err := range s.c.port.Search(ctx, q) {
		if err != nil {
			return list, err
		}
		held[gjson.GetBytes(entity, "identifier").String()] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(d Deletion) bool { return !held[d.Identifier] }), nil
}

// refusal says whether an error is a final answer of Port, or several.
func refusal(err error) bool {
	switch x := err.(type) { //nolint:errorlint // it takes the tree of errors apart
	case *port.Error:
		return final(x.StatusCode)
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(x.Unwrap(), func(e error) bool { return !refusal(e) })
	case interface{ Unwrap() error }:
		return refusal(x.Unwrap())
	}
	return false
}

// referred says which of the entities others refer to that stay, where Port makes
// such entities by itself: it would make them again, empty. Others are those that
// this session has made, and what Port holds of this installation.
func (s *Session) referred(ctx context.Context, bp string, list []Deletion, going map[Key]bool) (map[string]bool, error) {
	out := map[string]bool{}
	if !s.opt.CreateMissing {
		return out, nil
	}
	wanted := map[string]bool{}
	for _, d := range list {
		wanted[d.Identifier] = true
	}
	if err := s.referredHere(ctx, bp, wanted, out); err != nil {
		return nil, err
	}
	by := map[Key][]string{} // entities of list that refer to others of it
	for r, err := range s.c.port.Referring(ctx, bp, sortedKeys(wanted), s.opt.Relations) {
		if err != nil {
			return nil, err
		}
		if s.opt.Plan != nil && s.opt.Plan.unrelates(r) {
			continue
		}
		k := EntityKey(r.From)
		if going[k] {
			by[k] = append(by[k], r.To)
		} else {
			out[r.To] = true
		}
	}
	for more := sortedKeys(out); len(more) > 0; { // what stays may refer to others in turn
		var next []string
		for _, id := range more {
			for _, to := range by[KeyOf(bp, id)] {
				if !out[to] {
					out[to] = true
					next = append(next, to)
				}
			}
		}
		more = next
	}
	return out, nil
}

// referredHere adds what the layers of this session refer to.
func (s *Session) referredHere(ctx context.Context, bp string, wanted, out map[string]bool) error {
	for rel := range s.targets.from {
		from, err := s.c.port.Blueprint(ctx, rel.blueprint)
		if errors.Is(err, port.ErrNotFound) {
			continue // so Port has refused its entities
		}
		if err != nil {
			return err
		}
		if from.Relations[rel.name].Target != bp {
			continue
		}
		for id := range wanted {
			out[id] = out[id] || s.targets.has(rel, id)
		}
	}
	return nil
}

// dependentsFirst orders blueprints so that those with relations come before
// their targets. A blueprint that cannot be read counts as without relations.
func (s *Session) dependentsFirst(ctx context.Context, of []string) []string {
	var order []string
	visited := map[string]bool{}
	var visit func(string)
	visit = func(bp string) {
		if visited[bp] {
			return // done, or a cycle: any order is as good
		}
		visited[bp] = true
		if b, err := s.c.port.Blueprint(ctx, bp); err == nil {
			for _, name := range sortedKeys(b.Relations) {
				if t := b.Relations[name].Target; slices.Contains(of, t) {
					visit(t)
				}
			}
		}
		order = append(order, bp)
	}
	for _, bp := range of {
		visit(bp)
	}
	slices.Reverse(order)
	return order
}
