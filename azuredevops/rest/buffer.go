package rest

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"sync"
)

const (
	// maxBodyBytes bounds a single answer. The biggest honest ones are unpaged
	// lists of tens of MB.
	maxBodyBytes = 256 << 20

	minBuffer  = 4 << 10
	numClasses = 49 // up to 16 MiB; bigger buffers are not kept
)

// buffers are recycled memory for bodies, four sizes per power of two. The
// garbage collector may take them: memory follows the load.
type buffers struct {
	pools [numClasses]sync.Pool
}

// classOf is the smallest class with room for n bytes.
func classOf(n int) int {
	if n <= minBuffer {
		return 0
	}
	e := bits.Len(uint(n-1)) - bits.Len(uint(minBuffer))
	step := minBuffer / 4 << e
	return 4*e + (n-minBuffer<<e+step-1)/step
}

// sizeOf is the capacity of the buffers of a class.
func sizeOf(class int) int { return (4 + class%4) * (minBuffer / 4) << (class / 4) }

// get returns an empty buffer with room for n bytes.
func (b *buffers) get(n int) []byte {
	c := classOf(n)
	if c >= numClasses {
		return make([]byte, 0, n)
	}
	if p, ok := b.pools[c].Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, sizeOf(c))
}

// put gives a buffer of get back.
func (b *buffers) put(buf []byte) {
	c := classOf(cap(buf))
	if c >= numClasses || cap(buf) != sizeOf(c) {
		return
	}
	buf = buf[:0]
	b.pools[c].Put(&buf)
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
