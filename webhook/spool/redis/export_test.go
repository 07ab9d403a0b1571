package redis

import "context"

// Move moves what from has, for tests in which that fails.
func (s *Spool) Move(ctx context.Context, from leftovers) {
	(&move{into: s, from: from}).run(ctx)
}
