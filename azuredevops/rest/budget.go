package rest

import "sync"

const (
	maxRetries = 3 // after about 1, 2 and 4 s
	// after that many requests of a route have failed for good, the rest of the
	// resync gives each a single attempt.
	routeFailures = 5
)

// A Budget bounds the retries of one resync per route, so that a route that
// always fails costs seconds and not hours. A retry that helps is proof that
// retrying is worth it and pays one failure back. A nil budget is without bound.
type Budget struct {
	mu     sync.Mutex
	failed map[string]int
}

// retries is how often a request of the route may be repeated now. Once one has
// failed for good, a single repetition: five requests that fail one after the
// other then take about 7 + 4·1 s.
func (b *Budget) retries(route string) int {
	if b == nil {
		return maxRetries
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch n := b.failed[route]; {
	case n == 0:
		return maxRetries
	case n < routeFailures:
		return 1
	}
	return 0
}

// gaveUp notes a request that failed for good.
func (b *Budget) gaveUp(route string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = map[string]int{}
	}
	b.failed[route]++
}

// helped notes a request that succeeded when repeated.
func (b *Budget) helped(route string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.failed[route]; n > 0 && n < routeFailures {
		b.failed[route]--
	}
}
