package catalog

import (
	"context"
	"slices"
	"sync"
)

// A Writer brings layers to Port in the order in which it gets them. What Port
// holds already is compared first and written only when it differs. An entity of
// several layers is merged before it is compared, so that two blocks with
// different ideas of one property do not write it back and forth.
//
// Its methods are called by one goroutine; batches are on their way beside it.
type Writer struct {
	s       *Session
	ordered bool // batches go out one after another

	seen    map[Key]uint32 // entity → epoch in which it was last handed on
	epoch   uint32
	batches batches        // not yet sent
	compare batches        // not yet compared
	unsent  map[Key]*draft // what both hold
	pending *pending

	flight  sync.WaitGroup
	slots   chan struct{}
	resMu   sync.Mutex
	changed []*draft // compared and found different, not yet in pending
	found   []Key    // resolved search identifiers, not yet in seen
}

const (
	writerSlots   = 8       // batches of a writer under way
	maxBatch      = 20      // entities of an upsert
	maxBatchBytes = 1 << 20 // body of an upsert
	maxCompare    = 100     // identifiers of a search
	compareBytes  = 1 << 19 // what waits for one: Port's answer is about as long
	flightBytes   = 4 << 20 // batches of all writers of a session under way
	maxPending    = 8 << 20 // bytes of changed entities held back for merging
	batchEnvelope = 64      // bytes of a bulk request besides its entities
)

// Writer makes a writer. An ordered one sends a batch only when the one before has
// been answered: for entities that are found by a search, which has to see what
// was written before.
func (s *Session) Writer(ordered bool) *Writer {
	return &Writer{
		s: s, ordered: ordered, slots: make(chan struct{}, writerSlots), seen: map[Key]uint32{}, epoch: 1,
		unsent: map[Key]*draft{}, pending: newPending(),
	}
}

// Put takes one layer. It runs its course by the end of the next Flush.
func (w *Writer) Put(ctx context.Context, l Layer) {
	w.s.Refer(&l)
	w.collect()
	k := EntityKey(l.ref())
	found := l.Identifier == "" // by Port's search
	epoch, again := w.seen[k]
	if !found && w.s.opt.Cause.Event != EventResync {
		w.s.c.touch(k)
	}
	if !found && !again {
		w.seen[k] = 0 // whatever comes of it, a record makes it
	}
	if w.s.opt.ReadOnly {
		if found {
			w.s.doubt(l.Blueprint)
		}
		l.Source.Count(Kept, 1)
		return
	}
	held := w.s.owned.has(k)
	if !w.s.admit(ctx, &l, again || held) {
		return
	}
	if l.Search {
		w.send(ctx, &draft{layers: []Layer{l}})
		return
	}
	if w.join(k, l) {
		return
	}
	if again && epoch == w.epoch {
		// The earlier layer is on its way: the order at Port must be ours.
		w.settle()
		if w.join(k, l) {
			return
		}
	}
	w.seen[k] = w.epoch
	d := &draft{key: k, layers: []Layer{l}}
	if held || !w.s.owned.known() && w.s.opt.CompareFrom > 0 {
		w.enqueueCompare(ctx, d)
		return
	}
	w.send(ctx, d)
}

// Made says whether a layer of the entity has come.
func (w *Writer) Made(k Key) bool {
	_, ok := w.seen[k]
	return ok
}

// MadeOf counts those of the session's own entities of which a layer has come.
func (w *Writer) MadeOf() int {
	n := 0
	for k := range w.seen {
		if w.s.owned.has(k) {
			n++
		}
	}
	return n
}

// join adds a layer to an entity that has not been sent yet.
func (w *Writer) join(k Key, l Layer) bool {
	if d := w.unsent[k]; d != nil {
		d.join(l)
		return true
	}
	return w.pending.join(k, l)
}

// collect takes over what batches under way have found out.
func (w *Writer) collect() {
	w.resMu.Lock()
	changed, found := w.changed, w.found
	w.changed, w.found = nil, nil
	w.resMu.Unlock()
	for _, k := range found {
		w.seen[k] = 0
	}
	for _, d := range changed {
		w.pending.add(d)
	}
}

// settle waits for everything under way and begins a new epoch.
func (w *Writer) settle() {
	w.flight.Wait()
	w.collect()
	w.epoch++
}

