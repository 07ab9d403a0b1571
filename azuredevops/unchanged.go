package azuredevops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A Store keeps bytes beyond a resync, by a key that says what they are: values that
// cannot have changed, and answers. It may drop entries at any time, all of them when
// it is damaged; but after a Put or Drop what was there before never comes back.
// *records.Store is one. It has to be safe for concurrent use.
type Store interface {
	Get(key string) (value []byte, ok bool)
	Put(key string, value ...[]byte) (kept bool) // in parts
	Drop(key string)
	Clear()    // drops everything
	Sync()     // what was put survives the end of the machine
	Off() bool // it remembers nothing: then no call is made for its sake
}

// A memorable is something that cannot change as long as its revision does not. The
// revision is always read before the thing itself, so that a value is never older
// than the revision it is stored under.
type memorable struct {
	what     string   // kind of thing, with the number of the value's form
	project  *project // ids may be unique in a project only, and records hold its name
	id       string
	revision string // empty: it may still change, so nothing is remembered
}

func (m *memorable) key(c *Client) string {
	return strings.Join([]string{c.Organization(), m.what, m.project.ID, m.project.Name, m.id, m.revision}, "\x00")
}

// remember returns what fetch found for this revision. Nothing is stored on an
// error, or when settled is false. A nil value is stored as one.
func (l *lister) remember(
	ctx context.Context, m memorable, fetch func(ctx context.Context) (value []byte, settled bool, err error),
) ([]byte, error) {
	if value, ok := l.recall(m); ok {
		return value, nil
	}
	value, settled, err := fetch(ctx)
	if err == nil && settled {
		l.keep(m, value)
	}
	return value, err
}

// recall looks a value up; an empty one is nil.
func (l *lister) recall(m memorable) (value []byte, ok bool) {
	if l.c.store == nil || m.revision == "" {
		return nil, false
	}
	value, ok = l.c.store.Get(m.key(l.c))
	if len(value) == 0 {
		value = nil
	}
	return value, ok
}

func (l *lister) keep(m memorable, value []byte) {
	if l.c.store != nil && m.revision != "" {
		l.c.store.Put(m.key(l.c), value)
	}
}

// project is the one that a record is from, for requests below it.
func (r *Record) project() *project { return &project{ID: r.Scope.Project, Name: r.Scope.ProjectName} }

// hexDigest stands for texts that are part of a revision and too long to be kept.
func hexDigest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
