package resync

import (
	"context"
	"sync"
)

// A lane loads the entities of blocks that depend on each other's order: those
// that write a common blueprint, and those that search in a blueprint which
// another one writes. Its blocks are loaded in mapping order, each in the order
// of its records. Lanes run in parallel.
//
// What Port holds already is compared first and written only when it differs.
// An entity that several records or blocks make is merged before it is
// compared, so that two blocks with different ideas of one property do not write
// it back and forth.
type lane struct {
	run     *run
	blocks  []*block
	seats   []*seat
	ordered bool // a block searches: batches go out one after another

	in chan item // of the seat whose turn it is; an item without a source ends its turn

	mu   sync.Mutex
	turn int // index of the seat that may send; -1 before the first

	// The fields below belong to the goroutine of work.
	seen    map[key]uint32 // entity → epoch in which it was last handed on
	epoch   uint32
	batches map[string]*batch // not yet sent, by blueprint
	compare map[string]*batch // not yet compared, by blueprint
	unsent  map[key]*unit     // what batches and compare hold
	pending *pending
	enums   map[string]*enums // by blueprint

	flight  sync.WaitGroup
	slots   chan struct{}
	resMu   sync.Mutex
	changed []*unit // compared and found different, not yet in pending
	found   []key   // resolved search identifiers, not yet in seen
}

// A unit is what is known of one entity: one item, or several to be merged.
type unit struct {
	key    key
	layers []item
}

// A batch collects units of one blueprint.
type batch struct {
	units []*unit
	bytes int
}

const (
	laneSlots      = 8       // batches of a lane under way
	maxBatch       = 20      // entities of an upsert (port.md 2.7)
	maxBatchBytes  = 1 << 20 // body of an upsert
	maxCompare     = 100     // identifiers of a search
	maxPending     = 8 << 20 // bytes of changed entities held back for merging
	waitingInMem   = 2 << 20 // bytes of one seat's entities kept in memory before they spill
	batchEnvelope  = 64      // bytes of a bulk request besides its entities
	laneQueueItems = 16
)

func newLane(r *run) *lane {
	return &lane{
		run: r, turn: -1, in: make(chan item, laneQueueItems), slots: make(chan struct{}, laneSlots),
		seen: map[key]uint32{}, epoch: 1, batches: map[string]*batch{}, compare: map[string]*batch{}, unsent: map[key]*unit{},
		pending: newPending(), enums: map[string]*enums{},
	}
}

// A seat is one block's (and organization's) place in the order of a lane.
// Until it is its turn, what it puts waits in a spool.
type seat struct {
	lane      *lane
	index     int
	producers int // that have not finished
	spool     *spool
}

// put hands an entity to the lane. It blocks while it is the seat's turn and the
// lane is busy.
func (s *seat) put(ctx context.Context, it item) error {
	l := s.lane
	l.mu.Lock()
	if s.index != l.turn {
		if s.spool == nil {
			s.spool = newSpool(l.run.temp, waitingInMem)
		}
		err := s.spool.add(it)
		l.mu.Unlock()
		return err
	}
	l.mu.Unlock()
	select {
	case l.in <- it:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish says that one producer of the seat will put nothing more.
func (s *seat) finish(ctx context.Context) {
	l := s.lane
	l.mu.Lock()
	s.producers--
	over := s.producers == 0 && s.index == l.turn
	l.mu.Unlock()
	if !over {
		return
	}
	select {
	case l.in <- item{}:
	case <-ctx.Done():
	}
}

// work loads the lane until every seat has finished. ctx ends the wait for more;
// what has arrived is still written, with load.
func (l *lane) work(ctx, load context.Context) {
	for i, s := range l.seats {
		over, err := l.takeSeat(load, i, s)
		if err != nil {
			l.run.loadFailed(l, err)
		}
		if !over && !l.serve(ctx, load) {
			break
		}
		if l.ordered {
			l.flush(load)
		}
	}
	l.flush(load)
}

// takeSeat loads what a seat has put before its turn and gives it the turn. It
// reports whether the seat has finished already.
func (l *lane) takeSeat(load context.Context, i int, s *seat) (bool, error) {
	for {
		l.mu.Lock()
		waiting := s.spool
		s.spool = nil
		if waiting == nil {
			l.turn = i
			over := s.producers == 0
			l.mu.Unlock()
			return over, nil
		}
		l.mu.Unlock()
		if err := waiting.drain(func(it item) error { l.handle(load, it); return nil }); err != nil {
			return false, err
		}
	}
}

// serve loads what the seat in turn puts until it has finished. It reports false
// when ctx ended first.
func (l *lane) serve(ctx, load context.Context) bool {
	for {
		select {
		case it := <-l.in:
			if it.source == nil {
				return true
			}
			l.handle(load, it)
		case <-ctx.Done():
			return false
		}
	}
}
