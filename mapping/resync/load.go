package resync

import (
	"context"
	"errors"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// handle takes one entity in its order. It runs on the lane's goroutine only.
func (l *lane) handle(ctx context.Context, it item) {
	l.collect()
	if it.Search && l.run.mode == learn {
		return
	}
	if it.Search {
		l.upsert(ctx, &unit{layers: []item{it}})
		return
	}
	k := it.key()
	if l.run.mode == learn {
		l.seen[k] = 0
		return
	}
	epoch, again := l.seen[k]
	if err := l.refused(ctx, &it); err != nil {
		if !again {
			l.seen[k] = 0
		}
		l.run.upsertFailed(&unit{layers: []item{it}}, err)
		return
	}
	held := l.run.owned.has(k)
	if it.partial && (again || held || l.run.exists(ctx, port.Ref{Blueprint: it.Blueprint, Identifier: it.Identifier})) {
		// It exists and what we know of it is not complete: leave it alone.
		if !again {
			l.seen[k] = 0
		}
		it.source.counter.kept.Add(1)
		return
	}
	if l.join(k, it) {
		return
	}
	if again && epoch == l.epoch {
		// The earlier layer is on its way: the order at Port must be ours.
		l.settle()
		if l.join(k, it) {
			return
		}
	}
	l.seen[k] = l.epoch
	u := &unit{key: k, layers: []item{it}}
	if held {
		l.enqueueCompare(ctx, u)
		return
	}
	l.upsert(ctx, u)
}

// refused says why Port would refuse the entity, or nil.
func (l *lane) refused(ctx context.Context, it *item) error {
	e := l.enums[it.Blueprint]
	if e == nil {
		e = l.run.enumsOf(ctx, it.Blueprint)
		l.enums[it.Blueprint] = e
	}
	return e.refuses(it)
}

// join adds a layer to an entity that has not been sent yet.
func (l *lane) join(k key, it item) bool {
	if u := l.unsent[k]; u != nil {
		u.layers = append(u.layers, it)
		return true
	}
	return l.pending.join(k, it)
}

// collect takes over what batches under way have found out.
func (l *lane) collect() {
	l.resMu.Lock()
	changed, found := l.changed, l.found
	l.changed, l.found = nil, nil
	l.resMu.Unlock()
	for _, k := range found {
		l.seen[k] = 0
	}
	for _, u := range changed {
		l.pending.add(u)
	}
}

// settle waits for everything under way and begins a new epoch.
func (l *lane) settle() {
	l.flight.Wait()
	l.collect()
	l.epoch++
}

// enqueueCompare plans the comparison of an entity with what Port holds.
func (l *lane) enqueueCompare(ctx context.Context, u *unit) {
	bp := u.layers[0].Blueprint
	b := l.compare[bp]
	if b == nil {
		b = &batch{}
		l.compare[bp] = b
	}
	b.units = append(b.units, u)
	b.bytes += len(u.layers[0].Body)
	l.unsent[u.key] = u
	if len(b.units) == maxCompare || b.bytes >= maxBatchBytes {
		delete(l.compare, bp)
		l.startCompare(ctx, bp, b)
	}
	for l.pending.bytes > maxPending {
		l.upsert(ctx, l.pending.oldest())
	}
}

// upsert plans the writing of an entity.
func (l *lane) upsert(ctx context.Context, u *unit) {
	size := u.size()
	bp := u.layers[0].Blueprint
	b := l.batches[bp]
	if b == nil {
		b = &batch{bytes: batchEnvelope}
		l.batches[bp] = b
	}
	if len(b.units) > 0 && b.bytes+size > maxBatchBytes {
		l.startUpsert(ctx, b)
		b = &batch{bytes: batchEnvelope}
		l.batches[bp] = b
	}
	b.units = append(b.units, u)
	b.bytes += size
	if u.key != (key{}) {
		l.unsent[u.key] = u
	}
	if len(b.units) == maxBatch {
		delete(l.batches, bp)
		l.startUpsert(ctx, b)
	}
}

// size bounds the body of a unit in bytes.
func (u *unit) size() int {
	n := 0
	for i := range u.layers {
		n += len(u.layers[i].Body) + 1
	}
	return n
}

// start runs f with a free slot; in a lane with searches after all that came before.
func (l *lane) start(ctx context.Context, b *batch, f func(ctx context.Context, b *batch)) {
	for _, u := range b.units {
		if u.key != (key{}) {
			delete(l.unsent, u.key)
			l.seen[u.key] = l.epoch
		}
	}
	if l.ordered {
		l.flight.Wait()
	}
	l.slots <- struct{}{}
	l.flight.Go(func() {
		defer func() { <-l.slots }()
		f(ctx, b)
	})
}

func (l *lane) startCompare(ctx context.Context, bp string, b *batch) {
	l.start(ctx, b, func(ctx context.Context, b *batch) { l.compareBatch(ctx, bp, b) })
}

func (l *lane) startUpsert(ctx context.Context, b *batch) {
	l.start(ctx, b, l.upsertBatch)
}

// flush sends everything that waits, in an order in which what is found to
// differ is written too.
func (l *lane) flush(ctx context.Context) {
	for bp, b := range l.compare {
		delete(l.compare, bp)
		l.startCompare(ctx, bp, b)
	}
	l.settle()
	l.flushPending(ctx)
	for bp, b := range l.batches {
		delete(l.batches, bp)
		l.startUpsert(ctx, b)
	}
	l.settle()
}

// flushPending writes the entities that differ. Those of several layers are
// compared once more as a whole: what one layer changed, a later one may have
// changed back.
func (l *lane) flushPending(ctx context.Context) {
	again := map[string]*batch{}
	for u := l.pending.oldest(); u != nil; u = l.pending.oldest() {
		if len(u.layers) == 1 || !l.run.merges() {
			l.upsert(ctx, u)
			continue
		}
		bp := u.layers[0].Blueprint
		b := again[bp]
		if b == nil {
			b = &batch{}
			again[bp] = b
		}
		b.units = append(b.units, u)
		if len(b.units) == maxCompare {
			delete(again, bp)
			l.startCompare(ctx, bp, b)
		}
	}
	for bp, b := range again {
		l.startCompare(ctx, bp, b)
	}
	l.settle()
	for u := l.pending.oldest(); u != nil; u = l.pending.oldest() {
		l.upsert(ctx, u)
	}
}

// body is what to write for a unit: its layers over each other. Without
// merging at Port the last layer replaces the entity, so it alone counts.
func (l *lane) body(u *unit) ([]byte, error) {
	if !l.run.merges() {
		return u.layers[len(u.layers)-1].Body, nil
	}
	body := u.layers[0].Body
	for _, it := range u.layers[1:] {
		var err error
		if body, err = mapping.MergeBodies(body, it.Body); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// upsertBatch writes a batch and counts what became of it.
func (l *lane) upsertBatch(ctx context.Context, b *batch) {
	entities := make([]port.Entity, len(b.units))
	for i, u := range b.units {
		entities[i] = u.layers[len(u.layers)-1].Entity
		body, err := l.body(u)
		if err != nil { // cannot happen to bodies that we have made
			body = u.layers[len(u.layers)-1].Body
		}
		entities[i].Body = body
	}
	res, err := l.run.catalog.Upsert(ctx, l.run.upsertOptions(), entities)
	if err != nil {
		for _, u := range b.units {
			l.run.upsertFailed(u, err)
		}
		return
	}
	for i, u := range b.units {
		l.settleUnit(ctx, u, res, i)
	}
}

func (l *lane) settleUnit(ctx context.Context, u *unit, res port.UpsertResult, i int) {
	err := res.Err(i)
	last := &u.layers[len(u.layers)-1]
	switch {
	case err == nil && last.Identifier == "" && res.Identifiers[i] == "":
		last.source.counter.unmatched.Add(1) // the search found nothing: there is nothing to write
	case err == nil && last.Identifier == "":
		k := keyOf(last.Blueprint, res.Identifiers[i])
		l.resMu.Lock()
		l.found = append(l.found, k)
		l.resMu.Unlock()
		fallthrough
	case err == nil:
		last.source.counter.upserted.Add(1)
	case len(u.layers) > 1:
		// One layer may be refused and the others not.
		for j := range u.layers {
			l.upsertBatch(ctx, &batch{units: []*unit{{key: u.key, layers: u.layers[j : j+1]}}})
		}
	default:
		l.run.upsertFailed(u, err)
	}
}

// compareBatch asks Port for its version of the entities and hands those that
// differ back to the lane.
func (l *lane) compareBatch(ctx context.Context, bp string, b *batch) {
	wanted := make(map[string]*unit, len(b.units))
	ids := make([]string, len(b.units))
	bodies := make(map[*unit][]byte, len(b.units))
	for i, u := range b.units {
		ids[i] = u.layers[0].Identifier
		wanted[ids[i]] = u
		body, err := l.body(u)
		if err != nil {
			body = nil
		}
		bodies[u] = body
	}
	for held, err := range l.run.catalog.Search(ctx, bp, ids, l.include(b)) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				l.run.log.WarnContext(ctx, "entities could not be compared with the catalog and are written without a comparison", "blueprint", bp, "err", err)
			}
			break
		}
		id := gjson.GetBytes(held, "identifier").String()
		if u := wanted[id]; u != nil && mapping.Equal(bodies[u], held) {
			u.layers[len(u.layers)-1].source.counter.unchanged.Add(1)
			delete(wanted, id)
		}
	}
	l.resMu.Lock()
	defer l.resMu.Unlock()
	for _, u := range b.units { // in their order
		if wanted[u.layers[0].Identifier] == u {
			l.changed = append(l.changed, u)
		}
	}
}

// include lists the members that the blocks of a batch set.
func (l *lane) include(b *batch) []string {
	var out []string
	done := map[*block]bool{}
	have := map[string]bool{}
	for _, u := range b.units {
		for i := range u.layers {
			blk := u.layers[i].source.block
			if done[blk] {
				continue
			}
			done[blk] = true
			for _, p := range blk.Keys() {
				if !have[p] {
					have[p] = true
					out = append(out, p)
				}
			}
		}
	}
	return out
}
