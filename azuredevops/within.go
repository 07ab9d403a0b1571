package azuredevops

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// Within lists the part of one organization that scope names, for live events: the
// same records as Records would yield there, with the same keys and scopes, by as
// few calls as it takes. It yields on the caller's goroutine. Scope needs a Project
// for kinds that live in one; its Organization and ProjectName do not matter.
//
// What is not yielded no longer exists, unless there was an error or opt.Change is
// Partial. A part that a resync would leave out is empty: a project that no list
// shows or that carries an excluded tag, a disabled repository, a record outside the
// selector. An error is a *ScopeError: something in scope is unknown. A record that
// is asked for by its id and not found is looked up in its list, so that only a
// complete list makes it absent. After ctx is done the last error is ctx's.
func (l *Listing) Within(ctx context.Context, s *Snapshot, scope Scope, opt ListOptions) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		scope.Organization = s.c.Key()
		opt.Change.Kind, opt.Change.Scope = l.Kind, scope
		at := &part{Change: opt.Change, live: kinds[l.Kind].live}
		defer s.prefetch(ctx, at)()
		n, err := s.narrow(ctx, at)
		switch {
		case ctx.Err() != nil:
			yield(Record{}, ctx.Err())
			return
		case err != nil:
			yield(Record{}, unknown(scope, err))
			return
		case n == nil:
			return
		}
		part := *l
		if l.within != nil && n.at.project != nil {
			part.list = func(under *lister) stream[Record] {
				if st := l.within(under, n.at); st != nil {
					return st
				}
				return l.list(under)
			}
		}
		for rec, err := range part.Records(ctx, n, opt) {
			if err == nil && !scope.holds(rec.Scope) || err != nil && !scope.touched(err) {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// live is what live events need to know of a kind beyond what a resync needs. The
// zero value is right for most kinds.
type live struct {
	// OverTags: the kind comes from a list of the organization, whatever the tags of
	// projects.
	OverTags bool
	// NamedOverTags: naming a project in the selector overrules the project's tags.
	NamedOverTags bool
	// OldRepository tells whether the records of a change do not depend on the
	// current state of their repository, so that what was read for an earlier event
	// is good enough.
	OldRepository func(c Change) bool
	// Prefetch is a request that listing a change will need anyway. It is sent at
	// once, while the parents of the records are still being read. nil sends none.
	Prefetch func(c Change) *request
	// Narrow adds a filter to the request for a list. A service that does not know
	// the filter returns more than needed, which does no harm.
	Narrow func(c Change, rq *request) *request
	// Matches tells whether an entry of a list belongs to the change. nil:
	// everything in its scope does.
	Matches func(c Change, obj []byte) bool
	// Settle turns a change that names a repository into changes of the records that
	// are made from it but do not live in it.
	Settle func(ctx context.Context, l *lister, p *project, c Change, excluded bool) ([]Change, error)
}

// A part is what a listing is narrowed to. A nil part is everything.
type part struct {
	Change
	live

	ahead      *request    // under way
	project    *project    // nil for kinds of the organization
	repository *repository // nil unless the scope is in one
}

// narrow returns a snapshot that holds only what the change is about: other projects
// and repositories do not exist in it. nil means that it would be empty. It shares
// the lists of s, and its requests go before those of a resync.
func (s *Snapshot) narrow(ctx context.Context, at *part) (*Snapshot, error) {
	n := s.c.Urgent().Snapshot()
	n.budget, n.shared, n.caches, n.work, n.groups = s.budget, s.shared, s.caches, s.work, s.groups
	n.at = at
	if at.Scope.Project == "" || at.OverTags {
		return n, nil
	}
	l := &lister{Snapshot: s, kind: at.Kind}
	p, excluded, err := l.liveProject(ctx, at.Scope.Project, "")
	switch {
	case err != nil:
		return nil, err
	case excluded && at.NamedOverTags:
		return n, nil
	case p == nil || excluded:
		return nil, nil //nolint:nilnil // nothing to list, nothing unknown
	}
	at.project, at.Scope.ProjectName = p, p.Name
	n.projects.got.Store(&result[*projectList]{value: &projectList{entries: []result[*project]{{value: p}}}})
	if at.Scope.Repository == "" {
		return n, nil
	}
	r, err := l.currentRepository(ctx, p, at)
	if r == nil || err != nil {
		return nil, err
	}
	at.repository = r
	_, err = n.repositories.get(ctx, p.ID, func(context.Context) (*packed, error) {
		return &packed{b: append(append([]byte(`{"value":[`), r.JSON...), "]}"...)}, nil
	})
	return n, err
}

// holds tells whether a record lies in the scope.
func (s Scope) holds(rec Scope) bool {
	same := func(a, b string) bool { return a == "" || strings.EqualFold(a, b) }
	return same(s.Project, rec.Project) && same(s.Repository, rec.Repository) && same(s.ID, rec.ID)
}

// touched tells whether an error leaves something in the scope unknown.
func (s Scope) touched(err error) bool {
	e, ok := errors.AsType[*ScopeError](err)
	if !ok {
		return true
	}
	same := func(a, b string) bool { return a == "" || b == "" || strings.EqualFold(a, b) }
	return same(s.Project, e.Scope.Project) && same(s.Repository, e.Scope.Repository) && same(s.ID, e.Scope.ID)
}

// wants tells whether the entry of a list becomes a record.
func (at *part) wants(of Scope, id string, obj []byte) bool {
	if at == nil {
		return true
	}
	of.ID = id
	return at.Scope.holds(of) && (at.Matches == nil || at.Matches(at.Change, obj))
}

// about makes a live.Matches for records that belong to one build or release: id
// reads its number from the change, path finds it in a record.
func about(path string, id func(c Change) string) func(Change, []byte) bool {
	return func(c Change, obj []byte) bool {
		want := id(c)
		return want == "" || rawjson.Get(obj, path).String() == want
	}
}

// only tells whether the record that has just been listed was the only one.
func (at *part) only(of Scope) bool {
	return at != nil && at.Scope.ID != "" && of.ID == "" && strings.EqualFold(of.Repository, at.Scope.Repository)
}

// below tells whether records below a parent are wanted.
func (at *part) below(parent string) bool {
	return at == nil || at.Scope.ID == "" || at.Scope.ID == parent
}

// onlyBelow tells whether there is no other parent to look for.
func (at *part) onlyBelow(parent string) bool {
	return at != nil && at.Scope.ID != "" && at.Scope.ID == parent
}

// narrowed is the request, restricted to the part.
func (at *part) narrowed(rq *request) *request {
	switch {
	case at == nil:
		return rq
	case at.ahead != nil && rq.Route == at.ahead.Route:
		shared := *rq
		shared.Shared = true
		return &shared
	case at.Narrow != nil:
		return at.Narrow(at.Change, rq)
	}
	return rq
}

// idFilter makes a live.Narrow from the parameter that selects one record in the
// list of a route.
func idFilter(route, parameter string) func(Change, *request) *request {
	return func(c Change, rq *request) *request {
		if rq.Route == route {
			return rq.With(parameter, c.Scope.ID)
		}
		return rq
	}
}

// prefetch sends the request of live.Prefetch. Call the result to wait for the
// answer.
func (s *Snapshot) prefetch(ctx context.Context, at *part) (wait func()) {
	if at.Prefetch != nil && at.Scope.Project != "" && !s.c.live.hides(at.Scope.Project, at.Scope.Repository) {
		at.ahead = at.Prefetch(at.Change)
	}
	if at.ahead == nil {
		return func() {}
	}
	at.ahead.Shared = true
	l := &lister{Snapshot: s, kind: at.Kind}
	answer := ahead(ctx, func(ctx context.Context) (*page, error) { return l.send(ctx, at.ahead) })
	return func() {
		if r := answer(); r.err == nil {
			r.value.Free()
		}
	}
}

// saysAbsent tells whether an error is the service's own word that something does
// not exist: 404 with one of these names of an error. Any other 404 may be about the
// permission, the address or something above it.
func saysAbsent(err error, keys ...string) bool {
	e, ok := errors.AsType[*rest.Error](err)
	return ok && errors.Is(err, ErrNotFound) && slices.Contains(keys, e.TypeKey)
}

// unlessAbsent drops an error that says that something does not exist: its list
// decides.
func unlessAbsent(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
