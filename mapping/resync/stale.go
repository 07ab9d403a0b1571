package resync

import (
	"context"
	"fmt"
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port"
)

// clean deletes the entities of this installation that no record makes any more,
// where that is proven (design rule 2.2): every listing that could have made the
// entity was complete. With the memory of origins the proof is asked of the
// entity's own project, repository and record; without it, of every listing
// that can write its blueprint.
func (r *run) clean(ctx context.Context) {
	if !r.anyMissing() {
		return
	}
	stale, total, err := r.stale(ctx)
	if err != nil {
		r.problem(ctx, "listing the entities of this installation", err)
		return
	}
	stale = r.unrelated(ctx, r.proven(ctx, stale))
	if len(stale) == 0 {
		return
	}
	if rate, limit := float64(len(stale))/float64(total), r.mapping.EntityDeletionThreshold; rate > limit || limit == 0 {
		r.log.WarnContext(ctx, "nothing is deleted: more entities are gone than entityDeletionThreshold allows",
			"gone", len(stale), "of", total, "share", fmt.Sprintf("%.2f", rate), "threshold", limit)
		r.braked = len(stale)
		return
	}
	r.delete(ctx, stale)
}

// anyMissing says whether Port held an entity that was not made this time.
func (r *run) anyMissing() bool {
	seen := 0
	for _, l := range r.lanes {
		for k := range l.seen {
			if r.owned.has(k) {
				seen++
			}
		}
	}
	return seen < len(r.owned.keys)
}

func (r *run) wasSeen(k key) bool {
	for _, l := range r.lanes {
		if _, ok := l.seen[k]; ok {
			return true
		}
	}
	return false
}

// stale lists what Port holds from before this resync and this resync did not
// make. What was written since, by a live event for example, is not in Port's answer.
func (r *run) stale(ctx context.Context) (refs []port.Ref, total int, err error) {
	q := r.ownedQuery()
	for ref, err := range r.catalog.Owned(ctx, q) {
		if err != nil {
			return nil, 0, err
		}
		if k := keyOf(ref.Blueprint, ref.Identifier); !r.wasSeen(k) && !r.runner.wasTouched(k) {
			refs = append(refs, ref)
		}
	}
	return refs, len(r.owned.keys), nil
}

func (r *run) ownedQuery() port.OwnedQuery { return port.OwnedQuery{Before: r.started} }

// proven drops the entities that may still exist.
func (r *run) proven(ctx context.Context, stale []port.Ref) []port.Ref {
	if len(stale) == 0 {
		return nil
	}
	r.origins = r.originsOf(ctx, stale)
	keptFor := map[string]int{}
	out := stale[:0]
	for _, ref := range stale {
		if why := r.whyKeep(ref, r.origins[keyOf(ref.Blueprint, ref.Identifier)]); why != "" {
			keptFor[why]++
			continue
		}
		out = append(out, ref)
	}
	for why, n := range keptFor {
		r.log.WarnContext(ctx, "entities are kept although nothing made them: it is not known whether they still exist", "entities", n, "because", why)
		r.kept += n
	}
	return out
}

// originsOf reads the remembered origins of some entities.
func (r *run) originsOf(ctx context.Context, refs []port.Ref) map[key][]origin {
	out := make(map[key][]origin, len(refs))
	if r.memory.path == "" {
		return out
	}
	wanted := make(map[key]bool, len(refs))
	for _, ref := range refs {
		wanted[keyOf(ref.Blueprint, ref.Identifier)] = true
	}
	err := readOrigins(r.memory.path, func(o *origin) {
		if k := o.key(); wanted[k] {
			out[k] = append(out[k], *o)
		}
	})
	if err != nil {
		r.log.WarnContext(ctx, "the memory of origins cannot be used: deletion needs complete listings", "err", err)
		return map[key][]origin{}
	}
	return out
}

