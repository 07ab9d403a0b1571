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

// A held is what Port held of a blueprint, as digests: 16 bytes and 8 for each entity.
type held struct {
	digester *mapping.Digester
	done     chan struct{} // it has been read, or could not be

	mu        sync.Mutex
	digests   map[Key]uint64
	rewritten map[Key]struct{} // before done
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
			s.held = map[string]*held{}
		}
		h := &held{digester: mapping.NewDigester(members), done: make(chan struct{}), rewritten: map[Key]struct{}{}}
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
	digests := make(map[Key]uint64, s.owned.of[blueprint])
	for entity, err := range s.c.port.Held(ctx, blueprint, s.opt.Feature) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				s.log.WarnContext(ctx, "the entities of a blueprint could not be read as a whole: they are compared some at a time", "blueprint", blueprint, "err", err)
			}
			digests = nil
			break
		}
		if sum, ok := h.digester.Held(entity); ok {
			digests[KeyOf(blueprint, gjson.GetBytes(entity, "identifier").String())] = sum
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.rewritten {
		delete(digests, k)
	}
	h.digests, h.rewritten = digests, nil
}

func (h *held) digest(k Key) (sum uint64, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum, known = h.digests[k]
	return sum, known
}

// forget notes that Port may hold something else of an entity now: a layer that comes
// later is compared with that. An entity that is searched for is known only when Port
// has found it.
func (s *Session) forget(ref port.Ref) {
	h := s.held[ref.Blueprint]
	if h == nil {
		return
	}
	k := EntityKey(ref)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.digests, k)
	if h.rewritten != nil {
		h.rewritten[k] = struct{}{}
	}
}

// unchanged takes out of wanted what Port held as it is. An entity that live events have
// written since may be another by now, and is asked for.
func (w *Writer) unchanged(ctx context.Context, b *batch, wanted map[string]*draft) {
	s := w.s
	h := s.held[b.blueprint]
	if h == nil {
		return
	}
	select {
	case <-h.done:
	case <-ctx.Done():
		return
	}
	for _, d := range b.drafts {
		l := &d.layers[0]
		k := EntityKey(l.ref())
		there, known := h.digest(k)
		if !known || wanted[l.Identifier] != d {
			continue
		}
		if sum, ok := h.digester.Body(d.body(s.opt.Merge)); ok && sum == there && !s.c.wasTouched(k) {
			s.same(d)
			delete(wanted, l.Identifier)
		}
	}
}
