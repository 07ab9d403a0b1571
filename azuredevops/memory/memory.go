// Package memory keeps, in two files on disk, what cannot have changed: values by a
// key that names a thing and its revision. It saves the calls with which a repeated
// resync would read the same again.
//
// Everything in it is safe to lose, and is dropped rather than trusted: records
// carry a checksum and their whole key, a damaged end is cut off, a file that is
// not ours is moved aside. The package knows nothing of Azure DevOps; what makes a
// revision is the caller's business.
//
// The data file only grows; values are read from it where they lie, so that what
// stays in memory is the index, less than 40 bytes per value. At the end of a
// resync the file is written anew without what the last two complete resyncs did
// not use, if that is worth it.
package memory

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

const (
	dataFile    = "memory"
	indexFile   = "memory.index"
	lockFile    = "memory.lock"
	damagedFile = "memory.damaged"
	newSuffix   = ".new" // of a file that is being written

	// tailBytes is how much waits in memory to be written at once.
	tailBytes = 64 << 10

	mostBytes     = 1 << 32 * alignment // that a slot can address
	bytesPerEntry = 1 << 10             // for the default of Limits.Entries
	maxValueBytes = 16 << 20
	valueShare    = 16 // a record takes at most this part of the file
)

// ErrTaken says that another process uses the directory.
var ErrTaken = errors.New("the memory is used by another process")

// Limits bound a memory. The data file is written anew into a second one, which
// for that moment takes as much again.
type Limits struct {
	Bytes   int64 // of the data file; 0 switches the memory off
	Entries int   // 0 means one per KiB of Bytes
}

// A Memory is an open memory. The nil Memory is one that forgets everything. It
// is safe for concurrent use.
type Memory struct {
	dir    string
	limits Limits
	log    *slog.Logger
	lock   *os.File

	gate sync.RWMutex // held for writing while file is replaced or closed
	file *os.File

	mu      sync.Mutex // of all below
	id      uint64     // of the data file
	index   *table
	end     int64  // of the data, what waits in tail included
	tail    []byte // what has yet to be written
	resync  uint32 // number of complete resyncs, and a start
	full    bool   // something did not fit
	stopped bool   // after an error of the disk, and after Close
}

// OpenIn opens the memory below a state directory. Where that is not possible the
// log says so and the result is nil: then every resync reads everything, which is
// slower and no worse.
func OpenIn(state string, size int64, log *slog.Logger) *Memory {
	if state == "" || size == 0 {
		return nil
	}
	dir := filepath.Join(state, "memory")
	err := os.MkdirAll(dir, 0o700)
	var m *Memory
	if err == nil {
		m, err = Open(dir, Limits{Bytes: size}, log)
	}
	if err != nil {
		log.Warn("nothing is remembered from resync to resync", "err", err)
		return nil
	}
	return m
}

