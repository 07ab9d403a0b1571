package azuredevops

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var (
	testSince = time.Date(2026, 3, 10, 1, 5, 0, 999, time.FixedZone("", 3600)) // sinceTolerance and a zone after the stamp
	testStamp = "2026-03-10T00:00:00.000Z"
)

// listSince lists a kind in project p1: the ids of the records, what was sent below
// the project, and the scopes of errors.
func listSince(t *testing.T, kind, selector string, since time.Time, table servers) (ids, unknown string, sent []string) {
	t.Helper()
	all := servers{"_apis/projects": always(values(project1)), "p1/": always(values())}
	maps.Copy(all, table)
	f := &fakeService{Serve: routes(all)}
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), kind, selector, ListOptions{Since: since})
	var got []string
	for _, r := range recs {
		got = append(got, rawjson.Text(r.JSON, "id"))
	}
	for _, s := range f.Sent() {
		if _, path, ok := strings.Cut(s, "/acme/p1/"); ok {
			path, err := url.QueryUnescape(path)
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, "p1/"+path)
		}
	}
	return strings.Join(got, " "), scopes(errs), sent
}

func TestSince(t *testing.T) {
	const (
		finished = buildsPath + "?statusFilter=completed&minTime=2026-03-10T00:00:00.000Z&queryOrder=finishTimeDescending&$top=500"
		deployed = "p1/_apis/release/deployments?$top=1000&minModifiedTime=2026-03-10T00:00:00.000Z"
		releases = "p1/_apis/release/releases"
	)
	var builds []string // requests for them
	for _, status := range []string{"notStarted", "postponed", "inProgress", "cancelling"} {
		builds = append(builds, buildsPath+"?statusFilter="+status+"&queryOrder=queueTimeDescending&$top=500")
	}
	builds = append(builds, finished)
	and := func(more ...string) []string { return append(slices.Clone(builds), more...) }
	build := func(id, definition int) string {
		return fmt.Sprintf(`{"id":%d,"definition":{"id":%d}}`, id, definition)
	}
	byStatus := func(unfinished, finished string) func(*http.Request) *http.Response {
		return func(r *http.Request) *http.Response {
			switch r.URL.Query().Get("statusFilter") {
			case "completed":
				return answer(200, finished)
			case "inProgress":
				return answer(200, unfinished)
			}
			return answer(200, values())
		}
	}
	for _, tc := range []struct {
		name, kind, selector string
		serve                servers
		want, unknown        string
		sent                 []string
	}{
		{
			name: "builds that are under way or have finished", kind: "build",
			serve: servers{buildsPath: byStatus(values(build(3, 7)), values(build(2, 7)))},
			want:  "3 2", sent: builds,
		},
		{
			name: "first commits too", kind: "build", selector: `{"enrichWithFirstCommit":true}`,
			serve: servers{buildsPath: byStatus(values(), values(build(2, 7))), buildsPath + "/2/changes": always(values(`{"id":"c","timestamp":"2026"}`))},
			want:  "2", sent: and(buildsPath + "/2/changes?$top=1000"),
		},
		{
			name: "some lists of builds cannot be read", kind: "build",
			serve: servers{buildsPath: func(r *http.Request) *http.Response {
				switch r.URL.Query().Get("statusFilter") {
				case "notStarted":
					return answer(403, "")
				case "inProgress":
					return answer(200, values(build(3, 7)))
				case "completed":
					return answer(200, values(build(2, 7)))
				}
				return answer(404, "")
			}},
			want: "3 2", unknown: "p1//", sent: builds,
		},
		{
			name: "not signed in", kind: "build", serve: servers{buildsPath: status(401, "")}, unknown: "p1//", sent: builds[:1],
		},
		{
			name: "runs of pipelines with such builds", kind: "pipeline-run",
			serve: servers{
				buildsPath:                  byStatus(values(build(3, 7)), values(build(2, 7), build(1, 99))),
				"p1/_apis/pipelines":        tokenPages(values(`{"id":8}`), values(`{"id":7}`)),
				"p1/_apis/pipelines/7/runs": always(values(`{"id":4}`, `{"id":3}`, `{"id":2}`, `{"id":1}`)),
			},
			want: "3 2", sent: and("p1/_apis/pipelines?$top=1000", "p1/_apis/pipelines?$top=1000&continuationToken=1", "p1/_apis/pipelines/7/runs"),
		},
		{
			name: "no runs", kind: "pipeline-run", serve: servers{buildsPath: always(values())},
			sent: builds,
		},
		{
			name: "runs cannot be known", kind: "pipeline-run", serve: servers{buildsPath: status(404, "")}, unknown: "p1//", sent: builds,
		},
		{
			name: "runs of unfinished builds cannot be known", kind: "pipeline-run",
			serve: servers{
				buildsPath: func(r *http.Request) *http.Response {
					if r.URL.Query().Get("statusFilter") != "completed" {
						return answer(403, "")
					}
					return answer(200, values(build(2, 7)))
				},
				"p1/_apis/pipelines": always(values(`{"id":7}`)), "p1/_apis/pipelines/7/runs": always(values(`{"id":3}`, `{"id":2}`)),
			},
			want: "2", unknown: "p1//",
		},
		{
			name: "runs of a pipeline cannot be known", kind: "pipeline-run",
			serve: servers{
				buildsPath: byStatus(values(build(3, 7)), values(build(2, 8))), "p1/_apis/pipelines": always(values(`{"id":7}`, `{"id":8}`)),
				"p1/_apis/pipelines/7/runs": status(404, ""), "p1/_apis/pipelines/8/runs": always(values(`{"id":2}`)),
			},
			want: "2", unknown: "p1//7",
		},
		{
			name: "releases that were modified or deployed", kind: "release", selector: `{"minCreatedTime":"2025"}`,
			serve: servers{
				releases: tokenPages(
					values(`{"id":5,"modifiedOn":"2026-03-10T00:00:00Z"}`, `{"id":4,"modifiedOn":"2026-03-09T23:59:59.999Z"}`),
					values(`{"id":3,"modifiedOn":"2026-01-01T00:00:00Z"}`, `{"id":2,"modifiedOn":"2026-03-10T00:30:00+01:00"}`, `{"id":1}`)),
				"p1/_apis/release/deployments": tokenPages(values(`{"id":1,"release":{"id":3}}`), values(`{"id":2,"release":{"id":77}}`)),
			},
			want: "5 3 1",
			sent: []string{
				deployed, deployed + "&continuationToken=1", releases + "?$top=1000&minCreatedTime=2025",
				releases + "?$top=1000&minCreatedTime=2025&continuationToken=1",
			},
		},
		{
			name: "releases whose deployments cannot be read", kind: "release",
			serve:   servers{releases: always(values(`{"id":5}`)), "p1/_apis/release/deployments": status(403, "")},
			unknown: "p1//",
		},
		{
			name: "deployments", kind: "release-deployment",
			serve: servers{"p1/_apis/release/deployments": always(values(`{"id":1}`))}, want: "1", sent: []string{deployed},
		},
		{
			name: "alerts", kind: "advanced-security-alert", selector: `{"criteria":{"states":["active"]}}`,
			serve: servers{
				"p1/_apis/git/repositories":             always(values(`{"id":"r1"}`)),
				"p1/_apis/alert/repositories/r1/alerts": always(values(`{"alertId":1,"id":1}`)),
			},
			want: "1", sent: []string{
				"p1/_apis/git/repositories",
				"p1/_apis/alert/repositories/r1/alerts?top=1000&criteria.states=active&criteria.modifiedSince=" + testStamp,
			},
		},
		{
			name: "a kind without such a filter", kind: "environment",
			serve: servers{"p1/_apis/distributedtask/environments": always(values(`{"id":1}`))}, want: "1",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ids, unknown, sent := listSince(t, tc.kind, tc.selector, testSince, tc.serve)
			if ids != tc.want || unknown != tc.unknown {
				t.Errorf("records %q, unknown %q, want %q, %q", ids, unknown, tc.want, tc.unknown)
			}
			if tc.sent != nil && !slices.Equal(sent, tc.sent) {
				t.Errorf("sent\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(tc.sent, "\n"))
			}
		})
	}
}

