package gitops

import (
	"context"
	"errors"
	"sync"

	"github.com/ado-port/ado-port/port"
)

// turns let one after the other work on a repository.
type turns struct {
	mu   sync.Mutex
	busy map[repository]chan struct{}
}

// take waits for a turn, which ends with end.
func (t *turns) take(ctx context.Context, at repository) (end func(), err error) {
	for {
		t.mu.Lock()
		other := t.busy[at]
		if other == nil {
			mine := make(chan struct{})
			if t.busy == nil {
				t.busy = map[repository]chan struct{}{}
			}
			t.busy[at] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.busy, at)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// alone waits until no other run notes what a repository declares, or deletes, here or
// in another process: that must not change between the proof that an entity may go and
// its deletion. Then it knows what others have applied.
func (g *Gitops) alone(ctx context.Context) (func(), error) {
	end, err := g.turns.take(ctx, repository{})
	if err != nil || g.memory.store == nil {
		return end, err
	}
	unlock, err := g.memory.store.Lock(ctx, "gitops")
	if err == nil {
		if err = errors.Join(port.CheckFence(ctx), g.memory.refresh(ctx)); err == nil {
			return func() { unlock(); end() }, nil
		}
		unlock()
	}
	end()
	return nil, err
}
