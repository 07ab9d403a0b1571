package resync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// Live brings the catalog in step with parts of one organization that events say
// have changed. Each part is listed again, by the code of a resync, narrowed to
// the part; what it makes is written, and what the memory of origins knows of it
// and nothing makes any more is deleted. What the events themselves say is never
// written.
//
// The error says that something could not be read or written and is worth
// another try; everything else has been done then. Running Live again is harmless.
func (r *Runner) Live(ctx context.Context, org *azuredevops.Client, changes []azuredevops.Change) error {
	m, err := r.cfg.LiveMapping(ctx)
	if err != nil {
		return fmt.Errorf("live events wait for a mapping: %w", err)
	}
	l := &live{
		runner: r, catalog: r.cfg.Catalog, mapping: m, snapshot: org.Urgent().Snapshot(), book: r.remembered(),
		done: map[azuredevops.Change]bool{}, made: map[key]origin{}, units: map[key]*unit{},
	}
	if err := l.bind(); err != nil {
		return err
	}
	settled, err := l.snapshot.Settle(ctx, l.mapped(changes))
	if err != nil {
		return err
	}
	for _, c := range settled {
		l.refresh(ctx, c)
	}
	l.neighbours(ctx)
	// Before anything is written: a process that is killed behind the writing has
	// to know later what to take away.
	l.book.note(slices.Collect(maps.Values(l.made)), nil)
	l.write(ctx)
	l.remove(ctx)
	l.clear(ctx)
	l.book.note(nil, l.gone)
	return errors.Join(l.errs...)
}

// live is one call of Live.
type live struct {
	runner   *Runner
	catalog  *port.Client
	mapping  *mapping.Mapping
	snapshot *azuredevops.Snapshot
	book     *book
	fetches  []*fetch

	done   map[azuredevops.Change]bool // what was listed
	whole  []azuredevops.Change        // what was listed completely
	made   map[key]origin
	units  map[key]*unit // entities, their layers in the order of the mapping
	order  []*unit
	search []item // entities that Port finds by a search
	gone   []origin
	errs   []error
}

func (l *live) bind() error {
	byKey := map[string]*fetch{}
	for _, res := range l.mapping.Resources {
		listing, _, err := azuredevops.Bind(res.Kind, res.Selector)
		if err != nil {
			return fmt.Errorf("%s: %w", res.KindIndex(), err)
		}
		f := byKey[listing.Key]
		if f == nil {
			f = &fetch{listing: listing}
			byKey[listing.Key] = f
			l.fetches = append(l.fetches, f)
		}
		f.blocks = append(f.blocks, newBlock(res))
		for _, p := range res.Files() {
			if !slices.Contains(f.files, p) {
				f.files = append(f.files, p)
			}
		}
	}
	return nil
}

// mapped are the changes of the kinds that the mapping names.
func (l *live) mapped(changes []azuredevops.Change) []azuredevops.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c azuredevops.Change) bool {
		return !slices.ContainsFunc(l.fetches, func(f *fetch) bool { return f.listing.Kind == c.Kind })
	})
}

// refresh lists what has changed for every block of its kind.
func (l *live) refresh(ctx context.Context, c azuredevops.Change) {
	if l.done[c] {
		return
	}
	l.done[c] = true
	complete := !c.Partial
	for _, f := range l.fetches {
		if f.listing.Kind == c.Kind && !l.list(ctx, f, c) {
			complete = false
		}
	}
	if complete {
		l.whole = append(l.whole, c)
	}
}

// list maps the records of a change; it reports whether all of it could be read.
func (l *live) list(ctx context.Context, f *fetch, c azuredevops.Change) bool {
	complete := true
	for rec, err := range f.listing.Within(ctx, l.snapshot, c.Scope, azuredevops.ListOptions{Files: f.files, Change: c}) {
		if err != nil {
			complete = false
			l.errs = append(l.errs, fmt.Errorf("%s: %w", c.Kind, err))
			continue
		}
		partial := len(rec.Missing) > 0
		if partial {
			complete = false
			l.errs = append(l.errs, fmt.Errorf("%s %s: %w", c.Kind, rec.Scope, rec.Missing[0]))
		}
		for _, b := range f.blocks {
			if !l.take(ctx, b, rec, partial) {
				complete = false
			}
		}
	}
	return complete
}

