package resync

import (
	"context"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port"
)

// exists says whether Port holds an entity, whoever wrote it. Doubt counts as yes.
func (r *run) exists(ctx context.Context, ref port.Ref) bool {
	found, err := r.catalog.Exists(ctx, ref)
	if err != nil {
		r.log.WarnContext(ctx, "an incomplete entity is not written because the catalog cannot be asked for it", "entity", ref.String(), "err", err)
		return true
	}
	return found
}

// countDeleted books a deleted entity: to the resource and project that its
// origin names, else to the first resource that writes the blueprint.
func (r *run) countDeleted(ref port.Ref) {
	k := keyOf(ref.Blueprint, ref.Identifier)
	r.gone[k] = struct{}{}
	var scope azuredevops.Scope
	var kind string
	if known := r.origins[k]; len(known) > 0 {
		kind, scope = known[0].Kind, known[0].Scope
	}
	var first *block
	for _, b := range r.blocks {
		id, literal := b.Blueprint()
		if literal && id != ref.Blueprint {
			continue
		}
		if b.Kind == kind {
			b.source(scope).counter.deleted.Add(1)
			return
		}
		if first == nil {
			first = b
		}
	}
	if first != nil {
		first.source(scope).counter.deleted.Add(1)
	}
}

// remember makes the origins of this resync the current ones. What was not read
// this time keeps what was known of it, as long as Port holds the entity.
func (r *run) remember(ctx context.Context) {
	if ctx.Err() != nil {
		r.memory.discard()
		return
	}
	err := r.memory.commit(func(o *origin) bool {
		k := o.key()
		if _, gone := r.gone[k]; gone {
			return false
		}
		if !r.wasSeen(k) {
			return r.owned.has(k)
		}
		for _, b := range r.blocks {
			if b.Kind != o.Kind {
				continue
			}
			for _, u := range b.unknowns() {
				if covers(u.Scope, o.Scope) {
					return true
				}
			}
		}
		return false
	})
	if err != nil {
		r.log.WarnContext(ctx, "origins of entities are not remembered: the next deletion needs complete listings", "err", err)
		return
	}
	if r.cfg.LiveMapping == nil {
		return // nobody will ask
	}
	if err := r.runner.remembered().turn(r.started); err != nil {
		r.log.WarnContext(ctx, "the memory of origins cannot be used: live events delete nothing before the next resync", "err", err)
	}
}
