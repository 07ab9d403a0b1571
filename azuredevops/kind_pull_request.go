package azuredevops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[pullRequestSelector]{
	Name: "pull-request", List: listPullRequests, Within: withinPullRequest,
	Events: inRepository("git.pullrequest.created", "git.pullrequest.updated", "git.pullrequest.merged"),
	Live:   live{OldRepository: func(c Change) bool { return c.Scope.ID != "" }},
})

type pullRequestSelector struct {
	MinTimeInDays int `json:"minTimeInDays" default:"7" min:"1"`
	MaxResults    int `json:"maxResults" default:"100" min:"1"`
}

const (
	widePulls = 4 // projects at a time: a page of pull requests takes 3 MB
	// No pull request of Azure DevOps is older; times far in the past are refused.
	mostDays = 36500
)

// A pullQuery asks for the pull requests of one status; most counts per
// repository, 0 means all.
type pullQuery struct {
	status string
	since  string // of their end; empty for those that have none
	most   int
}

func (s pullRequestSelector) queries(now time.Time) []pullQuery {
	since := now.UTC().AddDate(0, 0, -min(s.MinTimeInDays, mostDays)).Format("2006-01-02T15:04:05.000000Z")
	return []pullQuery{
		{status: "active"},
		{status: "abandoned", since: since, most: s.MaxResults},
		{status: "completed", since: since, most: s.MaxResults},
	}
}

// listPullRequests lists the pull requests of every healthy repository: the active
// ones, and of the abandoned and of the completed ones those that ended lately,
// MaxResults of each. They are as the lists have them, the description cut at 400
// characters.
func listPullRequests(l *lister, sel pullRequestSelector) stream[Record] {
	queries := sel.queries(l.now)
	if l.c.perRepository.pullRequests {
		return l.perHealthyRepository(2*widePages, func(ctx context.Context, r *repository) iter.Seq2[Record, error] {
			return func(yield func(Record, error) bool) {
				for _, q := range queries {
					for rec, err := range l.repositoryPulls(ctx, r, q) {
						if !yield(rec, err) {
							return
						}
					}
				}
			}
		})
	}
	return l.perHealthyProject(widePulls, func(ctx context.Context, p *project, of []*repository) iter.Seq2[Record, error] {
		return l.pullsIn(ctx, p, of, queries)
	})
}

// pullsIn lists the pull requests of a project. Its own lists leave out, without a
// word, repositories that the identity may not read. So the repositories have to be
// in their list still when everything has been read; one that is not is unknown.
func (l *lister) pullsIn(ctx context.Context, p *project, of []*repository, queries []pullQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, q := range queries {
			whole := l.activePulls(ctx, p, of, q)
			if q.most > 0 {
				whole = l.closedPulls(ctx, p, of, q)
			}
			for rec, err := range l.wholeOrEach(ctx, of, whole, l.eachPulls(q)) {
				if !yield(rec, err) {
					return
				}
			}
		}
		if len(of) > 1 {
			l.stillThere(ctx, p, of, func(err error) bool { return yield(Record{}, err) })
		}
	}
}

// stillThere yields an error for every repository that its project does not list
// as healthy any more.
func (l *lister) stillThere(ctx context.Context, p *project, of []*repository, yield func(error) bool) {
	b, err := l.fetchRepositories(ctx, p)
	if err == nil {
		var now []byte
		if now, err = b.unpack(); err == nil {
			left := byID(healthyIn(p, now))
			for _, r := range of {
				if _, ok := left[strings.ToLower(r.ID)]; !ok && !yield(unknown(r.inside(), errLeft)) {
					return
				}
			}
			return
		}
	}
	yield(fmt.Errorf("list of repositories, again: %w", err))
}

var errLeft = errors.New("the repository left the list of repositories while its pull requests were listed")

// repositoryPulls asks a repository.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests/get-pull-requests
func (l *lister) repositoryPulls(ctx context.Context, r *repository, q pullQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		rq := &request{Project: r.Project.ID, Route: "_apis/git/repositories/{repositoryId}/pullrequests", Args: []string{r.ID}, Query: q.query()}
		for pulls, err := range l.pullPages(ctx, rq, q.most, false) {
			if err != nil {
				yield(Record{}, fmt.Errorf("%s pull requests: %w", q.status, err))
				return
			}
			for _, obj := range pulls.fresh {
				if !yield(l.pullRecord(obj, r), nil) {
					return
				}
			}
			pulls.page.Free()
		}
	}
}

