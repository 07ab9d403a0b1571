package resync

import (
	"context"
	"sync"
)

// An ownedSet holds what Port held of this installation when the resync began,
// 16 bytes an entity. It is filled once; readers wait for that.
type ownedSet struct {
	keys  map[key]struct{}
	ready chan struct{}
}

func newOwnedSet() *ownedSet {
	return &ownedSet{keys: map[key]struct{}{}, ready: make(chan struct{})}
}

func (o *ownedSet) wait(ctx context.Context) {
	select {
	case <-o.ready:
	case <-ctx.Done():
	}
}

func (o *ownedSet) has(k key) bool {
	_, ok := o.keys[k]
	return ok
}

// loadOwned asks Port for the entities of this installation. When that fails
// nothing is compared and nothing is deleted.
func (r *run) loadOwned(ctx context.Context) {
	defer close(r.owned.ready)
	if r.mode == incremental {
		return // everything that changed is written
	}
	for ref, err := range r.catalog.Owned(ctx, r.ownedQuery()) {
		if err != nil {
			r.doubtAll("the entities that Port holds could not be listed")
			r.problem(ctx, "listing the entities of this installation", err)
			return
		}
		r.owned.keys[keyOf(ref.Blueprint, ref.Identifier)] = struct{}{}
	}
}

// A targetSet remembers which entities others refer to, 16 bytes each.
type targetSet struct {
	mu   sync.Mutex
	keys map[key]struct{}
	from map[relation]struct{}
}

// relation names a relation of a blueprint.
type relation struct{ blueprint, name string }

func newTargetSet() *targetSet {
	return &targetSet{keys: map[key]struct{}{}, from: map[relation]struct{}{}}
}

func (t *targetSet) add(blueprint, name, target string) {
	k := keyOf(blueprint, name, target)
	t.mu.Lock()
	t.keys[k] = struct{}{}
	t.from[relation{blueprint, name}] = struct{}{}
	t.mu.Unlock()
}

func (t *targetSet) has(rel relation, target string) bool {
	_, ok := t.keys[keyOf(rel.blueprint, rel.name, target)]
	return ok
}
