package azuredevops

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// Settle asks Azure DevOps for the ids that events leave out: the wikis of a
// repository, the repository at an address, a project by its name. The result has
// no change for what is not there; the error is a *ScopeError, or ctx's. It is for
// the changes of mapped kinds only: others would cost calls.
func (s *Snapshot) Settle(ctx context.Context, changes []Change) ([]Change, error) {
	var out []Change
	for _, c := range changes {
		c.Scope.Organization = s.c.Key()
		settled, err := s.settle(ctx, c)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, unknown(c.Scope, fmt.Errorf("%s: %w", c.Kind, err))
		}
		out = append(out, settled...)
	}
	return out, nil
}

func (s *Snapshot) settle(ctx context.Context, c Change) ([]Change, error) {
	l := &lister{Snapshot: s, kind: c.Kind}
	if c.Scope.Project == "" && c.Scope.ProjectName == "" || c.Scope.Project != "" && c.repository == "" {
		return []Change{c}, nil
	}
	p, excluded, err := l.liveProject(ctx, c.Scope.Project, c.Scope.ProjectName)
	if p == nil || err != nil {
		return nil, err
	}
	c.Scope.Project, c.Scope.ProjectName = p.ID, p.Name
	switch {
	case c.repository == "":
		return []Change{c}, nil
	case kinds[c.Kind].live.Settle != nil:
		return kinds[c.Kind].live.Settle(ctx, l, p, c, excluded)
	}
	// A name is found in the list, where there is one of each.
	of := c.repository
	c.repository = ""
	for _, age := range []time.Duration{liveFor, liveAbsent} {
		ids, err := l.c.live.names.young(ctx, strings.ToLower(p.ID+"/"+of), age, func(ctx context.Context) ([]string, error) {
			return l.repositoriesNamed(ctx, p, of)
		})
		if err != nil {
			return nil, err
		}
		if len(ids) > 0 {
			c.Scope.Repository = ids[0]
			return []Change{c}, nil
		}
	}
	return nil, nil
}

// repositoriesNamed are the ids of the repositories of a project that have a name:
// one or none.
func (l *lister) repositoriesNamed(ctx context.Context, p *project, name string) ([]string, error) {
	b, err := l.repositoryList(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list of repositories: %w", err)
	}
	for obj := range rawjson.Objects(b, "value") {
		if strings.EqualFold(rawjson.Text(obj, "name"), name) {
			return []string{rawjson.Text(obj, "id")}, nil
		}
	}
	return nil, nil
}
