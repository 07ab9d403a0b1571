package spool

import (
	"container/heap"
	"slices"
	"time"
)

// index is what the spool knows about waiting deliveries without reading them:
// 24 bytes per delivery and about a hundred per key. Keys stand there as a 64-bit
// hash; two keys of one hash share a slot, and whoever reads the records tells
// them apart.
type index struct {
	slots            map[uint64]*slot // by hash
	known, strangers lane
	delayed          delayHeap
}

// A lane is one of the two classes of keys: those that something speaks for, and
// strangers.
type lane struct {
	ready []*slot // the oldest first
	busy  int     // slots
	count int     // deliveries, those with a worker included
	bytes int64   // of their records
}

type node struct {
	id     uint64
	at     uint32 // seconds since 1970
	raw    uint32 // bytes of the body
	stored uint32 // bytes of the record
}

type slot struct {
	hash     uint64
	due      int64  // of a delayed slot: nanoseconds since 1970
	nodes    []node // the oldest first; never changed in place, so that claims can share them
	attempts uint16 // failed ones in a row
	alone    uint16 // so many deliveries are to be handled one by one
	state    slotState
	stranger bool
	gone     bool // another process has the key now
}

type slotState uint8

const (
	ready slotState = iota
	busy
	delayed
	forgotten // and nobody works on it any more
)

func newIndex() *index { return &index{slots: map[uint64]*slot{}} }

// lane is the one of a slot.
func (x *index) lane(s *slot) *lane {
	if s.stranger {
		return &x.strangers
	}
	return &x.known
}

func (x *index) count() int   { return x.known.count + x.strangers.count }
func (x *index) bytes() int64 { return x.known.bytes + x.strangers.bytes }

// add appends a delivery to its key. It reports whether the key became ready. A
// key stays a stranger until a delivery comes that something speaks for.
func (x *index) add(hash uint64, n node, stranger bool) bool {
	s, known := x.slots[hash]
	switch {
	case !known:
		s = &slot{hash: hash, stranger: stranger}
		x.slots[hash] = s
		x.pushReady(s)
	case !stranger && s.stranger:
		x.befriend(s)
	}
	s.nodes = append(s.nodes, n)
	l := x.lane(s)
	l.count++
	l.bytes += int64(n.stored)
	return !known
}

// befriend moves a stranger to the known ones.
func (x *index) befriend(s *slot) {
	from, to := &x.strangers, &x.known
	for _, n := range s.nodes {
		from.bytes -= int64(n.stored)
		to.bytes += int64(n.stored)
	}
	from.count -= len(s.nodes)
	to.count += len(s.nodes)
	s.stranger = false
	switch s.state {
	case ready:
		i := slices.Index(from.ready, s)
		from.ready = slices.Delete(from.ready, i, i+1)
		x.pushReady(s)
	case busy:
		from.busy--
		to.busy++
	case delayed, forgotten:
	}
}

func (x *index) pushReady(s *slot) {
	l := x.lane(s)
	s.state, l.ready = ready, append(l.ready, s)
}

// pop takes the key of a lane that is ready for the longest time; nil when there
// is none. It belongs to the caller until release.
func (*index) pop(l *lane) *slot {
	if len(l.ready) == 0 {
		return nil
	}
	s := l.ready[0]
	l.ready[0], l.ready = nil, l.ready[1:]
	s.state = busy
	l.busy++
	return s
}

// peek lists the oldest deliveries of a slot: at least one, and more while they
// are at most count and together at most raw bytes.
func (s *slot) peek(count int, raw int64) []node {
	for i, n := range s.nodes {
		if raw -= int64(n.raw); i > 0 && (i == count || raw < 0) {
			return s.nodes[:i:i]
		}
	}
	return slices.Clip(s.nodes)
}

// remove takes deliveries out of a slot; ids are in its order.
func (x *index) remove(s *slot, ids []uint64) {
	l := x.lane(s)
	var stay []node // before the last of ids
	for len(ids) > 0 && len(s.nodes) > 0 {
		n := s.nodes[0]
		s.nodes = s.nodes[1:]
		if n.id != ids[0] {
			stay = append(stay, n)
			continue
		}
		ids = ids[1:]
		l.count--
		l.bytes -= int64(n.stored)
	}
	if len(stay) > 0 {
		s.nodes = append(stay, s.nodes...)
	}
}

// release gives a popped slot back: to be worked on at once, or at due. A slot
// without deliveries is forgotten.
func (x *index) release(s *slot, due time.Time) {
	x.lane(s).busy--
	switch {
	case len(s.nodes) == 0:
		delete(x.slots, s.hash)
		if len(x.slots) == 0 {
			*x = *newIndex() // gives the memory of a long queue back
		}
	case due.IsZero():
		x.pushReady(s)
	default:
		s.due, s.state = due.UnixNano(), delayed
		heap.Push(&x.delayed, s)
	}
}

// promote makes the slots ready whose time has come. It returns how many, and
// when the next is due; the zero time when none is.
func (x *index) promote(now time.Time) (n int, next time.Time) {
	for len(x.delayed) > 0 {
		s := x.delayed[0]
		if s.due > now.UnixNano() {
			return n, time.Unix(0, s.due)
		}
		heap.Pop(&x.delayed)
		x.pushReady(s)
		n++
	}
	return n, time.Time{}
}

// oldest is when the oldest delivery came, in seconds since 1970; 0 when none
// waits. It looks at every key.
func (x *index) oldest() uint32 {
	var at uint32
	for _, s := range x.slots {
		if len(s.nodes) > 0 && (at == 0 || s.nodes[0].at < at) {
			at = s.nodes[0].at
		}
	}
	return at
}

// delayHeap orders the delayed slots by their time.
type delayHeap []*slot

func (h delayHeap) Len() int           { return len(h) }
func (h delayHeap) Less(a, b int) bool { return h[a].due < h[b].due }
func (h delayHeap) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *delayHeap) order()            { heap.Init(h) }
func (h *delayHeap) Push(v any)        { *h = append(*h, v.(*slot)) }

func (h *delayHeap) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	(*h)[last], *h = nil, (*h)[:last]
	return v
}
