package azuredevops

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/tidwall/gjson"
)

var _ = register(row[testRunSelector]{
	Name: "test-run", List: listTestRuns,
	Events: []string{"build.complete"},
})

type testRunSelector struct {
	IncludeResults bool              `json:"includeResults" default:"true"`
	CodeCoverage   *coverageSelector `json:"codeCoverage" strict:"true"`
}

type coverageSelector struct {
	Flags *int `json:"flags"` // 1 modules, 2 functions, 4 block data; nil for a summary
}

const (
	testRunTop = 1000
	// The service gives 1,000 results at most (azure-devops-rest.md 2.4).
	testResultTop = 1000
	// Results come with the whole record: a run of 1,000 takes 2 MB.
	wideTestRuns = 8
)

// listTestRuns lists the test runs of every project with `__testResults`, all
// results of the run, and `__codeCoverage`, that of its build; what was not asked
// for is an empty array, an empty object (export.md 4.17). A run whose results or
// coverage cannot be read is listed without them, incomplete.
func listTestRuns(l *lister, sel testRunSelector) stream[Record] {
	none := newMembers(2)
	if !sel.IncludeResults {
		none = none.raw("__testResults", []byte("[]"))
	}
	if sel.CodeCoverage == nil {
		none = none.raw("__codeCoverage", []byte("{}"))
	}
	runs := l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.testRuns(ctx, p, none)
	})
	if !sel.IncludeResults && sel.CodeCoverage == nil {
		return runs
	}
	return each(wideTestRuns, runs, one(func(ctx context.Context, run Record) (Record, error) {
		added := newMembers(2)
		if sel.IncludeResults {
			results, err := l.testResults(ctx, run)
			if err == nil {
				added = added.raw("__testResults", results)
			} else {
				run.Missing = append(run.Missing, fmt.Errorf("test results: %w", listed(err)))
			}
		}
		if sel.CodeCoverage != nil {
			coverage, err := l.codeCoverage(ctx, run, sel.CodeCoverage.Flags)
			if err == nil {
				added = added.raw("__codeCoverage", coverage)
			} else {
				run.Missing = append(run.Missing, fmt.Errorf("code coverage: %w", listed(err)))
			}
		}
		run.JSON = object(run.JSON, added)
		return run, nil
	}))
}

// testRuns lists the runs of a project, as details.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/list
func (l *lister) testRuns(ctx context.Context, p *project, added members) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		rq := &request{Project: p, Route: "_apis/test/runs", Query: []string{"includeRunDetails", "true"}, Version: "7.1"}
		for pg, err := range l.skipPages(ctx, rq, "value", testRunTop) {
			if !yield(batch{page: pg, key: "value", id: "id", scope: p.scope, added: added}, err) {
				return
			}
		}
	}
}

// testRunRevision tells versions of a completed test run apart; "" means that the
// run may still change. The results depend on the run's id and revision only.
func testRunRevision(run []byte) string {
	if textAt(run, "state") != "Completed" {
		return ""
	}
	return textAt(run, "revision") + " " + textAt(run, "lastUpdatedDate")
}

// testResults is the array of all results of a run (S9). The run says how many
// there are; without that, or when there seem to be fewer, only an empty page is
// the end.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/results/list
func (l *lister) testResults(ctx context.Context, run Record) ([]byte, error) {
	total, err := strconv.Atoi(textAt(run.JSON, "totalTests"))
	if err != nil {
		total = -1
	}
	rq := &request{
		Project: &project{ID: run.Scope.Project, Name: run.Scope.ProjectName},
		Route:   "_apis/test/runs/{runId}/results", Args: []string{run.Scope.ID},
	}
	out, count := []byte{'['}, 0
	for p, err := range l.skipPages(ctx, rq, "value", testResultTop) {
		if err != nil {
			return nil, err
		}
		before := count
		results, _ := list(p.b, "value")
		for obj := range results {
			if count++; count > 1 {
				out = append(out, ',')
			}
			out = append(out, obj...)
		}
		p.free()
		if total >= 0 && count >= total && count-before < testResultTop {
			break
		}
	}
	return bytes.Clone(append(out, ']')), nil
}

// codeCoverage is the coverage of a run's build as the service describes it:
// {} for a run without a build. Runs of one build share the call.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/code-coverage/get-build-code-coverage
func (l *lister) codeCoverage(ctx context.Context, run Record, flags *int) ([]byte, error) {
	build := gjson.Get(view(run.JSON), "build.id").String()
	if build == "" {
		return []byte("{}"), nil
	}
	rq := &request{
		Project: &project{ID: run.Scope.Project, Name: run.Scope.ProjectName},
		Route:   "_apis/test/codecoverage", Query: []string{"buildId", build}, Version: "7.1", Shared: true,
	}
	if flags != nil {
		rq.Query = append(rq.Query, "flags", strconv.Itoa(*flags))
	}
	return l.object(ctx, rq)
}
