package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// listTop is the page size where a service documents no maximum: what it does not
// return at once comes with the next token. Releases, for example, never come more
// than 100 at a time.
const listTop = "1000"

// pipelinesOf asks for the pipelines of a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/pipelines/list
func pipelinesOf(p *project) *request {
	return &request{Project: p.ID, Route: "_apis/pipelines", Query: []string{"$top", listTop}, Shared: true}
}

// A parent is an entry of a project's list that other lists hang from: a
// pipeline, a build, an environment.
type parent struct {
	ID      string
	Project *project
	JSON    []byte // as listed; read-only, valid while the parent is being worked on
}

// scope is what is unknown when a list below the parent cannot be read.
func (p *parent) scope() Scope {
	s := p.Project.scope
	s.ID = p.ID
	return s
}

// eachOf streams the entries of a list of every project, width lists at a time.
// A *ScopeError stands for a project, or what is left of it.
func (l *lister) eachOf(width int, of func(*project) *request) stream[*parent] {
	return each(width, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[*parent, error] {
		return within(p.scope, func(yield func(*parent, error) bool) {
			for pg, err := range l.pages(ctx, of(p), "value") {
				if err != nil {
					yield(nil, err)
					return
				}
				// Not freed: those who work on the parents hold parts of the page.
				for obj := range pg.Objects() {
					up := &parent{ID: rawjson.Text(obj, "id"), Project: p, JSON: obj}
					if !l.at.below(up.ID) {
						continue
					}
					if !yield(up, nil) || l.at.onlyBelow(up.ID) {
						return
					}
				}
			}
		})
	})
}

// eachBelow lists what hangs from each parent.
func (l *lister) eachBelow(parents stream[*parent], fetch func(ctx context.Context, p *parent) iter.Seq2[batch, error]) stream[Record] {
	return records(l, each(widePages, parents, func(ctx context.Context, p *parent) iter.Seq2[batch, error] {
		return within(p.scope(), fetch(ctx, p))
	}))
}
