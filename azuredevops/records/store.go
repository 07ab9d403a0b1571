// Package records keeps on disk what was read, by a key that says what it is: answers
// of Azure DevOps, so that a resync that was interrupted goes on where it was and a
// changed mapping needs no call, and values that cannot have changed.
//
// Everything in it is safe to lose, and is dropped rather than trusted. What was put
// last for a key is there, or nothing is: an earlier value never comes back. So a
// store in which anything is damaged begins anew, because what is lost may have said
// that something else must not be used. Only half a record at the end, as a process
// leaves it that is killed, is cut off. The package knows nothing of Azure DevOps;
// whether a value may still be used is the caller's business.
//
// The data file only grows; values are read from it where they lie, so that what
// stays in memory is the index, less than 40 bytes per value. At the end of a
// resync the file is written anew without what was replaced and what the last two
// complete resyncs did not use, if that is worth it.
package records

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

const (
	directory   = "records" // below the state directory
	dataFile    = "records"
	indexFile   = "records.index"
	lockFile    = "records.lock"
	damagedFile = "records.damaged"
	newSuffix   = ".new" // of a file that is being written

	mostBytes     = 1 << 32 * statefile.Alignment // that a slot can address
	bytesPerEntry = 1 << 10                       // for the default of Limits.Entries
	valueShare    = 16                            // a record takes at most this part of the file

	// Where nothing else fits any more there is still room for small values: a caller
	// may note in one that others must not be used.
	smallValue   = 64
	reserveShare = 64 // part of the file
)

// ErrTaken says that another process uses the directory.
var ErrTaken = errors.New("the record store is used by another process")

// Limits bound a store. The data file is written anew into a second one, which
// for that moment takes as much again.
type Limits struct {
	Bytes   int64 // of the data file; 0 switches the store off
	Entries int   // 0 means one per KiB of Bytes
}

// A Store is an open record store. The nil Store is one that forgets everything. It
// is safe for concurrent use.
type Store struct {
	dir    string
	limits Limits
	log    *slog.Logger
	lock   *os.File // nil: nothing is written

	gate sync.RWMutex // held for writing while file is replaced or closed
	file *os.File

	writing sync.Mutex // of packer; taken before mu
	packer  statefile.Packer

	mu      sync.Mutex // of all below
	id      uint64     // of the data file
	index   *table
	end     int64  // of the data
	resync  uint32 // number of complete resyncs, and a start
	full    bool   // something did not fit
	stopped bool   // after an error of the disk, and after Close
}

// OpenIn opens the store below a state directory. Where that is not possible the
// log says so and the result is nil: then every resync reads everything, which is
// slower and no worse.
func OpenIn(state string, size int64, log *slog.Logger) *Store {
	if state == "" || size == 0 {
		return nil
	}
	dir := filepath.Join(state, directory)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = takeOver(state, dir, log)
	}
	var s *Store
	if err == nil {
		s, err = Open(dir, Limits{Bytes: size}, log)
	}
	if err != nil {
		log.Warn("nothing is kept from resync to resync", "err", err)
		return nil
	}
	return s
}

// Open opens the store in a directory, or begins one. On an error the result is
// nil, which works and forgets; so is it without a directory or without bytes,
// then there is no error. ErrTaken: another process has it.
func Open(dir string, limits Limits, log *slog.Logger) (*Store, error) {
	if dir == "" || limits.Bytes <= 0 {
		return nil, nil //nolint:nilnil // the nil Store is a useful one
	}
	limits.Bytes = min(limits.Bytes, mostBytes)
	if limits.Entries <= 0 {
		limits.Entries = int(limits.Bytes / bytesPerEntry)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{dir: dir, limits: limits, log: log}
	var err error
	if s.lock, err = lock(s.path(lockFile)); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		if s.file != nil {
			s.file.Close()
		}
		s.lock.Close()
		return nil, fmt.Errorf("record store: %w", err)
	}
	return s, nil
}

// ReadIn opens what the store below a state directory holds at this moment, also
// while another process uses it. Nothing is written there; what is put is forgotten.
func ReadIn(state string, log *slog.Logger) (*Store, error) {
	s := &Store{dir: filepath.Join(state, directory), limits: Limits{Bytes: mostBytes}, log: log}
	var err error
	if s.file, err = os.Open(s.path(dataFile)); err != nil {
		return nil, fmt.Errorf("record store: %w", err)
	}
	if err = s.readHeader(); err == nil {
		s.end, s.resync, s.index = dataHeader, 1, newTable(0)
		err = s.scan()
	}
	if err != nil {
		s.file.Close()
		return nil, fmt.Errorf("record store: %s: %w", s.path(dataFile), err)
	}
	return s, nil
}

// nameOf stands for a key: half of its SHA-256, so that two keys do not meet.
func nameOf(key string) statefile.Name {
	sum := sha256.Sum256([]byte(key))
	return statefile.Name(sum[:16])
}

// shortOf is what the index knows a name by. Where two names share it, the later
// one is kept.
func shortOf(n statefile.Name) uint64 { return binary.LittleEndian.Uint64(n[:8]) }

