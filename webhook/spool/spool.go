// Package spool keeps deliveries on disk from the moment they are accepted until
// they are handled, and decides what is worked on next.
//
// A Spool survives the end of its process at any instant: what Accept has
// returned nil for is there afterwards, and is handed out by Take until Finish
// has said that it is done. So each delivery is handled at least once. Many
// concurrent calls of Accept share one commit of the file. Bodies stay on disk;
// in memory are some dozens of bytes per delivery.
//
// Deliveries have a key. Those of one key are handed out in order, all that wait
// at once, and to one worker at a time; keys are handed out in parallel. What
// fails is handed out again after a while, and becomes a dead letter when it is
// too old or its failure is permanent.
package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Spool needs. Zero fields mean what their comments say.
type Config struct {
	Directory     string        // empty: deliveries wait in memory, with a warning
	Used          bool          // Directory held a spool before, as the caller knows; one that is missing now is a loss
	MaxBytes      int64         // of waiting and dead deliveries as stored; default 1 GiB
	MaxDeliveries int           // that wait; default 500,000
	MaxAge        time.Duration // after which a failing delivery is dead; default 24 h
	Strangers     int           // keys of unknown senders that are worked on at once; default 2
	Held          bool          // Take waits for Start

	Committed func(took time.Duration, accepted int, err error) // called after every commit; may be nil
	// Lost is called when accepted deliveries are gone: a resync brings what they
	// said. It must not wait and not call the spool; may be nil.
	Lost func()
	Log  *slog.Logger // nil: nothing is logged
}

// Defaults of Config.
const (
	defaultMaxBytes      = 1 << 30
	defaultMaxDeliveries = 500_000
	defaultMaxAge        = 24 * time.Hour
	defaultStrangers     = 2
)

// maxMemoryBytes bounds a spool in memory, whatever the settings say.
const maxMemoryBytes = 32 << 20

// maxDead and the fourth part of MaxBytes bound the dead letters; the oldest go
// first, with a line in the log.
const maxDead = 10_000

// A Spool is safe for concurrent use.
type Spool struct {
	cfg     Config
	lock    *os.File // nil in memory
	seed    maphash.Seed
	scratch sync.Pool // *[]byte, for compression

	storeMu    sync.RWMutex // held by readers, and by the committer while it replaces store
	store      store
	unreadable atomic.Bool // a reader met damage

	line          // its mu is that of all fields below
	epoch     int // of index: what was taken from an earlier one no longer counts
	window    window
	open      *batch // collects what the next commit stores
	acks      []uint64
	ackSince  time.Time // when the first of acks and burials came
	burials   []burial
	calls     []*call
	deadCount int
	deadBytes int64
	failing   error     // of the last commit
	failedAt  time.Time // when that was
	unread    time.Time // when it was last said that reading fails

	rescued time.Time     // the last time that the file was made anew; the committer's own
	trimmed time.Time     // the last trim; the committer's own
	wake    chan struct{} // the committer has something to do
	done    chan struct{} // the committer has ended
}

// Open opens the spool of a directory, or one in memory where none is named. The
// error is ErrLocked while another process has the directory, ctx's, or says why
// the directory cannot be used.
func Open(ctx context.Context, cfg Config) (*Spool, error) {
	cfg = cfg.withDefaults()
	s := &Spool{
		cfg: cfg, seed: maphash.MakeSeed(), window: newWindow(), open: newBatch(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.scratch.New = func() any { return new([]byte) }
	s.init(&cfg)
	if err := s.openStore(ctx); err != nil {
		s.unlock()
		return nil, err
	}
	if n := s.index.count(); n > 0 {
		s.cfg.Log.InfoContext(ctx, "deliveries of an earlier process wait", "deliveries", n, "dead_letters", s.deadCount)
	}
	s.begin()
	go s.commits(context.WithoutCancel(ctx))
	return s, nil
}

// withDefaults fills the zero fields.
func (cfg Config) withDefaults() Config {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, defaultMaxBytes)
	cfg.MaxDeliveries = cmp.Or(cfg.MaxDeliveries, defaultMaxDeliveries)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, defaultMaxAge)
	cfg.Strangers = cmp.Or(cfg.Strangers, defaultStrangers)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Lost == nil {
		cfg.Lost = func() {}
	}
	return cfg
}

