package azuredevops

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// skipping serves objects by $skip and $top, at most most at a time.
func skipping(most int, objects ...string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		skip, _ := strconv.Atoi(r.URL.Query().Get("$skip"))
		top, _ := strconv.Atoi(r.URL.Query().Get("$top"))
		from := min(skip, len(objects))
		return answer(200, values(objects[from:min(from+min(top, most), len(objects))]...))
	}
}

const testRunsPath = "p1/_apis/test/runs"

func TestTestRuns(t *testing.T) {
	const list, other = testRunsPath + "?includeRunDetails=true", "p2/_apis/test/runs?includeRunDetails=true"
	page := func(n int) string { return "&$top=1000&$skip=" + strconv.Itoa(n) }
	coverage := "p1/_apis/test/codecoverage?buildId=9&flags=7"
	runKindCases(t, []kindCase{
		{
			name: "neither results nor coverage", kind: "test-run", selector: `{"includeResults":"no","codeCoverage":null}`,
			serve: servers{testRunsPath: skipping(1, `{"id":1}`, `{"id":2}`), "p2/": always(values())},
			want:  []string{`{"id":1,"__testResults":[],"__codeCoverage":{}}`, `{"id":2,"__testResults":[],"__codeCoverage":{}}`}, scope: "p1//1",
			sent: []string{list + page(0), list + page(1), list + page(2), other + page(0)},
		},
		{
			name: "results by default, counted by the run", kind: "test-run",
			serve: servers{
				testRunsPath:                skipping(9, `{"id":1,"totalTests":3}`, `{"id":2,"totalTests":1}`, `{"id":3}`),
				testRunsPath + "/1/results": skipping(2, `{"id":11}`, `{"id":12}`, `{"id":13}`),
				testRunsPath + "/2/results": always(values(`{"id":21}`)),
				testRunsPath + "/3/results": always(values()),
			},
			want: []string{
				`{"id":1,"totalTests":3,"__codeCoverage":{},"__testResults":[{"id":11},{"id":12},{"id":13}]}`,
				`{"id":2,"totalTests":1,"__codeCoverage":{},"__testResults":[{"id":21}]}`,
				`{"id":3,"__codeCoverage":{},"__testResults":[]}`,
			},
			sent: []string{
				list + page(0), list + page(3), other + page(0), testRunsPath + "/3/results?" + page(0)[1:], testRunsPath + "/2/results?" + page(0)[1:],
				testRunsPath + "/1/results?" + page(0)[1:], testRunsPath + "/1/results?" + page(2)[1:],
			},
		},
		{
			name: "coverage, once per build", kind: "test-run", selector: `{"includeResults":false,"codeCoverage":{"flags":7}}`,
			serve: servers{
				testRunsPath:                 skipping(9, `{"id":1,"build":{"id":"9"}}`, `{"id":2,"build":{"id":"9"}}`, `{"id":3,"build":null}`),
				"p1/_apis/test/codecoverage": always(`{"value":[{"configuration":{}}]}`),
			},
			want: []string{
				`{"id":1,"build":{"id":"9"},"__testResults":[],"__codeCoverage":{"value":[{"configuration":{}}]}}`,
				`{"id":2,"build":{"id":"9"},"__testResults":[],"__codeCoverage":{"value":[{"configuration":{}}]}}`, `{"id":3,"build":null,"__testResults":[],"__codeCoverage":{}}`,
			},
			sent: []string{list + page(0), list + page(3), other + page(0), coverage},
		},
		{
			name: "what cannot be read is left out", kind: "test-run", selector: `{"codeCoverage":{}}`,
			serve: servers{
				testRunsPath: skipping(9, `{"id":1,"build":{"id":"9"}}`), testRunsPath + "/1/results": status(404, ""),
				"p1/_apis/test/codecoverage": status(404, ""), "p2/": status(403, ""),
			},
			want: []string{`{"id":1,"build":{"id":"9"}}`}, missing: []string{"code coverage"}, unknown: "p2//",
		},
		{
			name: "404 on the second page", kind: "test-run", selector: `{"includeResults":false}`,
			serve: servers{testRunsPath: func(r *http.Request) *http.Response {
				if strings.Contains(r.URL.RawQuery, "skip=0") {
					return answer(200, values(`{"id":1}`))
				}
				return answer(404, "")
			}},
			want: []string{`{"id":1,"__testResults":[],"__codeCoverage":{}}`}, unknown: "p1//",
		},
	})
	testKindBasics(t, "test-run", servers{testRunsPath: always(values(`{"id":1}`, `{"id":2}`)), testRunsPath + "/": always(values())}, map[string]string{
		`{"includeResults":"some"}`:      "includeResults: want true or false",
		`{"codeCoverage":[]}`:            "codeCoverage: want an object",
		`{"codeCoverage":{"flags":"x"}}`: "codeCoverage.flags: want an integer",
		`{"codeCoverage":{"flag":1}}`:    `codeCoverage.flag: unknown key, did you mean "flags"?`,
	})
}

// A full page may have a successor even if the run counts no further.
func TestTestRunsManyResults(t *testing.T) {
	var results []string
	for i := range skipTop + 2 {
		results = append(results, fmt.Sprintf(`{"id":%d}`, i))
	}
	f := &fakeService{Serve: skipping(skipTop, results...)}
	got, err := newLister(newTestClient(t, f, options{})).testResults(t.Context(), Record{
		JSON: []byte(`{"totalTests":1000}`), Scope: Scope{Project: "p1", ID: "1"},
	})
	if err != nil || string(got) != "["+strings.Join(results, ",")+"]" || len(f.Sent()) != 2 {
		t.Errorf("%d bytes, %v after %q", len(got), err, f.Sent())
	}
}

func TestTestRunRevision(t *testing.T) {
	for run, want := range map[string]string{
		`{"state":"Completed","revision":3,"lastUpdatedDate":"2026"}`:  "3 2026",
		`{"state":"InProgress","revision":3,"lastUpdatedDate":"2026"}`: "",
	} {
		if got := testRunRevision([]byte(run)); got != want {
			t.Errorf("revision of %s = %q, want %q", run, got, want)
		}
	}
}
