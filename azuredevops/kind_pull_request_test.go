package azuredevops

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// byAddress serves by the whole address; an empty body is a 404.
func byAddress(table map[string]string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		body := table[strings.TrimPrefix(r.URL.RequestURI(), "/acme/")]
		if body == "" {
			return answer(404, `{"message":"no controller"}`)
		}
		return answer(200, body)
	}
}

// fakePulls serves lists of pull requests as the service does: by status, a part
// at a time. Those of a repository are a part of those of the project.
type fakePulls struct {
	mu   sync.Mutex
	all  []fakePull
	move func(f *fakePulls, page int) // before a page
	n    int
	own  int               // status of the list of the project; 0 means 200
	seen func(id int) bool // what the identity may see; nil means everything
}

type fakePull struct {
	id                 int
	repository, status string
}

func (p fakePull) json() string {
	return fmt.Sprintf(`{"pullRequestId":%d,"status":%q,"repository":{"id":%q}}`, p.id, p.status, p.repository)
}

func (f *fakePulls) serve(r *http.Request) *http.Response {
	repository := ""
	if _, rest, ok := strings.Cut(r.URL.Path, "/repositories/"); ok {
		repository, _, _ = strings.Cut(rest, "/")
	} else if f.own != 0 {
		return answer(f.own, "")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; f.move != nil {
		f.move(f, f.n)
	}
	q := r.URL.Query()
	top, skip := 101, 0
	if v, err := strconv.Atoi(q.Get("$top")); err == nil {
		top = min(v, 1000)
	}
	if v, err := strconv.Atoi(q.Get("$skip")); err == nil {
		skip = v
	}
	var out []fakePull
	for _, p := range f.all {
		hidden := repository != "" && f.seen != nil && !f.seen(p.id) // the list of a repository is not cut before
		if p.status == q.Get("searchCriteria.status") && (repository == "" || strings.EqualFold(p.repository, repository)) && !hidden {
			out = append(out, p)
		}
	}
	out = out[min(skip, len(out)):]
	var page []string
	for _, p := range out[:min(top, len(out))] {
		if f.seen == nil || f.seen(p.id) {
			page = append(page, p.json())
		}
	}
	return answer(200, values(page...))
}

func pullIDs(recs []Record) string {
	var out []string
	for _, r := range recs {
		out = append(out, r.Scope.Repository+"/"+r.Scope.ID)
	}
	return strings.Join(out, " ")
}

// listPulls lists with a fake clock.
func listPulls(t *testing.T, f *fakePulls, selector string, more servers, single bool) (recs []Record, errs []error, sent []string) {
	t.Helper()
	table := servers{
		"_apis/projects": always(values(project1)), "p1/_apis/git/repositories": always(values(repoMain, repoBare, repoOff, repoOther)),
		"p1/_apis/git/pullrequests": f.serve, "p1/_apis/git/repositories/R1/": f.serve, "p1/_apis/git/repositories/r2/": f.serve, "p1/_apis/git/repositories/r4/": f.serve,
	}
	maps.Copy(table, more)
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeService{Serve: routes(table)}
		c := newTestClient(t, fake, options{})
		c.perRepository.pullRequests = single
		recs, errs = collect(t, c.Snapshot(), "pull-request", selector, ListOptions{})
		sent = fake.Sent()
	})
	return recs, errs, sent
}

