package azuredevops

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[testRunSelector]{
	Name: "test-run", List: listTestRuns, Incremental: true,
	Events: []string{"build.complete"},
	Live:   live{Narrow: testRunsOfBuild, Matches: about("build.id", func(c Change) string { return c.build })},
})

type testRunSelector struct {
	IncludeResults bool              `json:"includeResults" default:"true"`
	CodeCoverage   *coverageSelector `json:"codeCoverage" strict:"true"`
}

type coverageSelector struct {
	Flags *int `json:"flags"` // 1 modules, 2 functions, 4 block data; nil for a summary
}

const (
	// Results come with the whole record: a run of 1,000 takes 2 MB.
	wideTestRuns = 8

	routeTestRuns = "_apis/test/runs"
)

// testRunsOfBuild makes the list of test runs one of those of a build.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/list
func testRunsOfBuild(c Change, rq *request) *request {
	if rq.Route == routeTestRuns && c.build != "" {
		return rq.With("buildUri", "vstfs:///Build/Build/"+c.build)
	}
	return rq
}

// listTestRuns lists the test runs of every project with `__testResults`, all
// results of the run, and `__codeCoverage`, that of its build; what was not asked
// for is an empty array, an empty object. A run whose results or coverage cannot be
// read is listed without them, incomplete.
func listTestRuns(l *lister, sel testRunSelector) stream[Record] {
	none := rawjson.Members{}
	if !sel.IncludeResults {
		none = none.Raw("__testResults", []byte("[]"))
	}
	if sel.CodeCoverage == nil {
		none = none.Raw("__codeCoverage", []byte("{}"))
	}
	pages := each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[testRunPage, error] {
		return within(p.scope, l.testRuns(ctx, p, none, sel.CodeCoverage != nil))
	})
	runs := func(ctx context.Context) iter.Seq2[testRun, error] { return l.unfoldTestRuns(pages(ctx)) }
	return each(wideTestRuns, runs, one(func(ctx context.Context, run testRun) (Record, error) {
		added := rawjson.Members{}
		if sel.IncludeResults {
			results, err := l.rememberedResults(ctx, run.Record)
			if err == nil {
				added = added.Raw("__testResults", results)
			} else {
				run.Missing = append(run.Missing, fmt.Errorf("test results: %w", listed(err)))
			}
		}
		if sel.CodeCoverage != nil {
			coverage, err := l.rememberedCoverage(ctx, run, sel.CodeCoverage.Flags)
			if err == nil {
				added = added.Raw("__codeCoverage", coverage)
			} else {
				run.Missing = append(run.Missing, fmt.Errorf("code coverage: %w", listed(err)))
			}
		}
		if sel.IncludeResults || sel.CodeCoverage != nil {
			run.JSON = rawjson.With(run.JSON, added)
		}
		return run.Record, nil
	}))
}

// A testRun is a run on its way to become a record.
type testRun struct {
	Record
	build    string // id; empty for a run without one
	revision string // of the build, where that is known
}

// A testRunPage is a page of runs, and the revisions of their builds by id.
type testRunPage struct {
	batch
	builds map[string]string
}

// unfoldTestRuns makes records of pages, one at a time.
func (l *lister) unfoldTestRuns(pages iter.Seq2[testRunPage, error]) iter.Seq2[testRun, error] {
	return func(yield func(testRun, error) bool) {
		for p, err := range pages {
			if err != nil {
				if !yield(testRun{}, err) {
					return
				}
				continue
			}
			more := l.unfold(p.batch, func(rec Record, err error) bool {
				build := rawjson.Get(rec.JSON, "build.id").String()
				return yield(testRun{rec, build, p.builds[build]}, err)
			})
			if !more {
				return
			}
		}
	}
}

// testRuns lists the runs of a project, or those that have changed, as details.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/list
func (l *lister) testRuns(ctx context.Context, p *project, added rawjson.Members, coverage bool) iter.Seq2[testRunPage, error] {
	return func(yield func(testRunPage, error) bool) {
		b := batch{key: "value", id: "id", scope: p.scope, added: added}
		var changed map[string]bool // nil: all
		if !l.since.IsZero() {
			var err error
			if changed, err = l.updatedTestRuns(ctx, p); err != nil {
				yield(testRunPage{}, fmt.Errorf("test runs by date: %w", err))
				return
			}
		}
		if changed != nil {
			b.keep = func(run []byte) bool { return changed[rawjson.Text(run, "id")] }
		}
		if changed != nil && len(changed) == 0 {
			return
		}
		rq := &request{Project: p.ID, Route: routeTestRuns, Query: []string{"includeRunDetails", "true"}, Version: "7.1"}
		found := 0
		for pg, err := range l.skipPages(ctx, rq) {
			out := testRunPage{batch: b}
			if out.page = pg; err == nil {
				n := out.kept()
				if found += n; n == 0 {
					pg.Free()
					continue
				}
				if coverage {
					out.builds = l.coveredBuilds(ctx, p, pg)
				}
			}
			if !yield(out, err) || changed != nil && found >= len(changed) {
				return
			}
		}
	}
}

// kept is how many records the page will become.
func (p *testRunPage) kept() int {
	n := 0
	for obj := range rawjson.Objects(p.page.Body, p.key) {
		if p.keep == nil || p.keep(obj) {
			n++
		}
	}
	return n
}

// testRunRevision tells versions of a completed test run apart; "" means that the
// run may still change. The results depend on the run's id and revision only.
func testRunRevision(run []byte) string {
	if post := rawjson.Text(run, "postProcessState"); rawjson.Text(run, "state") != "Completed" || post != "" && post != "Complete" {
		return ""
	}
	return rawjson.Text(run, "revision") + " " + rawjson.Text(run, "lastUpdatedDate")
}

// rememberedResults is testResults, without the calls where the run has not
// changed at all: results repeat what the run says about itself, and an analysis
// of failures shows in its counts.
func (l *lister) rememberedResults(ctx context.Context, run Record) ([]byte, error) {
	of := memorable{"test results 1", run.project(), run.Scope.ID, testRunRevision(run.JSON)}
	if of.revision != "" {
		of.revision += " " + hexDigest(string(run.JSON))
	}
	return l.remember(ctx, of, func(ctx context.Context) ([]byte, bool, error) {
		results, err := l.testResults(ctx, run)
		return results, true, err
	})
}

// testResults is the array of all results of a run. The run says how many there are;
// without that, or when there seem to be fewer, only an empty page is the end.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/results/list
func (l *lister) testResults(ctx context.Context, run Record) ([]byte, error) {
	total, err := strconv.Atoi(rawjson.Text(run.JSON, "totalTests"))
	if err != nil {
		total = -1
	}
	rq := &request{
		Project: run.project().ID, Route: "_apis/test/runs/{runId}/results", Args: []string{run.Scope.ID},
	}
	out, count := []byte{'['}, 0
	for p, err := range l.skipPages(ctx, rq) {
		if err != nil {
			return nil, err
		}
		before := count
		for obj := range p.Objects() {
			if count++; count > 1 {
				out = append(out, ',')
			}
			out = append(out, obj...)
		}
		p.Free()
		if total >= 0 && count >= total && count-before < skipTop {
			break
		}
	}
	return bytes.Clone(append(out, ']')), nil
}
