package resync

import (
	"context"
	"slices"

	"github.com/ado-port/ado-port/port"
)

// A refusedSet keeps entities that Port refused, by blueprint, until everything
// else is written. What does not fit into memory waits on disk.
type refusedSet map[string]*spool

// refusedInMem bounds the bytes of one blueprint's refused entities in memory.
const refusedInMem = 256 << 10

func (s refusedSet) add(dir string, it item) error {
	if s[it.Blueprint] == nil {
		s[it.Blueprint] = newSpool(dir, refusedInMem)
	}
	return s[it.Blueprint].add(it)
}

func (s refusedSet) len() int {
	n := 0
	for _, sp := range s {
		n += sp.len()
	}
	return n
}

// retryRefused writes the entities that Port refused once more, complete, those
// that others refer to first (port.md 5.6). Port refuses an entity whose related
// one does not exist yet, unless the mapping lets it make such entities. As long
// as a round brings some of them in, the next one may bring in those that refer
// to them.
func (r *run) retryRefused(ctx context.Context) {
	for n := r.again.len(); n > 0 && ctx.Err() == nil; {
		round := r.again
		r.again = refusedSet{}
		r.mu.Lock()
		clear(r.refused)
		r.mu.Unlock()
		order := r.dependentsFirst(ctx, sortedKeys(round))
		slices.Reverse(order)
		for _, bp := range order {
			if err := r.retryBlueprint(ctx, round[bp]); err != nil {
				r.problem(ctx, "reading refused entities", err)
			}
		}
		left := r.again.len()
		if left >= n {
			return
		}
		n = left
	}
}

// retryBlueprint writes the refused entities of one blueprint.
func (r *run) retryBlueprint(ctx context.Context, waiting *spool) error {
	var batch []item
	bytes := batchEnvelope
	send := func() {
		if len(batch) > 0 {
			r.retryBatch(ctx, batch)
		}
		batch, bytes = batch[:0], batchEnvelope
	}
	err := waiting.drain(func(it item) error {
		if len(batch) == maxBatch || bytes+len(it.Body) > maxBatchBytes {
			send()
		}
		batch = append(batch, it)
		bytes += len(it.Body) + 1
		return nil
	})
	send()
	return err
}

func (r *run) retryBatch(ctx context.Context, batch []item) {
	entities := make([]port.Entity, len(batch))
	for i := range batch {
		entities[i] = batch[i].Entity
		batch[i].source.counter.failed.Add(-1)
	}
	res, err := r.catalog.Upsert(ctx, r.upsertOptions(), entities)
	for i := range batch {
		e := err
		if refused := res.Err(i); e == nil && refused != nil {
			e = refused
		}
		if e != nil {
			r.upsertFailed(&unit{layers: slices.Clone(batch[i : i+1])}, e)
			continue
		}
		batch[i].source.counter.upserted.Add(1)
	}
}
