package azuredevops

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// contradictions are answers that look like a list and cannot be believed. LIST is the
// name of the list.
var contradictions = map[string]string{
	"fewer than count":   `{"count":2,"LIST":[]}`,
	"null":               `{"count":1,"LIST":[null]}`,
	"a text":             `{"count":1,"LIST":["a"]}`,
	"a list":             `{"count":1,"LIST":[[]]}`,
	"no id":              `{"count":1,"LIST":[{}]}`,
	"null for an id":     `{"count":1,"LIST":[{"id":null,"alertId":null,"name":null,"path":null,"pullRequestId":null,"descriptor":"","identity":{}}]}`,
	"two lists":          `{"LIST":[],"count":0,"LIST":[]}`,
	"two counts":         `{"count":0,"LIST":[],"count":1}`,
	"an error":           `{"message":"TF400733","typeKey":"RequestCanceledException","count":0,"LIST":[]}`,
	"an error, no key":   `{"message":"TF400733","count":0,"LIST":[]}`,
	"an error, no list":  `{"message":"TF400733","typeKey":"RequestCanceledException"}`,
	"an error in a list": `{"count":1,"LIST":{"Message":"bad"}}`,
	"no list":            `{"count":0}`,
	"null for a list":    `{"count":0,"LIST":null}`,
	"nothing":            "\n",
	"an array":           `[]`,
}

// A listRoute is a list that a kind reads, and what a listing makes of it when the
// list cannot be believed.
type listRoute struct {
	kind, selector string
	path           string // that answers with the contradiction
	list           string // its name; empty means value
	but            string // contradictions that are none here
	missing        bool   // a record lacks it; otherwise the part is unknown
	serve          servers
}

