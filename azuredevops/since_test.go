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
	f := &fakeService{serve: routes(all)}
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), kind, selector, ListOptions{Since: since})
	var got []string
	for _, r := range recs {
		got = append(got, rawjson.Text(r.JSON, "id"))
	}
	for _, s := range f.sent() {
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
		unfinished = buildsPath + "?statusFilter=inProgress,cancelling,postponed,notStarted&queryOrder=queueTimeDescending&$top=500"
		finished   = buildsPath + "?statusFilter=completed&minTime=2026-03-10T00:00:00.000Z&queryOrder=finishTimeDescending&$top=500"
		deployed   = "p1/_apis/release/deployments?$top=1000&minModifiedTime=2026-03-10T00:00:00.000Z"
		releases   = "p1/_apis/release/releases"
	)
	build := func(id, definition int) string {
		return fmt.Sprintf(`{"id":%d,"definition":{"id":%d}}`, id, definition)
	}
	byStatus := func(unfinished, finished string) func(*http.Request) *http.Response {
		return func(r *http.Request) *http.Response {
			if r.URL.Query().Get("statusFilter") == "completed" {
				return answer(200, finished)
			}
			return answer(200, unfinished)
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
			want:  "3 2", sent: []string{unfinished, finished},
		},
		{
			name: "first commits too", kind: "build", selector: `{"enrichWithFirstCommit":true}`,
			serve: servers{buildsPath: byStatus(values(), values(build(2, 7))), buildsPath + "/2/changes": always(values(`{"id":"c","timestamp":"2026"}`))},
			want:  "2", sent: []string{unfinished, finished, buildsPath + "/2/changes?$top=1000"},
		},
		{
			name: "the second list of builds cannot be read", kind: "build",
			serve: servers{buildsPath: func(r *http.Request) *http.Response {
				if r.URL.Query().Get("statusFilter") == "completed" {
					return answer(403, "")
				}
				return answer(200, values(build(3, 7)))
			}},
			want: "3", unknown: "p1//",
		},
		{
			name: "runs of pipelines with such builds", kind: "pipeline-run",
			serve: servers{
				buildsPath:                  byStatus(values(build(3, 7)), values(build(2, 7), build(1, 99))),
				"p1/_apis/pipelines":        tokenPages(values(`{"id":8}`), values(`{"id":7}`)),
				"p1/_apis/pipelines/7/runs": always(values(`{"id":4}`, `{"id":3}`, `{"id":2}`, `{"id":1}`)),
			},
			want: "3 2", sent: []string{unfinished, finished, "p1/_apis/pipelines?$top=1000", "p1/_apis/pipelines?$top=1000&continuationToken=1", "p1/_apis/pipelines/7/runs"},
		},
		{
			name: "no runs", kind: "pipeline-run", serve: servers{buildsPath: always(values())},
			sent: []string{unfinished, finished},
		},
		{
			name: "runs cannot be known", kind: "pipeline-run", serve: servers{buildsPath: status(404, "")}, unknown: "p1//",
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

// Windows of at most seven days up to now, each with all of its pages, whether the
// service pages by token, by $skip, or not at all.
func TestSinceTestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		updated := func(i int) time.Time { return now.Add(-time.Duration(i) * time.Hour) }
		const most = testRunWindowTop
		for _, paging := range []string{"token", "skip", "none"} {
			runs := 350 // one an hour
			if paging == "none" {
				runs = most
			}
			window := func(r *http.Request) *http.Response {
				q := r.URL.Query()
				from, err := time.Parse(time.RFC3339, q.Get("minLastUpdatedDate"))
				to, err2 := time.Parse(time.RFC3339, q.Get("maxLastUpdatedDate"))
				if err != nil || err2 != nil || to.Sub(from) > 7*24*time.Hour || q.Get("$top") != "100" || q.Get("includeRunDetails") != "true" {
					return answer(400, `{"message":"`+r.URL.RawQuery+`"}`)
				}
				var found []string
				for i := range runs {
					if at := updated(i); !at.Before(from) && !at.After(to) {
						found = append(found, fmt.Sprintf(`{"id":%d}`, i))
					}
				}
				var skip int
				switch paging {
				case "token":
					_, _ = fmt.Sscan(q.Get("continuationToken"), &skip)
				case "skip":
					_, _ = fmt.Sscan(q.Get("$skip"), &skip)
				}
				skip = min(skip, len(found))
				end := min(skip+most, len(found))
				resp := answer(200, values(found[skip:end]...))
				if paging == "token" && end < len(found) {
					resp.Header.Set("x-ms-continuationtoken", fmt.Sprint(end))
				}
				return resp
			}
			days := 10
			if paging == "none" {
				days = 4 // a page that is full, and no more
			}
			ids, unknown, sent := listSince(t, "test-run", `{"includeResults":false}`, now.AddDate(0, 0, -days).Add(sinceTolerance), servers{testRunsPath: window})
			got := map[string]bool{}
			for id := range strings.FieldsSeq(ids) {
				got[id] = true
			}
			if want := days*24 + 1; len(got) != min(want, runs) || unknown != "" {
				t.Errorf("%s: %d records, want %d, unknown %q, sent %q", paging, len(got), want, unknown, sent)
			}
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
