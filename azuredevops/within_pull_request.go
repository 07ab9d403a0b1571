package azuredevops

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// withinPullRequest finds one pull request in the lists of its repository: by
// itself the service describes it in another way than in a list. The refs that it
// joins, which an event names, make the list short.
func withinPullRequest(l *lister, sel pullRequestSelector, at *part) stream[Record] {
	if at.Scope.ID == "" {
		return nil
	}
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return within(at.Scope, func(yield func(Record, error) bool) {
			rec, known, err := l.onePull(ctx, sel, at)
			switch {
			case err != nil:
				yield(Record{}, err)
			case !known:
				listPullRequests(l, sel)(ctx)(yield)
			case rec.JSON != nil:
				yield(rec, nil)
			}
		})
	}
}

// onePull is the pull request as a resync lists it; without JSON it would not
// list it. known is false when only whole lists can tell.
func (l *lister) onePull(ctx context.Context, sel pullRequestSelector, at *part) (rec Record, known bool, err error) {
	r, source, target := at.repository, at.source, at.target
	if r == nil {
		obj, err := l.object(ctx, &request{Project: at.project.ID, Route: "_apis/git/pullrequests/{pullRequestId}", Args: []string{at.Scope.ID}})
		if err != nil {
			return Record{}, false, unlessAbsent(err)
		}
		r, err = l.liveRepository(ctx, at.project, pullRepository(obj), liveFor)
		if r == nil || err != nil {
			return Record{}, true, err
		}
		source, target = rawjson.Text(obj, "sourceRefName"), rawjson.Text(obj, "targetRefName")
	}
	if !r.healthy() {
		return Record{}, true, nil
	}
	obj, err := l.pullBetween(ctx, r, at.Scope.ID, source, target)
	if err == nil && obj == nil && at.repository != nil { // another branch now, or the event did not tell
		var alone []byte
		alone, err = l.object(ctx, &request{
			Project: r.Project.ID, Route: "_apis/git/repositories/{repositoryId}/pullrequests/{pullRequestId}", Args: []string{r.ID, at.Scope.ID},
		})
		if err != nil {
			return Record{}, false, unlessAbsent(err)
		}
		obj, err = l.pullBetween(ctx, r, at.Scope.ID, rawjson.Text(alone, "sourceRefName"), rawjson.Text(alone, "targetRefName"))
	}
	if obj == nil || err != nil {
		return Record{}, false, err
	}
	return l.chosenPull(ctx, sel, r, obj)
}

// pullBetween looks for a pull request among those of its refs, whatever their
// status; nil when the newest do not have it.
func (l *lister) pullBetween(ctx context.Context, r *repository, id, source, target string) ([]byte, error) {
	if source == "" || target == "" {
		return nil, nil
	}
	p, err := l.send(ctx, &request{
		Project: r.Project.ID, Route: "_apis/git/repositories/{repositoryId}/pullrequests", Args: []string{r.ID},
		Query: []string{
			"searchCriteria.status", "all", "searchCriteria.sourceRefName", source, "searchCriteria.targetRefName", target, "$top", "100",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("pull requests of %s: %w", source, listed(err))
	}
	defer p.Free()
	if rawjson.Array(p.Body, "value") == nil {
		return nil, fmt.Errorf("%w: no list of pull requests", ErrMalformed)
	}
	for obj := range rawjson.Objects(p.Body, "value") {
		if rawjson.Text(obj, "pullRequestId") == id && strings.EqualFold(pullRepository(obj), r.ID) {
			return bytes.Clone(obj), nil
		}
	}
	return nil, nil
}

// chosenPull applies the selector: a pull request that has ended is one of a
// limited number, which only the list of those knows.
func (l *lister) chosenPull(ctx context.Context, sel pullRequestSelector, r *repository, obj []byte) (rec Record, known bool, err error) {
	status := rawjson.Text(obj, "status")
	for _, q := range sel.queries(time.Now()) {
		if q.status != status {
			continue
		}
		if q.since == "" {
			return l.pullRecord(obj, r), true, nil
		}
		if ended, ok := timestamp(rawjson.Text(obj, "closedDate")); ok {
			if since, ok := timestamp(q.since); ok && ended.Before(since) {
				return Record{}, true, nil
			}
		}
		id := rawjson.Text(obj, "pullRequestId")
		for rec, err := range l.repositoryPulls(ctx, r, q) {
			if err != nil || rec.Scope.ID == id {
				return rec, true, listed(err)
			}
		}
		return Record{}, true, nil
	}
	return Record{}, true, nil
}
