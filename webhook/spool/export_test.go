package spool

import "time"

// Window is the memory of duplicates, for tests.
type Window struct{ w window }

func NewWindow() *Window { return &Window{newWindow()} }

// See is whether a delivery says what an earlier one has said.
func (w *Window) See(d Delivery, resource []byte, now time.Time) bool {
	m := marksOf(&d, resource)
	if w.w.find(m, now) != nil {
		return true
	}
	w.w.add(m, nil, now)
	return false
}

// Len is how many entries it holds, in lists and maps.
func (w *Window) Len() int {
	n := 0
	for _, h := range []*half{&w.w.ids, &w.w.contents} {
		n = max(n, len(h.seen), len(h.fifo), cap(h.fifo)/2)
	}
	return n
}

// ReadRecord decodes any bytes.
func ReadRecord(b []byte) (Delivery, error) { return readRecord(1, b) }

// AppendRecord encodes a delivery.
func AppendRecord(d *Delivery) []byte {
	b, _ := encode(nil, d)
	return b
}

// ReadDead decodes any bytes.
func ReadDeadLetter(b []byte) (DeadLetter, []byte, error) { return readDead(1, b) }
