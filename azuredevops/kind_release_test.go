package azuredevops

import (
	"net/http"
	"strings"
	"testing"
)

func TestReleases(t *testing.T) {
	const path = "p1/_apis/release/releases"
	runKindCases(t, []kindCase{
		{
			name: "every option, page by page", kind: "release",
			selector: `{"expand":"environments","statusFilter":"active","tagFilter":["a b","c"],"sourceBranchFilter":"refs/heads/x",
				"minCreatedTime":"2026-01-01","maxCreatedTime":"2026-02-01T00:00:00+01:00","exportEnvVariables":["HOME"]}`,
			serve: servers{path: tokenPages(values(`{"id":2}`), values(`{"id":1}`))},
			want:  []string{`{"id":2}`, `{"id":1}`}, scope: "p1//2",
			sent: []string{
				path + releaseFilters, path + releaseFilters + "&continuationToken=1", "p2/_apis/release/releases" + releaseFilters,
			},
		},
		{
			name: "a project that cannot be read", kind: "release",
			serve: servers{path: status(404, ""), "p2/_apis/release/releases": always(values(`{"id":1}`))},
			want:  []string{`{"id":1}`}, unknown: "p1//",
			sent: []string{path + "?$top=1000", "p2/_apis/release/releases?$top=1000"},
		},
	})
	testKindBasics(t, "release", servers{path: always(values(`{"id":1}`, `{"id":2}`))}, map[string]string{
		`{"expand":"all"}`:          "expand: want one of environments, artifacts, approvals, manualInterventions, variables, tags",
		`{"statusFilter":"done"}`:   "statusFilter: want one of abandoned, active, draft, undefined",
		`{"tagFilter":"a"}`:         "tagFilter: want a list",
		`{"tagFilter":["a",{}]}`:    "tagFilter[1]: want a string",
		`{"minCreatedTime":[]}`:     "minCreatedTime: want a string",
		`{"sourceBranchFilter":{}}`: "sourceBranchFilter: want a string",
	})
}

const releaseFilters = "?$top=1000&$expand=environments&statusFilter=active&tagFilter=a%20b%2Cc&sourceBranchFilter=refs%2Fheads%2Fx" +
	"&minCreatedTime=2026-01-01&maxCreatedTime=2026-02-01T00%3A00%3A00%2B01%3A00"

// Classic releases have a host of their own.
func TestReleasesHost(t *testing.T) {
	f := &fakeService{Serve: func(r *http.Request) *http.Response {
		release := strings.Contains(r.URL.Path, "_apis/release/")
		if want := map[bool]string{true: "vsrm.dev.azure.com", false: "dev.azure.com"}[release]; r.URL.Host != want {
			t.Errorf("%s asked of %s, want %s", r.URL.Path, r.URL.Host, want)
		}
		if release {
			return answer(200, values())
		}
		return answer(200, values(project1))
	}}
	for _, kind := range []string{"release", "release-definition", "release-deployment"} {
		if _, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), kind, "", ListOptions{}); errs != nil {
			t.Error(errs)
		}
	}
}