func TestSinceWorkItems(t *testing.T) {
	const changed = "[System.ChangedDate] >= '2026-03-10T00:00:00.000Z'"
	for wiql, want := range map[string]string{
		``:                               " AND (" + changed + ")",
		`[a] = 1 OR [b] = 2`:             " AND (([a] = 1 OR [b] = 2) AND " + changed + ")",
		`[a] = 1 ORDER BY [c]`:           " AND (([a] = 1) AND " + changed + ")",
		`[a] = 1 ASOF '2026-01-01'`:      " AND (([a] = 1) AND " + changed + ")",
		`ORDER BY [c] ASOF '2026-01-01'`: " AND (" + changed + ")",
	} {
		var query string
		ids, unknown, sent := listSince(t, "work-item", `{"wiql":"`+wiql+`"}`, testSince, servers{
			"p1/_apis/wit/wiql": func(r *http.Request) *http.Response {
				body := make([]byte, r.ContentLength)
				_, _ = r.Body.Read(body)
				query = gjson.GetBytes(body, "query").String()
				return answer(200, `{"workItems":[{"id":5}]}`)
			},
			"p1/_apis/wit/workitems": always(values(`{"id":5}`)),
		})
		if ids != "5" || unknown != "" || !strings.Contains(sent[0], "&timePrecision=true") {
			t.Errorf("%s: records %q, unknown %q, sent %q", wiql, ids, unknown, sent)
		}
		full := "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = 'A'" + want + " ORDER BY [System.Id] ASC"
		if _, asOf := wiqlFilter(wiql); asOf != "" {
			full += " " + asOf
		}
		if query != full {
			t.Errorf("query = %s\nwant    %s", query, full)
		}
	}
}

