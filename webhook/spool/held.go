package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash/maphash"
	"os"
	"slices"
	"time"
)

// A Held is the directory of one process of several, whose deliveries are elsewhere.
// What an earlier process has left in it, which kept its deliveries there, is taken out
// with Open, Next and Delete, which are not safe for concurrent use.
type Held struct {
	s       *Spool // without its goroutine
	empty   bool   // as far as Next knows
	damaged error  // what Next or Delete has met
}

// ErrDamaged means that the file of a Held cannot be used until it is opened again.
var ErrDamaged = errDamaged

// Hold has the directory of cfg for this process. The error is ErrLocked while another
// one has it. Without a directory there is nothing to hold.
func Hold(cfg Config) (*Held, error) {
	h := &Held{s: &Spool{cfg: cfg.withDefaults(), seed: maphash.MakeSeed(), window: newWindow()}}
	if cfg.Directory == "" {
		return h, nil
	}
	lock := h.s.lockPath()
	if err := h.s.enterFolder(lock); err != nil {
		return nil, err
	}
	if err := h.s.take(lock); err != nil {
		h.s.unlock()
		return nil, err
	}
	return h, nil
}

// Release gives the directory back, after Close.
func (h *Held) Release() { h.s.unlock() }

// Open opens the file that an earlier process has left, rescues a damaged one, and says
// how many deliveries and dead letters are in it. A file that is not there is not made.
func (h *Held) Open(ctx context.Context) (waiting, dead int, err error) {
	h.Close()
	if h.s.cfg.Directory == "" {
		return 0, 0, nil
	}
	if err := own(h.s.path()); err != nil {
		return 0, 0, err
	}
	info, err := os.Stat(h.s.path())
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	h.s.burials = nil
	if h.damaged != nil {
		err = h.s.rescue(ctx, h.s.path(), h.damaged)
	} else {
		err = h.s.openLocked(ctx)
	}
	if err != nil {
		h.s.store = nil // it is closed
		return 0, 0, err
	}
	h.damaged = nil
	waiting, dead = h.s.index.count()+len(h.s.burials), h.s.deadCount
	h.s.index, h.s.window = newIndex(), newWindow() // nobody is handed anything
	return waiting, dead, nil
}

// A Leftover is a delivery or a dead letter in the file.
type Leftover struct {
	Dead     bool
	Key      string // of a delivery
	Stranger bool
	Text     []byte // the record, or the text of the dead letter
	// Same tells it from all others: two with the same one are one that was read twice,
	// or say the same.
	Same []byte

	list bucket
	id   uint64
}

// Buried says whether it is one of the dead letters that Open has counted.
func (l *Leftover) Buried() bool { return l.list == dead }

// Bounds of what Next returns.
const (
	nextCount = 200
	nextBytes = 4 << 20
)

// Next returns the first of what is left: deliveries in the order in which they came, or,
// when there are no more, dead letters; none: the file is empty. A delivery whose record
// is damaged comes as a dead letter. Open must have found something.
func (h *Held) Next() (page []Leftover, err error) {
	err = h.s.store.view(func(t tx) error {
		page = nil
		size := 0
		add := func(l *Leftover) error {
			if size += len(l.Text); len(page) == nextCount || len(page) > 0 && size > nextBytes {
				return errStop
			}
			page = append(page, *l)
			return nil
		}
		err := t.each(waiting, 0, func(id uint64, rec []byte) error {
			if l := leftDelivery(id, rec); !l.Dead {
				return add(l)
			}
			return nil // behind the good ones: dead letters may have to wait for room
		})
		if err != nil || len(page) > 0 {
			return err
		}
		if err := t.each(waiting, 0, func(id uint64, rec []byte) error { return add(leftDelivery(id, rec)) }); err != nil || len(page) > 0 {
			return err
		}
		return t.each(dead, 0, func(id uint64, v []byte) error {
			return add(&Leftover{Dead: true, Text: slices.Clone(v), Same: sameText(v), list: dead, id: id})
		})
	})
	h.empty = err == nil && len(page) == 0
	return page, h.noted(err)
}

// noted is an error, after which the next Open rescues what it can if it is damage.
func (h *Held) noted(err error) error {
	if errors.Is(err, errDamaged) {
		h.damaged = err
	}
	return err
}

// leftDelivery reads a record. What brings the same event again has the same Same.
func leftDelivery(id uint64, rec []byte) *Leftover {
	h, err := readHeader(rec)
	if err != nil {
		return &Leftover{Dead: true, Text: appendDead(time.Now(), 0, err.Error(), rec), Same: sameText(rec), list: waiting, id: id}
	}
	l := &Leftover{Key: h.key, Stranger: h.stranger, Text: slices.Clone(rec), Same: sameText(rec), list: waiting, id: id}
	if m := marksOf(&Delivery{Key: h.key, EventType: h.eventType, EventID: h.eventID}, nil); m.id != nil {
		l.Same = m.id[:]
	}
	return l
}

func sameText(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:16]
}

// Delete deletes what Next has returned, from this file on. After ErrDamaged the file
// has to be opened again, and nothing that was read before can be deleted.
func (h *Held) Delete(list []Leftover) error {
	if len(list) == 0 {
		return nil
	}
	return h.noted(h.s.store.update(func(t tx) error {
		for i := range list {
			if err := t.delete(list[i].list, list[i].id); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Close closes the file. An empty one stays, so that a process that keeps its deliveries
// there again misses nothing; one that was large is made small.
func (h *Held) Close() {
	if h.s.store == nil {
		return
	}
	if h.s.store.close() == nil && h.empty {
		h.s.deadCount = 0
		_ = h.s.shrink(h.s.path()) // else at the next start
	}
	h.s.store, h.empty = nil, false
}
