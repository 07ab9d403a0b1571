package azuredevops

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

func TestPipelineDeployments(t *testing.T) {
	const envs = "p1/_apis/distributedtask/environments"
	runKindCases(t, []kindCase{
		{
			name: "the stub of the environment, and pages by top", kind: "pipeline-deployment",
			serve: servers{
				envs:                                     always(values(`{"id":1,"project":{"id":"p1","name":null}}`, `{"id":2}`)),
				envs + "/1/environmentdeploymentrecords": tokenPages(values(`{"id":11}`), values(`{"id":10}`)),
				envs + "/2/environmentdeploymentrecords": always(values(`{"id":12}`)),
			},
			want: []string{
				`{"id":11,"__project":{"id":"p1","name":null}}`, `{"id":10,"__project":{"id":"p1","name":null}}`, `{"id":12,"__project":null}`,
			},
			scope: "p1//1",
			sent: []string{
				envs + "?$top=1000", "p2/_apis/distributedtask/environments?$top=1000",
				envs + "/1/environmentdeploymentrecords?top=1000", envs + "/1/environmentdeploymentrecords?top=1000&continuationToken=1",
				envs + "/2/environmentdeploymentrecords?top=1000",
			},
		},
		{
			name: "an environment and a project that cannot be read", kind: "pipeline-deployment",
			serve: servers{
				envs:                                     always(values(`{"id":1}`, `{"id":2}`)),
				envs + "/1/environmentdeploymentrecords": status(404, ""),
				envs + "/2/environmentdeploymentrecords": always(values(`{"id":12}`)),
				"p2/":                                    status(403, ""),
			},
			want: []string{`{"id":12,"__project":null}`}, unknown: "p1//1 p2//",
		},
	})
	testKindBasics(t, "pipeline-deployment", servers{envs: always(values(`{"id":1}`)), envs + "/1/environmentdeploymentrecords": always(values(`{"id":1}`, `{"id":2}`))},
		map[string]string{`{"defaultTeam":[]}`: "defaultTeam: want true or false"})
}

// Reading stops where the deployments are older than the build, but only in a list
// that goes from the newest to the oldest.
func TestPipelineDeploymentsOfABuild(t *testing.T) {
	record := func(id, build int, hour string) string {
		return fmt.Sprintf(`{"id":%d,"owner":{"id":%d},"queueTime":"2026-01-01T%s:00:00Z"}`, id, build, hour)
	}
	const envs = "p1/_apis/distributedtask/environments"
	for _, tt := range []struct {
		name  string
		pages []string
		want  string
		calls int
	}{
		{"newest first", []string{values(record(9, 7, "12"), record(8, 6, "10")), values(record(7, 7, "09"))}, "9", 1},
		{"newest first, the build on the second page", []string{values(record(9, 8, "14"), record(8, 8, "13")), values(record(7, 7, "12"), record(6, 5, "10")), values()}, "7", 2},
		{"oldest first", []string{values(record(1, 5, "08"), record(2, 6, "10")), values(record(3, 7, "12"))}, "3", 2},
		{"no order", []string{values(record(1, 5, "12"), record(2, 6, "10"), record(3, 5, "11"), record(4, 5, "09")), values(record(9, 7, "12"))}, "9", 2},
		{"without times", []string{values(`{"id":1,"owner":{"id":5}}`, `{"id":2,"owner":{"id":5}}`), values(record(3, 7, "12"))}, "3", 2},
		{"one at a time", []string{values(record(1, 5, "08")), values(record(3, 7, "12"))}, "3", 2},
	} {
		f := &fakeService{Serve: routes(map[string]func(*http.Request) *http.Response{
			"_apis/projects": always(projectsOf("A")), envs: always(values(`{"id":1}`)),
			envs + "/1/environmentdeploymentrecords": tokenPages(tt.pages...),
			buildsPath:                               always(values(`{"id":7,"queueTime":"2026-01-01T11:00:00Z"}`)),
		})}
		l, _, err := Bind("pipeline-deployment", nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		opt := ListOptions{Change: Change{Partial: true, build: "7"}}
		for rec, err := range l.Within(t.Context(), newTestClient(t, f, options{}).Snapshot(), Scope{Project: "p1"}, opt) {
			if err != nil {
				t.Fatal(tt.name, err)
			}
			got = append(got, rawjson.Text(rec.JSON, "id"))
		}
		if s := strings.Join(got, " "); s != tt.want || f.Count("environmentdeploymentrecords") != tt.calls {
			t.Errorf("%s: deployments %s with %d pages, want %s with %d", tt.name, s, f.Count("environmentdeploymentrecords"), tt.want, tt.calls)
		}
	}
}