func (l *live) take(ctx context.Context, b *block, rec azuredevops.Record, partial bool) bool {
	res, err := b.Map(ctx, rec.JSON, rec.Files, &b.report)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: mapping: %w", b.KindIndex(), err))
		return false
	}
	for i := range res.Entities {
		it := item{Entity: res.Entities[i], source: b.source(rec.Scope), partial: partial}
		if it.Search {
			l.search = append(l.search, it)
			continue
		}
		o := origin{Kind: b.Kind, Scope: rec.Scope, Ref: port.Ref{Blueprint: it.Blueprint, Identifier: it.Identifier}}
		l.made[o.line()] = o
		k := it.key()
		u := l.units[k]
		if u == nil {
			u = &unit{key: k}
			l.units[k] = u
			l.order = append(l.order, u)
		}
		u.layers = append(u.layers, it)
	}
	return res.SelectorErrors == 0
}

// neighbours lists the records of later blocks that set the same members of the
// same entities: theirs are the values that stay.
func (l *live) neighbours(ctx context.Context) {
	rivals := l.rivals()
	if len(rivals) == 0 {
		return
	}
	for _, u := range slices.Clone(l.order) {
		kinds := map[string]bool{}
		for i := range u.layers {
			for _, kind := range rivals[u.layers[i].source.block.Index] {
				kinds[kind] = true
			}
		}
		if len(kinds) == 0 {
			continue
		}
		origins, err := l.book.entity(u.key)
		if err != nil {
			continue
		}
		for _, o := range origins {
			if _, made := l.made[o.line()]; kinds[o.Kind] && !made {
				l.refresh(ctx, azuredevops.Change{Kind: o.Kind, Scope: o.Scope})
			}
		}
	}
}

// rivals are, per block, the kinds of later blocks that set a member which the
// block sets too.
func (l *live) rivals() map[int][]string {
	out := map[int][]string{}
	var blocks []*block
	for _, f := range l.fetches {
		blocks = append(blocks, f.blocks...)
	}
	for _, a := range blocks {
		for _, b := range blocks {
			if b.Index > a.Index && sameBlueprint(a, b) && slices.ContainsFunc(a.Keys(), func(k string) bool { return slices.Contains(b.Keys(), k) }) {
				out[a.Index] = append(out[a.Index], b.Kind)
			}
		}
	}
	return out
}

func sameBlueprint(a, b *block) bool {
	x, literalX := a.Blueprint()
	y, literalY := b.Blueprint()
	return !literalX || !literalY || x == y
}

// compareFrom is how many entities of a blueprint make it worth asking Port
// first which of them differ.
const compareFrom = 4

// write brings the entities to Port, blueprint by blueprint.
func (l *live) write(ctx context.Context) {
	byBlueprint := map[string][]*unit{}
	var blueprints []string
	for _, u := range l.order {
		slices.SortStableFunc(u.layers, func(a, b item) int { return cmp.Compare(a.source.block.Index, b.source.block.Index) })
		if u.layers[0].partial && l.exists(ctx, u) {
			continue
		}
		bp := u.layers[0].Blueprint
		if byBlueprint[bp] == nil {
			blueprints = append(blueprints, bp)
		}
		byBlueprint[bp] = append(byBlueprint[bp], u)
	}
	for _, bp := range blueprints {
		units := byBlueprint[bp]
		if len(units) >= compareFrom {
			units = l.differing(ctx, bp, units)
		}
		for batch := range slices.Chunk(units, maxBatch) {
			l.upsert(ctx, batch)
		}
	}
	for i := range l.search {
		l.upsert(ctx, []*unit{{layers: l.search[i : i+1]}})
	}
}

// exists says whether an incomplete entity would replace one.
func (l *live) exists(ctx context.Context, u *unit) bool {
	found, err := l.catalog.Exists(ctx, port.Ref{Blueprint: u.layers[0].Blueprint, Identifier: u.layers[0].Identifier})
	return err != nil || found
}

// body lays the layers over each other.
func (l *live) body(u *unit) []byte {
	body := u.layers[len(u.layers)-1].Body
	if !l.mapping.EnableMergeEntity || len(u.layers) == 1 {
		return body
	}
	merged := u.layers[0].Body
	for _, it := range u.layers[1:] {
		next, err := mapping.MergeBodies(merged, it.Body)
		if err != nil {
			return body
		}
		merged = next
	}
	return merged
}

