package gitops

import (
	"context"
	"sync"
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

// alone waits until no other run notes what a repository declares, or deletes: that
// must not change between the proof that an entity may go and its deletion.
func (g *Gitops) alone(ctx context.Context) (end func(), err error) {
	return g.turns.take(ctx, repository{})
}
