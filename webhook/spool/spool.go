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
	Directory     string        // empty or not writable: deliveries wait in memory, with a warning
	MaxBytes      int64         // of waiting and dead deliveries as stored; default 1 GiB
	MaxDeliveries int           // that wait; default 500,000
	MaxAge        time.Duration // after which a failing delivery is dead; default 24 h
	Held          bool          // Take waits for Start

	Committed func(took time.Duration, accepted int, err error) // called after every commit; may be nil
	Log       *slog.Logger                                      // nil: nothing is logged
	Now       func() time.Time                                  // nil: time.Now
}

// Defaults of Config.
const (
	DefaultMaxBytes      = 1 << 30
	DefaultMaxDeliveries = 500_000
	DefaultMaxAge        = 24 * time.Hour
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

	mu        sync.Mutex
	readable  *sync.Cond // a key is ready, or the end has come
	index     *index
	epoch     int // of index: what was taken from an earlier one no longer counts
	window    window
	open      *batch // collects what the next commit stores
	acks      []uint64
	ackSince  time.Time // when the first of acks and burials came
	burials   []burial
	calls     []*call
	deadCount int
	deadBytes int64
	held      bool
	closing   bool
	closed    bool
	failing   error       // of the last commit
	timer     *time.Timer // of delayed keys
	counters  counters

	rescued time.Time     // the last time that the file was made anew; the committer's own
	trimmed time.Time     // the last trim; the committer's own
	wake    chan struct{} // the committer has something to do
	done    chan struct{} // the committer has ended
}

// counters count since the process started.
type counters struct {
	accepted, duplicates, handled, coalesced, failures, died, dropped uint64
}

// Open opens the spool of a directory, or one in memory where that cannot be
// written. The error is ErrLocked while another process has the directory, or
// ctx's.
func Open(ctx context.Context, cfg Config) (*Spool, error) {
	setDefault(&cfg.MaxBytes, DefaultMaxBytes)
	setDefault(&cfg.MaxDeliveries, DefaultMaxDeliveries)
	setDefault(&cfg.MaxAge, DefaultMaxAge)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Spool{
		cfg: cfg, seed: maphash.MakeSeed(), index: newIndex(), window: newWindow(), open: newBatch(), held: cfg.Held,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.scratch.New = func() any { return new([]byte) }
	s.readable = sync.NewCond(&s.mu)
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	s.timer = time.AfterFunc(time.Hour, s.promote)
	go s.commits(context.WithoutCancel(ctx))
	return s, nil
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// openStore opens the file, or memory.
func (s *Spool) openStore(ctx context.Context) error {
	err := s.openFile(ctx)
	if err == nil || errors.Is(err, ErrLocked) || ctx.Err() != nil {
		return err
	}
	s.unlock()
	s.store = newMemory()
	s.cfg.MaxBytes = min(s.cfg.MaxBytes, maxMemoryBytes)
	s.cfg.Log.WarnContext(ctx, "deliveries wait in memory and are lost when the process ends: there is no directory that can be written; set OCEAN__STATE_DIRECTORY to one",
		"directory", s.cfg.Directory, "err", err)
	return nil
}

func (s *Spool) openFile(ctx context.Context) error {
	if s.cfg.Directory == "" {
		return errors.New("no directory is set")
	}
	if err := os.MkdirAll(s.cfg.Directory, 0o700); err != nil {
		return err
	}
	var err error
	s.lock, err = os.OpenFile(filepath.Join(s.cfg.Directory, "spool.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := lockFile(s.lock); err != nil {
		s.unlock()
		return err
	}
	path := filepath.Join(s.cfg.Directory, fileName)
	err = s.inspect(ctx, path)
	if err == nil {
		var b *bolt
		if b, err = openBolt(path); err == nil {
			s.store = b
			return s.shrink(path, b)
		}
	}
	if errors.Is(err, errDamaged) {
		return s.rescue(ctx, path, err)
	}
	if errors.Is(err, ErrLocked) {
		s.unlock()
	}
	return err
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

func (s *Spool) unlock() {
	if s.lock != nil {
		_ = s.lock.Close()
		s.lock = nil
	}
}

// shrink makes an empty file anew that has been large.
func (s *Spool) shrink(path string, b *bolt) error {
	if s.index.count > 0 || s.deadCount > 0 || b.size() < shrinkBytes {
		return nil
	}
	if err := b.close(); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	b, err := openBolt(path)
	if err == nil {
		s.store = b
	}
	return err
}

// load makes the index from the store.
func (s *Spool) load(ctx context.Context) error {
	s.index, s.deadCount, s.deadBytes = newIndex(), 0, 0
	bad := 0
	now := s.cfg.Now()
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
	if s.index.count > 0 {
		s.cfg.Log.InfoContext(ctx, "deliveries of an earlier process wait", "deliveries", s.index.count, "dead_letters", s.deadCount)
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
	s.index.add(s.hash(h.key), nodeOf(id, h.received, h.raw, len(rec)))
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
		d.Received = s.cfg.Now()
	}
	m := marksOf(&d, resource)
	scratch, _ := s.scratch.Get().(*[]byte)
	var rec []byte
	rec, *scratch = encode(*scratch, &d)
	s.scratch.Put(scratch)

	b, duplicate, err := s.enlist(m, put{
		hash: s.hash(d.Key), node: nodeOf(0, d.Received, uint32(len(d.Body)), len(rec)), record: rec,
	})
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
	now := s.cfg.Now()
	if k := s.window.find(m, now); k != nil {
		s.counters.duplicates++
		return k.batch, true, nil
	}
	b = s.open
	if s.index.count+len(b.puts) >= s.cfg.MaxDeliveries || s.index.bytes+s.deadBytes+b.bytes+int64(len(p.record)) > s.cfg.MaxBytes {
		return nil, false, ErrFull
	}
	s.window.add(m, b, now)
	b.puts = append(b.puts, p)
	b.bytes += int64(len(p.record))
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

// Start lets Take hand out deliveries.
func (s *Spool) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	s.readable.Broadcast()
}

// Stop makes Accept refuse and Take end; Finish still works.
func (s *Spool) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.readable.Broadcast()
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
