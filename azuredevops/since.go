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
// before and has finished. Each status is asked for by itself: for several at once
// the service gives its first page again and again. They come in the order in which
// a build goes through them, so that what moves on between two answers is in a later
// one. What a finished build still changes, its tags, no filter finds.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func buildsSince(p *project, since time.Time) []*request {
	var out []*request
	for _, status := range []string{"notStarted", "postponed", "inProgress", "cancelling"} {
		unfinished := *buildsOf(p)
		unfinished.Query = []string{"statusFilter", status, "queryOrder", "queueTimeDescending", "$top", buildsTop}
		out = append(out, &unfinished)
	}
	finished := *buildsOf(p)
	finished.Query = []string{
		"statusFilter", "completed", "minTime", stamp(since), "queryOrder", "finishTimeDescending", "$top", buildsTop,
	}
	return append(out, &finished)
}

// inTurn streams the pages of several lists of one form. What cannot be read comes
// as one error at the end: it does not keep the other lists from being read.
func (l *lister) inTurn(ctx context.Context, lists []*request, form batch) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		var failed error
		for _, rq := range lists {
			for b, err := range l.batches(ctx, rq, form) {
				if err != nil {
					failed = errors.Join(failed, err)
				} else if !yield(b, nil) {
					return
				}
			}
			if ctx.Err() != nil || errors.Is(failed, ErrUnauthorized) {
				break // the others would fare no better
			}
		}
		if failed != nil {
			yield(batch{}, failed)
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
				if !yield(changedPipeline{}, fmt.Errorf("list of builds: %w", err)) {
					return
				}
				break
			}
			for obj := range b.page.Objects() {
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
			for obj := range pg.Objects() {
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
			for obj := range pg.Objects() {
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

// updatedTestRuns are the ids of the test runs that were updated, window by window.
// The query knows fewer details than the list of all runs, so that the list has to
// be read when there are any. nil means all: a page that is full and has no token
// may not be the last one.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/query
func (l *lister) updatedTestRuns(ctx context.Context, p *project) (map[string]bool, error) {
	out := map[string]bool{}
	end := time.Now().Add(sinceTolerance)
	for from := l.since; from.Before(end); from = from.Add(testRunWindow) {
		to := from.Add(testRunWindow)
		if to.After(end) {
			to = end
		}
		rq := &request{Project: p.ID, Route: routeTestRuns, Version: "7.1", Query: []string{
			"minLastUpdatedDate", stamp(from), "maxLastUpdatedDate", stamp(to), "$top", strconv.Itoa(testRunWindowTop),
		}}
		for pg, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				return nil, err
			}
			got := 0
			for obj := range pg.Objects() {
				got++
				out[strings.Clone(rawjson.Text(obj, "id"))] = true // it may be a part of the page
			}
			more := pg.Token != ""
			pg.Free()
			if got >= testRunWindowTop && !more {
				return nil, nil //nolint:nilnil // all of them
			}
		}
	}
	return out, nil
}