func listRoutes() []listRoute {
	repos := servers{"p1/_apis/git/repositories": always(values(repoMain))}
	builds := servers{buildsPath: always(values(`{"id":1,"status":"completed","startTime":"2026-03-01T10:00:00Z"}`))}
	teams := servers{"_apis/teams": bySkip(1000, teamJSON("t1", "p1")), "_apis/projects/p1/teams": bySkip(1000, teamJSON("t1", "p1"))}
	team := func(path, body string) servers {
		out := maps.Clone(teams)
		out[path] = always(body)
		return out
	}
	groups := servers{"_apis/graph/groups": always(values(groupJSON("a")))}
	users := servers{"_apis/graph/users": always(values(userJSON("u")))}
	return []listRoute{
		{kind: "project", path: "_apis/projects"},
		{kind: "repository", path: "p1/_apis/git/repositories"},
		{kind: "branch", path: "p1/_apis/git/repositories"},
		{kind: "branch", path: "p1/_apis/git/repositories/R1/refs", serve: repos},
		{kind: "pull-request", path: "p1/_apis/git/repositories/R1/pullrequests", serve: repos},
		{kind: "pull-request", path: "p1/_apis/git/", serve: servers{"p1/_apis/git/repositories": always(values(repoMain, repoBare))}},
		{kind: "repository-policy", path: "p1/_apis/git/policy/configurations", serve: repos},
		{kind: "advanced-security-alert", path: "p1/_apis/alert/repositories/R1/alerts", serve: repos},
		{kind: "file", selector: `{"files":{"path":"a/*.md"}}`, path: "p1/_apis/git/repositories/R1/items", serve: repos},
		{kind: "folder", selector: `{"folders":[{"path":"a/*"}]}`, path: "p1/_apis/git/repositories/R1/items", serve: repos},
		{kind: "folder", selector: `{"folders":[{"path":"a/*"},{"path":"b/*"}]}`, path: "p1/_apis/git/repositories/R1/items", serve: repos},
		{kind: "repository", selector: `{"includedFiles":["a/b"]}`, path: "p1/_apis/git/repositories/R1/items", missing: true, serve: repos},
		{kind: "build", path: buildsPath},
		{kind: "build", selector: `{"enrichWithFirstCommit":true}`, path: buildsPath + "/1/changes", missing: true, serve: builds},
		{kind: "pipeline-stage", path: buildsPath},
		{kind: "pipeline-stage", path: buildsPath + "/1/timeline", list: "records", but: "null for a list", serve: builds},
		{kind: "pipeline", path: "p1/_apis/pipelines"},
		{kind: "pipeline-run", path: "p1/_apis/pipelines"},
		{kind: "pipeline-run", path: "p1/_apis/pipelines/7/runs", serve: servers{"p1/_apis/pipelines": always(values(`{"id":7}`))}},
		{kind: "environment", path: "p1/_apis/distributedtask/environments"},
		{kind: "pipeline-deployment", path: "p1/_apis/distributedtask/environments"},
		{
			kind: "pipeline-deployment", path: "p1/_apis/distributedtask/environments/7/environmentdeploymentrecords",
			serve: servers{"p1/_apis/distributedtask/environments": always(values(`{"id":7}`))},
		},
		{kind: "release", path: "p1/_apis/release/releases"},
		{kind: "release-definition", path: "p1/_apis/release/definitions"},
		{kind: "release-deployment", path: "p1/_apis/release/deployments"},
		{kind: "test-run", path: "p1/_apis/test/runs"},
		{
			kind: "test-run", path: "p1/_apis/test/runs/7/results", missing: true,
			serve: servers{"p1/_apis/test/runs": bySkip(1000, `{"id":7}`)},
		},
		{
			kind: "test-run", selector: `{"includeResults":false,"codeCoverage":{"flags":7}}`, path: "p1/_apis/test/codecoverage", missing: true,
			but:   "no list, null for a list", // a summary, as without flags
			serve: servers{"p1/_apis/test/runs": bySkip(1000, `{"id":7,"build":{"id":"9"}}`)},
		},
		{kind: "wiki", path: "p1/_apis/wiki/wikis"},
		{kind: "wiki", path: "p1/_apis/wiki/wikis/w/pagesbatch", serve: servers{"p1/_apis/wiki/wikis": always(values(`{"id":"w"}`))}},
		{kind: "work-item", path: "p1/_apis/wit/wiql", list: "workItems"},
		{kind: "work-item", path: "p1/_apis/wit/workitems", but: "null", serve: servers{"p1/_apis/wit/wiql": always(`{"workItems":[{"id":1}]}`)}},
		{kind: "area-path", path: "p1/_apis/wit/classificationnodes/Areas", list: "children"},
		{kind: "team", path: "_apis/teams"},
		{kind: "team", selector: `{"includeMembers":true}`, path: "_apis/projects/p1/teams/t1/members", missing: true, serve: teams},
		{kind: "team", selector: `{"includeAreaPaths":true}`, path: "p1/t1/_apis/work/teamsettings/teamfieldvalues", list: "values", missing: true, serve: teams},
		{kind: "member", path: "_apis/teams"},
		{kind: "member", path: "_apis/projects/p1/teams/t1/members", serve: teams},
		{kind: "board", path: "_apis/projects/p1/teams"},
		{kind: "board", path: "p1/t1/_apis/work/boards", serve: teams},
		{kind: "board", path: "p1/t1/_apis/work/boards/b1", list: "columns", missing: true, serve: team("p1/t1/_apis/work/boards", values(`{"id":"b1"}`))},
		{kind: "column", path: "p1/t1/_apis/work/boards/b1", list: "columns", serve: team("p1/t1/_apis/work/boards", values(`{"id":"b1"}`))},
		{kind: "iteration", path: "p1/t1/_apis/work/teamsettings/iterations", serve: teams},
		{kind: "group", path: "_apis/graph/groups"},
		{kind: "group-member", path: "_apis/graph/memberships/", serve: groups},
		{kind: "user", path: "_apis/userentitlements", list: "items"},
		{kind: "user", path: "_apis/userentitlements", list: "members"},
		{kind: "user", selector: `{"apiVersion":"5.1"}`, path: "_apis/userentitlements", list: "members"},
		{kind: "user", selector: `{"source":"graph"}`, path: "_apis/graph/users"},
		{kind: "user", selector: `{"source":"graph","includeGroupMemberships":true}`, path: "_apis/graph/users"},
		{kind: "user", selector: `{"source":"graph","includeGroupMemberships":true}`, path: "_apis/graph/memberships/", missing: true, serve: users},
	}
}

