package azuredevops

import (
	"net/http"
	"testing"
)

type servers = map[string]func(*http.Request) *http.Response

func TestPipelineRuns(t *testing.T) {
	first, second := `{"id":7,"name":"ci"}`, `{"id":8,"name":"cd"}`
	below := func(pipeline string) string { return `,"__project":` + project1 + `,"__pipeline":` + pipeline + `}` }
	runKindCases(t, []kindCase{
		{
			name: "pages of pipelines and runs", kind: "pipeline-run",
			serve: servers{
				"p1/_apis/pipelines":        tokenPages(values(first), values(second)),
				"p1/_apis/pipelines/7/runs": tokenPages(values(`{"id":1}`), values(`{"id":2}`)),
				"p1/_apis/pipelines/8/runs": always(values(`{"id":3}`)),
			},
			want:  []string{`{"id":1` + below(first), `{"id":2` + below(first), `{"id":3` + below(second)},
			scope: "p1//7",
			sent: []string{
				"p1/_apis/pipelines?$top=1000", "p1/_apis/pipelines?$top=1000&continuationToken=1", "p2/_apis/pipelines?$top=1000",
				"p1/_apis/pipelines/7/runs", "p1/_apis/pipelines/7/runs?continuationToken=1", "p1/_apis/pipelines/8/runs",
			},
		},
		{
			name: "a pipeline and a project that cannot be read", kind: "pipeline-run",
			serve: servers{
				"p1/_apis/pipelines":        always(values(first, second)),
				"p1/_apis/pipelines/7/runs": status(404, ""),
				"p1/_apis/pipelines/8/runs": always(values(`{"id":3}`)),
				"p2/_apis/pipelines":        status(403, ""),
			},
			want: []string{`{"id":3` + below(second)}, unknown: "p1//7 p2//",
		},
	})
	testKindBasics(t, "pipeline-run", servers{"p1/_apis/pipelines": always(values(first)), "p1/_apis/pipelines/7/runs": always(values(`{"id":1}`, `{"id":2}`))},
		map[string]string{`{"defaultTeam":"maybe"}`: "defaultTeam: want true or false"})
}

// Pipelines and their runs start from one list.
func TestPipelineRunsShareTheirParents(t *testing.T) {
	f := &fakeService{Serve: routes(servers{
		"_apis/projects": always(values(project1)), "p1/_apis/pipelines": always(values(`{"id":7}`)), "p1/_apis/pipelines/7/runs": always(values()),
	})}
	s := newTestClient(t, f, options{}).Snapshot()
	for _, kind := range []string{"pipeline-run", "pipeline"} {
		if _, errs := collect(t, s, kind, "", ListOptions{}); errs != nil {
			t.Error(errs)
		}
	}
	if n := len(f.Sent()); n != 3 {
		t.Errorf("%d requests, want 3: %q", n, f.Sent())
	}
}
