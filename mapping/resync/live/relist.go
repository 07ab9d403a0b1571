package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
)

// RelistMissed is Relist for parts of which deliveries were missed.
func (f *Follower) RelistMissed(ctx context.Context, org *azuredevops.Client, changes []azuredevops.Change) error {
	return f.Relist(ctx, org, catalog.Cause{Event: catalog.EventLive, ID: "gap", Type: "deliveries were missed"}, changes)
}

// Relist lists parts of one organization again and brings the catalog in step with
// them.
//
// The error says that something could not be read or written and is worth another
// try; everything else has been done then. Running it again is harmless.
func (f *Follower) Relist(ctx context.Context, org *azuredevops.Client, cause catalog.Cause, changes []azuredevops.Change) error {
	m, err := f.cfg.Mapping(ctx)
	if err != nil {
		return fmt.Errorf("live events wait for a mapping: %w", err)
	}
	groups, err := resync.Groups(m.Resources)
	if err != nil {
		return err
	}
	opt := resync.SessionOptions(m, cause)
	opt.CompareFrom = compareFrom
	u := &update{
		follower: f, org: org, groups: groups, book: f.cfg.Book, snapshot: org.Urgent().Snapshot(), session: f.cfg.Catalog.Begin(opt),
		touched: map[azuredevops.Change]bool{}, done: map[azuredevops.Change]bool{}, made: map[catalog.Key]origins.Origin{}, gone: map[catalog.Key]origins.Origin{}, entities: map[catalog.Key][]*mapping.Resource{},
	}
	if err := u.touch(ctx, changes); err != nil {
		return err
	}
	settled, err := u.snapshot.Settle(ctx, u.mapped(changes))
	if err != nil {
		return err
	}
	if err := u.touch(ctx, settled); err != nil {
		return err
	}
	for _, c := range settled {
		u.refresh(ctx, c)
	}
	if err := u.neighbours(ctx); err != nil {
		return err
	}
	// Before anything is written: a process that is killed behind the writing has
	// to know later what to take away, and so has any other.
	if err := u.note(ctx, u.made, nil); err != nil {
		return err
	}
	u.write(ctx)
	if err := u.book.Sync(ctx); err != nil {
		return errors.Join(append(u.errs, u.session.Err(), err)...)
	}
	u.remove(ctx)
	u.clear(ctx)
	u.errs = append(u.errs, u.note(ctx, nil, u.gone))
	return errors.Join(append(u.errs, u.session.Err())...)
}

// touch says that stored answers about these are out of date, before they are listed
// again.
func (u *update) touch(ctx context.Context, changes []azuredevops.Change) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c azuredevops.Change) bool { return u.touched[c] })
	for _, c := range changes {
		u.touched[c] = true
	}
	return u.follower.cfg.Touched(ctx, u.org, changes)
}

// note tells the book, unless another process has the work by now.
func (u *update) note(ctx context.Context, made, gone map[catalog.Key]origins.Origin) error {
	if err := port.CheckFence(ctx); err != nil {
		return err
	}
	return u.book.Note(ctx, slices.Collect(maps.Values(made)), slices.Collect(maps.Values(gone)))
}

// compareFrom is how many entities of a blueprint are compared before they are
// written: for fewer the question takes longer than it saves.
const compareFrom = 4

// update is one call of Relist.
type update struct {
	follower *Follower
	org      *azuredevops.Client
	groups   []*resync.Group
	book     *origins.Book
	snapshot *azuredevops.Snapshot
	session  *catalog.Session

	touched  map[azuredevops.Change]bool // what the record store knows to be out of date
	done     map[azuredevops.Change]bool // what was listed
	whole    []azuredevops.Change        // what was listed completely
	made     map[catalog.Key]origins.Origin
	layers   []catalog.Layer
	entities map[catalog.Key][]*mapping.Resource // what made each entity
	order    []catalog.Key                       // of entities
	gone     map[catalog.Key]origins.Origin      // by line
	errs     []error
}

