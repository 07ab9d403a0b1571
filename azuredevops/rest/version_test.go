package rest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const serverURL = "https://ado.example.com/tfs/Main"

// A generation is an edition of Azure DevOps Server.
type generation struct {
	name, named string // the version that its refusals name
	released    string // the highest one that is not a preview
	previews    []string
	lacks       []string // beginnings of routes
	asked       []string // "route version" in order
	mu          sync.Mutex
}

// generations are those that are still supported. That of 2020 names 6.1, of
// which it has previews only.
func generations() []*generation {
	services := []string{"graph/", "userentitlements", "alert/"}
	return []*generation{
		{name: "2019", named: "5.1", released: "5.1", previews: []string{"wit/wiql", "teams"}, lacks: append(services, "pipelines")},
		{name: "2020", named: "6.1", released: "6.0", previews: []string{"wit/wiql"}, lacks: services},
		{name: "2022", named: "7.0", released: "7.0", previews: []string{"teams"}, lacks: services},
	}
}

// serve answers like the server, after a while.
func (g *generation) serve(r *http.Request) *http.Response {
	_, route, _ := strings.Cut(r.URL.Path, "_apis/")
	_, version, _ := strings.Cut(r.Header.Get("Accept"), "api-version=")
	g.mu.Lock()
	g.asked = append(g.asked, route+" "+version)
	g.mu.Unlock()
	_ = Sleep(r.Context(), 50*time.Millisecond)
	begins := func(list []string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return strings.HasPrefix(route, p) })
	}
	number, suffix, isPreview := strings.Cut(version, "-")
	switch {
	case begins(g.lacks):
		return answer(404, "<html><title>Page not found. - Azure DevOps Server</title>", "Content-Type", "text/html; charset=utf-8")
	case version == "" && r.Method == http.MethodGet:
		return answer(200, values())
	case version == "":
		return answer(400, `{"typeKey":"VssVersionNotSpecifiedException","message":"No api-version was supplied"}`)
	case less(g.named, number):
		return answer(400, `{"typeKey":"VssVersionOutOfRangeException","message":"The requested REST API version of `+number+
			` is out of range for this server. The latest REST API version this server supports is `+g.named+`."}`)
	case !isPreview && (begins(g.previews) || less(g.released, number)):
		return answer(400, `{"typeKey":"VssInvalidPreviewVersionException","message":"The requested version \"`+number+`\" of the resource is under preview."}`)
	case suffix > "preview.2":
		return answer(400, `{"typeKey":"VssVersionOutOfRangeException","message":"The requested REST API version of `+version+
			` is out of range for this server. The latest REST API version this server supports is `+g.named+`-preview.2."}`)
	}
	return answer(200, values())
}

func (g *generation) client(t *testing.T, log *lockedBuffer) *Client {
	t.Helper()
	c := newTestClient(t, &fakeService{Serve: g.serve}, options{log: log, org: serverURL})
	if !c.versions.server {
		t.Fatal("not a server")
	}
	return c
}

func post(route, version string) *Request {
	return &Request{Route: route, Version: version, Body: []byte("{}")}
}

