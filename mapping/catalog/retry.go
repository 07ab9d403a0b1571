package catalog

import (
	"context"
	"slices"
)

// A refusedSet keeps entities that Port refused, by blueprint, until everything
// else is written. What does not fit into memory waits on disk.
type refusedSet map[string]*Overflow

// refusedInMem bounds the bytes of one blueprint's refused entities in memory.
const refusedInMem = 256 << 10

func (s refusedSet) add(dir string, l Layer) error {
	if s[l.Blueprint] == nil {
		s[l.Blueprint] = NewOverflow(dir, refusedInMem)
	}
	return s[l.Blueprint].Add(l)
}

func (s refusedSet) len() int {
	n := 0
	for _, o := range s {
		n += o.Len()
	}
	return n
}

// RetryRefused writes the entities that Port refused once more, those that others
// refer to first. Port refuses an entity whose related one does not exist yet,
// unless the mapping lets it make such entities. As long as a round brings some of
// them in, the next one may bring in those that refer to them. It comes after the
// last Flush.
func (s *Session) RetryRefused(ctx context.Context) {
	for n := s.again.len(); n > 0 && ctx.Err() == nil; {
		round := s.again
		s.mu.Lock()
		s.again = refusedSet{}
		s.failed = nil // they are tried again now
		clear(s.refused)
		s.mu.Unlock()
		order := s.dependentsFirst(ctx, sortedKeys(round))
		slices.Reverse(order)
		for _, bp := range order {
			if err := s.retryBlueprint(ctx, round[bp]); err != nil {
				s.mu.Lock()
				s.lost = append(s.lost, err)
				s.mu.Unlock()
			}
		}
		left := s.again.len()
		if left >= n {
			return
		}
		n = left
	}
}

// retryBlueprint writes the refused entities of one blueprint.
func (s *Session) retryBlueprint(ctx context.Context, waiting *Overflow) error {
	w := s.Writer(true)
	err := waiting.Drain(func(l Layer) error {
		l.Source.Count(Refused, -1)
		if !s.admit(ctx, &l, false) {
			return nil
		}
		w.send(ctx, &draft{layers: []Layer{l}})
		return nil
	})
	w.Flush(ctx)
	return err
}
