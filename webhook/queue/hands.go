package queue

import "sync"

const (
	fewestHands = 4
	mostHands   = 2 * batch
)

// hands delete messages at the same time, because each message needs a request of its own.
// There are few at first, and another one whenever all of them have succeeded: each needs a
// connection, and a server that is busy accepts new ones slowly, those of others included.
type hands struct {
	free    chan struct{}
	working sync.WaitGroup

	mu   sync.Mutex
	n    int // there are
	done int // deletions since there was one more
}

func newHands() *hands {
	h := &hands{free: make(chan struct{}, mostHands), n: fewestHands}
	for range h.n {
		h.free <- struct{}{}
	}
	return h
}

// do waits for a free hand and goes on while it works. work tells whether it has succeeded.
func (h *hands) do(work func() (ok bool)) {
	<-h.free
	h.working.Go(func() {
		ok := work()
		h.free <- struct{}{}
		if ok {
			h.grow()
		}
	})
}

func (h *hands) grow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done++; h.done >= h.n && h.n < mostHands {
		h.done = 0
		h.n++
		h.free <- struct{}{}
	}
}

// wait waits until no hand is at work.
func (h *hands) wait() { h.working.Wait() }
