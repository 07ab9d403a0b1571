package spool

import (
	"errors"
	"maps"
	"slices"
	"sync"
)

// A bucket is one of the two lists of a store.
type bucket int

const (
	waiting bucket = iota // records by id
	dead                  // dead letters by the id that they had while they waited
)

// A store keeps both lists. update is atomic and, on disk, durable when it
// returns nil.
type store interface {
	update(func(tx) error) error
	view(func(tx) error) error
	close() error
}

// A tx reads and, in an update, changes a store. Bytes that it returns are valid
// until its end and must not be changed.
type tx interface {
	next() (uint64, error) // an id that was never used before
	get(b bucket, id uint64) []byte
	put(b bucket, id uint64, v []byte) error
	delete(b bucket, id uint64) error
	// each calls fn in the order of ids, beginning at from, until it returns an error;
	// errStop is none.
	each(b bucket, from uint64, fn func(id uint64, v []byte) error) error
}

// errStop ends each without an error.
var errStop = errors.New("stop")

func unlessStop(err error) error {
	if err == errStop { //nolint:errorlint // our own sentinel, never wrapped
		return nil
	}
	return err
}

// memory is a store that ends with the process.
type memory struct {
	mu    sync.RWMutex
	last  uint64
	lists [2]map[uint64][]byte
}

func newMemory() *memory {
	return &memory{lists: [2]map[uint64][]byte{{}, {}}}
}

// update applies the changes at once; those of this package fail before their
// first change or not at all.
func (m *memory) update(fn func(tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fn((*memoryTx)(m))
}

func (m *memory) view(fn func(tx) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return fn((*memoryTx)(m))
}

func (*memory) close() error { return nil }

type memoryTx memory

func (m *memoryTx) next() (uint64, error)          { m.last++; return m.last, nil }
func (m *memoryTx) get(b bucket, id uint64) []byte { return m.lists[b][id] }

func (m *memoryTx) put(b bucket, id uint64, v []byte) error {
	m.lists[b][id] = v
	return nil
}

func (m *memoryTx) delete(b bucket, id uint64) error {
	delete(m.lists[b], id)
	return nil
}

func (m *memoryTx) each(b bucket, from uint64, fn func(uint64, []byte) error) error {
	for _, id := range slices.Sorted(maps.Keys(m.lists[b])) {
		if id < from {
			continue
		}
		if err := fn(id, m.lists[b][id]); err != nil {
			return unlessStop(err)
		}
	}
	return nil
}
