package azuredevops

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	// coveredBuilds is how many builds are asked for at once; an address is
	// limited to 2,000 characters in places.
	coveredBuilds = 100
	// The coverage of a build is merged by a job that runs after it.
	coverageSettles = 6 * time.Hour
)

// rememberedCoverage is codeCoverage, without the call for builds that finished a
// while ago and have not changed.
func (l *lister) rememberedCoverage(ctx context.Context, run testRun, flags *int) ([]byte, error) {
	of := memorable{"code coverage 1", run.project(), run.build, run.revision}
	if flags != nil {
		of.id += " " + strconv.Itoa(*flags)
	}
	return l.remember(ctx, of, func(ctx context.Context) ([]byte, bool, error) {
		coverage, err := l.codeCoverage(ctx, run, flags)
		return coverage, true, err
	})
}

// codeCoverage is the coverage of a run's build as the service describes it:
// {} for a run without a build. Runs of one build share the call.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/code-coverage/get-build-code-coverage
func (l *lister) codeCoverage(ctx context.Context, run testRun, flags *int) ([]byte, error) {
	if run.build == "" {
		return []byte("{}"), nil
	}
	rq := &request{
		Project: run.project().ID, Route: "_apis/test/codecoverage", Query: []string{"buildId", run.build}, Version: "7.1", Shared: true,
	}
	if flags != nil {
		rq.Query = append(rq.Query, "flags", strconv.Itoa(*flags))
	}
	b, err := l.object(ctx, rq)
	if err != nil {
		return nil, err
	}
	// A list with flags, a summary without.
	for list, id := range map[string]string{"value": "configuration", "coverageData": "coverageStats"} {
		if rawjson.Raw(b, list) != nil {
			err = errors.Join(err, rest.CheckList(b, list, id))
		}
	}
	return b, err
}

// coveredBuilds finds the revisions of the builds that a page of test runs names,
// because a run does not say whether its build may still receive coverage. That is
// one call for many builds. Without a memory there is no call, and without an answer
// nothing is remembered.
func (l *lister) coveredBuilds(ctx context.Context, p *project, runs *page) map[string]string {
	if l.c.store == nil || l.at != nil {
		return nil
	}
	var ids []string
	seen := map[string]bool{}
	for obj := range runs.Objects() {
		if id := rawjson.Get(obj, "build.id").String(); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, strings.Clone(id))
		}
	}
	if len(ids) < 2 {
		return nil // the call would cost what it saves
	}
	out := make(map[string]string, len(ids))
	for some := range slices.Chunk(ids, coveredBuilds) {
		if err := l.buildRevisions(ctx, p, some, out); err != nil {
			l.c.log.DebugContext(ctx, "code coverage is not remembered", "project", p.ID, "err", err)
			return out
		}
	}
	return out
}

// buildRevisions adds the revisions of builds that were finished a while ago.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func (l *lister) buildRevisions(ctx context.Context, p *project, ids []string, into map[string]string) error {
	rq := &request{Project: p.ID, Route: "_apis/build/builds", Query: []string{"buildIds", strings.Join(ids, ",")}}
	for pg, err := range l.pages(ctx, rq, "value") {
		if err != nil {
			return err
		}
		for obj := range pg.Objects() {
			if at, ok := timestamp(rawjson.Text(obj, "finishTime")); ok && time.Since(at) > coverageSettles {
				into[rawjson.Text(obj, "id")] = buildRevision(obj)
			}
		}
		pg.Free()
	}
	return nil
}
