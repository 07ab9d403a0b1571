package catalog

import (
	"context"
	"errors"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

const (
	// wholeFrom is how many entities of a blueprint make it worth reading all that Port
	// holds of it, up to 1,000 at a time, in the place of a search for each 100.
	wholeFrom = 2000
	// wholeAtOnce is how many blueprints are read at the same time: their pages are in memory.
	wholeAtOnce = 1
)

// A held is a blueprint that is read as a whole.
type held struct {
	digester *mapping.Digester
	done     chan struct{} // it has been read, or could not be
}

// heldDigests are what Port holds of the entities in an ownedSet, each in the place
// that it has there.
type heldDigests struct {
	mu  sync.Mutex
	sum []uint64 // none, rewritten, or a digest
}

// What stands in the place of a digest.
const (
	none      = 0 // it has not been read
	rewritten = 1 // the entity was written meanwhile: what is read may be from before
	least     = 2 // digest
)

func (h *heldDigests) put(i int, sum uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch sum = max(sum, least); h.sum[i] {
	case none:
		h.sum[i] = sum
	case sum, rewritten:
	default: // it has changed between two pages, and come on both
		h.sum[i] = rewritten
	}
}

func (h *heldDigests) forget(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum[i] = rewritten
}

// is tells whether Port holds what has a digest.
func (h *heldDigests) is(i int, sum uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum[i] == max(sum, least)
}

// ReadHeld begins to read what Port holds of the large blueprints that LoadOwned found
// and Options.Members names, before anything is put. Comparisons wait for it; when it
// fails, or ctx is done, they ask for their entities. It has ended when wait returns.
func (s *Session) ReadHeld(ctx context.Context) (wait func()) {
	var reading sync.WaitGroup
	slots := make(chan struct{}, wholeAtOnce)
	for blueprint, members := range s.opt.Members {
		if s.owned.of[blueprint] < s.c.whole {
			continue
		}
		if s.held == nil {
			s.held, s.digests.sum = map[string]*held{}, make([]uint64, len(s.owned.keys))
		}
		h := &held{digester: mapping.NewDigester(members), done: make(chan struct{})}
		s.held[blueprint] = h
		reading.Go(func() {
			defer close(h.done)
			slots <- struct{}{}
			defer func() { <-slots }()
			s.readHeld(ctx, blueprint, h)
		})
	}
	return reading.Wait
}

// readHeld reads what Port holds of a blueprint.
func (s *Session) readHeld(ctx context.Context, blueprint string, h *held) {
	for entity, err := range s.c.port.Held(ctx, blueprint, s.opt.Feature) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				s.log.WarnContext(ctx, "the entities of a blueprint could not be read as a whole: they are compared some at a time", "blueprint", blueprint, "err", err)
			}
			return // what came before is as good
		}
		if sum, ok := h.digester.Held(entity); ok {
			if i := s.owned.index(KeyOf(blueprint, gjson.GetBytes(entity, "identifier").String())); i >= 0 {
				s.digests.put(i, sum)
			}
		}
	}
}

// forget notes that Port may hold something else of an entity now: a layer that comes
// later is compared with that.
func (s *Session) forget(ref port.Ref) {
	if s.held[ref.Blueprint] == nil {
		return
	}
	if i := s.owned.index(EntityKey(ref)); i >= 0 {
		s.digests.forget(i)
	}
}

// awaitHeld waits until a blueprint has been read. It returns nil for one that is not
// read as a whole, and when ctx is done first.
func (s *Session) awaitHeld(ctx context.Context, blueprint string) *held {
	h := s.held[blueprint]
	if h == nil {
		return nil
	}
	select {
	case <-h.done:
		return h
	case <-ctx.Done():
		return nil
	}
}

// unchanged takes out of wanted what Port held as it is. An entity that live events have
// written since may be another by now, and is asked for.
func (w *Writer) unchanged(ctx context.Context, b *batch, wanted map[string]*draft) {
	s := w.s
	h := s.awaitHeld(ctx, b.blueprint)
	if h == nil {
		return
	}
	for _, d := range b.drafts {
		l := &d.layers[0]
		k := EntityKey(l.ref())
		i := s.owned.index(k)
		if i < 0 || wanted[l.Identifier] != d {
			continue
		}
		if sum, ok := h.digester.Body(d.body(s.opt.Merge)); ok && s.digests.is(i, sum) && !s.c.wasTouched(k) {
			s.same(d)
			delete(wanted, l.Identifier)
		}
	}
}
