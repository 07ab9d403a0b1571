package resync

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
)

// A resource is one of the mapping in one resync.
type resource struct {
	*mapping.Resource
	lane  *lane
	turns []*turn // by organization, or one for all

	mu      sync.Mutex
	sources map[azuredevops.Scope]*source // by organization and project
	order   []*source
	unknown []Unknown // what could not be read
	report  mapping.Report
	left    int       // listings that have not ended
	since   time.Time // cursor of an incremental run
	begun   bool
	shown   atomic.Bool // its examples are taken care of
}

// An Unknown is a part of Azure DevOps that a resource could not read, or could
// not map. Nothing in it is deleted.
type Unknown struct {
	Scope azuredevops.Scope
	// Reason is the error in words.
	Reason string
	// Records counts the records of the scope that this is about; 0 means the whole scope.
	Records int
}

// A source is one project (or organization) as one resource sees it: the unit
// of counting.
type source struct {
	of    *resource
	scope azuredevops.Scope // Organization, Project, ProjectName

	mu     sync.Mutex
	counts Counts
}

// Members are those that the resource sets.
func (s *source) Members() []string { return s.of.Keys() }

// Origin is the block of the mapping.
func (s *source) Origin() (kind, resource string) { return s.of.Kind, s.of.Path() }

// Count counts what became of entities.
func (s *source) Count(o catalog.Outcome, n int) {
	var c Counts
	into := map[catalog.Outcome]*int64{
		catalog.Written: &c.Written, catalog.Unchanged: &c.Unchanged, catalog.Merged: &c.Merged, catalog.Refused: &c.Refused, catalog.Kept: &c.Kept,
	}
	*into[o] = int64(n)
	s.add(c)
}

func (s *source) add(c Counts) {
	s.mu.Lock()
	s.counts.Add(c)
	s.mu.Unlock()
}

// counted is what the source has counted so far.
func (s *source) counted() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func newResource(m *mapping.Resource) *resource {
	return &resource{Resource: m, sources: map[azuredevops.Scope]*source{}}
}

// source returns the counting unit of a scope.
func (r *resource) source(s azuredevops.Scope) *source {
	key := azuredevops.Scope{Organization: s.Organization, Project: s.Project}
	r.mu.Lock()
	defer r.mu.Unlock()
	src := r.sources[key]
	if src == nil {
		src = &source{of: r, scope: key}
		src.scope.ProjectName = s.ProjectName
		r.sources[key] = src
		r.order = append(r.order, src)
	}
	return src
}

// maxUnknown bounds the list of unknown records of one resource: beyond it
// all of it counts as unknown.
const maxUnknown = 10_000

// fail notes that a scope is unknown to this resource.
func (r *resource) fail(s azuredevops.Scope, reason string, records int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unknown) < maxUnknown {
		r.unknown = append(r.unknown, Unknown{Scope: s, Reason: reason, Records: records})
		return
	}
	r.unknown[maxUnknown-1] = Unknown{Reason: "more than 10,000 parts could not be read"}
}

// unknowns returns what could not be read so far.
func (r *resource) unknowns() []Unknown {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unknown
}

func (r *resource) all() []*source {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*source(nil), r.order...)
}

// counts is the sum of its sources.
func (r *resource) counts() (sum Counts) {
	for _, src := range r.all() {
		sum.Add(src.counted())
	}
	return sum
}

// begin notes that a listing of the resource has begun; it reports whether this is the first.
func (r *resource) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.begun
	r.begun = true
	return first
}

// ended notes that one of its listings has ended; it reports whether this was the last.
func (r *resource) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	return r.left == 0
}

// state is how far the resource is, in Port's words.
func (r *resource) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.begun:
		return "pending"
	case r.left > 0:
		return "syncing"
	case len(r.unknown) > 0:
		return "failed"
	default:
		return "completed"
	}
}
