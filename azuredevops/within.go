package azuredevops

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// Within lists the part of one organization that scope names, for live events: the
// same records as Records would yield there, with the same keys and scopes, by as
// few calls as it takes. It yields on the caller's goroutine. Scope needs a Project
// for kinds that live in one; its Organization and ProjectName do not matter.
//
// What is not yielded is not there any more, unless there was an error, or
// opt.Change is Partial. A part that a resync would leave out is empty: a project
// that no list shows or that carries an excluded tag, a disabled repository, a
// record outside the selector. An error is a *ScopeError: then something in scope
// is unknown. What is asked for by its id and not found is looked for in its list,
// so that only a complete list makes it absent. After ctx is done the last error is
// ctx's.
func (l *Listing) Within(ctx context.Context, s *Snapshot, scope Scope, opt ListOptions) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		scope.Organization = s.c.Organization()
		opt.Change.Kind, opt.Change.Scope = l.Kind, scope
		defer s.prefetch(ctx, opt.Change)()
		n, err := s.narrow(ctx, opt.Change)
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

// A part is what a listing is narrowed to. A nil part is everything.
type part struct {
	Change
	project    *project    // nil for kinds of the organization
	repository *repository // nil unless the scope is in one
}

// narrow is a snapshot in which there is only what a change is about: the other
// projects and repositories do not exist. nil means that there is nothing in it.
// The lists of the snapshot are shared, and requests go before those of a resync.
func (s *Snapshot) narrow(ctx context.Context, c Change) (*Snapshot, error) {
	n := s.c.Urgent().Snapshot()
	n.budget, n.shared, n.caches, n.work, n.groups = s.budget, s.shared, s.caches, s.work, s.groups
	n.at = &part{Change: c}
	if c.Scope.Project == "" || overTags(c.Kind) {
		return n, nil
	}
	l := &lister{Snapshot: s, kind: c.Kind}
	p, excluded, err := l.liveProject(ctx, c.Scope.Project, "")
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, nil //nolint:nilnil // nothing to list, nothing unknown
	case excluded && c.Kind == "folder":
		return n, nil // naming the project overrules tags (S38)
	case excluded:
		return nil, nil //nolint:nilnil // as above
	}
	n.at.project, n.at.Scope.ProjectName = p, p.Name
	n.projects.got.Store(&result[*projectList]{value: &projectList{entries: []result[*project]{{value: p}}}})
	if c.Scope.Repository == "" {
		return n, nil
	}
	r, err := l.currentRepository(ctx, p, c.Scope.Repository, c)
	if r == nil || err != nil {
		return nil, err
	}
	n.at.repository = r
	_, err = n.repositories.get(ctx, p.ID, func(context.Context) (*packed, error) {
		return &packed{b: append(append([]byte(`{"value":[`), r.JSON...), "]}"...)}, nil
	})
	return n, err
}

// overTags are the kinds that a resync lists without regard to the tags of
// projects, from a list of the organization.
func overTags(kind string) bool {
	switch kind {
	case "team", "member", "user", "group", "group-member":
		return true
	}
	return false
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
	if !at.Scope.holds(of) {
		return false
	}
	about := func(path, want string) bool { return want == "" || rawjson.Get(obj, path).String() == want }
	switch at.Kind {
	case "test-run":
		return about("build.id", at.build)
	case "pipeline-deployment":
		return about("owner.id", at.build)
	case "release-deployment":
		return about("release.id", at.release)
	}
	return true
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

// narrow adds to the request for a list what makes the service leave out the rest.
// A service that does not know the filter gives more, which does no harm.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/list
// https://learn.microsoft.com/rest/api/azure/devops/release/releases/list
// https://learn.microsoft.com/rest/api/azure/devops/release/definitions/list
func (at *part) narrow(rq *request) *request {
	if at == nil {
		return rq
	}
	id := at.Scope.ID
	switch {
	case (at.Kind == "build" || at.Kind == "pipeline-stage") && rq.Route == "_apis/build/builds":
		return rq.With("buildIds", id)
	case at.build != "" && rq.Route == "_apis/test/runs":
		return rq.With("buildUri", "vstfs:///Build/Build/"+at.build)
	case rq.Route == "_apis/release/releases":
		return rq.With("releaseIdFilter", id)
	case rq.Route == "_apis/release/definitions":
		return rq.With("definitionIdFilter", id)
	case at.Kind == "branch" && rq.Route == routeRefs, at.Kind == "pipeline-stage" && rq.Route == routeTimeline:
		shared := *rq
		shared.Shared = true // it may be under way: see prefetch
		return &shared
	}
	return rq
}

const (
	routeRefs     = "_apis/git/repositories/{repositoryId}/refs"
	routeTimeline = "_apis/build/builds/{buildId}/timeline"
)

// prefetch asks for what a listing will want to know besides the parents of its
// records, while it asks for those. The result waits for the answer.
func (s *Snapshot) prefetch(ctx context.Context, c Change) (wait func()) {
	p := &project{ID: c.Scope.Project}
	var rq *request
	switch {
	case c.Scope.Project == "":
	case c.Kind == "branch" && c.Scope.Repository != "" && !s.c.live.hidden.has(strings.ToLower(p.ID+"/"+c.Scope.Repository), liveFor):
		rq = &request{Project: p.ID, Route: routeRefs, Args: []string{c.Scope.Repository}, Query: []string{"filter", "heads/", "$top", refsTop}}
	case c.Kind == "pipeline-stage" && c.Scope.ID != "":
		rq = &request{Project: p.ID, Route: routeTimeline, Args: []string{c.Scope.ID}, Empty: true}
	}
	if rq == nil {
		return func() {}
	}
	rq.Shared = true
	l := &lister{Snapshot: s, kind: c.Kind}
	answer := ahead(ctx, func(ctx context.Context) (*page, error) { return l.send(ctx, rq) })
	return func() {
		if r := answer(); r.err == nil {
			r.value.Free()
		}
	}
}
