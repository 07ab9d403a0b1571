package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// window recognizes deliveries that say what an accepted one has said.
//
// By the event's id: a resend, or several subscriptions that receive the event
// under one id. And by content, where several subscriptions receive it under
// different ids: same key, event type and resource, but each from a subscription
// that has not brought this content yet. The second condition tells such copies
// from a second event that looks like the first, which a short resource (an id
// and no more) makes likely; that one brings news and is not dropped.
//
// Both parts forget by time and by count, the oldest first.
type window struct {
	ids, contents half
}

type hash128 [16]byte

// half recognizes by one of the two.
type half struct {
	ttl  time.Duration
	max  int
	seen map[hash128]*mark
	fifo []*mark // oldest first
}

// A mark is an accepted delivery, or one that is being stored.
type mark struct {
	hash  hash128
	at    time.Time
	batch *batch   // while it is being stored: nobody may be told 200 before that
	subs  []uint64 // contents: the subscriptions that brought it
	gone  bool     // replaced or taken back
}

const (
	idTTL      = 30 * time.Minute // Azure DevOps gives up sending again after some minutes
	contentTTL = 20 * time.Second
	maxIDs     = 1 << 15
	maxContent = 1 << 13
)

func newWindow() window {
	return window{
		ids:      half{ttl: idTTL, max: maxIDs, seen: map[hash128]*mark{}},
		contents: half{ttl: contentTTL, max: maxContent, seen: map[hash128]*mark{}},
	}
}

// marks are the hashes of one delivery; nil where it has none.
type marks struct {
	id, content *hash128
	sub         uint64
}

func marksOf(d *Delivery, resource []byte) marks {
	var m marks
	if d.EventID != "" {
		h := hashOf(d, []byte(d.EventID))
		m.id = &h
	}
	if d.SubscriptionID != "" && len(resource) > 0 {
		h := hashOf(d, resource)
		m.content = &h
		sum := sha256.Sum256([]byte(d.SubscriptionID))
		m.sub = binary.BigEndian.Uint64(sum[:])
	}
	return m
}

func hashOf(d *Delivery, last []byte) hash128 {
	h := sha256.New()
	var size [4]byte
	for _, part := range []string{d.Key, d.EventType} {
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	h.Write(last)
	return hash128(h.Sum(nil)[:16])
}

// find returns the mark of an earlier delivery that says the same; nil when
// there is none.
func (w *window) find(m marks, now time.Time) *mark {
	if m.id != nil {
		if k := w.ids.get(*m.id, now); k != nil {
			return k
		}
	}
	if m.content == nil {
		return nil
	}
	k := w.contents.get(*m.content, now)
	if k == nil || slices.Contains(k.subs, m.sub) {
		return nil
	}
	k.subs = append(k.subs, m.sub)
	if m.id != nil { // its own resends are copies too
		twin := w.ids.put(&mark{hash: *m.id, at: now, batch: k.batch})
		if k.batch != nil {
			k.batch.marks = append(k.batch.marks, twin)
		}
	}
	return k
}

// add remembers a delivery that is being stored in b; nil: one that is stored.
func (w *window) add(m marks, b *batch, now time.Time) {
	var list []*mark
	if m.id != nil {
		list = append(list, w.ids.put(&mark{hash: *m.id, at: now, batch: b}))
	}
	if m.content != nil {
		list = append(list, w.contents.put(&mark{hash: *m.content, at: now, batch: b, subs: []uint64{m.sub}}))
	}
	if b != nil {
		b.marks = append(b.marks, list...)
	}
}

// settle tells the marks of a batch that it is stored, or takes them back.
func (w *window) settle(list []*mark, stored bool) {
	for _, k := range list {
		k.batch = nil
		if stored || k.gone {
			continue
		}
		k.gone = true
		for _, h := range []*half{&w.ids, &w.contents} {
			if h.seen[k.hash] == k {
				delete(h.seen, k.hash)
			}
		}
	}
}

func (h *half) get(hash hash128, now time.Time) *mark {
	k := h.seen[hash]
	if k == nil || now.Sub(k.at) > h.ttl {
		return nil
	}
	return k
}

func (h *half) put(k *mark) *mark {
	if old := h.seen[k.hash]; old != nil {
		old.gone = true
	}
	h.seen[k.hash] = k
	h.fifo = append(h.fifo, k)
	h.forget(k.at)
	return k
}

// forget drops what is too old or too much.
func (h *half) forget(now time.Time) {
	for len(h.fifo) > 0 {
		k := h.fifo[0]
		if !k.gone && now.Sub(k.at) <= h.ttl && len(h.fifo) <= h.max {
			return
		}
		if !k.gone {
			k.gone = true
			delete(h.seen, k.hash)
		}
		h.fifo[0], h.fifo = nil, h.fifo[1:]
	}
}