func TestPullRequests(t *testing.T) {
	f := &fakePulls{all: []fakePull{
		{9, "r1", "active"},
		{8, "R4", "completed"},
		{7, "r1", "completed"},
		{6, "r1", "completed"},
		{5, "r9", "active"},
		{4, "r3", "active"},
		{3, "r2", "abandoned"},
		{2, "r1", "completed"},
		{1, "r4", "active"},
	}}
	recs, errs, sent := listPulls(t, f, `{"maxResults":2,"minTimeInDays":"3"}`, nil, false)
	if got, want := pullIDs(recs), "R1/9 r4/1 r2/3 r4/8 R1/7 R1/6"; got != want || errs != nil {
		t.Errorf("records = %s, %v, want %s", got, errs, want)
	}
	if want := f.all[0].json()[:60]; !strings.HasPrefix(string(recs[0].JSON), want) || !strings.HasSuffix(string(recs[0].JSON), orgKeys+"}") {
		t.Errorf("record = %s", recs[0].JSON)
	}
	// The clock of synctest begins at the start of 2000.
	const closed = "&searchCriteria.queryTimeRangeType=closed&searchCriteria.minTime=1999-12-29T00%3A00%3A00.000000Z"
	want := []string{
		"GET /acme/_apis/projects?includeCapabilities=true&$top=1000", "GET /acme/p1/_apis/git/repositories",
		"GET /acme/p1/_apis/git/pullrequests?searchCriteria.status=active&$top=1000&$skip=0",
		"GET /acme/p1/_apis/git/pullrequests?searchCriteria.status=active&$top=1000&$skip=4",
		"GET /acme/p1/_apis/git/pullrequests?searchCriteria.status=abandoned" + closed + "&$top=1000&$skip=0",
		"GET /acme/p1/_apis/git/pullrequests?searchCriteria.status=abandoned" + closed + "&$top=1000&$skip=1",
		"GET /acme/p1/_apis/git/pullrequests?searchCriteria.status=completed" + closed + "&$top=1000&$skip=0",
		"GET /acme/p1/_apis/git/pullrequests?searchCriteria.status=completed" + closed + "&$top=1000&$skip=4",
		"GET /acme/p1/_apis/git/repositories/R1/pullrequests?searchCriteria.status=completed" + closed + "&$top=2&$skip=0",
		"GET /acme/p1/_apis/git/repositories",
	}
	if !slices.Equal(sent, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(want, "\n"))
	}
	again, errs, sent := listPulls(t, f, `{"maxResults":2,"minTimeInDays":3}`, nil, true)
	if sorted(recs) != sorted(again) || errs != nil || len(sent) != 2+9 {
		t.Errorf("per repository: %s, %v with %d requests, want the same with 11", pullIDs(again), errs, len(sent))
	}
}

func sorted(recs []Record) string {
	out := strings.Split(texts(recs), "\n")
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// What cannot be read is named as exactly as possible, and hides nothing else.
func TestPullRequestsUnknown(t *testing.T) {
	all := []fakePull{{9, "r1", "active"}, {8, "r4", "active"}, {7, "r4", "completed"}}
	listedOnce := func(first, later string) func(*http.Request) *http.Response {
		n := 0
		return func(*http.Request) *http.Response {
			if n++; n == 1 {
				return answer(200, first)
			}
			return answer(200, later)
		}
	}
	for _, tt := range []struct {
		name          string
		own           int
		serve         servers
		want, unknown string
	}{
		{name: "the list of the project", own: 404, serve: servers{"p1/_apis/git/repositories/r2/": status(404, "")}, want: "R1/9 r4/8 r4/7", unknown: "p1/r2/ p1/r2/ p1/r2/"},
		{name: "not signed in", own: 401, unknown: "p1// p1// p1//"},
		{
			name:  "repositories that leave or are disabled meanwhile",
			serve: servers{"p1/_apis/git/repositories": listedOnce(values(repoMain, repoBare, repoOther), values(repoMain, `{"id":"r4","isDisabled":true}`))},
			want:  "R1/9 r4/8 r4/7", unknown: "p1/r2/ p1/r4/",
		},
		{
			name:  "the second list of repositories",
			serve: servers{"p1/_apis/git/repositories": listedOnce(values(repoMain, repoBare, repoOther), `{}`)},
			want:  "R1/9 r4/8 r4/7", unknown: "p1//",
		},
		{name: "the list of repositories", serve: servers{"p1/_apis/git/repositories": status(403, "")}, unknown: "p1//"},
		{
			name: "a single repository", serve: servers{
				"p1/_apis/git/repositories": always(values(repoOther)), "p1/_apis/git/pullrequests": status(500, ""),
			},
			want: "r4/8 r4/7",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recs, errs, _ := listPulls(t, &fakePulls{all: all, own: tt.own}, "", tt.serve, false)
			if pullIDs(recs) != tt.want || scopes(errs) != tt.unknown {
				t.Errorf("records %s, unknown %s, want %s and %s: %v", pullIDs(recs), scopes(errs), tt.want, tt.unknown, errs)
			}
			for _, err := range errs {
				if errors.Is(err, ErrNotFound) {
					t.Errorf("%v: 404 of what was listed is unknown", err)
				}
			}
		})
	}
}

func manyPulls(n int, status string) []fakePull {
	var out []fakePull
	for i := n; i > 0; i-- {
		out = append(out, fakePull{i, "r1", status})
	}
	return out
}

