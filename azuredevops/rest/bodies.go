package rest

import (
	"context"
	"slices"
	"sync"
)

const (
	// mostBodies bounds the bytes, unpacked, of all answers that are being received.
	mostBodies = 64 << 20
	// smallBody is not counted: as many of them as may be in flight are no burden.
	smallBody = 64 << 10
)

// Bodies bounds the memory that answers take while they are received, for all clients
// that share it. The oldest of them always gets what it asks for, so that one that is
// larger than everything there is can arrive, and none waits for ever. The zero value
// is ready for use.
type Bodies struct {
	mu    sync.Mutex
	used  int
	line  []*body // those that count, oldest first
	freed chan struct{}
}

// A body is an answer that is being received.
type body struct {
	of   *Bodies
	size int
}

// grow waits until there is room for n bytes in all. waits is called before it does,
// and what it returns behind.
func (b *body) grow(ctx context.Context, n int, waits func() (resume func())) error {
	if n <= smallBody {
		return nil
	}
	freed := b.admit(n)
	if freed == nil {
		return nil
	}
	defer waits()()
	for freed != nil {
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		freed = b.admit(n)
	}
	return nil
}

// admit takes room for n bytes. Without room it returns what is closed when there may
// be some.
func (b *body) admit(n int) <-chan struct{} {
	all := b.of
	all.mu.Lock()
	defer all.mu.Unlock()
	if !slices.Contains(all.line, b) {
		all.line = append(all.line, b)
	}
	if more := n - b.size; all.line[0] == b || all.used+more <= mostBodies {
		all.used += more
		b.size = n
		return nil
	}
	if all.freed == nil {
		all.freed = make(chan struct{})
	}
	return all.freed
}

// done gives the room back.
func (b *body) done() {
	all := b.of
	all.mu.Lock()
	defer all.mu.Unlock()
	all.used -= b.size
	b.size = 0
	all.line = slices.DeleteFunc(all.line, func(x *body) bool { return x == b })
	if all.freed != nil {
		close(all.freed)
		all.freed = nil
	}
}
