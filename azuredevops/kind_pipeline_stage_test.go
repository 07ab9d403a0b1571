package azuredevops

import (
	"net/http"
	"os"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// pageTwoGone serves one page that promises another, which is 404.
func pageTwoGone(first string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		if r.URL.Query().Get("continuationToken") != "" {
			return answer(404, "")
		}
		return answer(200, first, "x-ms-continuationtoken", "2")
	}
}

func TestPipelineStages(t *testing.T) {
	const one, two = `{"id":1,"startTime":"2026-03-01T10:00:00Z"`, `{"id":2,"startTime":"2026-03-01T11:00:00Z"`
	stage := func(id, build string) string {
		return `{"id":"` + id + `","type":"Stage","__project":` + project1 + `,"__build":` + withProject(build) + `}`
	}
	runKindCases(t, []kindCase{
		{
			name: "stages of every build", kind: "pipeline-stage",
			serve: servers{
				buildsPath:                 tokenPages(values(one+"}"), values(two+"}")),
				buildsPath + "/1/timeline": always(`{"records":[{"id":"s1","type":"Stage"},{"id":"j1","type":"Job"},{"id":"s2","type":"Stage"}]}`),
				buildsPath + "/2/timeline": always(`{"records":[{"id":"s1","type":"Stage"}]}`),
			},
			want: []string{stage("s1", one), stage("s2", one), stage("s1", two)}, scope: "p1//1",
			sent: []string{
				buildsPath + buildsQuery, buildsPath + buildsQuery + "&continuationToken=1", "p2/_apis/build/builds" + buildsQuery,
				buildsPath + "/1/timeline", buildsPath + "/2/timeline",
			},
		},
		{
			name: "builds whose timeline is unknown", kind: "pipeline-stage",
			serve: servers{
				buildsPath: always(values(one+"}", two+"}", `{"id":3,"startTime":"2026-03-01T12:00:00Z"}`)), "p2/": status(403, ""),
				buildsPath + "/1/timeline": status(404, ""), buildsPath + "/2/timeline": always(`{"records":[{"id":"s","type":"Stage"}]}`),
				buildsPath + "/3/timeline": always(`{"records":null}`),
			},
			want: []string{stage("s", two)}, unknown: "p1//1 p1//3 p2//",
		},
		{
			name: "404 on the second page of builds", kind: "pipeline-stage",
			serve: servers{
				buildsPath: pageTwoGone(values(two + "}")), buildsPath + "/2/timeline": always(`{"records":[{"id":"s","type":"Stage"}]}`),
			},
			want: []string{stage("s", two)}, unknown: "p1//",
		},
	})
	testKindBasics(t, "pipeline-stage", servers{
		buildsPath: always(values(one+"}", two+"}")), buildsPath + "/": always(`{"records":[{"id":"a","type":"Stage"},{"id":"b","type":"Stage"}]}`),
	}, map[string]string{`{"defaultTeam":"x"}`: "defaultTeam: want true or false"})
}

// A build that has not begun may have no timeline, and one that has ended without
// running, as after an error in its YAML, never gets one.
func TestPipelineStagesWithoutTimeline(t *testing.T) {
	const waiting, begun = `{"id":1,"status":"notStarted","startTime":"0001-01-01T00:00:00"}`, `{"id":1,"startTime":"2026-03-01T10:00:00Z"}`
	const ended = `{"id":1,"status":"completed","startTime":"2026-03-01T10:00:00Z"}`
	for _, tt := range []struct {
		name             string
		serve            func(*http.Request) *http.Response
		waiting, started string // what is unknown
	}{
		{"204", status(204, ""), "", "p1//1"},
		{"404", status(404, `{"typeKey":"BuildNotFoundException"}`), "", "p1//1"},
		{"another 404", status(404, ""), "p1//1", "p1//1"},
		{"null", always(`null`), "", "p1//1"},
		{"null records", always(`{"records":null}`), "", "p1//1"},
		{"none", always(`{"records":[]}`), "", ""},
		{"no records", always(`{}`), "p1//1", "p1//1"},
		{"nothing", always("\n"), "p1//1", "p1//1"},
		{"403", status(403, ""), "p1//1", "p1//1"},
	} {
		runKindCases(t, []kindCase{
			{name: tt.name + " waiting", kind: "pipeline-stage", unknown: tt.waiting, serve: servers{buildsPath: always(values(waiting)), buildsPath + "/1/timeline": tt.serve}},
			{name: tt.name + " ended", kind: "pipeline-stage", unknown: tt.waiting, serve: servers{buildsPath: always(values(ended)), buildsPath + "/1/timeline": tt.serve}},
			{name: tt.name + " started", kind: "pipeline-stage", unknown: tt.started, serve: servers{buildsPath: always(values(begun)), buildsPath + "/1/timeline": tt.serve}},
		})
	}
}

// The recorded timeline of Microsoft's reference has two stages.
func TestPipelineStagesRecorded(t *testing.T) {
	timeline, err := os.ReadFile("testdata/pipeline-stage/timeline.json")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeService{Serve: always(string(timeline))}
	stages, _, err := newLister(newTestClient(t, f, options{})).stages(t.Context(), &parent{ID: "1", JSON: []byte(`{"startTime":"2026"}`), Project: &project{ID: "p1"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for s := range rawjson.Elements(stages) {
		names = append(names, rawjson.Text(s, "name"))
	}
	if len(names) != 2 || names[0] != "Build" {
		t.Errorf("stages = %q", names)
	}
}

// Builds and stages start from one list of builds.
func TestPipelineStagesShareBuilds(t *testing.T) {
	f := &fakeService{Serve: routes(servers{
		"_apis/projects": always(values(project1)), buildsPath: always(values(`{"id":1}`)), buildsPath + "/1/timeline": status(204, ""),
	})}
	s := newTestClient(t, f, options{}).Snapshot()
	for _, kind := range []string{"pipeline-stage", "build"} {
		if _, errs := collect(t, s, kind, "", ListOptions{}); errs != nil {
			t.Error(errs)
		}
	}
	if n := len(f.Sent()); n != 3 {
		t.Errorf("%d requests, want 3: %q", n, f.Sent())
	}
}
