package azuredevops

import (
	"bytes"
	"errors"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	store "github.com/ado-port/ado-port/azuredevops/records"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// storing is a client of f with a store of its own.
func storing(t *testing.T, f *fakeService) *Client {
	t.Helper()
	c := newTestClient(t, f, options{})
	s, err := store.Open(t.TempDir(), store.Limits{Bytes: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c.store = s
	return c
}

const environmentsPath = "p1/_apis/distributedtask/environments"

// pagedService has environments in four pages, each with a deployment, and a project
// with a list that is paged by numbers. What refuse returns true for is refused.
func pagedService(refuse func(*http.Request) bool) *fakeService {
	serve := routes(servers{
		"_apis/projects":        always(values(project1)),
		environmentsPath:        tokenPages(values(`{"id":1}`), values(`{"id":2}`, `{"id":3}`), values(`{"id":4}`), values(`{"id":5}`)),
		environmentsPath + "/":  always(values(`{"id":9}`)),
		testRunsPath:            skipping(2, `{"id":1}`, `{"id":2}`, `{"id":3}`),
		"p1/_apis/build/builds": always(values()),
	})
	return &fakeService{Serve: func(r *http.Request) *http.Response {
		if refuse != nil && refuse(r) {
			return answer(http.StatusForbidden, "")
		}
		return serve(r)
	}}
}

func listOnce(t *testing.T, c *Client, kind string, how Reading) (ids, unknown string, calls int) {
	t.Helper()
	selector := ""
	if kind == "test-run" {
		selector = `{"includeResults":false}`
	}
	before := int64(0)
	for _, k := range c.Calls() {
		before += k.Calls
	}
	recs, errs := collect(t, c.SnapshotOf(how), kind, selector, ListOptions{})
	var out []string
	for _, r := range recs {
		out = append(out, r.Scope.ID)
	}
	for _, k := range c.Calls() {
		calls += int(k.Calls)
	}
	return strings.Join(out, " "), scopes(errs), calls - int(before)
}

// A list in pages is used as a whole or not at all: between two pages that were read at
// different times something could fall through.
func TestStoredPages(t *testing.T) {
	touch := func(kind string, at Scope) func(*Client) {
		return func(c *Client) { c.Touch([]Change{{Kind: kind, Scope: at}}) }
	}
	// forget drops the answer to a request for a page, as a damaged store may.
	forget := func(token string) func(*Client) {
		return func(c *Client) {
			c.store.Drop(newLister(c).answerKey(environmentsOf(&project{ID: "p1"}).With("continuationToken", token)))
		}
	}
	var refused string // what is refused has this in its address
	again := func(part string) func(*Client) {
		return func(c *Client) {
			refused = part
			listOnce(t, c, "environment", Reading{})
			listOnce(t, c, "test-run", Reading{})
			refused = ""
		}
	}
	for _, tt := range []struct {
		name    string
		change  func(*Client)
		tokens  int    // calls of the second reading of the list with tokens
		unknown string // in it
		skips   int    // calls of that of the other list
	}{
		{"nothing happens", func(*Client) {}, 0, "", 0},
		{"an event in the project, of any kind", touch("build", Scope{Project: "P1", ID: "7"}), 4, "", 0},
		{"an event of the kind", touch("test-run", Scope{Project: "p1"}), 4, "", 3},
		{"an event of the kind, with the name of the project only", touch("test-run", Scope{ProjectName: "Fabrikam"}), 0, "", 3},
		{"an event of the kind in a repository", touch("test-run", Scope{Project: "p1", Repository: "r1"}), 4, "", 3},
		{"an event of another project", touch("test-run", Scope{Project: "p2"}), 0, "", 0},
		{"the first page is lost", forget(""), 4, "", 0},
		{"a page is lost", forget("2"), 0, "p1//", 0},
		{"half is read again", again("continuationToken=2"), 4, "", 0},
		{"the other half is read again", again("$skip=2"), 0, "", 3},
		{"all is read again", again("-"), 0, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := storing(t, pagedService(func(r *http.Request) bool {
				return refused != "" && strings.Contains(strings.ReplaceAll(r.URL.RawQuery, "%24", "$"), refused)
			}))
			began := time.Now()
			for _, kind := range []string{"environment", "test-run"} {
				listOnce(t, c, kind, Reading{})
			}
			tt.change(c)
			for kind, want := range map[string]struct {
				ids, unknown string
				calls        int
			}{"environment": {"1 2 3 4 5", tt.unknown, tt.tokens}, "test-run": {"1 2 3", "", tt.skips}} {
				if tt.unknown != "" && kind == "environment" {
					want.ids = "1 2 3"
				}
				ids, unknown, calls := listOnce(t, c, kind, Reading{Since: began})
				if ids != want.ids || unknown != want.unknown || calls != want.calls {
					t.Errorf("%s: %s, unknown %s, %d calls; want %+v", kind, ids, unknown, calls, want)
				}
			}
			// What was unknown is asked by the next one.
			if ids, unknown, _ := listOnce(t, c, "environment", Reading{Since: began}); ids != "1 2 3 4 5" || unknown != "" {
				t.Errorf("once more: %s, unknown %s", ids, unknown)
			}
		})
	}
}

// Two kinds that start from one list take its pages in turn: one is ahead of the other,
// then the other. For the store it stays one list.
func TestStoredPagesThatKindsShare(t *testing.T) {
	c := storing(t, pagedService(nil))
	began := time.Now()
	inTurn := func(how Reading) {
		t.Helper()
		s := c.SnapshotOf(how)
		first, _, _ := Bind("environment", nil)
		next, stop := iter.Pull2(first.Records(t.Context(), s, ListOptions{}))
		defer stop()
		if _, err, ok := next(); err != nil || !ok {
			t.Fatalf("%+v: the first record: %v", how, err)
		}
		if recs, errs := collect(t, s, "pipeline-deployment", "", ListOptions{}); len(recs) != 5 || errs != nil {
			t.Errorf("%+v: %d deployments, %v", how, len(recs), errs)
		}
		n := 1
		for {
			_, err, ok := next()
			if !ok {
				break
			}
			if n++; err != nil {
				t.Error(err)
			}
		}
		if n != 5 {
			t.Errorf("%+v: %d environments", how, n)
		}
	}
	inTurn(Reading{})
	for _, how := range []Reading{{Since: began}, {Since: began, Only: true}} {
		for _, kind := range []string{"environment", "pipeline-deployment"} {
			if _, unknown, calls := listOnce(t, c, kind, how); calls != 0 || unknown != "" {
				t.Errorf("%s, %+v: %d calls, unknown %s", kind, how, calls, unknown)
			}
		}
		inTurn(how)
	}
}

// What says that something is not there is an answer like any other; every other
// failure is asked again.
func TestStoredRefusals(t *testing.T) {
	for code, calls := range map[int]int{404: 0, 400: 0, 403: 1, 409: 1} {
		f := &fakeService{Serve: routes(servers{
			"_apis/projects":                         always(values(project1)),
			"p1/_apis/wit/classificationnodes/Areas": status(code, `{"message":"no","typeKey":"SomeException"}`),
		})}
		c := storing(t, f)
		began := time.Now()
		var texts []string
		for _, how := range []Reading{{}, {Since: began}} {
			before := len(f.Sent())
			_, errs := collect(t, c.SnapshotOf(how), "area-path", "", ListOptions{})
			if len(errs) != 1 || errors.Is(errs[0], ErrNotFound) {
				t.Fatalf("%d: %v", code, errs)
			}
			if e, ok := errors.AsType[*rest.Error](errs[0]); !ok || e.TypeKey != "SomeException" || e.StatusCode != code {
				t.Errorf("%d: %#v", code, errs[0])
			}
			texts = append(texts, errs[0].Error())
			if n := len(f.Sent()) - before; how.use() && n != calls {
				t.Errorf("%d: %d calls, want %d", code, n, calls)
			}
		}
		if texts[0] != texts[1] {
			t.Errorf("%d: %q, from the store %q", code, texts[0], texts[1])
		}
	}
}

// An event that comes while an answer is on its way counts, however often it was noted
// before.
func TestTouchedWhileAsked(t *testing.T) {
	touch := []Change{{Kind: "environment", Scope: Scope{Project: "p1"}}}
	var c *Client
	asked := 0
	c = storing(t, pagedService(func(*http.Request) bool {
		if asked++; asked <= 2 { // the list of projects, and the first page
			c.Touch(touch)
		}
		return false
	}))
	began := time.Now()
	listOnce(t, c, "environment", Reading{})
	if _, _, calls := listOnce(t, c, "environment", Reading{Since: began}); calls != 4 {
		t.Errorf("%d calls after an event during the first, want 4", calls)
	}
	c.Touch(touch)
	c.Touch(touch)
	if _, _, calls := listOnce(t, c, "environment", Reading{Since: began}); calls != 4 {
		t.Errorf("%d calls after more events, want 4", calls)
	}
	if _, _, calls := listOnce(t, c, "environment", Reading{Since: began}); calls != 0 {
		t.Errorf("%d calls without an event", calls)
	}
}

// A listing of changes may stop before the end of a list: nothing of it is stored.
func TestChangesAreNotStored(t *testing.T) {
	c := storing(t, pagedService(nil))
	began := time.Now()
	collect(t, c.Snapshot(), "test-run", `{"includeResults":false}`, ListOptions{Since: began.Add(-time.Hour)})
	if ids, _, calls := listOnce(t, c, "test-run", Reading{Since: began}); ids != "1 2 3" || calls != 4 {
		t.Errorf("%s with %d calls", ids, calls)
	}
}

// refusing is a store that is full.
type refusing struct {
	Store
	full    bool
	cleared int
}

func (r *refusing) Put(key string, value ...[]byte) bool {
	return !r.full && r.Store.Put(key, value...)
}
func (r *refusing) Clear() { r.cleared++; r.Store.Clear() }

// Where an event cannot be noted nothing stored is used any more.
func TestTouchNeedsTheStore(t *testing.T) {
	c := storing(t, pagedService(nil))
	s := &refusing{Store: c.store}
	c.store = s
	began := time.Now()
	listOnce(t, c, "environment", Reading{})
	s.full = true
	c.Touch([]Change{{Kind: "build", Scope: Scope{Project: "p2"}}})
	if _, _, calls := listOnce(t, c, "environment", Reading{Since: began}); s.cleared != 1 || calls != 5 {
		t.Errorf("cleared %d times, %d calls", s.cleared, calls)
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, a := range []stored{
		{read: 1 << 60, chain: 1 << 60, status: 200, token: "next", body: []byte(`{"value":[]}`)},
		{read: -1, chain: 2, status: 404, refused: &rest.Error{Method: "GET", URL: "https://x/y", TypeKey: "K", Message: "m", StatusCode: 404}},
		{},
	} {
		f.Add(append(a.head(), a.body...))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := decodeAnswer(b)
		if !ok {
			return
		}
		again, ok := decodeAnswer(append(a.head(), a.body...))
		if !ok || again.read != a.read || again.chain != a.chain || again.status != a.status || again.token != a.token || !bytes.Equal(again.body, a.body) ||
			(a.refused == nil) != (again.refused == nil) || a.refused != nil && *a.refused != *again.refused {
			t.Errorf("%+v became %+v, %v", a, again, ok)
		}
	})
}

func FuzzDecodeNote(f *testing.F) {
	for _, n := range []note{{}, {asked: 1 << 60, held: 1<<60 + 1, revision: "abc"}, {asked: -1, held: -2}} {
		f.Add(n.encode())
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 12)) // no number ends
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := decodeNote(b, true)
		if !ok {
			return
		}
		if again, ok := decodeNote(n.encode(), true); !ok || again != n {
			t.Errorf("%+v became %+v, %v", n, again, ok)
		}
	})
}
