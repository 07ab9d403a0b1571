package webhook

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// firstBuffer is what a body gets before more of it has come. It is its own:
	// small deliveries have room however many large ones arrive, bounded by the
	// number of connections.
	firstBuffer = 16 << 10
	// bodyRoom is what bodies may take beyond that, all together while they
	// arrive; at least twice the largest.
	bodyRoom = 32 << 20

	// A body has to bring a step in the time of a step, or end, and all of it
	// within readTimeout.
	step     = 16 << 10
	stepTime = 10 * time.Second
	// standstill is how long after a step a body counts as one that stands still:
	// it goes when others need its room.
	standstill = time.Second
)

// bodies are those that arrive. What they take together is bounded: when there
// is no room for one, another that stands still has to go.
type bodies struct {
	mu      sync.Mutex
	freed   sync.Cond
	free    int64
	all     map[*body]bool
	leaving int // that have been told to go and still have room
}

func newBodies(room int64) *bodies {
	b := &bodies{free: room, all: map[*body]bool{}}
	b.freed.L = &b.mu
	return b
}

// A body is read by one goroutine. The fields below since belong to bodies.mu.
type body struct {
	from  *bodies
	r     io.Reader
	conn  *http.ResponseController
	end   time.Time
	since int // bytes since the last step

	stepped time.Time
	held    int64 // of the room
	waiting bool  // for room
	gone    bool  // told to go
	fixed   bool  // the connection knows no deadlines, or all has been read
}

func (b *bodies) begin(w http.ResponseWriter, r *http.Request) *body {
	now := time.Now()
	x := &body{from: b, r: r.Body, conn: http.NewResponseController(w), stepped: now, end: now.Add(readTimeout)}
	x.fixed = x.conn.SetReadDeadline(now.Add(stepTime)) != nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[x] = true
	return x
}

// Read reads from the connection, with a deadline that moves with the data.
func (x *body) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	if x.since += n; x.since >= step && err == nil {
		x.since = 0
		x.from.mu.Lock()
		defer x.from.mu.Unlock()
		x.stepped = time.Now()
		if !x.gone && !x.fixed {
			x.fixed = x.conn.SetReadDeadline(x.stepped.Add(min(stepTime, x.end.Sub(x.stepped)))) != nil
		}
	}
	return n, err
}

// grow takes room for so many more bytes; false when there is none.
func (x *body) grow(n int64) bool {
	b := x.from
	b.mu.Lock()
	defer b.mu.Unlock()
	x.waiting = true
	for b.free < n && (b.leaving > 0 || b.evict(1)) {
		b.freed.Wait()
	}
	x.waiting = false
	if b.free < n || x.gone {
		return false
	}
	b.free -= n
	x.held += n
	return true
}

// complete ends the deadline: what follows is our own work.
func (x *body) complete() {
	x.from.mu.Lock()
	defer x.from.mu.Unlock()
	if !x.fixed {
		x.fixed = true
		_ = x.conn.SetReadDeadline(time.Time{})
	}
}

// close gives the room back.
func (x *body) close() {
	b := x.from
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, x)
	b.free += x.held
	if x.gone && x.held > 0 {
		b.leaving--
	}
	b.freed.Broadcast()
}

// makeWay has one body go that stands still, the largest part of the room
// first; false when there is none.
func (b *bodies) makeWay() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.evict(1) || b.evict(0)
}

// evict ends the reading of the body that stands still for the longest time, of
// those that hold so much room; false when there is none. The caller holds mu.
func (b *bodies) evict(held int64) bool {
	var oldest *body
	for x := range b.all {
		if !x.gone && !x.fixed && !x.waiting && x.held >= held && (oldest == nil || x.stepped.Before(oldest.stepped)) {
			oldest = x
		}
	}
	if oldest == nil || time.Since(oldest.stepped) < standstill {
		return false
	}
	oldest.gone = true
	if oldest.held > 0 {
		b.leaving++
	}
	_ = oldest.conn.SetReadDeadline(time.Unix(1, 0)) // its Read returns now
	return true
}

// readBody reads a body of at most limit bytes; announced is what the sender
// says of its length, or less than 0. Memory is only taken for what has come.
func (x *body) readBody(announced, limit int64) ([]byte, *refusal) {
	if announced > limit {
		return nil, refuseSize
	}
	size := int64(firstBuffer)
	if announced >= 0 {
		size = min(size, announced+1) // and one, to see the end
	}
	buf := make([]byte, 0, size)
	for {
		n, err := x.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return nil, refuseSize
		case errors.Is(err, io.EOF):
			x.complete()
			return buf, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, refuseSlow
		case err != nil:
			return nil, refuseRead
		}
		if len(buf) < cap(buf) {
			continue
		}
		more := min(int64(cap(buf))*2, limit+1)
		if !x.grow(more - int64(cap(buf))) {
			return nil, refuseBusy
		}
		buf = append(make([]byte, 0, more), buf...)
	}
}