// A source is a resource of the mapping; live events are not counted by it.
type source struct{ *mapping.Resource }

func (s *source) Members() []string               { return s.Keys() }
func (s *source) Origin() (kind, resource string) { return s.Kind, s.Path() }
func (s *source) Count(catalog.Outcome, int)      {}

// mapped are the changes of the kinds that the mapping names.
func (u *update) mapped(changes []azuredevops.Change) []azuredevops.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c azuredevops.Change) bool {
		return !slices.ContainsFunc(u.groups, func(g *resync.Group) bool { return g.Listing.Kind == c.Kind })
	})
}

// refresh lists what has changed for every resource of its kind.
func (u *update) refresh(ctx context.Context, c azuredevops.Change) {
	if u.done[c] {
		return
	}
	u.done[c] = true
	if err := u.touch(ctx, []azuredevops.Change{c}); err != nil {
		u.errs = append(u.errs, err)
		return
	}
	complete := !c.Partial
	for _, g := range u.groups {
		if g.Listing.Kind == c.Kind && !u.list(ctx, g, c) {
			complete = false
		}
	}
	if complete {
		u.whole = append(u.whole, c)
	}
}

// list maps the records of a change; it reports whether all of it could be read.
func (u *update) list(ctx context.Context, g *resync.Group, c azuredevops.Change) bool {
	complete := true
	sources := make([]*source, len(g.Resources))
	for i, r := range g.Resources {
		sources[i] = &source{r}
	}
	for rec, err := range g.Listing.Within(ctx, u.snapshot, c.Scope, azuredevops.ListOptions{Files: g.Files, Change: c}) {
		if err != nil {
			complete = false
			u.errs = append(u.errs, fmt.Errorf("%s: %w", c.Kind, err))
			continue
		}
		if len(rec.Missing) > 0 {
			complete = false
			u.errs = append(u.errs, fmt.Errorf("%s %s: %w", c.Kind, rec.Scope, rec.Missing[0]))
		}
		for _, src := range sources {
			if !u.take(ctx, src, rec) {
				complete = false
			}
		}
	}
	return complete
}

// take maps one record; it reports whether the mapping could decide about it.
func (u *update) take(ctx context.Context, src *source, rec azuredevops.Record) bool {
	res, err := src.Map(ctx, rec.JSON, rec.Files, &mapping.Report{})
	if err != nil {
		u.errs = append(u.errs, fmt.Errorf("%s: mapping: %w", src.Name(), err))
		return false
	}
	for i := range res.Entities {
		l := catalog.Layer{Entity: res.Entities[i], Source: src, Partial: len(rec.Missing) > 0}
		u.layers = append(u.layers, l)
		if l.Search {
			continue
		}
		o := origins.Origin{Kind: src.Kind, Scope: rec.Scope, Ref: port.Ref{Blueprint: l.Blueprint, Identifier: l.Identifier}}
		u.made[o.Line()] = o
		if u.entities[o.Entity()] == nil {
			u.order = append(u.order, o.Entity())
		}
		u.entities[o.Entity()] = append(u.entities[o.Entity()], src.Resource)
	}
	return res.SelectorErrors == 0
}

// neighbours lists the records of later resources that set the same members of
// the same entities: theirs are the values that stay.
func (u *update) neighbours(ctx context.Context) error {
	rivals := u.rivals()
	if len(rivals) == 0 {
		return nil
	}
	if err := u.book.Sync(ctx); err != nil {
		return err
	}
	for _, k := range slices.Clone(u.order) {
		kinds := map[string]bool{}
		for _, r := range u.entities[k] {
			for _, kind := range rivals[r] {
				kinds[kind] = true
			}
		}
		if len(kinds) == 0 {
			continue
		}
		known, err := u.book.OfEntity(k)
		if err != nil {
			continue
		}
		for _, o := range known {
			if _, made := u.made[o.Line()]; kinds[o.Kind] && !made {
				u.refresh(ctx, azuredevops.Change{Kind: o.Kind, Scope: o.Scope})
			}
		}
	}
	return nil
}