// openStore opens the file, or memory.
func (s *Spool) openStore(ctx context.Context) error {
	if s.cfg.Directory == "" {
		s.store = newMemory()
		s.cfg.MaxBytes = min(s.cfg.MaxBytes, maxMemoryBytes)
		s.cfg.Log.WarnContext(ctx, "deliveries wait in memory and are lost when the process ends: set OCEAN__STATE_DIRECTORY to a directory that can be written")
		return nil
	}
	err := s.openFile(ctx)
	if err == nil || errors.Is(err, ErrLocked) || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("deliveries cannot be kept in %s, below OCEAN__STATE_DIRECTORY: %w", s.cfg.Directory, err)
}

func (s *Spool) openFile(ctx context.Context) error {
	lock, path := s.lockPath(), s.path()
	if err := s.enterFolder(lock, path); err != nil {
		return err
	}
	lost, err := s.missing(lock, path)
	if err != nil {
		return err
	}
	if err := s.take(lock); err != nil {
		return err
	}
	if lost {
		s.cfg.Log.ErrorContext(ctx, "deliveries that were accepted may be lost: the file of the spool is missing or empty; a resync brings what they said", "file", path)
		s.cfg.Lost()
	}
	return s.openLocked(ctx)
}

// openLocked opens the file of a directory that this process has.
func (s *Spool) openLocked(ctx context.Context) error {
	path := s.path()
	if err := os.Remove(path + newSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // left over by a process that was killed
	}
	err := s.inspect(ctx, path)
	if errors.Is(err, errDamaged) {
		return s.rescue(ctx, path, err)
	}
	if err != nil {
		return err
	}
	if err := s.shrink(path); err != nil {
		return err
	}
	b, err := openBolt(path)
	if err == nil {
		s.store = b
	}
	return err
}

// enterFolder makes the directory, or takes it over with these files, which need not
// be there.
func (s *Spool) enterFolder(files ...string) error {
	if err := ownFolder(s.cfg.Directory); err != nil {
		return err
	}
	for _, name := range files {
		if err := own(name); err != nil {
			return err
		}
	}
	return nil
}

// take locks the directory.
func (s *Spool) take(lock string) (err error) {
	if s.lock, err = os.OpenFile(lock, os.O_CREATE|os.O_RDWR|noFollow, 0o600); err != nil { //nolint:gosec // the directory of the configuration
		return err
	}
	return lockFile(s.lock)
}

func (s *Spool) lockPath() string { return filepath.Join(s.cfg.Directory, lockName) }

// path is where the file of the spool lies.
func (s *Spool) path() string { return filepath.Join(s.cfg.Directory, fileName) }

// missing says whether there was a file, which is gone or empty now: a lock
// without a file is what an accident leaves.
func (s *Spool) missing(lock, path string) (bool, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return false, nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	_, err := os.Stat(lock)
	if errors.Is(err, os.ErrNotExist) {
		return s.cfg.Used, nil
	}
	return true, err
}

// inspect makes the index from a file that exists, and finds damage.
func (s *Spool) inspect(ctx context.Context, path string) error {
	b, err := inspectBolt(path)
	if err != nil || b == nil {
		return err
	}
	defer b.close()
	s.store = b
	return s.load(ctx)
}

