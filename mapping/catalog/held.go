package catalog

import (
	"context"
	"errors"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// wholeFrom is how many entities of a blueprint make it worth reading all that Port
// holds of it, 1,000 at a time, in the place of a search for each 100.
const wholeFrom = 2000

// A held is what Port held of a blueprint when the first of its entities was compared,
// as digests: 16 bytes and 8 for each.
type held struct {
	once     sync.Once
	digester *mapping.Digester

	mu      sync.Mutex
	digests map[Key]uint64 // nil: it could not be read
}

// unchanged takes out of wanted what Port held as it is. An entity that live events have
// written since may be another by now, and is asked for.
func (w *Writer) unchanged(ctx context.Context, b *batch, wanted map[string]*draft) {
	s := w.s
	members := s.opt.Members[b.blueprint]
	if s.opt.Members == nil || s.owned.of[b.blueprint] < s.c.whole {
		return
	}
	at, _ := s.held.LoadOrStore(b.blueprint, &held{})
	h := at.(*held) // nothing else is stored
	h.once.Do(func() { s.readHeld(ctx, b.blueprint, members, h) })
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

func (h *held) digest(k Key) (sum uint64, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum, known = h.digests[k]
	return sum, known
}

// rewritten notes that Port may hold something else of an entity now: a layer that comes
// later is compared with that. An entity that is searched for is known only when Port
// has found it.
func (s *Session) rewritten(ref port.Ref) {
	at, ok := s.held.Load(ref.Blueprint)
	if !ok {
		return
	}
	h := at.(*held) // nothing else is stored
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.digests, EntityKey(ref))
}

// readHeld reads what Port holds of a blueprint.
func (s *Session) readHeld(ctx context.Context, blueprint string, members []string, h *held) {
	h.digester = mapping.NewDigester(members)
	digests := make(map[Key]uint64, s.owned.of[blueprint])
	for entity, err := range s.c.port.Held(ctx, blueprint, s.opt.Feature) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				s.log.WarnContext(ctx, "the entities of a blueprint could not be read as a whole: they are compared some at a time", "blueprint", blueprint, "err", err)
			}
			return
		}
		if sum, ok := h.digester.Held(entity); ok {
			digests[KeyOf(blueprint, gjson.GetBytes(entity, "identifier").String())] = sum
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.digests = digests
}
