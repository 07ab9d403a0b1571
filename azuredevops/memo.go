package azuredevops

import (
	"context"
	"sync"
	"sync/atomic"
)

// A memo is something that is fetched once, by whoever asks first; the others
// wait. A failure is remembered like a value. Only a caller that gives up leaves
// nothing behind: the next one tries anew.
type memo[T any] struct {
	got  atomic.Pointer[result[T]]
	turn chan struct{}
}

func newMemo[T any]() *memo[T] { return &memo[T]{turn: make(chan struct{}, 1)} }

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

// memos are memos by key.
type memos[K comparable, T any] struct {
	mu sync.Mutex
	m  map[K]*memo[T]
}

func (m *memos[K, T]) get(ctx context.Context, key K, fetch func(context.Context) (T, error)) (T, error) {
	m.mu.Lock()
	if m.m == nil {
		m.m = map[K]*memo[T]{}
	}
	e := m.m[key]
	if e == nil {
		e = newMemo[T]()
		m.m[key] = e
	}
	m.mu.Unlock()
	return e.get(ctx, fetch)
}
