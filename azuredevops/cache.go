package azuredevops

import (
	"context"
	"sync"
)

// A cache keeps what was fetched within a bound; what had to go, the oldest first,
// is fetched again when needed. Like a memo, it fetches a key once at a time, and
// remembers failures.
type cache[K comparable, T any] struct {
	most int // bytes
	size func(T) int
	// lists are gone through from the beginning to the end: then what comes after
	// the bound goes, because the oldest would be missed first.
	lists bool

	mu   sync.Mutex
	m    map[K]*memo[T]
	old  []cached[K]
	used int
}

type cached[K comparable] struct {
	key  K
	size int
}

// cacheEntry is about what a key and its bookkeeping take.
const cacheEntry = 256

func (c *cache[K, T]) get(ctx context.Context, key K, fetch func(context.Context) (T, error)) (T, error) {
	c.mu.Lock()
	if c.m == nil {
		c.m = map[K]*memo[T]{}
	}
	e := c.m[key]
	if e == nil {
		e = newMemo[T]()
		c.m[key] = e
	}
	c.mu.Unlock()
	return e.get(ctx, func(ctx context.Context) (T, error) {
		v, err := fetch(ctx)
		if err == nil || ctx.Err() == nil {
			c.keep(key, cacheEntry+c.size(v))
		}
		return v, err
	})
}

// keep accounts for a new value and drops old ones.
func (c *cache[K, T]) keep(key K, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists && c.used+size > c.most {
		delete(c.m, key)
		return
	}
	c.old = append(c.old, cached[K]{key, size})
	c.used += size
	for c.used > c.most && len(c.old) > 0 {
		delete(c.m, c.old[0].key)
		c.used -= c.old[0].size
		c.old = c.old[1:]
	}
}
