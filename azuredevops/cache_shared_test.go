package azuredevops

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// A kindCase lists a kind of an organization with the projects p1 and p2.
type kindCase struct {
	name     string
	kind     string
	selector string
	serve    map[string]func(*http.Request) *http.Response // by path below the organization
	want     []string                                      // records without the keys of all kinds
	scope    string                                        // of the first record: project/repository/id
	unknown  string                                        // scopes of the errors
	missing  []string                                      // per record, a part of what is said to be missing
	sent     []string                                      // requests, besides the list of projects; nil means any
}

const (
	project1 = `{"id":"p1","name":"A"}`
	project2 = `{"id":"p2","name":"B"}`
)

func (tt *kindCase) run(t *testing.T) {
	t.Helper()
	table := map[string]func(*http.Request) *http.Response{
		"_apis/projects": always(values(project1, project2)), "p1/": always(values()), "p2/": always(values()),
	}
	maps.Copy(table, tt.serve)
	f := &fakeService{Serve: routes(table)}
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), tt.kind, tt.selector, ListOptions{})
	var got []string
	for i, r := range recs {
		text := string(r.JSON)
		if strings.Count(text, orgKeys) != 1 {
			t.Errorf("record without the keys of all kinds: %s", text)
		}
		got = append(got, strings.Replace(text, orgKeys, "", 1))
		want := ""
		if i < len(tt.missing) {
			want = tt.missing[i]
		}
		said := fmt.Sprint(errors.Join(r.Missing...))
		if (want == "") != (len(r.Missing) == 0) || !strings.Contains(said, want) && want != "" {
			t.Errorf("record %d misses %s, want %q", i, said, want)
		}
		for _, err := range r.Missing {
			if errors.Is(err, ErrNotFound) {
				t.Errorf("record %d: %v: 404 below what was listed is unknown", i, err)
			}
		}
	}
	if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
		t.Errorf("records =\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
	}
	if scopes(errs) != tt.unknown {
		t.Errorf("unknown = %q %v, want %q", scopes(errs), errs, tt.unknown)
	}
	for _, err := range errs {
		if errors.Is(err, ErrNotFound) {
			t.Errorf("%v: 404 of what was listed is unknown", err)
		}
	}
	if s := tt.scope; s != "" && (len(recs) == 0 || recs[0].Scope.Project+"/"+recs[0].Scope.Repository+"/"+recs[0].Scope.ID != s) {
		t.Errorf("scope = %+v, want %s", recs, s)
	}
	tt.check(t, f)
}

// check compares what was sent, in any order.
func (tt *kindCase) check(t *testing.T, f *fakeService) {
	t.Helper()
	if tt.sent == nil {
		return
	}
	left := map[string]int{}
	for _, s := range f.Sent() {
		if !strings.Contains(s, "_apis/projects") {
			left[strings.TrimPrefix(s, "GET /acme/")]++
		}
	}
	for _, s := range tt.sent {
		left[s]--
	}
	for s, n := range left {
		if n != 0 {
			t.Errorf("request %q: %+d", s, n)
		}
	}
}

func runKindCases(t *testing.T, cases []kindCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) { synctest.Test(t, tt.run) }) // a fake clock for retries
	}
}

// Early ends and selectors are alike for many kinds.
func testKindBasics(t *testing.T, kind string, serve map[string]func(*http.Request) *http.Response, bad map[string]string) {
	t.Helper()
	for selector, want := range bad {
		if _, _, err := Bind(kind, []byte(selector)); err == nil || err.Error() != want {
			t.Errorf("Bind(%s, %s) = %v, want %q", kind, selector, err, want)
		}
	}
	if _, warnings, err := Bind(kind, []byte(`{"query":"true","elsewhere":1}`)); err != nil || len(warnings) != 1 {
		t.Errorf("Bind with an unknown key = %v, %v, want a warning", warnings, err)
	}
	serve["_apis/projects"] = always(values(project1))
	l, _, err := Bind(kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range l.Records(t.Context(), newTestClient(t, &fakeService{Serve: routes(serve)}, options{}).Snapshot(), ListOptions{}) {
		if n++; err != nil {
			t.Error(err)
		}
		break
	}
	if n != 1 {
		t.Errorf("%s: no record before the break", kind)
	}
	serve["_apis/projects"] = status(404, "")
	recs, errs := collect(t, newTestClient(t, &fakeService{Serve: routes(serve)}, options{}).Snapshot(), kind, "", ListOptions{})
	if len(recs) != 0 || scopes(errs) != "//" {
		t.Errorf("%s without projects: %d records, %v, want the organization unknown", kind, len(recs), errs)
	}
}

func TestShared(t *testing.T) {
	long := values(`{"id":1,"text":"` + strings.Repeat("abc", packAbove) + `"}`)
	f := &fakeService{Serve: tokenPages(long, values(`{"id":2}`))}
	l := newLister(newTestClient(t, f, options{}))
	for range 3 {
		got, err := drain(l.pages(t.Context(), &request{Route: "_apis/x", Shared: true}, "value"))
		if err != nil || strings.Join(got, "|") != "1|2" {
			t.Errorf("pages = %.40q, %v", got, err)
		}
	}
	if n := len(f.Sent()); n != 2 {
		t.Errorf("%d requests, want each page once: %q", n, f.Sent())
	}
	if _, err := drain(l.pages(t.Context(), &request{Route: "_apis/x", Shared: true, Query: []string{"a", "b"}}, "value")); err != nil || len(f.Sent()) != 4 {
		t.Errorf("another list: %d requests, %v", len(f.Sent()), err)
	}
	f.Serve = status(403, "")
	for range 2 {
		if _, err := drain(l.pages(t.Context(), &request{Route: "_apis/y", Shared: true}, "value")); !errors.Is(err, ErrForbidden) {
			t.Errorf("err = %v", err)
		}
	}
	if n := len(f.Sent()); n != 5 {
		t.Errorf("%d requests, want the failure remembered", n)
	}
}

// What does not fit is fetched again.
func TestSharedIsBounded(t *testing.T) {
	f := &fakeService{Serve: always(values(`{"id":1}`))}
	l := newLister(newTestClient(t, f, options{}))
	l.shared.most = 3 * cacheEntry
	for _, route := range []string{"a", "b", "c", "a", "c"} {
		if _, err := drain(l.pages(t.Context(), &request{Route: route, Shared: true}, "value")); err != nil {
			t.Error(err)
		}
	}
	if n := len(f.Sent()); n != 4 || l.shared.used > l.shared.most {
		t.Errorf("%d requests and %d bytes, want 4 and at most %d", n, l.shared.used, l.shared.most)
	}
}
