package spool

import (
	"container/heap"
	"time"
)

// index is what the spool knows about waiting deliveries without reading them:
// 24 bytes per delivery and about 90 per key. Keys stand there as a 64-bit hash;
// two keys of one hash share a slot, and whoever reads the records tells them
// apart.
//
// Slots and nodes are numbers in two slices, with a free list each: half the
// size of pointers, and nothing for the garbage collector to follow.
type index struct {
	slots map[uint64]int32
	keys  []slot
	nodes []node

	freeSlot, freeNode int32
	known, strangers   lane
	delayed            delayHeap
}

// A lane is one of the two classes of keys: those that something speaks for, and
// strangers.
type lane struct {
	head, tail  int32 // slots that are ready
	ready, busy int   // slots
	count       int   // deliveries, those with a worker included
	bytes       int64 // of their records
}

// none ends every list.
const none int32 = -1

type node struct {
	id     uint64
	at     uint32 // seconds since 1970
	raw    uint32 // bytes of the body
	stored uint32 // bytes of the record
	next   int32
}

type slot struct {
	hash       uint64
	due        int64 // of a delayed slot: nanoseconds since 1970
	head, tail int32
	prev, next int32 // in the list of ready slots; next also in that of free ones
	count      int32
	attempts   uint16 // failed ones in a row
	alone      uint16 // so many deliveries are to be handled one by one
	state      slotState
	stranger   bool
}

type slotState uint8

const (
	ready slotState = iota
	busy
	delayed
)

func newIndex() *index {
	x := &index{}
	x.reset()
	return x
}

func (x *index) reset() {
	*x = index{slots: map[uint64]int32{}, freeSlot: none, freeNode: none, known: lane{head: none, tail: none}, strangers: lane{head: none, tail: none}}
	x.delayed.x = x
}

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
	i, known := x.slots[hash]
	switch {
	case !known:
		i = x.newSlot(hash)
		x.keys[i].stranger = stranger
		x.slots[hash] = i
	case !stranger && x.keys[i].stranger:
		x.befriend(i)
	}
	j := x.newNode(n)
	s := &x.keys[i]
	if s.count == 0 {
		s.head = j
	} else {
		x.nodes[s.tail].next = j
	}
	s.tail = j
	s.count++
	l := x.lane(s)
	l.count++
	l.bytes += int64(n.stored)
	if !known {
		x.pushReady(i)
	}
	return !known
}

// befriend moves a stranger to the known ones.
func (x *index) befriend(i int32) {
	s := &x.keys[i]
	isReady := s.state == ready
	if isReady {
		x.unlink(i)
	}
	bytes := int64(0)
	for j := s.head; j != none; j = x.nodes[j].next {
		bytes += int64(x.nodes[j].stored)
	}
	x.strangers.count -= int(s.count)
	x.strangers.bytes -= bytes
	x.known.count += int(s.count)
	x.known.bytes += bytes
	if s.state == busy {
		x.strangers.busy--
		x.known.busy++
	}
	s.stranger = false
	if isReady {
		x.pushReady(i)
	}
}

func (x *index) newSlot(hash uint64) int32 {
	i := x.freeSlot
	if i == none {
		i = int32(len(x.keys))
		x.keys = append(x.keys, slot{})
	} else {
		x.freeSlot = x.keys[i].next
	}
	x.keys[i] = slot{hash: hash, head: none, tail: none, prev: none, next: none}
	return i
}

func (x *index) newNode(n node) int32 {
	n.next = none
	i := x.freeNode
	if i == none {
		x.nodes = append(x.nodes, n)
		return int32(len(x.nodes) - 1)
	}
	x.freeNode = x.nodes[i].next
	x.nodes[i] = n
	return i
}

func (x *index) pushReady(i int32) {
	s := &x.keys[i]
	l := x.lane(s)
	s.state, s.prev, s.next = ready, l.tail, none
	if l.tail == none {
		l.head = i
	} else {
		x.keys[l.tail].next = i
	}
	l.tail = i
	l.ready++
}

