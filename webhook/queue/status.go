package queue

import (
	"net/url"
	"sync"
	"time"
)

// What a Queue does just now.
const (
	ActivityNone     = "not reading" // nobody has asked it to, or another process reads
	ActivityReading  = "reading"
	ActivityWaiting  = "waiting"  // between two reads, because the queue was empty
	ActivityRetrying = "retrying" // between two tries, because the last one failed
	ActivityHeld     = "held"     // nothing more is read until deliveries can be stored
)

// States of the queue.
const (
	StateNotAsked    = "not asked"
	StateReachable   = "reachable"
	StateUnreachable = "unreachable"
)

// A Status is the queue as this process sees it. Its numbers begin with the process.
type Status struct {
	URL      string `json:"url"` // without a signature, if somebody has put one there
	Activity string `json:"activity"`
	// State is whether the last attempt to read, and to delete what was read, succeeded;
	// not asked while this process does not read.
	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"`
	LastRead time.Time `json:"lastRead,omitzero"` // that succeeded
	Received int64     `json:"received"`          // messages that are done: stored, dead letters, or of a check
	Poisoned int64     `json:"poisoned"`          // of them, those that became dead letters
	// LastError is kept until there is another one.
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	Held        string    `json:"held,omitempty"` // why deliveries cannot be stored
}

// Status is how things are; nil without a queue.
func (q *Queue) Status() *Status {
	if q == nil {
		return nil
	}
	s := q.book.read()
	s.URL = shown(q.cfg.URL)
	return &s
}

// shown is an address as everybody may see it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// A book notes what Status tells.
type book struct {
	mu     sync.Mutex
	status Status
}

func (b *book) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	if s.Activity == ActivityNone {
		s.Held = "" // that was when this process read
	} else if s.Held != "" {
		s.Activity = ActivityHeld
	}
	return s
}

func (b *book) does(activity string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Activity = activity
}

// ends notes that this process does not read any more. How its last attempt ended is
// nothing to go by then.
func (b *book) ends() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Activity, b.status.State, b.status.Since = ActivityNone, StateNotAsked, time.Time{}
}

// hasRead notes a read that succeeded.
func (b *book) hasRead() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.LastRead = time.Now()
}

// counts notes what became of a message.
func (b *book) counts(result string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Received++
	if result == resultDead {
		b.status.Poisoned++
	}
}

// reaches notes how an attempt ended, and whether that leaves the queue reachable.
func (b *book) reaches(reachable bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := StateUnreachable
	if reachable {
		state = StateReachable
	}
	b.is(state)
	if err != nil {
		b.status.LastError, b.status.LastErrorAt = err.Error(), time.Now()
	}
}

// is notes a state; b is locked.
func (b *book) is(state string) {
	if b.status.State != state {
		b.status.State, b.status.Since = state, time.Now()
	}
}

// holds notes why deliveries cannot be stored; "": they can. What is held was read, and
// the attempt that read it may not end for long.
func (b *book) holds(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status.Held = why; why != "" {
		b.is(StateReachable)
	}
}