// Whatever list a kind reads: if it contradicts itself, nothing is known of what it
// is about.
func TestListsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	for _, route := range listRoutes() {
		t.Run(route.kind+" "+route.selector+" "+route.path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // a fake clock for retries
				for name, body := range contradictions {
					if !strings.Contains(", "+route.but+",", ", "+name+",") {
						route.holds(t, name, strings.ReplaceAll(body, "LIST", cmp.Or(route.list, "value")))
					}
				}
			})
		})
	}
}

func (r *listRoute) holds(t *testing.T, name, body string) {
	t.Helper()
	serve := servers{"_apis/projects": always(values(project1)), "_apis/projects/p1/teams": bySkip(1000), "p1/": always(values())}
	maps.Copy(serve, r.serve)
	serve[r.path] = always(body)
	s := newTestClient(t, &fakeService{Serve: routes(serve)}, options{}).Snapshot()
	recs, errs := collect(t, s, r.kind, r.selector, ListOptions{})
	if r.missing {
		if len(errs) != 0 || len(recs) != 1 || len(recs[0].Missing) != 1 || !errors.Is(recs[0].Missing[0], ErrMalformed) {
			t.Errorf("%s: records %s, errors %v; want one that lacks something", name, texts(recs), errs)
		}
		return
	}
	if len(errs) == 0 || slices.ContainsFunc(errs, func(err error) bool { return !errors.Is(err, ErrMalformed) }) {
		t.Errorf("%s: records %s, errors %v; want it unknown", name, texts(recs), errs)
	}
}

// Answers about one thing that are not about it say nothing.
func TestDetailsOfSomethingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testDetailsOfSomethingElse) // a fake clock for retries
}

func testDetailsOfSomethingElse(t *testing.T) {
	teams := servers{"_apis/projects/p1/teams": bySkip(1000, teamJSON("t1", "p1")), "p1/t1/_apis/work/boards": always(values(`{"id":"b1"}`))}
	build := always(values(`{"id":1,"sourceVersion":"c1","repository":{"id":"r1","type":"TfsGit"}}`))
	for _, tt := range []struct {
		kind, selector, path string
		serve                servers
	}{
		{"project", `{"defaultTeam":true}`, "_apis/projects/p1", nil},
		{"pipeline", `{"includeRepo":true}`, "p1/_apis/build/definitions/7", servers{"p1/_apis/pipelines": always(values(`{"id":7}`))}},
		{"board", ``, "p1/t1/_apis/work/boards/b1", teams},
		{"build", `{"enrichWithFirstCommit":true}`, "p1/_apis/git/repositories/r1/commits/c1", servers{buildsPath: build, buildsPath + "/1/changes": always(values())}},
		{"wiki", `{"includeContent":true}`, "p1/_apis/wiki/wikis/w/pages/1", servers{
			"p1/_apis/wiki/wikis": always(values(`{"id":"w"}`)), "p1/_apis/wiki/wikis/w/pagesbatch": always(values(`{"id":1}`)),
		}},
	} {
		for _, body := range []string{`{}`, `{"id":"other","commitId":"other","columns":[]}`, `null`, `{"message":"m","typeKey":"X"}`} {
			serve := servers{"_apis/projects": always(values(project1))}
			maps.Copy(serve, tt.serve)
			serve[tt.path] = always(body)
			s := newTestClient(t, &fakeService{Serve: routes(serve)}, options{}).Snapshot()
			recs, errs := collect(t, s, tt.kind, tt.selector, ListOptions{})
			if len(errs) != 0 || len(recs) != 1 || len(recs[0].Missing) != 1 || !errors.Is(recs[0].Missing[0], ErrMalformed) {
				t.Errorf("%s, %s: records %s, errors %v; want one that lacks something", tt.kind, body, texts(recs), errs)
			}
		}
	}
}