// Lists longer than a page, which move on while they are read.
func TestPullRequestPages(t *testing.T) {
	closeFirst := func(n, before int) func(*fakePulls, int) {
		return func(f *fakePulls, page int) {
			if page == before {
				f.all = slices.Clone(f.all[n:])
			}
		}
	}
	for _, tt := range []struct {
		name    string
		n       int
		status  string
		move    func(*fakePulls, int)
		records int
		calls   int // for pull requests
		unknown string
	}{
		{name: "one page", n: 100, status: "active", records: 100, calls: 4},
		{name: "a page that may not be all", n: 101, status: "active", records: 101, calls: 4},
		{name: "several pages", n: 2500, status: "active", records: 2500, calls: 6},
		{name: "a few are closed meanwhile", n: 1500, status: "active", move: closeFirst(pullsOverlap-1, 2), records: 1500, calls: 5},
		{name: "many are closed meanwhile", n: 1500, status: "active", move: closeFirst(pullsOverlap, 2), records: 1000, calls: 4, unknown: "p1//"},
		{name: "so many that the next page is empty", n: 1010, status: "active", move: closeFirst(40, 2), records: 1000, calls: 4, unknown: "p1//"},
		{name: "new ones meanwhile", n: 1500, status: "active", move: func(f *fakePulls, page int) {
			if page == 2 {
				f.all = append(manyPulls(1503, "active")[:3], f.all...)
			}
		}, records: 1500, calls: 5},
		{name: "more than are asked for", n: 150, status: "completed", records: 100, calls: 5},
		{name: "far more than are asked for", n: 5000, status: "completed", records: 100, calls: 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recs, errs, sent := listPulls(t, &fakePulls{all: manyPulls(tt.n, tt.status), move: tt.move}, "", nil, false)
			calls := 0
			for _, s := range sent {
				if strings.Contains(s, "/pullrequests?") {
					calls++
				}
			}
			seen := map[string]bool{}
			for _, r := range recs {
				seen[r.Scope.ID] = true
			}
			if len(recs) != tt.records || len(seen) != tt.records || scopes(errs) != tt.unknown || calls != tt.calls {
				t.Errorf("%d records (%d different), unknown %q, %d calls; want %d, %q, %d: %v", len(recs), len(seen), scopes(errs), calls, tt.records, tt.unknown, tt.calls, errs)
			}
		})
	}
	if recs, errs, sent := listPulls(t, &fakePulls{all: manyPulls(3000, "completed")}, `{"maxResults":2100}`, nil, true); len(recs) != 2100 || errs != nil || len(sent) != 2+5+3+3 {
		t.Errorf("%d records, %v with %d requests, want the first 2100", len(recs), errs, len(sent))
	}
}

// The service takes out what the identity may not see after it has cut a page: what
// is behind a short page is found all the same, each once.
func TestPullRequestGaps(t *testing.T) {
	for _, tt := range []struct {
		name, status string
		n, every     int // each so many can be seen
		want         int
	}{
		{"from the start", "active", 2500, 25, 100},
		{"very few", "active", 2500, 500, 5},
		{"behind a full page", "active", 2500, 0, 2200},
		{"with a bound", "completed", 900, 9, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakePulls{all: manyPulls(tt.n, tt.status)}
			f.seen = func(id int) bool {
				if tt.every == 0 {
					return id > 1300 || id <= 1000
				}
				return id%tt.every == 0
			}
			recs, errs, _ := listPulls(t, f, "", nil, false)
			seen := map[string]bool{}
			for _, r := range recs {
				seen[r.Scope.ID] = true
			}
			if len(recs) != tt.want || len(seen) != tt.want || errs != nil {
				t.Errorf("%d records (%d different), %v, want %d", len(recs), len(seen), errs, tt.want)
			}
		})
	}
}

func TestPullRequestSelector(t *testing.T) {
	f := &fakePulls{all: []fakePull{{9, "r1", "active"}, {8, "r1", "active"}}}
	testKindBasics(t, "pull-request",
		servers{"p1/_apis/git/repositories": always(values(repoMain)), "p1/_apis/git/repositories/R1/": f.serve},
		map[string]string{
			`{"minTimeInDays":0}`:   "minTimeInDays: want an integer of at least 1",
			`{"maxResults":"many"}`: "maxResults: want an integer",
			`{"maxResults":-1}`:     "maxResults: want an integer of at least 1",
		})
	qs := pullRequestSelector{MinTimeInDays: 1 << 40, MaxResults: 3}.queries(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	if len(qs) != 3 || qs[0] != (pullQuery{status: "active"}) || qs[2] != (pullQuery{"completed", "1926-11-26T12:00:00.000000Z", 3}) {
		t.Errorf("queries = %+v", qs)
	}
}
