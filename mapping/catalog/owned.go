package catalog

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ado-port/ado-port/port"
)

// An ownedSet holds what Port held of this installation when the session began,
// 16 bytes an entity.
type ownedSet struct {
	asked bool           // and answered
	keys  []Key          // in order
	of    map[string]int // how many of each blueprint
}

func (o *ownedSet) known() bool { return o.asked }

func (o *ownedSet) has(k Key) bool { return o.index(k) >= 0 }

// index is the place of an entity, or -1.
func (o *ownedSet) index(k Key) int {
	if i, ok := slices.BinarySearchFunc(o.keys, k, Key.compare); ok {
		return i
	}
	return -1
}

// LoadOwned asks Port for the entities of this installation from before a time.
// Afterwards a writer knows what there is to compare, and Delete what is ours.
// When it fails nothing is known.
func (s *Session) LoadOwned(ctx context.Context, before time.Time) error {
	var keys []Key
	of := map[string]int{}
	for ref, err := range s.c.port.Owned(ctx, before) {
		if err != nil {
			s.owned = ownedSet{asked: true} // nothing is compared
			return err
		}
		keys = append(keys, EntityKey(ref))
		of[ref.Blueprint]++
	}
	slices.SortFunc(keys, Key.compare)
	s.owned = ownedSet{asked: true, keys: slices.Clip(slices.Compact(keys)), of: of}
	return nil
}

// Owned says whether LoadOwned found the entity, and OwnedCount how many it found.
func (s *Session) Owned(k Key) bool { return s.owned.has(k) }

// OwnedCount is how many entities LoadOwned found.
func (s *Session) OwnedCount() int { return len(s.owned.keys) }

// OwnedOf is how many of them are of a blueprint.
func (s *Session) OwnedOf(blueprint string) int { return s.owned.of[blueprint] }

// Stale lists what LoadOwned found and made does not know, as Port holds it now:
// what was written since a time, that of LoadOwned or an earlier one, is not among it.
func (s *Session) Stale(ctx context.Context, since time.Time, made func(Key) bool) ([]port.Ref, error) {
	var out []port.Ref
	for ref, err := range s.c.port.Owned(ctx, since) {
		if err != nil {
			return nil, err
		}
		if k := EntityKey(ref); !made(k) && !s.c.wasTouched(k) {
			out = append(out, ref)
		}
	}
	return out, nil
}

// A targetSet remembers which entities others refer to, 16 bytes each.
type targetSet struct {
	mu   sync.Mutex
	keys map[Key]struct{}
	from map[relation]struct{}
}

// relation names a relation of a blueprint.
type relation struct{ blueprint, name string }

func newTargetSet() *targetSet {
	return &targetSet{keys: map[Key]struct{}{}, from: map[relation]struct{}{}}
}

func (t *targetSet) add(blueprint, name, target string) {
	k := KeyOf(blueprint, name, target)
	t.mu.Lock()
	t.keys[k] = struct{}{}
	t.from[relation{blueprint, name}] = struct{}{}
	t.mu.Unlock()
}

func (t *targetSet) has(rel relation, target string) bool {
	_, ok := t.keys[KeyOf(rel.blueprint, rel.name, target)]
	return ok
}

// Refer notes what a layer refers to, and forgets the list: it need not wait with
// the layer.
func (s *Session) Refer(l *Layer) {
	for _, rel := range l.Relations {
		for _, id := range rel.Targets {
			s.targets.add(l.Blueprint, rel.Name, id)
		}
	}
	l.Relations = nil
}