// activePulls finds the pull requests of all repositories in the list of the
// project. Where that turns out to have gaps, the repositories are asked for the
// rest.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests/get-pull-requests-by-project
func (l *lister) activePulls(ctx context.Context, p *project, of []*repository, q pullQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		place, given := byID(of), map[string]bool{}
		for pulls, err := range l.pullPages(ctx, q.of(p), 0, true) {
			if errors.Is(err, errGaps) {
				for rec, err := range l.inEach(ctx, of, l.eachPulls(q)) {
					if !given[rec.Scope.ID] && !yield(rec, err) {
						return
					}
				}
				return
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("%s pull requests: %w", q.status, err))
				return
			}
			for _, obj := range pulls.fresh {
				i, ok := place[pullRepository(obj)]
				if !ok {
					continue
				}
				rec := l.pullRecord(obj, of[i])
				given[strings.Clone(rec.Scope.ID)] = true // it may be a part of the page
				if !yield(rec, nil) {
					return
				}
			}
			pulls.page.Free()
		}
	}
}

// eachPulls is repositoryPulls for a query.
func (l *lister) eachPulls(q pullQuery) func(context.Context, *repository) iter.Seq2[Record, error] {
	return func(ctx context.Context, r *repository) iter.Seq2[Record, error] { return l.repositoryPulls(ctx, r, q) }
}

const (
	// What the list of a project may bring before asking each repository is
	// cheaper: as it is kept, packed, until it is known to be all.
	mostClosed = 4 * pullsTop
	// It may bring a quarter of what the repositories would.
	closedShare = 4
)

var errCrowded = errors.New("more pull requests than it is worth to read")

// closedPulls is activePulls for those that are bounded per repository. Which
// ones a repository gives when it has more than it is asked for is for the service
// to say: that repository is asked itself. So nothing depends on the order of the
// project's list.
func (l *lister) closedPulls(ctx context.Context, p *project, of []*repository, q pullQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		place, count := byID(of), make([]int, len(of))
		bound := min(mostClosed, max(pullsTop, len(of)*min(q.most, mostClosed)/closedShare))
		var kept []*packed
		read := 0
		for pulls, err := range l.pullPages(ctx, q.of(p), 0, true) {
			if err == nil && read >= bound {
				pulls.page.Free()
				err = errCrowded
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("%s pull requests: %w", q.status, err))
				return
			}
			read += len(pulls.fresh)
			var array []byte
			for _, obj := range pulls.fresh {
				if i, ok := place[pullRepository(obj)]; ok {
					if count[i]++; count[i] <= q.most {
						array = appendElement(array, obj)
					}
				}
			}
			pulls.page.Free()
			kept = append(kept, pack(closeArray(array), packSmallAbove))
		}
		l.countedPulls(ctx, of, q, kept, count)(yield)
	}
}

// countedPulls yields what was kept of repositories that have no more than they
// are asked for, and asks the others.
func (l *lister) countedPulls(ctx context.Context, of []*repository, q pullQuery, kept []*packed, count []int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		place := byID(of)
		for _, array := range kept {
			b, err := array.unpack()
			if err != nil {
				yield(Record{}, err)
				return
			}
			for obj := range rawjson.Elements(b) {
				if i := place[pullRepository(obj)]; count[i] <= q.most && !yield(l.pullRecord(obj, of[i]), nil) {
					return
				}
			}
		}
		var more []*repository
		for i, r := range of {
			if count[i] > q.most {
				more = append(more, r)
			}
		}
		l.inEach(ctx, more, l.eachPulls(q))(yield)
	}
}

func (l *lister) pullRecord(obj []byte, r *repository) Record {
	return l.record(obj, r.inside(), rawjson.Text(obj, "pullRequestId"), rawjson.Members{})
}

// pullRepository is the id of the repository of a pull request in lower case.
func pullRepository(obj []byte) string {
	return strings.ToLower(rawjson.Get(obj, "repository.id").String())
}

// of asks the list of a project.
func (q pullQuery) of(p *project) *request {
	return &request{Project: p.ID, Route: "_apis/git/pullrequests", Query: q.query()}
}

