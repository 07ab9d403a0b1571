package azuredevops

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	// How many parents a listing works on at once. The limiter decides how many
	// requests are in flight; these bound memory: one page each for pages, one
	// record each for records.
	widePages   = 8
	wideChunks  = 6 // of 200 work items: more than a MB each
	wideRecords = 32

	routeProjects     = "_apis/projects"
	routeTags         = "_apis/projects/{projectId}/properties"
	routeRepositories = "_apis/git/repositories"

	projectTop = "1000" // an organization has at most 1,000 projects
	skipTop    = 1000   // no list that is paged by $skip gives more at once
)

// A Snapshot is what the listings of one resync share: lists of parents, fetched
// when first needed and then kept as bytes, and the budget of retries. A failed
// list stays failed. It is safe for concurrent use, and ends with the resync.
type Snapshot struct {
	c      *Client
	budget *rest.Budget

	projects     *memo[*projectList]
	details      cache[string, []byte]
	repositories cache[string, *packed]
	shared       *cache[string, *sharedPage] // by address
	caches       *fileCaches
	work         *workParents
	groups       *memo[*groupList]

	reads *routeSet                   // what the resync reads in any case
	refs  *cache[string, refList]     // of repositories, by id
	seen  *cache[string, *buildsSeen] // by project

	reading Reading
	left    *atomic.Int64              // requests that may still be sent; nil is without bound
	at      *part                      // what is listed; nil means everything
	current cache[string, *repository] // what live events have read, by id
}

// Snapshot begins a resync.
func (c *Client) Snapshot() *Snapshot { return c.SnapshotOf(Reading{}) }

// SnapshotOf begins a resync that uses stored answers.
func (c *Client) SnapshotOf(reading Reading) *Snapshot {
	projects := newMemo[*projectList]()
	if c.asked != nil && !reading.use() {
		if m := c.asked.Load(); m != nil && time.Since(m.since) < askedFor {
			projects = m
		}
	}
	return &Snapshot{
		c: c, reading: reading, budget: &rest.Budget{}, projects: projects, caches: newFileCaches(), shared: newSharedPages(),
		work: newWorkParents(), groups: newMemo[*groupList](), reads: &routeSet{}, refs: newRefLists(), seen: &cache[string, *buildsSeen]{},
	}
}

// A lister is one listing under way: a snapshot, seen by a kind.
type lister struct {
	*Snapshot
	kind  string
	files []string  // of ListOptions
	own   []want    // of the kind
	all   []want    // of all kinds of the resync, as far as known
	since time.Time // of ListOptions, with some tolerance; zero for everything
	now   time.Time // of ListOptions

	proven int64 // answers that were asked for since then are right: see proof
}

// send makes a request on behalf of the kind.
func (l *lister) send(ctx context.Context, rq *request) (*page, error) {
	if l.left != nil && l.left.Add(-1) < 0 {
		return nil, errEnough
	}
	rq = l.at.narrowed(rq)
	if rq.Shared {
		return l.sendShared(ctx, rq)
	}
	return l.answered(ctx, rq)
}

// object fetches a single object; the result is the caller's.
func (l *lister) object(ctx context.Context, rq *request) ([]byte, error) {
	return rest.Sender(l.send).Object(ctx, rq)
}

// pages streams a list that ends with the absence of a continuation token.
func (l *lister) pages(ctx context.Context, rq *request, key string) iter.Seq2[*page, error] {
	return chained(l, false, func(ctx context.Context) iter.Seq2[*page, error] { return rest.Sender(l.send).Pages(ctx, rq, key) })(ctx)
}

// list fetches a list that has no pages.
func (l *lister) list(ctx context.Context, rq *request, key string) (*page, error) {
	return rest.Sender(l.send).List(ctx, rq, key)
}

// page fetches page n of a list.
func (l *lister) page(ctx context.Context, rq *request, key string, n int, guard *rest.Guard) (*page, error) {
	return rest.Sender(l.send).Page(ctx, rq, key, n, guard)
}

