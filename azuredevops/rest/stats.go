package rest

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Stats are counts since the client was made.
type Stats struct {
	Calls   int64 // HTTP requests sent, repeated ones included
	Retries int64 // of them, repetitions
	Failed  int64 // requests that failed for good

	InFlight int // now
	Waiting  int // for a slot or the end of a pause, now
	Limit    int // how many may be in flight now

	Throttled time.Duration // how long Azure DevOps asked for a pause
	Episodes  int64         // periods of throttling
	Paused    time.Duration // what is left of the pause that lasts now

	Routes []RouteCalls // by route
	By     []KindCalls  // by kind and project
}

// RouteCalls counts the requests of a route such as
// "GET _apis/git/repositories/{repositoryId}/items".
type RouteCalls struct {
	Route string
	Calls int64
}

// KindCalls counts the requests that a kind needed for a project. Lists that
// kinds share count for the kind that asked first.
type KindCalls struct {
	Kind    string // empty for what is not a listing
	Project string // id, empty for the organization
	Calls   int64

	// Throttled is how long the requests waited because Azure DevOps asked for a
	// pause, added up: ten that wait a second at the same time make ten.
	Throttled time.Duration
}

type kindProject struct{ kind, project string }

// counters is the writing side of Stats.
type counters struct {
	mu                     sync.Mutex
	calls, retries, failed int64
	routes                 map[string]int64
	by                     map[kindProject]int64
}

// sent counts one attempt.
func (s *counters) sent(c *call, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.routes == nil {
		s.routes, s.by = map[string]int64{}, map[kindProject]int64{}
	}
	s.calls++
	if again {
		s.retries++
	}
	s.routes[c.route]++
	s.by[kindProject{c.kind, c.project}]++
}

func (s *counters) gaveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
}

// into copies the counts, sorted.
func (s *counters) into(out *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Calls, out.Retries, out.Failed = s.calls, s.retries, s.failed
	for r, n := range s.routes {
		out.Routes = append(out.Routes, RouteCalls{r, n})
	}
	for k, n := range s.by {
		out.By = append(out.By, KindCalls{Kind: k.kind, Project: k.project, Calls: n})
	}
	slices.SortFunc(out.Routes, func(a, b RouteCalls) int { return cmp.Compare(a.Route, b.Route) })
	slices.SortFunc(out.By, func(a, b KindCalls) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Project, b.Project))
	})
}
