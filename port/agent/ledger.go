package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// A state is how far an invocation has come.
type state string

const (
	accepted state = "accepted" // it is ours, or may be: Port is told so next
	calling  state = "calling"  // the service may have been called
	answered state = "answered" // the outcome is known, and Port may not know it
	dead     state = "dead"     // Port did not take the outcome for too long
)

// A note is what the ledger holds of an invocation that has not ended.
type note struct {
	Queue   queue           `json:"queue"`
	State   state           `json:"state"`
	Raw     json.RawMessage `json:"raw,omitempty"` // to read it again; until it is answered
	Run     string          `json:"run,omitempty"`
	Node    bool            `json:"node,omitempty"`
	Outcome *outcome        `json:"outcome,omitempty"`
	Since   time.Time       `json:"since"`
}

// A ledger remembers which invocations have been accepted, how far they have come and
// which have ended, so that none is lost with the process and none is executed twice.
// Without a directory it lives as long as the process.
type ledger struct {
	db *bbolt.DB // nil: in memory

	mu    sync.Mutex
	notes map[string]note
	ended map[string]time.Time
}

var (
	openBucket  = []byte("open")
	endedBucket = []byte("ended")
)

// remembered is how long it is known that an invocation has ended: longer than Port's
// topics or claims can bring it again.
const remembered = 7 * 24 * time.Hour

const ledgerFile = "ledger.db"

// openLedger opens the ledger in a directory; empty: in memory. What cannot be opened
// is in memory too, with an error in the log: to execute with a risk is better than
// not at all.
func openLedger(dir string, log *slog.Logger) *ledger {
	l := &ledger{notes: map[string]note{}, ended: map[string]time.Time{}}
	if dir == "" {
		return l
	}
	if err := l.open(dir); err != nil {
		log.Error("the ledger cannot be used: runs under way are lost when the process ends", "path", filepath.Join(dir, ledgerFile), "err", err)
		l.close()
		return &ledger{notes: map[string]note{}, ended: map[string]time.Time{}}
	}
	return l
}

func (l *ledger) open(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	l.db, err = bbolt.Open(filepath.Join(dir, ledgerFile), 0o600, &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		if errors.Is(err, bbolt.ErrTimeout) { //nolint:staticcheck // the name has moved, the value is the same
			return errors.New("another process uses it")
		}
		return err
	}
	return l.db.Update(func(t *bbolt.Tx) error {
		open, err := t.CreateBucketIfNotExists(openBucket)
		if err != nil {
			return err
		}
		ended, err := t.CreateBucketIfNotExists(endedBucket)
		if err != nil {
			return err
		}
		return errors.Join(open.ForEach(l.load), l.forget(ended, time.Now()))
	})
}

func (l *ledger) load(key, value []byte) error {
	var n note
	if err := json.Unmarshal(value, &n); err != nil {
		return fmt.Errorf("note %q: %w", key, err)
	}
	l.notes[string(key)] = n
	return nil
}

// forget reads what has ended, and removes what ended long ago.
func (l *ledger) forget(ended *bbolt.Bucket, now time.Time) error {
	var old [][]byte
	err := ended.ForEach(func(key, value []byte) error {
		at := time.Time{}
		if len(value) == 8 {
			at = time.Unix(int64(binary.BigEndian.Uint64(value)), 0)
		}
		if now.Sub(at) > remembered {
			old = append(old, key)
			return nil
		}
		l.ended[string(key)] = at
		return nil
	})
	for _, key := range old {
		err = errors.Join(err, ended.Delete(key))
	}
	return err
}

func (l *ledger) close() {
	if l.db != nil {
		_ = l.db.Close() // everything is written
	}
}

// durable says that what is noted survives the process.
func (l *ledger) durable() bool { return l.db != nil }

// put notes how far an invocation has come; it is on the disk then.
func (l *ledger) put(key string, n note) error {
	l.mu.Lock()
	l.notes[key] = n
	l.mu.Unlock()
	if l.db == nil {
		return nil
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return l.db.Update(func(t *bbolt.Tx) error { return t.Bucket(openBucket).Put([]byte(key), text) })
}

// drop forgets an invocation that is not ours.
func (l *ledger) drop(key string) error {
	l.mu.Lock()
	delete(l.notes, key)
	l.mu.Unlock()
	if l.db == nil {
		return nil
	}
	return l.db.Update(func(t *bbolt.Tx) error { return t.Bucket(openBucket).Delete([]byte(key)) })
}

// end notes that everything has been done.
func (l *ledger) end(key string) error {
	now := time.Now()
	l.mu.Lock()
	delete(l.notes, key)
	l.ended[key] = now
	l.trim(now)
	l.mu.Unlock()
	if l.db == nil {
		return nil
	}
	return l.db.Update(func(t *bbolt.Tx) error {
		return errors.Join(t.Bucket(openBucket).Delete([]byte(key)), t.Bucket(endedBucket).Put([]byte(key), binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))))
	})
}

// maxEnded bounds what is remembered in memory.
const maxEnded = 50_000

// trim forgets the older half of what has ended, when there is too much. The file keeps
// it, for the next start.
func (l *ledger) trim(now time.Time) {
	for age := remembered; len(l.ended) > maxEnded && age > time.Minute; age /= 2 {
		for key, at := range l.ended {
			if now.Sub(at) > age {
				delete(l.ended, key)
			}
		}
	}
}

// hasEnded says that an invocation is not to be executed again.
func (l *ledger) hasEnded(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.ended[key]
	return ok
}

func (l *ledger) get(key string) (note, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.notes[key]
	return n, ok
}

// open returns what has not ended, by key.
func (l *ledger) unfinished() map[string]note {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.notes)
}
