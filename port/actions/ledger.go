package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/ado-port/ado-port/port"
)

// A state is how far a run has come. Each is noted before what follows is done.
type state string

const (
	acknowledging state = "acknowledging"
	acknowledged  state = "acknowledged"
	starting      state = "starting" // what it asks for may have been started
	started       state = "started"  // Port may not know yet
	following     state = "following"
	ending        state = "ending" // the result is known, Port may not know it yet
	done          state = "done"
)

// An entry is what is known of a run.
type entry struct {
	port.Run

	State    state           `json:"state"`
	Changed  time.Time       `json:"changed"`
	Lease    time.Time       `json:"lease,omitzero"`  // until then nobody else can have it
	Unsure   bool            `json:"unsure,omitzero"` // an acknowledgement may have arrived
	Order    json.RawMessage `json:"order,omitempty"`
	Title    string          `json:"title,omitempty"`
	Began    time.Time       `json:"began,omitzero"`     // when it was noted that it would be started
	Doubt    string          `json:"doubt,omitempty"`    // why it is not known whether it was started
	External string          `json:"external,omitempty"` // id
	Link     string          `json:"link,omitempty"`
	Result   port.Result     `json:"result,omitempty"`
	Message  string          `json:"message,omitempty"`

	lived bool // it came to its state in this process
}

const (
	ledgerFile = "actions.db"
	lockWait   = time.Second
	// keepDone is for how long a run is known that has ended.
	keepDone = 7 * 24 * time.Hour
)

var runsBucket = []byte("runs")

// A Store keeps the ledger for several processes, of which one at a time runs actions.
type Store interface {
	All(ctx context.Context) (map[string]string, error)
	Put(ctx context.Context, id, text string) error
	Delete(ctx context.Context, ids ...string) error
}

// A ledger knows the runs of the integration. What it says survives the process.
type ledger struct {
	db    *bbolt.DB // nil: in memory only, or in store
	store Store     // nil: there is one process
	asks  context.Context

	mu      sync.Mutex
	entries map[string]*entry // copies of what was noted
}

// openLedger opens or makes the file; without a path there is none. A file that
// cannot be read is put aside.
func openLedger(path string, log *slog.Logger) (*ledger, error) {
	l := &ledger{entries: map[string]*entry{}}
	if path == "" {
		return l, nil
	}
	err := l.open(path)
	if err == nil || errors.Is(err, berrors.ErrTimeout) {
		return l, err
	}
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return nil, pe
	}
	aside := path + ".damaged"
	log.Error("the ledger of runs of actions cannot be read and is put aside: runs that were under way are not followed any more", "file", aside, "err", err)
	if err := os.Rename(path, aside); err != nil {
		return nil, err
	}
	l = &ledger{entries: map[string]*entry{}}
	return l, l.open(path)
}

// openShared reads the ledger of several processes.
func openShared(ctx context.Context, store Store) (*ledger, error) {
	l := &ledger{entries: map[string]*entry{}, store: store, asks: context.WithoutCancel(ctx)}
	all, err := store.All(ctx)
	for _, text := range all {
		e, err := parseEntry([]byte(text))
		if err != nil {
			return nil, err
		}
		l.entries[e.ID] = e
	}
	return l, err
}

// adopt takes over the file of a process that ran actions before there were several, and
// leaves it empty.
func (l *ledger) adopt(path string, log *slog.Logger) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	old, err := openLedger(path, log)
	if err != nil {
		return err
	}
	defer old.close()
	ids := slices.Collect(maps.Keys(old.entries))
	if len(ids) == 0 {
		return nil
	}
	for id, e := range old.entries {
		if l.has(id) {
			continue
		}
		text, err := json.Marshal(e)
		if err == nil {
			err = l.put(id, text)
		}
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		l.entries[id] = e
	}
	log.Info("runs of actions of an earlier process are followed by the shared ledger from now on", "runs", len(ids))
	return old.forget(ids...)
}

// put keeps the text of an entry.
func (l *ledger) put(id string, text []byte) error {
	switch {
	case l.store != nil:
		return l.store.Put(l.asks, id, string(text))
	case l.db != nil:
		return l.db.Update(func(t *bbolt.Tx) error { return t.Bucket(runsBucket).Put([]byte(id), text) })
	}
	return nil
}

// delete removes entries.
func (l *ledger) delete(ids []string) error {
	switch {
	case l.store != nil:
		return l.store.Delete(l.asks, ids...)
	case l.db != nil:
		return l.db.Update(func(t *bbolt.Tx) error {
			for _, id := range ids {
				if err := t.Bucket(runsBucket).Delete([]byte(id)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}

// open reads what the file has. bbolt panics over some damage.
func (l *ledger) open(path string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
		if err != nil && l.db != nil {
			_ = l.db.Close()
		}
	}()
	l.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	return l.db.Update(func(t *bbolt.Tx) error {
		b, err := t.CreateBucketIfNotExists(runsBucket)
		if err != nil {
			return err
		}
		return b.ForEach(func(_, v []byte) error {
			e, err := parseEntry(v)
			if err == nil {
				l.entries[e.ID] = e
			}
			return err
		})
	})
}

func parseEntry(text []byte) (*entry, error) {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	if e.ID == "" || e.State == "" {
		return nil, errors.New("entry: without id or state")
	}
	return &e, nil
}

func (l *ledger) close() {
	if l.db != nil {
		_ = l.db.Close() // everything has been synced
	}
}

// note keeps an entry durably.
func (l *ledger) note(e *entry) error {
	e.Changed = time.Now()
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := l.put(e.ID, text); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	c := *e
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[e.ID] = &c
	return nil
}

// forget removes runs.
func (l *ledger) forget(ids ...string) error {
	if err := l.delete(ids); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.entries, id)
	}
	return nil
}

// prune forgets what has ended long ago.
func (l *ledger) prune(now time.Time) error {
	var old []string
	l.mu.Lock()
	for id, e := range l.entries {
		if e.State == done && now.Sub(e.Changed) > keepDone {
			old = append(old, id)
		}
	}
	l.mu.Unlock()
	if len(old) == 0 {
		return nil
	}
	return l.forget(old...)
}

// has tells whether a run is known.
func (l *ledger) has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[id] != nil
}

// holder is the run that has an external id; empty for none.
func (l *ledger) holder(external string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.entries {
		if e.External == external {
			return id
		}
	}
	return ""
}

// unfinished are the entries that are not done, the oldest first.
func (l *ledger) unfinished() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*entry
	for _, e := range l.entries {
		if e.State != done {
			c := *e
			out = append(out, &c)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int {
		if c := a.Changed.Compare(b.Changed); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// count is how many runs are in each state.
func (l *ledger) count() map[state]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[state]int{}
	for e := range maps.Values(l.entries) {
		n[e.State]++
	}
	return n
}