// Flush sends everything that waits and waits for the answers.
func (w *Writer) Flush(ctx context.Context) {
	for b := range w.compare.take {
		w.start(ctx, b, w.compareBatch)
	}
	w.settle()
	w.flushPending(ctx)
	for b := range w.batches.take {
		w.start(ctx, b, w.upsertBatch)
	}
	w.settle()
}

// flushPending sends the entities that differ. Those of several layers are
// compared once more as a whole: what one layer changed, a later one may have
// changed back.
func (w *Writer) flushPending(ctx context.Context) {
	var again batches
	for d := w.pending.oldest(); d != nil; d = w.pending.oldest() {
		if len(d.layers) == 1 || !w.s.opt.Merge {
			w.send(ctx, d)
			continue
		}
		if b := again.add(d, maxCompare, compareBytes); b != nil {
			w.start(ctx, b, w.compareBatch)
		}
	}
	for b := range again.take {
		w.start(ctx, b, w.compareBatch)
	}
	w.settle()
	for d := w.pending.oldest(); d != nil; d = w.pending.oldest() {
		w.send(ctx, d)
	}
}

// enqueueCompare plans the comparison of an entity with what Port holds.
func (w *Writer) enqueueCompare(ctx context.Context, d *draft) {
	w.unsent[d.key] = d
	if b := w.compare.add(d, maxCompare, compareBytes); b != nil {
		w.s.awaitHeld(ctx, b.blueprint) // one batch waits, and not all that can be under way
		w.start(ctx, b, w.compareBatch)
	}
	for w.pending.bytes > maxPending {
		w.send(ctx, w.pending.oldest())
	}
}

// send plans the writing of an entity.
func (w *Writer) send(ctx context.Context, d *draft) {
	if b := w.batches.overfull(d); b != nil {
		w.start(ctx, b, w.upsertBatch)
	}
	if d.key != (Key{}) {
		w.unsent[d.key] = d
	}
	if b := w.batches.add(d, maxBatch, maxBatchBytes); b != nil {
		w.start(ctx, b, w.upsertBatch)
	}
}

// start runs f with a free slot, when there is memory for the batch; in an ordered writer
// after all that came before.
func (w *Writer) start(ctx context.Context, b *batch, f func(ctx context.Context, b *batch)) {
	for _, d := range b.drafts {
		if d.key != (Key{}) {
			delete(w.unsent, d.key)
			w.seen[d.key] = w.epoch
		}
	}
	if w.ordered {
		w.flight.Wait()
	}
	w.slots <- struct{}{}
	size := int64(min(b.bytes, flightBytes))
	if w.s.flight.Acquire(ctx, size) != nil {
		size = 0 // ctx is done, as f will find
	}
	w.flight.Go(func() {
		defer func() {
			w.s.flight.Release(size)
			<-w.slots
		}()
		f(ctx, b)
	})
}

// A batch collects entities of one blueprint.
type batch struct {
	blueprint string
	drafts    []*draft
	bytes     int
}

// batches collects them by blueprint, in the order in which the blueprints came.
type batches []*batch

func (bs *batches) of(blueprint string) int {
	return slices.IndexFunc(*bs, func(b *batch) bool { return b.blueprint == blueprint })
}

// add adds an entity; a batch that is full then is taken out and returned.
func (bs *batches) add(d *draft, most, mostBytes int) *batch {
	i := bs.of(d.layers[0].Blueprint)
	if i < 0 {
		i = len(*bs)
		*bs = append(*bs, &batch{blueprint: d.layers[0].Blueprint, bytes: batchEnvelope})
	}
	b := (*bs)[i]
	b.drafts = append(b.drafts, d)
	b.bytes += d.size()
	if len(b.drafts) < most && b.bytes < mostBytes {
		return nil
	}
	*bs = slices.Delete(*bs, i, i+1)
	return b
}

// overfull takes out the batch that the entity would make too large.
func (bs *batches) overfull(d *draft) *batch {
	i := bs.of(d.layers[0].Blueprint)
	if i < 0 || (*bs)[i].bytes+d.size() <= maxBatchBytes {
		return nil
	}
	b := (*bs)[i]
	*bs = slices.Delete(*bs, i, i+1)
	return b
}

// take yields every batch and forgets it.
func (bs *batches) take(yield func(*batch) bool) {
	all := *bs
	*bs = nil
	for _, b := range all {
		if !yield(b) {
			return
		}
	}
}