// differing asks Port for its version of the entities.
func (l *live) differing(ctx context.Context, bp string, units []*unit) []*unit {
	ids := make([]string, len(units))
	byID := make(map[string]*unit, len(units))
	var include []string
	for i, u := range units {
		ids[i] = u.layers[0].Identifier
		byID[ids[i]] = u
		for j := range u.layers {
			for _, k := range u.layers[j].source.block.Keys() {
				if !slices.Contains(include, k) {
					include = append(include, k)
				}
			}
		}
	}
	for held, err := range l.catalog.Search(ctx, bp, ids, include) {
		if err != nil {
			return units // written without a comparison
		}
		if id := gjson.GetBytes(held, "identifier").String(); byID[id] != nil && mapping.Equal(l.body(byID[id]), held) {
			delete(byID, id)
		}
	}
	return slices.DeleteFunc(units, func(u *unit) bool { return byID[u.layers[0].Identifier] == nil })
}

func (l *live) upsert(ctx context.Context, units []*unit) {
	entities := make([]port.Entity, len(units))
	for i, u := range units {
		entities[i] = u.layers[len(u.layers)-1].Entity
		entities[i].Body = l.body(u)
	}
	res, err := l.catalog.Upsert(ctx, port.UpsertOptions{
		Merge: l.mapping.EnableMergeEntity, CreateMissing: l.mapping.CreateMissingRelatedEntities, EventType: "http_request",
	}, entities)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	for i := range units {
		if e := res.Err(i); e != nil {
			l.refused(ctx, e)
		}
	}
	l.runner.touch(units)
}

// refused sorts out why Port did not take an entity: its own refusal stays one,
// everything else is tried again.
func (l *live) refused(ctx context.Context, e *port.EntityError) {
	if e.Status >= 400 && e.Status < 500 && e.Status != 408 && e.Status != 429 && e.Status != 401 {
		l.runner.cfg.Log.WarnContext(ctx, "an entity of a live event was refused by Port", "entity", e.Ref.String(), "err", e)
		return
	}
	l.errs = append(l.errs, e)
}

// remove deletes what came from the listed parts and is not made any more.
func (l *live) remove(ctx context.Context) {
	candidates := map[string][]string{}
	for _, c := range l.whole {
		known, err := l.book.of(c.Kind, c.Scope)
		if err != nil {
			l.errs = append(l.errs, err)
			continue
		}
		for _, o := range known {
			if _, still := l.made[o.line()]; still {
				continue
			}
			l.gone = append(l.gone, o)
			if l.units[o.key()] == nil {
				candidates[o.Ref.Blueprint] = append(candidates[o.Ref.Blueprint], o.Ref.Identifier)
			}
		}
	}
	for _, bp := range sortedKeys(candidates) {
		l.removeFrom(ctx, bp, slices.Compact(slices.Sorted(slices.Values(candidates[bp]))))
	}
}

// removeFrom deletes entities of a blueprint that nothing makes any more and that
// are ours.
func (l *live) removeFrom(ctx context.Context, bp string, ids []string) {
	ids = slices.DeleteFunc(ids, func(id string) bool { return !l.orphan(port.Ref{Blueprint: bp, Identifier: id}) })
	if len(ids) == 0 {
		return
	}
	var ours []string
	for held, err := range l.catalog.Search(ctx, bp, ids, nil) {
		if err != nil {
			l.keepGone(bp, ids)
			l.errs = append(l.errs, err)
			return
		}
		ours = append(ours, gjson.GetBytes(held, "identifier").String())
	}
	if len(ours) == 0 {
		return
	}
	if _, err := l.catalog.Delete(ctx, port.DeleteOptions{Dependents: l.mapping.DeleteDependentEntities, EventType: "http_request"}, bp, ours); err != nil {
		l.keepGone(bp, ids)
		l.errs = append(l.errs, err)
	}
}

// orphan says whether all known origins of an entity are gone.
func (l *live) orphan(ref port.Ref) bool {
	origins, err := l.book.entity(keyOf(ref.Blueprint, ref.Identifier))
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(origins, func(o origin) bool {
		return !slices.ContainsFunc(l.gone, func(g origin) bool { return g.line() == o.line() })
	})
}

// keepGone keeps the origins of entities that could not be deleted, so that the
// next try finds them.
func (l *live) keepGone(bp string, ids []string) {
	l.gone = slices.DeleteFunc(l.gone, func(o origin) bool { return o.Ref.Blueprint == bp && slices.Contains(ids, o.Ref.Identifier) })
}
