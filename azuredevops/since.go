package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// sinceTolerance is how far an incremental listing looks back before the given time:
// clocks differ, and changes become visible with a delay. Listing something twice
// does no harm.
const sinceTolerance = 5 * time.Minute

// Incremental tells whether a kind can be listed since a time.
func Incremental(kind string) bool { return kinds[kind].incremental }

// sinceOf is what lister.since has to be.
func sinceOf(kind string, opt ListOptions) time.Time {
	if opt.Since.IsZero() || !Incremental(kind) {
		return time.Time{}
	}
	return opt.Since.Add(-sinceTolerance).Truncate(time.Millisecond)
}

// stamp is a time as the service reads it; empty for the zero time.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}

// buildsSince asks for the builds of a project that have changed: those that are not
// finished, and those that have finished since. Each request filters by the time
// that its order names; a filter by the queue alone would miss what was queued
// before and has finished. The unfinished ones come first: what finishes between the
// two answers is in the second. What a finished build still changes, its tags, no
// filter finds.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func buildsSince(p *project, since time.Time) []*request {
	unfinished, finished := *buildsOf(p), *buildsOf(p)
	unfinished.Query = []string{
		"statusFilter", "inProgress,cancelling,postponed,notStarted", "queryOrder", "queueTimeDescending", "$top", buildsTop,
	}
	finished.Query = []string{
		"statusFilter", "completed", "minTime", stamp(since), "queryOrder", "finishTimeDescending", "$top", buildsTop,
	}
	return []*request{&unfinished, &finished}
}

// inTurn streams the pages of several lists of one form.
func (l *lister) inTurn(ctx context.Context, lists []*request, form batch) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		for _, rq := range lists {
			for b, err := range l.batches(ctx, rq, form) {
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}

// A changedPipeline is a pipeline of which some runs have changed.
type changedPipeline struct {
	*parent
	runs map[string]bool
}

// listPipelineRunsSince lists the runs that have changed, as listPipelineRuns has
// them: one call for each pipeline that has such runs. Runs are builds, whose list
// knows when they were queued and finished. Analytics would know finished ones only,
// later, and for those who may read it.
func listPipelineRunsSince(l *lister) stream[Record] {
	pipelines := each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[changedPipeline, error] {
		return within(p.scope, l.changedPipelines(ctx, p))
	})
	return records(l, each(widePages, pipelines, func(ctx context.Context, p changedPipeline) iter.Seq2[batch, error] {
		return within(p.scope(), l.runs(ctx, p.parent, func(run []byte) bool { return p.runs[rawjson.Text(run, "id")] }))
	}))
}

func (l *lister) changedPipelines(ctx context.Context, p *project) iter.Seq2[changedPipeline, error] {
	return func(yield func(changedPipeline, error) bool) {
		changed := map[string]map[string]bool{} // runs by pipeline
		for b, err := range l.inTurn(ctx, buildsSince(p, l.since), batch{}) {
			if err != nil {
				yield(changedPipeline{}, fmt.Errorf("list of builds: %w", err))
				return
			}
			for obj := range rawjson.Objects(b.page.Body, "value") {
				of := strings.Clone(rawjson.Get(obj, "definition.id").String()) // it may be a part of the page
				if changed[of] == nil {
					changed[of] = map[string]bool{}
				}
				changed[of][rawjson.Text(obj, "id")] = true
			}
			b.page.Free()
		}
		if len(changed) == 0 {
			return
		}
		for pg, err := range l.pages(ctx, pipelinesOf(p), "value") {
			if err != nil {
				yield(changedPipeline{}, err)
				return
			}
			// Not freed: those who work on the pipelines hold parts of the page.
			for obj := range rawjson.Objects(pg.Body, "value") {
				id := rawjson.Text(obj, "id")
				if runs := changed[id]; runs != nil && !yield(changedPipeline{&parent{ID: id, Project: p, JSON: obj}, runs}, nil) {
					return
				}
			}
		}
	}
}

// deploymentsSince asks for the deployments of classic releases in a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/deployments/list
func deploymentsSince(p *project, since time.Time) *request {
	return &request{
		Host: rest.VSRM, Project: p.ID, Route: "_apis/release/deployments", Query: []string{"$top", listTop, "minModifiedTime", stamp(since)},
	}
}

// releasesSince lists the releases that were created, modified or deployed. The
// service can filter by creation time only, so all are requested; that a deployment
// changes a release shows in the list of deployments.
func (l *lister) releasesSince(ctx context.Context, p *project, sel releaseSelector) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		deployed := map[string]bool{}
		for pg, err := range l.pages(ctx, deploymentsSince(p, l.since), "value") {
			if err != nil {
				yield(batch{}, fmt.Errorf("list of deployments: %w", err))
				return
			}
			for obj := range rawjson.Objects(pg.Body, "value") {
				deployed[strings.Clone(rawjson.Get(obj, "release.id").String())] = true // as above
			}
			pg.Free()
		}
		changed := func(release []byte) bool {
			at, ok := timestamp(rawjson.Text(release, "modifiedOn"))
			return !ok || !at.Before(l.since) || deployed[rawjson.Text(release, "id")]
		}
		l.batches(ctx, sel.request(p), batch{scope: p.scope, keep: changed})(yield)
	}
}

const (
	testRunWindow    = 7 * 24 * time.Hour // the service takes no longer one
	testRunWindowTop = 100                // nor gives more of one at once
)

// testRunsSince streams the pages of test runs that were updated, window by window.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/query
func (l *lister) testRunsSince(ctx context.Context, rq *request) iter.Seq2[*page, error] {
	return func(yield func(*page, error) bool) {
		end := time.Now().Add(sinceTolerance)
		for from := l.since; from.Before(end); from = from.Add(testRunWindow) {
			to := from.Add(testRunWindow)
			if to.After(end) {
				to = end
			}
			window := rq.With("minLastUpdatedDate", stamp(from), "maxLastUpdatedDate", stamp(to), "$top", strconv.Itoa(testRunWindowTop))
			for pg, err := range l.windowPages(ctx, window) {
				if !yield(pg, err) || err != nil {
					return
				}
			}
		}
	}
}

// windowPages follows continuation tokens, which the documentation names. Where a
// full page comes without one, what is behind it is asked for as in the list of all
// runs: a service that does not know $skip begins again, and that is the end.
func (l *lister) windowPages(ctx context.Context, rq *request) iter.Seq2[*page, error] {
	return func(yield func(*page, error) bool) {
		var guard rest.Guard
		seen := map[string]bool{}
		next := rq
		for n := 1; ; n++ {
			pg, err := l.page(ctx, next, "value", n, &rest.Guard{})
			if err != nil {
				yield(nil, err)
				return
			}
			got, before := 0, len(seen)
			for obj := range rawjson.Objects(pg.Body, "value") {
				got++
				seen[rawjson.Text(obj, "id")] = true
			}
			token := pg.Next()
			if len(seen) == before {
				pg.Free()
			} else if !yield(pg, nil) {
				return
			}
			switch {
			case token != "" && !guard.Token(token):
				yield(nil, fmt.Errorf("%s, page %d: %w: the continuation token repeats", rq.Route, n, ErrMalformed))
				return
			case token != "":
				next = rq.With("continuationToken", token)
			case got < testRunWindowTop || len(seen) == before:
				return
			default:
				next = rq.With("$skip", strconv.Itoa(len(seen)))
			}
		}
	}
}