// Off tells whether this is the nil Store.
func (s *Store) Off() bool { return s == nil }

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// Get returns what was put for a key. The value is the caller's.
func (s *Store) Get(key string) (value []byte, ok bool) {
	if s == nil {
		return nil, false
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	name := nameOf(key)
	at, id, found := s.find(name)
	if !found {
		return nil, false
	}
	rec := make([]byte, at.size)
	if _, err := s.file.ReadAt(rec, at.offset()); err != nil {
		rec = nil
	}
	value, other, ok := statefile.Value(rec, name)
	if !ok && !other {
		s.damaged(name, at, id)
	}
	return value, ok
}

// find looks a name up and notes that it was of use. id is that of the file.
func (s *Store) find(n statefile.Name) (at slot, id uint64, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return at, 0, false
	}
	if at, found = s.index.get(shortOf(n)); found && at.used != s.resync {
		at.used = s.resync
		s.index.put(shortOf(n), at)
	}
	return at, s.id, found
}

// damaged begins anew after a record turned out to be damaged, unless it has been
// replaced meanwhile.
func (s *Store) damaged(n statefile.Name, at slot, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.id != id {
		return
	}
	if now, ok := s.index.get(shortOf(n)); ok && now.at == at.at {
		s.log.Warn("the record store is damaged and begins anew", "file", s.path(dataFile), "offset", at.offset())
		s.clear()
	}
}

// Clear forgets everything, beyond this process.
func (s *Store) Clear() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.clear()
	}
}

// clear is Clear; mu is held.
func (s *Store) clear() {
	s.end, s.index = dataHeader, newTable(0)
	if s.lock == nil {
		return
	}
	if err := s.restart(); err != nil {
		s.log.Warn("nothing more is kept from resync to resync", "err", err)
		s.stopped = true
	}
}

// Put keeps a value, which may come in parts, instead of what was put for the key
// before. It reports whether it did: where the value does not fit there is none for the
// key. What it has kept survives the end of the process, not of the machine; see Sync.
func (s *Store) Put(key string, value ...[]byte) (kept bool) {
	if s == nil || s.lock == nil {
		return false
	}
	if len(value) == 0 {
		value = [][]byte{nil}
	}
	length := 0
	for _, part := range value {
		length += len(part)
	}
	n := nameOf(key)
	s.writing.Lock()
	defer s.writing.Unlock()
	var rec []byte
	fits := length <= statefile.MaxValue
	if fits {
		rec = s.packer.Record(n, value...)
		fits = int64(len(rec)) <= s.limits.Bytes/valueShare
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	_, known := s.index.get(shortOf(n))
	if fits {
		if kept = s.room(rec, known, length <= smallValue) && s.append(rec); kept {
			s.index.put(shortOf(n), slot{at: uint32((s.end - statefile.Padded(len(rec))) / statefile.Alignment), size: uint32(len(rec)), used: s.resync})
			return true
		}
		s.full = true
	}
	if known {
		s.erase(n)
	}
	return false
}

// room says whether a record fits; mu is held.
func (s *Store) room(rec []byte, known, small bool) bool {
	bytes, entries := s.limits.Bytes, s.limits.Entries
	if small {
		entries += entries / reserveShare
	} else {
		bytes -= bytes / reserveShare
	}
	return s.end+statefile.Padded(len(rec)) <= bytes && (known || s.index.len() < entries)
}

// append writes a record behind the others. After an error nothing more is kept. mu is
// held.
func (s *Store) append(rec []byte) bool {
	size := statefile.Padded(len(rec))
	rec = statefile.Pad(rec)
	if _, err := s.file.WriteAt(rec, s.end); err != nil {
		s.log.Warn("nothing more is kept from resync to resync", "err", err)
		s.stopped = true
		return false
	}
	s.end += size
	return true
}

// erase forgets what was put for a name, also for whoever opens the file later. Where
// that cannot be written, everything goes. mu is held.
func (s *Store) erase(n statefile.Name) {
	s.index.drop(shortOf(n))
	if rec := statefile.Erasure(n); !s.room(rec, true, true) || !s.append(rec) {
		s.clear()
	}
}

// Drop forgets what was put for a key, beyond this process.
func (s *Store) Drop(key string) {
	if s == nil {
		return
	}
	n := nameOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if _, known := s.index.get(shortOf(n)); known && s.lock != nil {
		s.erase(n)
	}
}

// Sync makes that what was put last survives the end of the machine.
func (s *Store) Sync() {
	if s == nil || s.lock == nil {
		return
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.file == nil {
		return
	}
	if err := s.file.Sync(); err != nil {
		s.log.Warn("the record store cannot be written", "err", err)
		s.Clear()
	}
}

// EndResync ends the use of a resync. After a complete one what the last two did not
// use may go.
func (s *Store) EndResync(complete bool) error {
	if s == nil || s.lock == nil {
		return nil
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if complete {
		s.dropFormer()
	}
	if complete || s.full { // or a store would stay full where no resync is complete
		s.resync++
	}
	if keep, worth := s.plan(); worth {
		if err := s.compact(keep); err != nil {
			return fmt.Errorf("record store: %w", err)
		}
	}
	s.full = false
	return s.saveIndex()
}

// Close lets go of the directory. Afterwards the store forgets everything.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	var err error
	if !s.stopped && s.lock != nil {
		err = s.saveIndex()
	}
	s.stopped, s.index = true, nil
	err = errors.Join(err, s.file.Close())
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	s.file = nil
	return err
}