// unlink takes a slot out of the list of its lane.
func (x *index) unlink(i int32) {
	s := &x.keys[i]
	l := x.lane(s)
	if s.prev == none {
		l.head = s.next
	} else {
		x.keys[s.prev].next = s.next
	}
	if s.next == none {
		l.tail = s.prev
	} else {
		x.keys[s.next].prev = s.prev
	}
	s.prev, s.next = none, none
	l.ready--
}

// pop takes the key of a lane that is ready for the longest time; none when
// there is none. It belongs to the caller until release.
func (x *index) pop(l *lane) int32 {
	i := l.head
	if i == none {
		return none
	}
	x.unlink(i)
	x.keys[i].state = busy
	l.busy++
	return i
}

// peek lists the oldest deliveries of a slot: at least one, and more while they
// are at most count and together at most raw bytes.
func (x *index) peek(i int32, count int, raw int64) []node {
	out := make([]node, 0, min(count, int(x.keys[i].count)))
	for j := x.keys[i].head; j != none; j = x.nodes[j].next {
		n := x.nodes[j]
		if raw -= int64(n.raw); len(out) > 0 && (len(out) == count || raw < 0) {
			break
		}
		out = append(out, n)
	}
	return out
}

// remove takes deliveries out of a slot; ids are in its order.
func (x *index) remove(i int32, ids []uint64) {
	s := &x.keys[i]
	l, prev := x.lane(s), none
	for j := s.head; j != none && len(ids) > 0; {
		n := &x.nodes[j]
		next := n.next
		if n.id != ids[0] {
			prev, j = j, next
			continue
		}
		ids = ids[1:]
		if prev == none {
			s.head = next
		} else {
			x.nodes[prev].next = next
		}
		if s.tail == j {
			s.tail = prev
		}
		s.count--
		l.count--
		l.bytes -= int64(n.stored)
		n.next, x.freeNode = x.freeNode, j
		j = next
	}
}

// release gives a popped slot back: to be worked on at once, or at due. A slot
// without deliveries is forgotten.
func (x *index) release(i int32, due time.Time) {
	s := &x.keys[i]
	x.lane(s).busy--
	switch {
	case s.count == 0:
		delete(x.slots, s.hash)
		s.next, x.freeSlot = x.freeSlot, i
		if len(x.slots) == 0 {
			x.reset() // gives the memory of a long queue back
		}
	case due.IsZero():
		x.pushReady(i)
	default:
		s.due, s.state = due.UnixNano(), delayed
		heap.Push(&x.delayed, i)
	}
}

// promote makes the slots ready whose time has come. It returns how many, and
// when the next is due; the zero time when none is.
func (x *index) promote(now time.Time) (n int, next time.Time) {
	for len(x.delayed.list) > 0 {
		i := x.delayed.list[0]
		if due := x.keys[i].due; due > now.UnixNano() {
			return n, time.Unix(0, due)
		}
		heap.Pop(&x.delayed)
		x.pushReady(i)
		n++
	}
	return n, time.Time{}
}

// oldest is when the oldest delivery came, in seconds since 1970; 0 when none
// waits. It looks at every key.
func (x *index) oldest() uint32 {
	var at uint32
	for _, i := range x.slots {
		if n := x.nodes[x.keys[i].head]; at == 0 || n.at < at {
			at = n.at
		}
	}
	return at
}

// delayHeap orders the delayed slots by their time.
type delayHeap struct {
	x    *index
	list []int32
}

func (h *delayHeap) Len() int           { return len(h.list) }
func (h *delayHeap) Less(a, b int) bool { return h.x.keys[h.list[a]].due < h.x.keys[h.list[b]].due }
func (h *delayHeap) Swap(a, b int)      { h.list[a], h.list[b] = h.list[b], h.list[a] }
func (h *delayHeap) Push(v any)         { h.list = append(h.list, v.(int32)) }

func (h *delayHeap) Pop() any {
	last := len(h.list) - 1
	v := h.list[last]
	h.list = h.list[:last]
	return v
}
