package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[ignoredDefaultTeam]{Name: "repository-policy", List: listRepositoryPolicies, Events: inRepository()})

// listRepositoryPolicies lists the policies that hold for the default branch of
// every healthy repository with `__repository`: a policy appears once per
// repository. Without a default branch those of the whole repository or project
// hold.
func listRepositoryPolicies(l *lister, _ ignoredDefaultTeam) stream[Record] {
	if l.c.perRepository.policies {
		return l.perHealthyRepository(wideRecords, l.repositoryPolicies)
	}
	return l.perHealthyProject(widePages, func(ctx context.Context, p *project, of []*repository) iter.Seq2[Record, error] {
		return l.wholeOrEach(ctx, of, l.projectPolicies(ctx, p, of), l.repositoryPolicies)
	})
}

func policyMembers(r *repository) rawjson.Members {
	return rawjson.Members{}.Raw("__repository", r.JSON)
}

// repositoryPolicies asks for the policies of a repository. The service pages only
// when it is asked to; should it do so anyway, the token is followed.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/policy-configurations/get
func (l *lister) repositoryPolicies(ctx context.Context, r *repository) iter.Seq2[Record, error] {
	return records(l, func(ctx context.Context) iter.Seq2[batch, error] {
		return l.batches(ctx, &request{
			Project: r.Project.ID, Route: "_apis/git/policy/configurations",
			Query: []string{"repositoryId", r.ID, "refName", rawjson.Text(r.JSON, "defaultBranch")},
		}, batch{scope: r.inside(), added: policyMembers(r)})
	})(ctx)
}

// projectPolicies finds the same policies in the list of the project, one call
// per thousand. It is the list of the area policy: the one of the area git gives,
// without a repository, only what is defined for the whole project.
//
// https://learn.microsoft.com/rest/api/azure/devops/policy/configurations/list
func (l *lister) projectPolicies(ctx context.Context, p *project, of []*repository) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		found := newPolicyIndex(of)
		rq := &request{Project: p.ID, Route: "_apis/policy/configurations", Query: []string{"$top", listTop}}
		for pg, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				yield(Record{}, fmt.Errorf("list of policies: %w", err))
				return
			}
			if !l.policiesOf(pg, found, yield) {
				return
			}
		}
	}
}

// policiesOf yields what a page says about each repository, and frees it.
func (l *lister) policiesOf(pg *page, found *policyIndex, yield func(Record, error) bool) bool {
	defer pg.Free()
	for obj := range pg.Objects() {
		governed, err := found.governed(obj)
		if err != nil {
			yield(Record{}, fmt.Errorf("policy %s: %w", rawjson.Text(obj, "id"), err))
			return false
		}
		for _, i := range governed {
			r := found.of[i]
			if !yield(l.record(obj, r.inside(), rawjson.Text(obj, "id"), policyMembers(r)), nil) {
				return false
			}
		}
	}
	return true
}

// A policyIndex finds the repositories that a policy is about.
type policyIndex struct {
	of    []*repository
	refs  []string // their default branches in full
	place map[string]int
}

func newPolicyIndex(of []*repository) *policyIndex {
	x := &policyIndex{of: of, place: byID(of)}
	for _, r := range of {
		x.refs = append(x.refs, rawjson.Text(r.JSON, "defaultBranch"))
	}
	return x
}

// governed are the places of the repositories that a policy holds for, in order: all
// without a scope, otherwise those that a scope covers.
func (x *policyIndex) governed(policy []byte) ([]int, error) {
	scopes, err := policyScopes(policy)
	if err != nil {
		return nil, err
	}
	var out []int
	if slices.ContainsFunc(scopes, func(s policyScope) bool { return s.repository == "" }) {
		for i := range x.of {
			if slices.ContainsFunc(scopes, func(s policyScope) bool { return x.covers(s, i) }) {
				out = append(out, i)
			}
		}
		return out, nil
	}
	for _, s := range scopes {
		if i, ok := x.place[s.repository]; ok && x.covers(s, i) {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// covers tells whether a scope is about a repository and its default branch, as the
// service would say. A prefix means whole segments of the path: refs/heads/rel is
// not one of refs/heads/release/1.
func (x *policyIndex) covers(s policyScope, i int) bool {
	ref := x.refs[i]
	switch {
	case s.repository != "" && s.repository != strings.ToLower(x.of[i].ID):
		return false
	case s.match == "defaultbranch":
		return ref != ""
	case s.ref == "":
		return true
	case s.match == "prefix":
		return strings.HasPrefix(ref, strings.TrimSuffix(s.ref, "/")+"/")
	}
	return ref == s.ref
}

// A policyScope is an entry of settings.scope; empty fields mean any.
type policyScope struct {
	repository, ref, match string // repository and match in lower case
}

// policyScopes reads what a policy is about; one that is about everything has a
// single scope without fields. A scope that cannot be understood is an error:
// only the service knows what it covers.
func policyScopes(policy []byte) ([]policyScope, error) {
	list := rawjson.Get(policy, "settings.scope")
	if list.Type == gjson.Null {
		return []policyScope{{}}, nil
	}
	if !list.IsArray() {
		return nil, fmt.Errorf("%w: settings.scope is not a list", ErrMalformed)
	}
	var out []policyScope
	var err error
	list.ForEach(func(_, entry gjson.Result) bool {
		s := policyScope{
			repository: IDOrNone(strings.ToLower(entry.Get("repositoryId").String())), ref: strings.Clone(entry.Get("refName").String()),
			match: strings.ToLower(entry.Get("matchKind").String()),
		}
		if !entry.IsObject() || !slices.Contains([]string{"", "exact", "prefix", "defaultbranch"}, s.match) {
			err = fmt.Errorf("%w: settings.scope is about something unknown", ErrMalformed)
			return false
		}
		out = append(out, s)
		return true
	})
	if err == nil && out == nil {
		out = []policyScope{{}}
	}
	return out, err
}
