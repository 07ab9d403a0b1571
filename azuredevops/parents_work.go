package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	// defaultTop is the page size of lists of teams and members when none is
	// requested; the service never returns shorter pages.
	defaultTop = 100

	boardCacheBytes  = 6 << 20
	memberCacheBytes = 6 << 20
)

// workParents are the teams, and what several kinds want of a team. Boards and
// members are bounded: what had to go is fetched again.
type workParents struct {
	teams   *memo[*teamList]
	own     cache[string, *packed] // teams by project
	boards  cache[string, *teamBoards]
	members cache[string, *packed]
}

func newWorkParents() *workParents {
	return &workParents{
		teams:   newMemo[*teamList](),
		boards:  cache[string, *teamBoards]{most: boardCacheBytes, lists: true, size: func(b *teamBoards) int { return b.size() }},
		members: cache[string, *packed]{most: memberCacheBytes, lists: true, size: func(p *packed) int { return p.kept() }},
	}
}

// A team is an entry of a list of teams.
type team struct {
	ID      string
	Project *project // only ID, Name and scope in a list of the organization
	JSON    []byte   // as listed; valid while the team is being worked on
}

// scope is that of everything listed below the team.
func (t *team) scope() Scope {
	s := t.Project.scope
	s.ID = t.ID
	return s
}

// A teamList is the organization's list of teams by project, in the order in
// which the projects appear. With err, what there is may not be all.
type teamList struct {
	order []*project
	of    map[string]*packed // arrays by project
	err   error
}

// teamList is what one list says of the teams of all projects. It silently leaves
// out projects that the identity may not read.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/teams/get-all-teams
func (l *lister) teamList(ctx context.Context) (*teamList, error) {
	return l.work.teams.get(ctx, func(ctx context.Context) (*teamList, error) {
		out := &teamList{of: map[string]*packed{}}
		arrays, seen := map[string][]byte{}, map[string]bool{}
		for p, err := range l.skipPages(ctx, &request{Route: "_apis/teams"}) {
			if err != nil {
				out.err = listed(err)
				break
			}
			for obj := range p.Objects() {
				id, of := rawjson.Text(obj, "id"), rawjson.Text(obj, "projectId")
				if seen[id] {
					continue // the list moved on between two pages
				}
				seen[id] = true
				if _, ok := arrays[of]; !ok {
					s := Scope{Organization: l.c.Key(), Project: of, ProjectName: rawjson.Text(obj, "projectName")}
					out.order = append(out.order, &project{ID: of, Name: s.ProjectName, scope: s})
				}
				arrays[of] = appendElement(arrays[of], obj)
			}
			p.Free()
		}
		for of, b := range arrays {
			out.of[of] = pack(closeArray(b), packSmallAbove)
		}
		return out, ctx.Err()
	})
}

// appendElement adds a value to an array that lacks its closing bracket.
func appendElement(array, value []byte) []byte {
	if len(array) == 0 {
		array = append(array, '[')
	} else {
		array = append(array, ',')
	}
	return append(array, value...)
}

// closeArray ends an array of appendElement.
func closeArray(array []byte) []byte {
	if len(array) == 0 {
		array = append(array, '[')
	}
	return append(array, ']')
}

// eachTeam streams the teams of the organization, whether or not their projects
// carry an excluded tag. Every project has a team: a project that the list leaves
// out is asked by itself, which tells why.
func (l *lister) eachTeam(ctx context.Context) iter.Seq2[*team, error] {
	return func(yield func(*team, error) bool) {
		org := Scope{Organization: l.c.Key()}
		all, err := l.teamList(ctx)
		if err != nil {
			yield(nil, unknown(org, err))
			return
		}
		for _, p := range all.order {
			for t, err := range teamsIn(p, all.of[p.ID]) {
				if !yield(t, err) {
					return
				}
			}
		}
		if all.err != nil {
			yield(nil, unknown(org, fmt.Errorf("list of teams: %w", all.err)))
			return
		}
		for t, err := range l.hiddenTeams(ctx, all) {
			if !yield(t, err) {
				return
			}
		}
	}
}

// hiddenTeams streams the teams of projects that a list leaves out.
func (l *lister) hiddenTeams(ctx context.Context, all *teamList) iter.Seq2[*team, error] {
	hidden := each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[*team, error] {
		if all.of[p.ID] != nil {
			return func(func(*team, error) bool) {}
		}
		return l.teamsOf(ctx, p)
	})
	return func(yield func(*team, error) bool) {
		for t, err := range hidden(ctx) {
			// Tags that cannot be read matter to lists below projects only.
			if se, ok := errors.AsType[*ScopeError](err); ok && se.Scope.Project != "" && all.of[se.Scope.Project] != nil {
				continue
			}
			if !yield(t, err) {
				return
			}
		}
	}
}

// eachProjectTeam streams the teams of the projects. A *ScopeError stands for a
// project.
func (l *lister) eachProjectTeam(ctx context.Context) iter.Seq2[*team, error] {
	return each(widePages, l.eachProject, l.teamsOf)(ctx)
}

// teamsOf lists the teams of a project in the project's own order, which is not
// that of the organization's list: where columns of several boards make one
// entity, the last team's board is the one that it belongs to.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/teams/get-teams
func (l *lister) teamsOf(ctx context.Context, p *project) iter.Seq2[*team, error] {
	return within(p.scope, func(yield func(*team, error) bool) {
		kept, err := l.work.own.get(ctx, p.ID, func(ctx context.Context) (*packed, error) {
			rq := &request{Route: "_apis/projects/{projectId}/teams", Args: []string{p.ID}}
			b, err := l.gather(l.skipPages(ctx, rq), defaultTop)
			return pack(b, packSmallAbove), err
		})
		if err != nil {
			yield(nil, fmt.Errorf("list of teams: %w", err))
			return
		}
		teamsIn(p, kept)(yield)
	})
}

// gather makes one array of the objects of all pages. A page with fewer than enough
// objects is the last one; with 0 only the pages know.
func (l *lister) gather(pages iter.Seq2[*page, error], enough int) ([]byte, error) {
	var out []byte
	for p, err := range pages {
		if err != nil {
			return nil, listed(err)
		}
		n := 0
		for obj := range p.Objects() {
			out = appendElement(out, obj)
			n++
		}
		p.Free()
		if n < enough {
			break
		}
	}
	return closeArray(out), nil
}

// teamsIn reads an array of teams.
func teamsIn(p *project, kept *packed) iter.Seq2[*team, error] {
	return func(yield func(*team, error) bool) {
		b, err := kept.unpack()
		if err != nil {
			yield(nil, unknown(p.scope, err))
			return
		}
		for obj := range rawjson.Elements(b) {
			if !yield(&team{ID: rawjson.Text(obj, "id"), Project: p, JSON: obj}, nil) {
				return
			}
		}
	}
}

// teamMembers is the array of the members of a team. A page that is shorter than
// any limit of the service is the last one; that saves a call per team.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/teams/get-team-members-with-extended-properties
func (l *lister) teamMembers(ctx context.Context, t *team) ([]byte, error) {
	kept, err := l.work.members.get(ctx, t.ID, func(ctx context.Context) (*packed, error) {
		rq := &request{Route: "_apis/projects/{projectId}/teams/{teamId}/members", Args: []string{t.Project.ID, t.ID}, ID: "identity.id"}
		b, err := l.gather(l.skipPages(ctx, rq), defaultTop)
		return pack(b, packSmallAbove), err
	})
	if err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	return kept.unpack()
}
