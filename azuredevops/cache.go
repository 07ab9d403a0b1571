package azuredevops

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A memo is something that is fetched once, by whoever asks first; the others
// wait. A failure is remembered like a value. Only a caller that gives up leaves
// nothing behind: the next one tries anew.
type memo[T any] struct {
	got   atomic.Pointer[result[T]]
	turn  chan struct{}
	since time.Time
}

func newMemo[T any]() *memo[T] { return &memo[T]{turn: make(chan struct{}, 1), since: time.Now()} }

func (m *memo[T]) get(ctx context.Context, fetch func(context.Context) (T, error)) (T, error) {
	if r := m.got.Load(); r != nil {
		return r.value, r.err
	}
	var zero T
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	defer func() { <-m.turn }()
	if r := m.got.Load(); r != nil {
		return r.value, r.err
	}
	v, err := fetch(ctx)
	if err != nil && ctx.Err() != nil {
		return zero, ctx.Err()
	}
	m.got.Store(&result[T]{v, err})
	return v, err
}

// A cache holds memos by key. With a bound, the oldest are evicted, and fetched
// again when needed. The zero value keeps everything, failures included.
type cache[K comparable, T any] struct {
	most int         // bytes, or, without size, values; 0 is no bound
	size func(T) int // of a value in bytes
	// lists: the keys are always read in the same order, from first to last.
	// Evicting the oldest would then miss every time, so what comes after the bound
	// is not kept instead.
	lists bool
	retry bool // failures are not kept

	mu   sync.Mutex
	m    map[K]*memo[T]
	old  []cached[K, T]
	used int
}

type cached[K comparable, T any] struct {
	key  K
	memo *memo[T]
	size int
}

// cacheEntry is about what a key and its bookkeeping take.
const cacheEntry = 256

// get is the value of a key, fetched once at a time.
func (c *cache[K, T]) get(ctx context.Context, key K, fetch func(context.Context) (T, error)) (T, error) {
	return c.young(ctx, key, math.MaxInt64, fetch)
}

// young is get for a value that is at most age old.
func (c *cache[K, T]) young(ctx context.Context, key K, age time.Duration, fetch func(context.Context) (T, error)) (T, error) {
	c.mu.Lock()
	m := c.m[key]
	if m == nil || time.Since(m.since) > age {
		m = c.set(key, newMemo[T]())
	}
	c.mu.Unlock()
	v, err := m.get(ctx, func(ctx context.Context) (T, error) {
		v, err := fetch(ctx)
		if err == nil || ctx.Err() == nil && !c.retry {
			c.keep(key, m, v)
		}
		return v, err
	})
	if err != nil && c.retry {
		c.mu.Lock()
		c.drop(key, m)
		c.mu.Unlock()
	}
	return v, err
}

// put keeps a value that was read in another way.
func (c *cache[K, T]) put(key K, v T) {
	m := newMemo[T]()
	m.got.Store(&result[T]{value: v})
	c.mu.Lock()
	c.set(key, m)
	c.mu.Unlock()
	c.keep(key, m, v)
}

// bound sets the bound for what is kept from now on.
func (c *cache[K, T]) bound(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = most
}

// halfFull tells whether the values take more than half of the bound. As long as they do
// not, what is read before its time is still there when its turn comes.
func (c *cache[K, T]) halfFull() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 2*c.used > c.most
}

// has tells whether there is a value that is at most age old.
func (c *cache[K, T]) has(key K, age time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.m[key]
	return m != nil && time.Since(m.since) <= age
}

func (c *cache[K, T]) set(key K, m *memo[T]) *memo[T] {
	if c.m == nil {
		c.m = map[K]*memo[T]{}
	}
	c.m[key] = m
	return m
}

// drop forgets a memo, unless another has taken its place.
func (c *cache[K, T]) drop(key K, m *memo[T]) {
	if c.m[key] == m {
		delete(c.m, key)
	}
}

// keep accounts for a new value and drops old ones.
func (c *cache[K, T]) keep(key K, m *memo[T], v T) {
	size := 1
	if c.size != nil {
		size = cacheEntry + c.size(v)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most == 0 {
		return
	}
	if c.lists && c.used+size > c.most {
		c.drop(key, m)
		return
	}
	c.old = append(c.old, cached[K, T]{key, m, size})
	c.used += size
	for c.used > c.most && len(c.old) > 0 {
		c.drop(c.old[0].key, c.old[0].memo)
		c.used -= c.old[0].size
		c.old = c.old[1:]
	}
}