// skipPages streams a list that is paged by $top and $skip.
func (l *lister) skipPages(ctx context.Context, rq *request) iter.Seq2[*page, error] {
	return l.offsetPages(ctx, rq, "value", "$top", "$skip", skipTop)
}

// offsetPages is skipPages for services that name the parameters differently.
func (l *lister) offsetPages(ctx context.Context, rq *request, key, topName, skipName string, top int) iter.Seq2[*page, error] {
	return chained(l, true, func(ctx context.Context) iter.Seq2[*page, error] {
		return rest.Sender(l.send).OffsetPages(ctx, rq, key, topName, skipName, top)
	})(ctx)
}

// unknown wraps the error of a part of a listing.
func unknown(s Scope, err error) error { return &ScopeError{Scope: s, Err: err} }

// A project is an entry of the list of projects.
type project struct {
	ID, Name string
	JSON     []byte // as listed
	scope    Scope
}

// A projectList is what is known of the projects: those that were listed and do
// not carry an excluded tag, in the order of the list, and in their place the
// errors for those that are unknown.
type projectList struct {
	entries []result[*project]
}

// eachProject streams the projects. A *ScopeError stands for a project whose tags
// could not be read, or, at the end, for the rest of the organization.
func (l *lister) eachProject(ctx context.Context) iter.Seq2[*project, error] {
	return func(yield func(*project, error) bool) {
		list, err := l.projects.get(ctx, l.fetchProjects)
		if err != nil {
			yield(nil, unknown(Scope{Organization: l.c.Key()}, err))
			return
		}
		for _, e := range list.entries {
			if !yield(e.value, e.err) {
				return
			}
		}
	}
}

// fetchProjects lists the projects and leaves out those with an excluded tag.
// Its error is only ever that of ctx.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/projects/list
func (l *lister) fetchProjects(ctx context.Context) (*projectList, error) {
	kept := each(wideRecords, l.listProjects, one(func(ctx context.Context, p *project) (*project, error) {
		out, err := l.excluded(ctx, p)
		if err != nil {
			return nil, unknown(p.scope, fmt.Errorf("project tags: %w", err))
		}
		if out {
			return nil, nil //nolint:nilnil // nothing to list, nothing unknown
		}
		return p, nil
	}))
	out := &projectList{}
	for p, err := range kept(ctx) {
		if p != nil || err != nil {
			out.entries = append(out.entries, result[*project]{p, err})
		}
	}
	return out, ctx.Err()
}

// listProjects streams the list as it is.
func (l *lister) listProjects(ctx context.Context) iter.Seq2[*project, error] {
	return func(yield func(*project, error) bool) {
		org := Scope{Organization: l.c.Key()}
		rq := &request{Route: routeProjects, Query: []string{"includeCapabilities", "true", "$top", projectTop}}
		for p, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				yield(nil, unknown(org, listed(fmt.Errorf("list of projects: %w", err))))
				return
			}
			for obj := range p.Objects() {
				pr := &project{ID: rawjson.Text(obj, "id"), Name: rawjson.Text(obj, "name"), JSON: bytes.Clone(obj), scope: org}
				pr.scope.Project, pr.scope.ProjectName = pr.ID, pr.Name
				if !yield(pr, nil) {
					return
				}
			}
			p.Free()
		}
	}
}

const tagPrefix = "Microsoft.TeamFoundation.Project.Tag."

// excluded tells whether a project carries an excluded tag. The project has just
// been listed, so 404 is no answer.
func (l *lister) excluded(ctx context.Context, p *project) (bool, error) {
	if len(l.c.excluded) == 0 {
		return false, nil
	}
	pg, err := l.list(ctx, &request{
		Route: routeTags, Args: []string{p.ID},
		Query: []string{"keys", tagPrefix + "*"}, Version: "7.1-preview.1", ID: "name",
	}, "value")
	if err != nil {
		return false, listed(err)
	}
	defer pg.Free()
	for t := range pg.Objects() {
		if tag, ok := strings.CutPrefix(rawjson.Text(t, "name"), tagPrefix); ok && slices.Contains(l.c.excluded, tag) {
			return true, nil
		}
	}
	return false, nil
}