// However many requests come first, each thing is learned from one refusal; then
// it is known.
func TestVersionsOfServers(t *testing.T) {
	want := map[string]string{
		"2019": "wit/wiql 7.1-preview.2, wit/wiql 5.1, wit/wiql 5.1-preview; work/boards 7.1, work/boards 5.1; wit/workitems 5.1",
		"2020": "wit/wiql 7.1-preview.2, wit/wiql 6.1, wit/wiql 6.1-preview; work/boards 7.1, work/boards 6.1, work/boards 6.1-preview; wit/workitems 6.1, wit/workitems 6.1-preview",
		"2022": "wit/wiql 7.1-preview.2, wit/wiql 7.0; work/boards 7.1, work/boards 7.0; wit/workitems 7.0",
	}
	for _, g := range generations() {
		t.Run(g.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := g.client(t, &lockedBuffer{})
				const many = 40
				flood := func(rq *Request) {
					var wg sync.WaitGroup
					for range many {
						wg.Go(func() {
							if _, err := c.Send(t.Context(), rq, Caller{}); err != nil {
								t.Error(err)
							}
						})
					}
					wg.Wait()
				}
				for i, steps := range strings.Split(want[g.name], "; ") {
					g.asked = nil
					step := strings.Split(steps, ", ")
					flood([]*Request{post("_apis/wit/wiql", "7.1-preview.2"), {Route: "_apis/work/boards", Version: "7.1"}, {Route: "_apis/wit/workitems", Version: "7.1-preview.3"}}[i])
					last := step[len(step)-1]
					if got := g.asked[:len(step)]; !slices.Equal(got, step) {
						t.Errorf("asked %q, want %q", got, step)
					}
					for _, a := range g.asked[len(step):] {
						if a != last {
							t.Errorf("asked %s after it was known to be %s", a, last)
						}
					}
					if len(g.asked) != len(step)-1+many {
						t.Errorf("%d requests, want %d", len(g.asked), len(step)-1+many)
					}
				}
			})
		})
	}
}

// All routes at once, as at the beginning of a resync.
func TestVersionsOfManyRoutes(t *testing.T) {
	for _, g := range generations() {
		synctest.Test(t, func(t *testing.T) {
			c := g.client(t, &lockedBuffer{})
			var wg sync.WaitGroup
			for range 30 {
				for _, rq := range []*Request{
					post("_apis/wit/wiql", "7.1-preview.2"),
					{Route: "_apis/wit/workitems", Version: "7.1-preview.3"},
					{Route: "_apis/teams"},
					{Route: "_apis/wit/classificationnodes/Areas", Version: "7.1"},
					{Route: "_apis/git/repositories", Version: "7.1"},
					{Host: VSRM, Route: "_apis/release/releases"},
				} {
					wg.Go(func() {
						if _, err := c.Send(t.Context(), rq, Caller{}); err != nil {
							t.Errorf("%s: %v", g.name, err)
						}
					})
				}
			}
			wg.Wait()
			if refusals := len(g.asked) - 180; refusals > 7 {
				t.Errorf("%s: %d refusals", g.name, refusals)
			}
		})
	}
}

