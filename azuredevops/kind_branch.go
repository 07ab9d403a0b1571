package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[ignoredDefaultTeam]{
	Name: "branch", List: listBranches, Reads: routeRefs,
	Events: inTrees(),
	Live: live{Prefetch: func(c Change) *request {
		if c.Scope.Repository == "" {
			return nil
		}
		return branchesOf(c.Scope.Project, c.Scope.Repository)
	}},
})

const (
	routeRefs = "_apis/git/repositories/{repositoryId}/refs"

	headsPrefix = "refs/heads/"
	// The service gives 1,000 refs at most.
	refsTop = "1000"
)

// listBranches lists the branches of every healthy repository. A record has only
// `name` without refs/heads/, `refName`, `objectId` and `__repository`. A repository
// whose branches cannot be read is unknown.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/refs/list
func listBranches(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return l.perHealthyRepository(wideRecords, func(ctx context.Context, r *repository) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			added := rawjson.Members{}.Raw("__repository", r.JSON)
			for p, err := range l.refPages(ctx, r) {
				if err != nil {
					yield(Record{}, fmt.Errorf("refs: %w", err))
					return
				}
				if !l.unfoldBranches(p, r, added, yield) {
					return
				}
			}
		}
	})
}

// branchesOf asks for the branches of a repository.
func branchesOf(project, repository string) *request {
	return &request{
		Project: project, Route: routeRefs, Args: []string{repository},
		Query: []string{"filter", "heads/", "$top", refsTop}, ID: "name",
	}
}

// unfoldBranches yields the branches of a page, and frees it.
func (l *lister) unfoldBranches(p *page, r *repository, added rawjson.Members, yield func(Record, error) bool) bool {
	defer p.Free()
	for obj := range p.Objects() {
		ref := rawjson.Text(obj, "name")
		if !strings.HasPrefix(ref, headsPrefix) {
			continue
		}
		branch := rawjson.Members{}.Text("name", strings.ReplaceAll(ref, headsPrefix, "")).
			Text("refName", ref).Raw("objectId", orNull(rawjson.Raw(obj, "objectId")))
		if !yield(l.record(rawjson.With([]byte("{}"), branch), r.inside(), ref, added), nil) {
			return false
		}
	}
	return true
}
