package spool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// bury moves a waiting record to the dead letters. One that is not there, or of
// which nothing is left, is none.
func bury(t tx, b burial, r *result) error {
	rec := t.get(waiting, b.id)
	if rec == nil {
		return nil
	}
	v := appendDead(b.died, b.attempts, b.reason, rec)
	if err := t.put(dead, b.id, v); err != nil {
		return err
	}
	r.deadCount++
	r.deadBytes += int64(len(v))
	return t.delete(waiting, b.id)
}

// exhume deletes a dead letter; false when there is none.
func exhume(t tx, id uint64, r *result) (bool, error) {
	v := t.get(dead, id)
	if v == nil {
		return false, nil
	}
	r.deadCount--
	r.deadBytes -= int64(len(v))
	return true, t.delete(dead, id)
}

// makeRoom deletes the oldest dead letters that are too many.
func (s *Spool) makeRoom(t tx, r *result) error {
	count, size := s.deadCount+r.deadCount-maxDead, s.deadBytes+r.deadBytes-s.cfg.MaxBytes/4
	if count <= 0 && size <= 0 {
		return nil
	}
	var oldest []uint64
	err := t.each(dead, 0, func(id uint64, v []byte) error {
		if count <= 0 && size <= 0 {
			return errStop
		}
		oldest = append(oldest, id)
		count--
		size -= int64(len(v))
		return nil
	})
	for _, id := range oldest {
		if err == nil {
			_, err = exhume(t, id, r)
			r.dropped++
		}
	}
	return err
}

// deadPage is how many dead letters are read in one transaction.
const deadPage = 32

// Dead lists the dead letters, oldest first. One whose record is damaged has no
// body. An error is not about a letter: the list cannot be read, or not further. The
// spool is not locked meanwhile.
func (s *Spool) Dead() iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		for from := uint64(0); ; {
			page, err := s.deadFrom(from)
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
				from = l.ID + 1
			}
			if len(page) < deadPage {
				return
			}
		}
	}
}

func (s *Spool) deadFrom(from uint64) (page []DeadLetter, err error) {
	s.storeMu.RLock()
	defer s.storeMu.RUnlock()
	err = s.store.view(func(t tx) error {
		page = nil
		return t.each(dead, from, func(id uint64, v []byte) error {
			if page = append(page, ReadDead(id, v)); len(page) == deadPage {
				return errStop
			}
			return nil
		})
	})
	return page, err
}

// Redrive has dead letters wait again as if they had just come: those of these
// ids, or all when none is named. It returns how many; ErrNotFound when none of
// ids is a dead letter. Those that are damaged stay.
func (s *Spool) Redrive(ctx context.Context, ids ...uint64) (total int, err error) {
	if len(ids) > 0 {
		return s.redrive(ctx, ids)
	}
	for l, err := range s.Dead() {
		if err != nil {
			return 0, err
		}
		ids = append(ids, l.ID)
	}
	for page := range slices.Chunk(ids, deadPage) {
		n, err := s.redrive(ctx, page)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (s *Spool) redrive(ctx context.Context, ids []uint64) (int, error) {
	var n int // read only when the change has ended
	var missing bool
	err := s.do(ctx, func(t tx, r *result) error {
		n, missing = 0, false
		for _, old := range ids {
			v := t.get(dead, old)
			if v == nil {
				missing = true
				continue
			}
			p, ok := s.revive(v)
			if !ok {
				continue
			}
			id, err := t.next()
			if err != nil {
				return err
			}
			p.node.id = id
			if err := t.put(waiting, p.node.id, p.record); err != nil {
				return err
			}
			if _, err := exhume(t, old, r); err != nil {
				return err
			}
			r.puts = append(r.puts, p)
			n++
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case missing && n == 0:
		return 0, ErrNotFound
	}
	return n, nil
}

// revive makes a waiting record of a dead letter; false when it is damaged.
func (s *Spool) revive(v []byte) (put, bool) {
	d, ok := Revive(v)
	if !ok {
		return put{}, false
	}
	fresh, _ := encode(nil, d)
	return s.putOf(d, fresh), true
}

// Drop deletes a dead letter; ErrNotFound when there is none of that id.
func (s *Spool) Drop(ctx context.Context, id uint64) error {
	var found bool // read only when the change has ended
	err := s.do(ctx, func(t tx, r *result) (err error) {
		found, err = exhume(t, id, r)
		return err
	})
	if err == nil && !found {
		return ErrNotFound
	}
	return err
}

// do has the committer run a change and waits for it.
func (s *Spool) do(ctx context.Context, fn func(tx, *result) error) error {
	c := &call{fn: fn, done: make(chan error, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.calls = append(s.calls, c)
	s.nudge()
	s.mu.Unlock()
	select {
	case err := <-c.done:
		if err != nil {
			return fmt.Errorf("changing dead letters: %w", err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
