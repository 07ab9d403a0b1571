package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[buildSelector]{
	Name: "build", List: listBuilds, Incremental: true, Reads: routeBuilds,
	Events: []string{"build.complete", RunStateChanged, stageStateChanged},
	Live:   live{Narrow: idFilter(routeBuilds, "buildIds")},
})

type buildSelector struct {
	EnrichWithFirstCommit bool `json:"enrichWithFirstCommit"`
	DefaultTeam           bool `json:"defaultTeam" ignored:"true"`
}

// listBuilds lists the builds of every project, latest queued first, with
// `__projectId` and `__project`, and with EnrichWithFirstCommit also `__firstCommit`
// where there is one.
func listBuilds(l *lister, sel buildSelector) stream[Record] {
	builds := records(l, each(wideBuilds, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return within(p.scope, l.builds(ctx, p))
	}))
	if !sel.EnrichWithFirstCommit {
		return builds
	}
	commits := &firstCommits{lister: l}
	return each(wideCalls, builds, one(func(ctx context.Context, rec Record) (Record, error) {
		commit, err := commits.of(ctx, &parent{
			ID: rec.Scope.ID, JSON: rec.JSON,
			Project: &project{ID: rec.Scope.Project, Name: rec.Scope.ProjectName},
		})
		switch {
		case err != nil:
			rec.Missing = append(rec.Missing, fmt.Errorf("first commit: %w", listed(err)))
		case commit != nil:
			rec.JSON = rawjson.With(rec.JSON, rawjson.Members{}.Raw("__firstCommit", commit))
		}
		return rec, nil
	}))
}

// builds are those of a project, or those that have changed.
func (l *lister) builds(ctx context.Context, p *project) iter.Seq2[batch, error] {
	form := batch{scope: p.scope, added: buildMembers(p)}
	if l.since.IsZero() {
		return l.batches(ctx, buildsOf(p), form)
	}
	return l.inTurn(ctx, buildsSince(p, l.since), form)
}

// firstCommit is the earliest change of a build with `__sha`, `__timestamp` and
// `__commitCount`, the number of all its changes; without dated changes it is
// the commit that was built. nil means that there is none. settled is false while
// that may still change although the build is finished.
func (l *lister) firstCommit(ctx context.Context, build *parent) (first []byte, settled bool, err error) {
	first, err = l.firstChange(ctx, build)
	if first != nil || err != nil {
		return first, true, err
	}
	return l.builtCommit(ctx, build)
}

// firstChange is the earliest of the changes with a timestamp; one that cannot
// be read counts as late.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/get-build-changes
func (l *lister) firstChange(ctx context.Context, build *parent) ([]byte, error) {
	var first []byte
	var earliest time.Time
	count := 0
	rq := &request{
		Project: build.Project.ID, Route: "_apis/build/builds/{buildId}/changes", Args: []string{build.ID},
		Query: []string{"$top", listTop},
	}
	for p, err := range l.pages(ctx, rq, "value") {
		if err != nil {
			return nil, err
		}
		for obj := range p.Objects() {
			count++
			stamp := rawjson.Text(obj, "timestamp")
			if stamp == "" {
				continue
			}
			at, ok := timestamp(stamp)
			if first == nil || ok && (earliest.IsZero() || at.Before(earliest)) {
				first = rawjson.With(obj, rawjson.Members{}.Raw("__sha", orNull(rawjson.Raw(obj, "id"))).Raw("__timestamp", rawjson.Raw(obj, "timestamp")))
				earliest = at
			}
		}
		p.Free()
	}
	if first == nil {
		return nil, nil
	}
	return rawjson.With(first, rawjson.Members{}.Raw("__commitCount", strconv.AppendInt(nil, int64(count), 10))), nil
}

// builtCommit is the commit that a build says it was made of, if it has a date. Only
// repositories of Azure DevOps itself are asked. If the repository is disabled, the
// absence is not settled: it can be enabled again.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/commits/get
func (l *lister) builtCommit(ctx context.Context, build *parent) (commit []byte, settled bool, err error) {
	sha, repo := rawjson.Text(build.JSON, "sourceVersion"), rawjson.Raw(build.JSON, "repository")
	id := IDOrNone(rawjson.Text(repo, "id"))
	if IDOrNone(sha) == "" || id == "" || rawjson.Text(repo, "type") != "TfsGit" {
		return nil, true, nil
	}
	b, err := l.object(ctx, &request{
		Project: build.Project.ID, Route: "_apis/git/repositories/{repositoryId}/commits/{commitId}", Args: []string{id, sha},
		Version: "7.1", Shared: true, ID: "commitId", Is: sha,
	})
	if errors.Is(err, ErrNotFound) {
		return nil, false, l.repositoryGone(ctx, build.Project, id, err)
	}
	if err != nil {
		return nil, false, err
	}
	date := rawjson.Get(b, "committer.date")
	if date.String() == "" {
		return nil, true, nil
	}
	return rawjson.With(b, rawjson.Members{}.Raw("__sha", rawjson.Raw(b, "commitId")).Raw("__timestamp", []byte(date.Raw)).Raw("__commitCount", []byte("1"))), true, nil
}

// repositoryGone is nil when the list of repositories says that the repository
// is not there any more, or disabled: builds outlive them. Otherwise it is err.
func (l *lister) repositoryGone(ctx context.Context, p *project, id string, err error) error {
	b, listErr := l.repositoryList(ctx, p)
	if listErr != nil {
		return err
	}
	for obj := range rawjson.Objects(b, "value") {
		if strings.EqualFold(rawjson.Text(obj, "id"), id) && rawjson.Text(obj, "isDisabled") != "true" {
			return err
		}
	}
	return nil
}

// timestamp reads a time of the service; without a zone it is UTC.
func timestamp(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func orNull(raw []byte) []byte {
	if raw == nil {
		return []byte("null")
	}
	return raw
}