// detail is the project on its own, with its default team.
func (l *lister) detail(ctx context.Context, p *project) ([]byte, error) {
	return l.details.get(ctx, p.ID, func(ctx context.Context) ([]byte, error) {
		b, err := l.object(ctx, &request{Route: "_apis/projects/{projectId}", Args: []string{p.ID}, Is: p.ID})
		return b, listed(err)
	})
}

// A repository is an entry of a project's list of repositories.
type repository struct {
	ID       string
	Branch   string // default branch without refs/heads/; empty for an empty repository
	Disabled bool
	Project  *project
	JSON     []byte // as listed; valid while the repository is being worked on
}

// readable tells whether there can be files in the repository. The list itself says
// when there are none.
func (r *repository) readable() bool { return !r.Disabled && r.Branch != "" }

// healthy tells whether what lives in the repository is listed: not while it is
// disabled, or its project is being created or deleted.
func (r *repository) healthy() bool {
	switch rawjson.Get(r.JSON, "project.state").Str {
	case "deleted", "deleting", "new", "createPending":
		return false
	}
	return !r.Disabled
}

// inside is the scope of what is in the repository.
func (r *repository) inside() Scope {
	s := r.Project.scope
	s.Repository = r.ID
	return s
}

// scope is that of the repository as a record.
func (r *repository) scope() Scope {
	s := r.inside()
	s.ID = r.ID
	return s
}

// eachRepository streams the repositories of all projects, disabled ones
// included. A *ScopeError stands for a project.
func (l *lister) eachRepository(ctx context.Context) iter.Seq2[*repository, error] {
	return l.repositoriesOf(l.eachProject)(ctx)
}

// repositoriesOf streams the repositories of projects.
func (l *lister) repositoriesOf(projects stream[*project]) stream[*repository] {
	return each(widePages, projects, func(ctx context.Context, p *project) iter.Seq2[*repository, error] {
		return func(yield func(*repository, error) bool) {
			b, err := l.repositoryList(ctx, p)
			if err != nil {
				yield(nil, unknown(p.scope, fmt.Errorf("list of repositories: %w", err)))
				return
			}
			for obj := range rawjson.Objects(b, "value") {
				if !yield(newRepository(p, obj), nil) {
					return
				}
			}
		}
	})
}

func newRepository(p *project, obj []byte) *repository {
	return &repository{
		ID: rawjson.Text(obj, "id"), Project: p, JSON: obj,
		Branch:   strings.TrimPrefix(rawjson.Text(obj, "defaultBranch"), "refs/heads/"),
		Disabled: rawjson.Text(obj, "isDisabled") == "true",
	}
}

// repositoryList is the answer that lists a project's repositories.
func (l *lister) repositoryList(ctx context.Context, p *project) ([]byte, error) {
	kept, err := l.repositories.get(ctx, p.ID, func(ctx context.Context) (*packed, error) { return l.fetchRepositories(ctx, p) })
	if err != nil {
		return nil, err
	}
	return kept.unpack()
}

// fetchRepositories asks for a project's repositories.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/repositories/list
func (l *lister) fetchRepositories(ctx context.Context, p *project) (*packed, error) {
	var only *packed
	for pg, err := range l.pages(ctx, &request{Project: p.ID, Route: routeRepositories}, "value") {
		switch {
		case err != nil:
			return nil, listed(err)
		case only != nil:
			pg.Free()
			return nil, fmt.Errorf("%w: the list is paged", ErrMalformed)
		}
		only = pack(pg.Body, packAbove)
		pg.Free()
	}
	return only, nil
}
