package rest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// maxBodyBytes bounds a single answer. The biggest honest ones are unpaged
	// lists of tens of MB.
	maxBodyBytes = 256 << 20

	// mostFree bounds the bytes that wait for the next body.
	mostFree = 2 << 20
	// freeFor is how long they wait: memory follows the load.
	freeFor = time.Second
)

// buffers are recycled memory for bodies. What nobody wants for a while goes. A
// sync.Pool would be emptied with every second garbage collection, and there are
// many of those in a second.
type buffers struct {
	mu    sync.Mutex
	free  [][]byte
	size  int // of all that are free
	clock *time.Timer
}

// get returns an empty buffer with room for n bytes.
func (b *buffers) get(n int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	best := -1
	for i, buf := range b.free {
		if c := cap(buf); c >= n && c <= 2*n && (best < 0 || c < cap(b.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return make([]byte, 0, n+n/8) // the next one is seldom of the same size
	}
	buf := b.free[best]
	b.size -= cap(buf)
	b.free = slices.Delete(b.free, best, best+1)
	return buf[:0]
}

// put gives a buffer of get back.
func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size+cap(buf) > mostFree {
		return
	}
	b.free = append(b.free, buf)
	b.size += cap(buf)
	if b.clock == nil {
		b.clock = time.AfterFunc(freeFor, b.drop)
	}
	b.clock.Reset(freeFor)
}

func (b *buffers) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free, b.size = nil, 0
}

// errOversized is an answer above maxBodyBytes: the next one will be no smaller.
var errOversized = fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxBodyBytes)

// read reads r to its end. size is a guess, or negative. room is asked before n bytes
// are taken. On an error nothing has to be given back.
func (b *buffers) read(r io.Reader, size int64, room func(n int) error) ([]byte, error) {
	if size > maxBodyBytes {
		return nil, fmt.Errorf("%w: %d are announced", errOversized, size)
	}
	// One byte more than announced: its absence is how the end shows.
	first := int(max(size, 8<<10-1)) + 1
	if err := room(first); err != nil {
		return nil, err
	}
	buf := b.get(first)
	for {
		if len(buf) == cap(buf) {
			n := min(cap(buf)*2, maxBodyBytes+1)
			if err := room(n); err != nil {
				b.put(buf)
				return nil, err
			}
			bigger := b.get(n)
			bigger = append(bigger, buf...)
			b.put(buf)
			buf = bigger
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			b.put(buf)
			return nil, err
		case len(buf) > maxBodyBytes:
			b.put(buf)
			return nil, errOversized
		}
	}
}

// A Page is the body of one answer. What is cut out of it is valid until Free.
// As an http.Response.Body it can be read once, and Close does not free it.
type Page struct {
	Body   []byte // without byte order mark
	Token  string // of the next page, empty behind the last one
	Status int

	elements []span // of the list
	whole    []byte
	pool     *buffers
	rest     *bytes.Reader
}

// Free gives the memory back. It may be called on nil.
func (p *Page) Free() {
	if p == nil || p.pool == nil {
		return
	}
	p.pool.put(p.whole)
	p.Body, p.whole, p.pool = nil, nil, nil
}

func (p *Page) Read(b []byte) (int, error) {
	if p.rest == nil {
		p.rest = bytes.NewReader(p.Body)
	}
	return p.rest.Read(b)
}

// Close does nothing: the memory may be read until Free.
func (p *Page) Close() error { return nil }