// Windows of at most seven days up to now, each with all of its pages; the records
// are those of the list, with details, read until all are found.
func TestSinceTestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = testRunWindowTop
		now := time.Now().UTC()
		serve := func(runs int, tokens bool) func(*http.Request) *http.Response {
			return func(r *http.Request) *http.Response {
				q := r.URL.Query()
				if !q.Has("minLastUpdatedDate") {
					if q.Get("includeRunDetails") != "true" {
						return answer(400, "")
					}
					var list []string
					for i := range runs {
						list = append(list, fmt.Sprintf(`{"id":%d,"details":true}`, i))
					}
					return skipping(100, list...)(r)
				}
				from, err := time.Parse(time.RFC3339, q.Get("minLastUpdatedDate"))
				to, err2 := time.Parse(time.RFC3339, q.Get("maxLastUpdatedDate"))
				if err != nil || err2 != nil || to.Sub(from) > 7*24*time.Hour || q.Get("$top") != "100" || q.Has("includeRunDetails") || q.Has("$skip") {
					return answer(400, `{"message":"`+r.URL.RawQuery+`"}`)
				}
				var found []string
				for i := range runs { // one an hour
					if at := now.Add(-time.Duration(i) * time.Hour); !at.Before(from) && !at.After(to) {
						found = append(found, fmt.Sprintf(`{"id":%d}`, i))
					}
				}
				var skip int
				_, _ = fmt.Sscan(q.Get("continuationToken"), &skip)
				end := min(skip+most, len(found))
				resp := answer(200, values(found[skip:end]...))
				if tokens && end < len(found) {
					resp.Header.Set("x-ms-continuationtoken", fmt.Sprint(end))
				}
				return resp
			}
		}
		for _, tt := range []struct {
			name                string
			runs, days          int
			tokens              bool
			records, list, call int // requests: for the list, and in all
		}{
			{"two windows", 350, 10, true, 10*24 + 1, 3, 3 + 3},
			{"one page", 350, 4, true, 4*24 + 1, 1, 1 + 1},
			{"nothing has changed", 0, 10, true, 0, 0, 2},
			{"a full page without a token may not be all", 350, 5, false, 350, 5, 1 + 5},
		} {
			ids, unknown, sent := listSince(t, "test-run", `{"includeResults":false}`, now.AddDate(0, 0, -tt.days).Add(sinceTolerance),
				servers{testRunsPath: serve(tt.runs, tt.tokens)})
			list := 0
			for _, s := range sent {
				if strings.Contains(s, "includeRunDetails") {
					list++
				}
			}
			if got := len(strings.Fields(ids)); got != tt.records || unknown != "" || list != tt.list || len(sent) != tt.call {
				t.Errorf("%s: %d records, %d requests for the list of %d, unknown %q; want %+v; sent %q", tt.name, got, list, len(sent), unknown, tt, sent)
			}
		}
		if ids, unknown, _ := listSince(t, "test-run", "", now, servers{testRunsPath: status(403, "")}); ids != "" || unknown != "p1//" {
			t.Errorf("without permission: %q, unknown %q", ids, unknown)
		}
	})
}

func TestIncremental(t *testing.T) {
	var got []string
	for _, k := range Kinds() {
		if Incremental(k) {
			got = append(got, k)
		}
	}
	want := []string{"advanced-security-alert", "build", "pipeline-run", "release", "release-deployment", "test-run", "work-item"}
	if !slices.Equal(got, want) || Incremental("nothing") {
		t.Errorf("incremental kinds = %q, want %q", got, want)
	}
}