// Open opens the memory in a directory, or begins one. On an error the result is
// nil, which works and forgets; so is it without a directory or without bytes,
// then there is no error. ErrTaken: another process has it.
func Open(dir string, limits Limits, log *slog.Logger) (*Memory, error) {
	if dir == "" || limits.Bytes <= 0 {
		return nil, nil //nolint:nilnil // the nil Memory is a useful one
	}
	limits.Bytes = min(limits.Bytes, mostBytes)
	if limits.Entries <= 0 {
		limits.Entries = int(limits.Bytes / bytesPerEntry)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Memory{dir: dir, limits: limits, log: log}
	var err error
	if m.lock, err = lock(m.path(lockFile)); err != nil {
		return nil, err
	}
	if err := m.load(); err != nil {
		if m.file != nil {
			m.file.Close()
		}
		m.lock.Close()
		return nil, fmt.Errorf("memory: %w", err)
	}
	return m, nil
}

// Off tells whether this is the nil Memory.
func (m *Memory) Off() bool { return m == nil }

func (m *Memory) path(name string) string { return filepath.Join(m.dir, name) }

// Get returns what was put for a key. The value is the caller's.
func (m *Memory) Get(key string) (value []byte, ok bool) {
	if m == nil {
		return nil, false
	}
	m.gate.RLock()
	defer m.gate.RUnlock()
	name := nameOf(key)
	rec, s, found := m.find(name)
	if !found {
		return nil, false
	}
	if rec == nil {
		rec = make([]byte, s.size)
		if _, err := m.file.ReadAt(rec, s.offset()); err != nil {
			rec = nil
		}
	}
	value, other, ok := valueOf(rec, name)
	if !ok && !other {
		m.forget(name, s)
	}
	return value, ok
}

// find looks a name up and notes that it was of use. rec is a copy of the record
// when it has yet to be written.
func (m *Memory) find(n name) (rec []byte, s slot, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return nil, s, false
	}
	if s, found = m.index.get(n.short()); !found {
		return nil, s, false
	}
	if s.used != m.resync {
		s.used = m.resync
		m.index.put(n.short(), s)
	}
	if from := s.offset() - (m.end - int64(len(m.tail))); from >= 0 {
		rec = append(rec, m.tail[from:from+int64(s.size)]...)
	}
	return rec, s, true
}

// forget drops an entry whose record is damaged.
func (m *Memory) forget(n name, s slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return
	}
	if now, ok := m.index.get(n.short()); ok && now.at == s.at {
		m.index.drop(n.short())
		m.log.Warn("a remembered value is damaged and is read again", "file", m.path(dataFile), "offset", s.offset())
	}
}

// Put keeps a value instead of what was put for the key before. A value that does
// not fit is not kept.
func (m *Memory) Put(key string, value []byte) {
	if m == nil || len(value) > maxValueBytes {
		return
	}
	n := nameOf(key)
	rec := record(n, value)
	if int64(len(rec)) > m.limits.Bytes/valueShare {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return
	}
	_, known := m.index.get(n.short())
	if m.end+padded(len(rec)) > m.limits.Bytes || !known && m.index.len() >= m.limits.Entries {
		m.full = true
		return
	}
	m.index.put(n.short(), slot{at: uint32(m.end / alignment), size: uint32(len(rec)), used: m.resync})
	m.tail = append(m.tail, rec...)
	m.tail = append(m.tail, padding[:padded(len(rec))-int64(len(rec))]...)
	m.end += padded(len(rec))
	if len(m.tail) >= tailBytes {
		m.flush()
	}
}

// flush writes the tail. After an error nothing is kept any more: mu is held.
func (m *Memory) flush() {
	if m.stopped || len(m.tail) == 0 {
		return
	}
	if _, err := m.file.WriteAt(m.tail, m.end-int64(len(m.tail))); err != nil {
		m.log.Warn("nothing more is remembered", "err", err)
		m.stopped = true
	}
	m.tail = m.tail[:0]
	if cap(m.tail) > 4*tailBytes {
		m.tail = nil
	}
}

// EndResync makes what was put last beyond this process. After a complete resync
// what the last two did not use may go.
func (m *Memory) EndResync(complete bool) error {
	if m == nil {
		return nil
	}
	m.gate.Lock()
	defer m.gate.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flush()
	if m.stopped {
		return nil
	}
	if complete {
		m.resync++
	}
	if keep, worth := m.plan(); worth {
		if err := m.compact(keep); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
	}
	m.full = false
	return m.saveIndex()
}

// Close writes what waits and lets go of the directory. Afterwards the memory
// forgets everything.
func (m *Memory) Close() error {
	if m == nil {
		return nil
	}
	m.gate.Lock()
	defer m.gate.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return nil
	}
	var err error
	m.flush()
	if !m.stopped {
		err = m.saveIndex()
	}
	m.stopped, m.index = true, nil
	err = errors.Join(err, m.file.Close(), m.lock.Close())
	m.file = nil
	return err
}