func (q pullQuery) query() []string {
	out := []string{"searchCriteria.status", q.status}
	if q.since != "" {
		out = append(out, "searchCriteria.queryTimeRangeType", "closed", "searchCriteria.minTime", q.since)
	}
	return out
}

const (
	pullID   = "pullRequestId"
	pullsTop = 1000 // the service gives no more
	// pullsShort is what the service gives when it is not told how many: it never
	// cuts the page of a repository shorter.
	pullsShort = 101
	// pages overlap by that many, see pullPages.
	pullsOverlap = 20
)

// pulls are a page, and the pull requests in it that earlier pages did not have.
type pulls struct {
	page  *page
	fresh [][]byte
}

var (
	errMoved = errors.New("the list moved on while it was read")
	errGaps  = errors.New("a page was shorter than asked for, and not the last one")
)

// pullPages follows $skip to the end or until most pull requests have arrived; 0
// means all. Pull requests that are closed while the list is read move the rest
// forward. Therefore each page begins with the end of the one before: if nothing of
// that is in it, some may have been missed, and the rest is unknown.
//
// A repository's list ends with a page that is shorter than the service would make
// it. From that of a whole project the service takes what the identity may not see
// after it has cut a page, so that only an empty page behind a short one is the end.
// If there is more, nobody can tell how far to skip: that is errGaps.
func (l *lister) pullPages(ctx context.Context, rq *request, most int, whole bool) iter.Seq2[pulls, error] {
	return chained(l, true, func(ctx context.Context) iter.Seq2[pulls, error] { return l.askPullPages(ctx, rq, most, whole) })(ctx)
}

func (l *lister) askPullPages(ctx context.Context, rq *request, most int, whole bool) iter.Seq2[pulls, error] {
	return func(yield func(pulls, error) bool) {
		var guard rest.Guard
		seen := map[string]bool{}
		skip, short := 0, false
		for n := 1; ; n++ {
			top := pullsTop
			if most > 0 {
				top = min(top, most-skip)
			}
			next := rq.With("$top", strconv.Itoa(top), "$skip", strconv.Itoa(skip))
			next.ID = pullID
			p, err := l.page(ctx, next, "value", n, &guard)
			if err != nil {
				yield(pulls{}, err)
				return
			}
			got, all := freshPulls(p, seen, most)
			switch {
			case short && all > 0:
				err = errGaps
			case !short && n > 1 && len(got.fresh) == all:
				err = fmt.Errorf("%w: %w", ErrMalformed, errMoved)
			}
			if err != nil {
				p.Free()
				yield(pulls{}, fmt.Errorf("page %d: %w", n, err))
				return
			}
			if len(got.fresh) == 0 {
				p.Free()
				return
			}
			last := !whole && all < min(top, pullsShort) || most > 0 && len(seen) >= most
			if !yield(got, nil) || last {
				return
			}
			skip += all
			if short = whole && all < top; !short {
				skip = max(0, skip-pullsOverlap)
			}
		}
	}
}

// freshPulls reads a page; at most most pull requests count. all is how many
// entries there are.
func freshPulls(p *page, seen map[string]bool, most int) (got pulls, all int) {
	got.page = p
	for obj := range p.Objects() {
		all++
		id := rawjson.Text(obj, "pullRequestId")
		if seen[id] || most > 0 && len(seen) >= most {
			continue
		}
		seen[id] = true
		got.fresh = append(got.fresh, obj)
	}
	return got, all
}

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
		obj, err := l.object(ctx, &request{Project: at.project.ID, Route: "_apis/git/pullrequests/{pullRequestId}", Args: []string{at.Scope.ID}, ID: pullID, Is: at.Scope.ID})
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
			ID: pullID, Is: at.Scope.ID,
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
	p, err := l.list(ctx, &request{
		Project: r.Project.ID, Route: "_apis/git/repositories/{repositoryId}/pullrequests", Args: []string{r.ID},
		Query: []string{
			"searchCriteria.status", "all", "searchCriteria.sourceRefName", source, "searchCriteria.targetRefName", target, "$top", "100",
		}, ID: pullID,
	}, "value")
	if err != nil {
		return nil, fmt.Errorf("pull requests of %s: %w", source, listed(err))
	}
	defer p.Free()
	for obj := range p.Objects() {
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
	for _, q := range sel.queries(l.now) {
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
