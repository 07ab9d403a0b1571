package azuredevopstest

import (
	"slices"
	"strconv"
	"time"
)

// A TestRun is a run of automated tests of a build.
type TestRun struct {
	ID       int
	Name     string
	Build    *Build // may be nil
	State    string
	Started  time.Time
	Finished time.Time
	Owner    *Person
	Results  []TestResult

	project *Project
}

// A TestResult has the outcome Passed, Failed, NotExecuted, ….
type TestResult struct {
	Title    string
	Outcome  string
	Duration time.Duration
}

// AddTestRun adds a completed run with one result per outcome.
func (p *Project) AddTestRun(name string, b *Build, outcomes ...string) *TestRun {
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &TestRun{ID: w.next("test run"), Name: name, Build: b, State: "Completed", Started: w.now(), Finished: w.now(), Owner: w.someone(), project: p}
	for i, o := range outcomes {
		r.Results = append(r.Results, TestResult{Title: "Test" + strconv.Itoa(i+1), Outcome: o, Duration: time.Duration(i+1) * time.Millisecond})
	}
	p.TestRuns = append(p.TestRuns, r)
	return r
}

func testRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{project}/_apis/test/runs", handler: listTestRuns},
		{method: "GET", pattern: "/{project}/_apis/test/runs/{run}/results", handler: listTestResults},
		{method: "GET", pattern: "/{project}/_apis/test/codecoverage", handler: getCoverage},
	}
}

// listTestRuns filters by build and by the time of the last change.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/runs/list
func listTestRuns(q *request) *response {
	after, before := q.time("minlastupdateddate"), q.time("maxlastupdateddate")
	list := slices.DeleteFunc(slices.Clone(q.project.TestRuns), func(r *TestRun) bool {
		uri := ""
		if r.Build != nil {
			uri = "vstfs:///Build/Build/" + strconv.Itoa(r.Build.ID)
		}
		return q.get("builduri") != "" && q.get("builduri") != uri || !after.IsZero() && r.Finished.Before(after) || !before.IsZero() && r.Finished.After(before)
	})
	if !after.IsZero() {
		return paged(q, list, 100, (*TestRun).json)
	}
	return skipped(q, list, 100, (*TestRun).json)
}

func (r *TestRun) url() string { return r.project.below("test/Runs/" + strconv.Itoa(r.ID)) }

func (r *TestRun) json() object {
	passed := 0
	for _, x := range r.Results {
		if x.Outcome == "Passed" {
			passed++
		}
	}
	o := object{
		"id", r.ID, "name", r.Name, "url", r.url(), "isAutomated", true, "owner", r.Owner.ref(),
		"project",
		object{"id", r.project.ID, "name", r.project.Name},
		"startedDate", r.Started, "completedDate", opt(r.Finished),
		"state", r.State, "totalTests", len(r.Results), "passedTests", passed, "incompleteTests", 0, "notApplicableTests", 0,
		"unanalyzedTests", len(r.Results) - passed, "revision", 1, "lastUpdatedDate", r.Finished,
	}
	if b := r.Build; b != nil {
		o = append(o, "build", object{"id", strconv.Itoa(b.ID), "name", b.Number, "url", b.url()})
	}
	return o
}

// listTestResults pages by $skip, or by token when asked without.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/results/list
func listTestResults(q *request) *response {
	for _, r := range q.project.TestRuns {
		if r.ID != q.number("run") {
			continue
		}
		var list []object
		for i, x := range r.Results {
			list = append(list, object{
				"id", 100000 + i, "project",
				object{"id", q.project.ID, "name", q.project.Name},
				"startedDate", r.Started, "completedDate", opt(r.Finished),
				"durationInMs", float64(x.Duration) / float64(time.Millisecond), "outcome", x.Outcome, "revision", 1, "state", "Completed",
				"testCase",
				object{"name", x.Title},
				"testRun",
				object{"id", strconv.Itoa(r.ID), "name", r.Name, "url", r.url()},
				"priority", 0, "url", r.url() + "/Results/" + strconv.Itoa(100000+i), "failureType", "None", "testCaseTitle", x.Title, "automatedTestName", x.Title,
			})
		}
		return paged(q, list, 1000, itself)
	}
	return notFound("Microsoft.TeamFoundation.TestManagement.WebApi.TestObjectNotFoundException", "Test run "+q.param("run")+" not found.")
}

// getCoverage answers a build's coverage; there is one line of everything.
//
// https://learn.microsoft.com/rest/api/azure/devops/test/code-coverage/get-build-code-coverage
func getCoverage(q *request) *response {
	return ok(object{"coverageData", array{object{
		"coverageStats", array{object{"label", "Lines", "position", 4, "total", 100, "covered", 80}}, "buildPlatform", "", "buildFlavor", "",
	}}, "build", object{"id", q.get("buildid"), "url", q.project.below("build/Builds/" + q.get("buildid"))}})
}