// whyKeep says why an entity must not be deleted, or "".
func (r *run) whyKeep(ref port.Ref, origins []origin) string {
	if why := r.doubted(ref.Blueprint); why != "" {
		return why
	}
	for _, b := range r.blocks {
		if id, literal := b.Blueprint(); literal && id != ref.Blueprint {
			continue
		}
		for _, u := range b.unknowns() {
			if len(origins) == 0 || anyCovered(u.Scope, b.Kind, origins) {
				return fmt.Sprintf("%s of %s could not be read: %s", b.Kind, u.Scope, u.Reason)
			}
		}
	}
	return ""
}

// anyCovered says whether an unknown scope of a kind holds one of the origins.
func anyCovered(unknown azuredevops.Scope, kind string, origins []origin) bool {
	return slices.ContainsFunc(origins, func(o origin) bool {
		return o.Kind == kind && covers(unknown, o.Scope)
	})
}

// covers says whether inner lies in outer. Empty fields of outer are wider.
func covers(outer, inner azuredevops.Scope) bool {
	in := func(o, i string) bool { return o == "" || o == i }
	return in(outer.Organization, inner.Organization) && in(outer.Project, inner.Project) &&
		in(outer.Repository, inner.Repository) && in(outer.ID, inner.ID)
}

// doubted says why a blueprint must not be cleaned, or "".
func (r *run) doubted(blueprint string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.doubt[""]; why != "" {
		return why
	}
	return r.doubt[blueprint]
}

func (r *run) doubtAll(why string) { r.doubtBlueprint("", why) }

// doubtBlueprint forbids deletion in a blueprint, or in all of them for "".
func (r *run) doubtBlueprint(blueprint, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doubt[blueprint] == "" {
		r.doubt[blueprint] = why
	}
}

// unrelated drops entities that others refer to, when Port makes such entities
// by itself: it would make them again (port.md 5.6).
func (r *run) unrelated(ctx context.Context, stale []port.Ref) []port.Ref {
	if !r.mapping.CreateMissingRelatedEntities {
		return stale
	}
	byTarget := map[string][]relation{}
	for rel := range r.targets.from {
		bp, err := r.catalog.Blueprint(ctx, rel.blueprint)
		if err != nil {
			r.log.WarnContext(ctx, "the relations of a blueprint are not known: nothing that it may refer to is deleted", "blueprint", rel.blueprint, "err", err)
			return nil
		}
		if d, ok := bp.Relations[rel.name]; ok {
			byTarget[d.Target] = append(byTarget[d.Target], rel)
		}
	}
	return slices.DeleteFunc(stale, func(ref port.Ref) bool {
		return slices.ContainsFunc(byTarget[ref.Blueprint], func(rel relation) bool { return r.targets.has(rel, ref.Identifier) })
	})
}

// delete removes entities, those that refer to others before those they refer to.
func (r *run) delete(ctx context.Context, stale []port.Ref) {
	byBlueprint := map[string][]string{}
	for _, ref := range stale {
		byBlueprint[ref.Blueprint] = append(byBlueprint[ref.Blueprint], ref.Identifier)
	}
	order := r.dependentsFirst(ctx, sortedKeys(byBlueprint))
	opt := port.DeleteOptions{Dependents: r.mapping.DeleteDependentEntities, EventType: "resync", ResyncID: r.id}
	for _, bp := range order {
		gone, err := r.catalog.Delete(ctx, opt, bp, byBlueprint[bp])
		for _, id := range gone {
			r.countDeleted(port.Ref{Blueprint: bp, Identifier: id})
		}
		if err != nil {
			r.problem(ctx, "deleting entities of "+bp, err)
		}
	}
}

// dependentsFirst orders blueprints so that those with relations come before
// their targets. A blueprint that cannot be read counts as without relations.
func (r *run) dependentsFirst(ctx context.Context, of []string) []string {
	var order []string
	visited := map[string]bool{}
	var visit func(string)
	visit = func(bp string) {
		if visited[bp] {
			return // done, or a cycle: any order is as good
		}
		visited[bp] = true
		if b, err := r.catalog.Blueprint(ctx, bp); err == nil {
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