// rivals are, per resource, the kinds of later ones that set a member which the
// resource sets too.
func (u *update) rivals() map[*mapping.Resource][]string {
	out := map[*mapping.Resource][]string{}
	var all []*mapping.Resource
	for _, g := range u.groups {
		all = append(all, g.Resources...)
	}
	for _, a := range all {
		for _, b := range all {
			if b.Index > a.Index && sameBlueprint(a, b) && slices.ContainsFunc(a.Keys(), func(k string) bool { return slices.Contains(b.Keys(), k) }) {
				out[a] = append(out[a], b.Kind)
			}
		}
	}
	return out
}

func sameBlueprint(a, b *mapping.Resource) bool {
	x, literalX := a.Blueprint()
	y, literalY := b.Blueprint()
	return !literalX || !literalY || x == y
}

// write brings the entities to Port, in the order of the mapping, and those that
// Port finds by a search when the others are there to be found.
func (u *update) write(ctx context.Context) {
	slices.SortStableFunc(u.layers, func(a, b catalog.Layer) int {
		if a.Search != b.Search {
			return cmp.Compare(btoi(a.Search), btoi(b.Search))
		}
		return cmp.Compare(indexOf(a), indexOf(b))
	})
	searching := false
	w := u.session.Writer(slices.ContainsFunc(u.layers, func(l catalog.Layer) bool { return l.Search }))
	for _, l := range u.layers {
		if l.Search && !searching {
			searching = true
			w.Flush(ctx)
		}
		w.Put(ctx, l)
	}
	w.Flush(ctx)
	u.session.RetryRefused(ctx)
	for _, r := range u.session.Refusals() {
		u.follower.cfg.Log.WarnContext(ctx, "entities of live events were not written", "blueprint", r.Blueprint, "entities", r.Entities, "sample", r.Sample, "reason", r.Reason)
	}
}

func indexOf(l catalog.Layer) int { return l.Source.(*source).Index } // all are of this package

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// remove deletes what came from the listed parts and is not made any more.
func (u *update) remove(ctx context.Context) {
	var out []catalog.Deletion
	for _, c := range u.whole {
		known, err := u.book.Of(c.Kind, c.Scope)
		if err != nil {
			u.errs = append(u.errs, err)
			continue
		}
		for _, o := range known {
			if _, still := u.made[o.Line()]; still {
				continue
			}
			u.gone[o.Line()] = o
			out = append(out, catalog.Deletion{Ref: o.Ref, Proof: fmt.Sprintf("%s of %s was listed again and does not make it", c.Kind, c.Scope)})
		}
	}
	out = slices.DeleteFunc(out, func(d catalog.Deletion) bool { return !u.orphan(d.Ref) })
	done, err := u.session.Delete(ctx, out)
	u.errs = append(u.errs, err)
	u.stay(append(done.Failed, done.Referred...)...)
	for _, r := range done.Refusals {
		u.follower.cfg.Log.WarnContext(ctx, "entities that are gone were not deleted", "err", r)
	}
}

// orphan says whether all known origins of an entity are gone. What has just made
// it is known too.
func (u *update) orphan(ref port.Ref) bool {
	known, err := u.book.OfEntity(catalog.EntityKey(ref))
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(known, func(o origins.Origin) bool { return !u.isGone(o) })
}

func (u *update) isGone(o origins.Origin) bool {
	_, gone := u.gone[o.Line()]
	return gone
}

// stay keeps the origins of entities that were not deleted, so that the next try,
// or a resync, finds them.
func (u *update) stay(refs ...port.Ref) {
	kept := map[port.Ref]bool{}
	for _, ref := range refs {
		kept[ref] = true
	}
	maps.DeleteFunc(u.gone, func(_ catalog.Key, o origins.Origin) bool { return kept[o.Ref] })
}