// unlock gives the directory back.
func (s *Spool) unlock() {
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// shrink replaces a large file that has no content any more: it would never
// become smaller.
func (s *Spool) shrink(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && (s.index.count() > 0 || s.deadCount > 0 || info.Size() < shrinkBytes) {
		return nil
	}
	if err != nil {
		return err
	}
	fresh, err := openBolt(path + newSuffix)
	if err != nil {
		return err
	}
	if err := fresh.close(); err != nil {
		return err
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return syncDir(s.cfg.Directory)
}

// load makes the index from the store.
func (s *Spool) load(ctx context.Context) error {
	s.index, s.deadCount, s.deadBytes = newIndex(), 0, 0
	bad := 0
	now := time.Now()
	err := s.store.view(func(t tx) error {
		err := t.each(waiting, 0, func(id uint64, rec []byte) error {
			if !s.recall(id, rec, now) {
				bad++
			}
			return nil
		})
		if err != nil {
			return err
		}
		return t.each(dead, 0, func(_ uint64, v []byte) error {
			s.deadCount++
			s.deadBytes += int64(len(v))
			return nil
		})
	})
	if err != nil {
		return err
	}
	if bad > 0 {
		s.cfg.Log.ErrorContext(ctx, "damaged deliveries become dead letters", "deliveries", bad)
	}
	return nil
}

// recall enters a record of an earlier process; false when it is damaged.
func (s *Spool) recall(id uint64, rec []byte, now time.Time) bool {
	h, err := readHeader(rec)
	if err != nil {
		s.burials = append(s.burials, burial{id: id, died: now, reason: err.Error()})
		return false
	}
	s.index.add(s.hash(h.key), nodeOf(id, h.received, h.raw, len(rec)), h.stranger)
	if now.Sub(h.received) < idTTL && h.eventID != "" {
		s.window.add(marksOf(&Delivery{Key: h.key, EventType: h.eventType, EventID: h.eventID}, nil), nil, h.received)
	}
	return true
}

func (s *Spool) hash(key string) uint64 { return maphash.String(s.seed, key) }

func nodeOf(id uint64, received time.Time, raw uint32, stored int) node {
	return node{id: id, at: uint32(max(0, received.Unix())), raw: raw, stored: uint32(stored)}
}

// Accept stores a delivery; ID and Attempt are ignored, and resource, which may
// be nil, is what tells its content. It returns nil when the delivery is
// durable, also when an earlier one that says the same is (then duplicate).
// Otherwise the delivery may be lost: ErrFull, ErrClosed, ErrInvalid, ctx's
// error or that of the disk.
func (s *Spool) Accept(ctx context.Context, d Delivery, resource []byte) (duplicate bool, err error) {
	if err := d.valid(); err != nil {
		return false, err
	}
	if d.Received.IsZero() {
		d.Received = time.Now()
	}
	m := marksOf(&d, resource)
	scratch, _ := s.scratch.Get().(*[]byte)
	var rec []byte
	rec, *scratch = encode(*scratch, &d)
	s.scratch.Put(scratch)

	b, duplicate, err := s.enlist(m, s.putOf(&d, rec))
	if err != nil || b == nil {
		return duplicate, err
	}
	select {
	case <-b.done:
		return duplicate, b.err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// enlist puts a record into the next commit. It returns the batch to wait for;
// nil for a copy of what is stored already.
func (s *Spool) enlist(m marks, p put) (b *batch, duplicate bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, false, ErrClosed
	}
	now := time.Now()
	if k := s.window.find(m, now); k != nil {
		return k.batch, true, nil
	}
	b = s.open
	size, x := int64(len(p.record)), s.index
	if x.count()+len(b.puts) >= s.cfg.MaxDeliveries || x.bytes()+s.deadBytes+b.bytes+size > s.cfg.MaxBytes {
		return nil, false, ErrFull
	}
	if p.stranger {
		if x.strangers.count+b.strangers >= max(1, s.cfg.MaxDeliveries/strangerPart) || x.strangers.bytes+b.strangerBytes+size > s.cfg.MaxBytes/strangerPart {
			return nil, false, ErrFull
		}
		b.strangers++
		b.strangerBytes += size
	}
	s.window.add(m, b, now)
	b.puts = append(b.puts, p)
	b.bytes += size
	s.nudge()
	return b, false, nil
}

// nudge wakes the committer.
func (s *Spool) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close stops the spool, stores what is left to store and gives the directory
// back. Claims that are not finished are handed out by the next process.
func (s *Spool) Close() error {
	s.Stop()
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.nudge()
	<-s.done
	if !first {
		return nil
	}
	s.timer.Stop()
	err := s.store.close()
	s.unlock()
	if err != nil {
		return fmt.Errorf("closing the spool: %w", err)
	}
	return nil
}