// A first request that fails, or gives up, does not hold the others back.
func TestFirstRequestFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/bad") {
				return answer(500, "")
			}
			return answer(200, "{}")
		}}
		c := newTestClient(t, f, options{org: serverURL})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Send(ctx, &Request{Route: "_apis/wit/bad", Version: "7.1"}, Caller{}); err == nil {
				t.Error("no error")
			}
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), &Request{Route: "_apis/wit/good", Version: "7.1"}, Caller{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestVersionWhereNoneWasAsked(t *testing.T) {
	f := &fakeService{}
	var asked []string
	f.Serve = func(r *http.Request) *http.Response {
		_, v, _ := strings.Cut(r.Header.Get("Accept"), "api-version=")
		asked = append(asked, v)
		switch {
		case v == "" && r.Method == http.MethodPost:
			return answer(400, `{"typeKey":"VssVersionNotSpecifiedException"}`)
		case v == "":
			return answer(400, `{"typeKey":"VssInvalidPreviewVersionException"}`)
		case less("6.0", v):
			return answer(400, `{"typeKey":"VssVersionOutOfRangeException","message":"The latest REST API version this server supports is 6.0."}`)
		}
		return answer(200, "{}")
	}
	c := newTestClient(t, f, options{org: serverURL})
	for _, rq := range []*Request{{Route: "_apis/x/a"}, {Route: "_apis/x/a"}, post("_apis/y/b", "")} {
		if _, err := c.Send(t.Context(), rq, Caller{}); err != nil {
			t.Error(err)
		}
	}
	want := []string{"", "7.1-preview", "6.0-preview", "6.0-preview", "", "7.1", "6.0"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// A server that refuses whatever it is asked for is believed in the end.
func TestVersionNeverRight(t *testing.T) {
	for _, key := range []string{"VssVersionNotSpecifiedException", "VssVersionOutOfRangeException", "VssInvalidPreviewVersionException"} {
		for _, version := range []string{"", "7.1", "7.1-preview.3"} {
			f := &fakeService{Serve: status(400, `{"typeKey":"`+key+`","message":"The latest REST API version this server supports is 5.0."}`)}
			c := newTestClient(t, f, options{org: serverURL})
			if _, err := c.Send(t.Context(), &Request{Route: "_apis/x", Version: version}, Caller{}); err == nil || len(f.Sent()) > maxRefusals {
				t.Errorf("%s for %q: %v after %d requests", key, version, err, len(f.Sent()))
			}
		}
	}
}

// What a server lacks is unknown, not empty; people are told once, and the route is
// asked for again when the server may have been updated.
func TestServerLacksAnArea(t *testing.T) {
	for _, g := range generations() {
		synctest.Test(t, func(t *testing.T) {
			var log lockedBuffer
			c := g.client(t, &log)
			groups := &Request{Host: VSSPS, Route: "_apis/graph/groups"}
			for _, rq := range []*Request{groups, groups, {Host: VSSPS, Route: "_apis/graph/users"}, {Host: VSAEX, Route: "_apis/userentitlements"}, groups} {
				if _, err := c.Send(t.Context(), rq, Caller{}); !errors.Is(err, ErrNotOffered) || errors.Is(err, ErrNotFound) {
					t.Errorf("%s %s: %v", g.name, rq.Route, err)
				}
			}
			for _, area := range []string{"vssps/graph", "vsaex/userentitlements"} {
				if got := strings.Count(log.String(), "area="+area); got != 1 {
					t.Errorf("%s is reported %d times", area, got)
				}
			}
			if got := len(g.asked); got != 3 {
				t.Errorf("%s: asked %q, want each route once", g.name, g.asked)
			}
			time.Sleep(askAgain)
			g.lacks = nil // it has been updated
			if _, err := c.Send(t.Context(), groups, Caller{}); err != nil {
				t.Errorf("after an update: %v", err)
			}
		})
	}
}

// Where there is no collection, that is said, and asked anew each time.
func TestNoCollection(t *testing.T) {
	f := &fakeService{Serve: status(404, "<html>", "Content-Type", "text/html")}
	c := newTestClient(t, f, options{org: serverURL})
	for range 2 {
		_, err := c.Send(t.Context(), &Request{Route: "_apis/projects"}, Caller{})
		if err == nil || errors.Is(err, ErrNotOffered) || !strings.Contains(err.Error(), "no collection at this URL") {
			t.Errorf("err = %v", err)
		}
	}
	if len(f.Sent()) != 2 {
		t.Errorf("sent %q", f.Sent())
	}
}

// On Services, and where a route has answered, such a 404 is a fault of the moment.
func TestMissingPageIsNoLack(t *testing.T) {
	page := status(404, "<html>", "Content-Type", "text/html")
	for _, org := range []string{testOrg, serverURL} {
		f := &fakeService{Serve: always(values())}
		c := newTestClient(t, f, options{org: org})
		rq := &Request{Route: "_apis/git/repositories"}
		if _, err := c.Send(t.Context(), rq, Caller{}); err != nil {
			t.Fatal(err)
		}
		f.Serve = page
		if _, err := c.Send(t.Context(), rq, Caller{}); err == nil || errors.Is(err, ErrNotOffered) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: err = %v", org, err)
		}
		f.Serve = always(values())
		if _, err := c.Send(t.Context(), rq, Caller{}); err != nil {
			t.Errorf("%s: %v", org, err)
		}
	}
	c := newTestClient(t, &fakeService{Serve: page}, options{})
	for range 2 {
		if _, err := c.Send(t.Context(), &Request{Route: "_apis/git/repositories"}, Caller{}); errors.Is(err, ErrNotOffered) || errors.Is(err, ErrNotFound) {
			t.Errorf("on Services: %v", err)
		}
	}
}
