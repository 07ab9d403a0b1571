package azuredevops

import (
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// What is listed below a parent need not be asked for again where something cheaper
// says that it is as it was: then the stored answers are taken. What that is, a
// witness, is heard before the list is asked for, and its words are noted once all of
// the list has come and agrees with them. So the answers are never older than what
// was noted, and what came in between never passes for what the witness meant.

// A proof is the listing of one part that has a witness.
type proof struct {
	*lister // to list the part with
	key     string
	note    note
	asked   time.Time
	idle    bool // nothing is noted
}

// A note is what is stored about a part.
type note struct {
	asked    int64  // its answers were asked for since then
	held     int64  // when the witness last said so
	revision string // what the witness said
}

// prove begins the listing of a part. still is asked whether what was noted holds; it
// is not called where nothing is noted.
func (l *lister) prove(of memorable, still func(note) bool) *proof {
	p := &proof{lister: l, key: strings.Join([]string{"note", l.c.reader, of.key(l.c)}, "\x00"), asked: time.Now()}
	if p.idle = !l.noting(); l.c.store == nil || l.at != nil {
		return p
	}
	value, ok := l.c.store.Get(p.key)
	n, ok := decodeNote(value, ok)
	switch {
	case !ok:
		return p
	case l.reading.use() && n.held >= l.reading.Since.UnixNano():
		p.idle = true // it held in the resync whose answers are used
	case p.idle:
		return p
	case !still(n):
		// What is asked for now must never pass for what was noted.
		l.c.store.Drop(p.key)
		p.asked = time.Now()
		return p
	}
	under := *l
	under.proven = n.asked
	p.lister, p.note, p.asked = &under, n, time.Now()
	return p
}

// noting says whether witnesses are heard: not for parts that live events name, for
// listings of changes, and where nothing is asked.
func (l *lister) noting() bool {
	return l.c.store != nil && !l.c.store.Off() && l.at == nil && l.since.IsZero() && !l.reading.Only
}

// holds notes what the witness said of the part, all of which has come; an empty
// revision says that it cannot be known whether the part agrees with it.
func (p *proof) holds(revision string) {
	n := note{asked: p.asked.UnixNano(), held: p.asked.UnixNano(), revision: revision}
	switch {
	case p.idle:
		return
	case revision == "":
		p.c.store.Drop(p.key)
		return
	case revision == p.note.revision:
		n.asked = p.note.asked
	}
	p.c.store.Put(p.key, n.encode())
}

func (n note) encode() []byte {
	out := binary.AppendVarint(binary.AppendVarint(nil, n.asked), n.held)
	return append(out, n.revision...)
}

// decodeNote reads what encode has made; ok says whether there is something to read.
func decodeNote(b []byte, ok bool) (note, bool) {
	asked, n := binary.Varint(b)
	held, m := binary.Varint(b[max(n, 0):])
	if !ok || n <= 0 || m <= 0 {
		return note{}, false
	}
	return note{asked: asked, held: held, revision: string(b[n+m:])}, true
}

// A routeSet is what the kinds of a resync read in any case.
type routeSet struct {
	mu sync.Mutex
	of map[string]bool
}

func (s *routeSet) add(route string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]bool{}
	}
	s.of[route] = true
}

func (s *routeSet) has(route string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[route]
}
