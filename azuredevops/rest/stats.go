package rest

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// KindCalls counts the requests that a kind needed for a project, repeated ones
// included. Lists that kinds share count for the kind that asked first.
type KindCalls struct {
	Kind    string // empty for what is not a listing
	Project string // id, empty for the organization
	Calls   int64
}

// Calls are the counts since New, by kind and project. They are shared with
// Urgent.
func (c *Client) Calls() []KindCalls {
	return c.transport.count.list()
}

// Throttled is how long Azure DevOps has had us pause since New, and for how much
// of that something of each kind waited. It is time that passed: ten requests that
// wait a second together make one.
func (c *Client) Throttled() (all time.Duration, byKind map[string]time.Duration) {
	return c.transport.limit.pauses()
}

type kindProject struct{ kind, project string }

// counters is the writing side of Calls.
type counters struct {
	mu sync.Mutex
	by map[kindProject]int64
}

// sent counts one attempt.
func (s *counters) sent(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[kindProject]int64{}
	}
	s.by[kindProject{c.kind, c.project}]++
}

// list copies the counts, sorted.
func (s *counters) list() (out []KindCalls) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, n := range s.by {
		out = append(out, KindCalls{Kind: k.kind, Project: k.project, Calls: n})
	}
	slices.SortFunc(out, func(a, b KindCalls) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Project, b.Project))
	})
	return out
}
