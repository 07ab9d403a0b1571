package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// keepDamaged is how many damaged files stay beside the new one.
const keepDamaged = 3

// errLost ends the reading of a damaged file.
var errLost = errors.New("the rest cannot be read")

// rescue makes a new file of all deliveries of a damaged one that can be read,
// and moves the damaged one aside. A process that is killed meanwhile begins
// again, or finds no file and says so.
func (s *Spool) rescue(ctx context.Context, path string, cause error) error {
	fresh := path + newSuffix
	_ = os.Remove(fresh)
	b, err := openBolt(fresh)
	if err != nil {
		return err
	}
	s.store = b
	saved, complete := s.salvage(path)
	if err := b.close(); err != nil {
		return err
	}
	aside := fmt.Sprintf("%s.damaged-%s", path, time.Now().UTC().Format("20060102T150405.000000000"))
	if os.Link(path, aside) != nil { // not every system has links: then there is no file for a moment
		if err := os.Rename(path, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	if b, err = openBolt(path); err != nil {
		return err
	}
	s.store = b
	if err := errors.Join(syncDir(s.cfg.Directory), s.load(ctx)); err != nil {
		return err
	}
	s.cfg.Log.ErrorContext(ctx, "the file of the spool is damaged and was moved aside: deliveries that could not be read are lost, a resync brings what they said",
		"file", aside, "saved", saved, "complete", complete, "err", cause)
	if !complete {
		s.cfg.Lost()
	}
	old, _ := filepath.Glob(path + ".damaged-*")
	slices.Sort(old)
	for _, path := range old[:max(0, len(old)-keepDamaged)] {
		_ = os.Remove(path)
	}
	return nil
}

// salvage copies what can be read of a damaged file: from its beginning to the
// first damage, and from its end backwards.
func (s *Spool) salvage(path string) (saved int, complete bool) {
	old := &bolt{path: path}
	defer old.close()
	if guard(func() error { return old.open(true) }) != nil {
		return 0, false
	}
	complete = true
	for b := range bucketNames {
		n, all := s.salvageList(old.db, bucket(b))
		saved += n
		complete = complete && all
	}
	return saved, complete
}

// salvageList copies one list.
func (s *Spool) salvageList(old *bbolt.DB, b bucket) (saved int, complete bool) {
	seen := map[string]bool{}
	pass := func(first, next func(*bbolt.Cursor) ([]byte, []byte)) error {
		return guard(func() error {
			return old.View(func(t *bbolt.Tx) error {
				list := t.Bucket(bucketNames[b])
				if list == nil {
					return errLost
				}
				c := list.Cursor()
				for k, v := first(c); k != nil && !seen[string(k)]; k, v = next(c) {
					seen[string(k)] = true
					if !s.copyRecord(b, v) {
						complete = false
						continue
					}
					saved++
				}
				return nil
			})
		})
	}
	complete = true
	if pass((*bbolt.Cursor).First, (*bbolt.Cursor).Next) == nil {
		return saved, complete
	}
	_ = pass((*bbolt.Cursor).Last, (*bbolt.Cursor).Prev)
	return saved, false
}

// copyRecord stores a record of a damaged file under a new id. One at a time is
// slow, and damage is rare.
func (s *Spool) copyRecord(b bucket, v []byte) bool {
	rec := v
	if b == dead {
		var err error
		if _, rec, err = readDead(0, v); err != nil {
			return false
		}
	}
	if _, err := readRecord(0, rec); err != nil {
		return false
	}
	return s.store.update(func(t tx) error {
		id, err := t.next()
		if err != nil {
			return err
		}
		return t.put(b, id, slices.Clone(v))
	}) == nil
}

// rescueNow is rescue while the spool is in use. What was taken before counts no
// more: it is handed out again.
func (s *Spool) rescueNow(ctx context.Context, cause error) {
	b, onDisk := s.store.(*bolt)
	if !onDisk || time.Since(s.rescued) < rescueDelay {
		return // deliveries are answered 503 until the next attempt
	}
	s.rescued = time.Now()
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = b.close()
	s.epoch++
	s.acks, s.burials = nil, nil
	if err := s.rescue(ctx, s.path(), cause); err != nil {
		s.unreadable.Store(true) // for another attempt
		s.cfg.Log.ErrorContext(ctx, "the file of the spool cannot be made anew", "err", err)
		return
	}
	s.unreadable.Store(false)
	s.readable.Broadcast()
}
