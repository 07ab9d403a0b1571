package porttest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port/porttest"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	now := newClock()
	srv := newServer(t, porttest.Options{ClientSecret: "right", TokenTTL: time.Hour, Now: now.Now})
	a := newAPI(t, srv)
	if got := a.login("client-id", "wrong"); got != 401 {
		t.Errorf("wrong secret = %d, want 401", got)
	}
	a.want(401, "GET", "/v1/organization", "")
	a.login("client-id", "right")
	a.want(200, "GET", "/v1/organization", "")
	good := a.token
	a.token += "x"
	a.want(401, "GET", "/v1/organization", "")
	a.token = good
	srv.RejectCredentials(true)
	a.want(200, "GET", "/v1/organization", "")
	if got := a.login("client-id", "right"); got != 401 {
		t.Errorf("rejected credentials = %d, want 401", got)
	}
	srv.RejectCredentials(false)
	a.login("client-id", "right")
	srv.ExpireTokens()
	a.want(401, "GET", "/v1/organization", "")
	a.login("client-id", "right")
	now.Add(time.Hour - time.Second)
	a.want(200, "GET", "/v1/organization", "")
	now.Add(time.Second)
	a.want(401, "GET", "/v1/organization", "")
	a.token = ""
	a.want(422, "POST", "/v1/auth/access_token", `{"clientId":"x"}`)
}

func TestOrganizationsArePrivate(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{FeatureFlags: []string{"USE_PROVISIONED_DEFAULTS"}})
	a := newAPI(t, srv)
	a.upsert(200, "service", true, true, `{"identifier":"a"}`)
	if got := a.want(200, "GET", "/v1/organization", "").Get("organization.featureFlags").Raw; got != `["USE_PROVISIONED_DEFAULTS"]` {
		t.Errorf("flags = %s", got)
	}
	a.login("other", "x")
	a.want(404, "GET", "/v1/blueprints/service", "")
	srv.For("other").AddBlueprint(projectBlueprint)
	a.upsert(200, "project", true, true, `{"identifier":"p"}`)
	if len(srv.Entities("")) != 1 || len(srv.For("other").Entities("")) != 1 || srv.For("other").Writes() != 1 {
		t.Error("organizations share entities")
	}
	if got := a.want(200, "GET", "/v1/kafka-credentials", "").Get("credentials.username").Str; !strings.HasPrefix(got, "org_") {
		t.Errorf("kafka user = %q", got)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := newClock()
	srv := newServer(t, porttest.Options{RateLimit: 2, RateWindow: time.Minute, Now: now.Now})
	a := newAPI(t, srv)
	get := func() string {
		res, err := a.try("GET", "/v1/organization", "")
		if err != nil {
			t.Fatal(err)
		}
		h := res.header
		return res.line + " " + h.Get("x-ratelimit-period") + " " + h.Get("x-ratelimit-limit") + " " + h.Get("x-ratelimit-remaining") + " " + h.Get("x-ratelimit-reset")
	}
	for _, want := range []string{"200 OK 60 2 1 60", "200 OK 60 2 0 60", "429 Too Many Requests 60 2 0 60"} {
		if got := get(); got != want {
			t.Errorf("answer = %q, want %q", got, want)
		}
	}
	now.Add(30500 * time.Millisecond)
	if got, want := get(), "429 Too Many Requests 60 2 0 30"; got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}
	now.Add(time.Minute)
	if got, want := get(), "200 OK 60 2 1 60"; got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const bulk = "POST /v1/blueprints/{bp}/entities/bulk"
	for _, tt := range []struct {
		name   string
		rule   porttest.Rule
		want   string // "status body…" or "error"
		stored bool
	}{
		{"status", porttest.Status(bulk, 503), `503 {"ok":false,"error":"internal_error"`, false},
		{"429", porttest.Status(bulk, 429).Header("Retry-After", "7"), `429 {"ok":false,"error":"too_many_requests"`, false},
		{"body", porttest.Status(bulk, 403).Body("no"), "403 no", false},
		{"html", porttest.HTML(bulk), "200 <!DOCTYPE html>", false},
		{"reset", porttest.Reset(bulk), "error", false},
		{"truncated", porttest.Truncate(bulk), "error", true},
		{"malformed", porttest.Malformed(bulk), `200 {"ok":true,"entities":[`, true},
		{"lost answer", porttest.LostAnswer(bulk), `500 {"ok":false`, true},
		{"lost connection", porttest.LostConnection(bulk), "error", true},
		{"expired token", porttest.ExpireTokens(bulk), `401 {"ok":false,"error":"unauthorized"`, false},
		{"slow", porttest.Slow(bulk, time.Millisecond), `200 {"ok":true`, true},
	} {
		for _, over := range []string{"transport", "network"} {
			t.Run(tt.name+" over "+over, func(t *testing.T) {
				t.Parallel()
				srv := porttest.New(porttest.Options{})
				defer srv.Close()
				srv.AddBlueprint(serviceBlueprint, projectBlueprint)
				a := newAPI(t, srv)
				if over == "network" {
					a.url, a.http = srv.URL, &http.Client{Transport: &http.Transport{}}
					defer a.http.CloseIdleConnections()
				}
				srv.Fault(tt.rule.Times(1))
				a.want(200, "GET", "/v1/blueprints", "")
				res, err := a.try("POST", "/v1/blueprints/service/entities/bulk?upsert=true", `{"entities":[{"identifier":"a"}]}`)
				got := "error"
				if err == nil {
					got = strconv.Itoa(res.status) + " " + res.body
				}
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("answer = %q, want %q (err %v)", got, tt.want, err)
				}
				if _, stored := srv.Entity("service", "a"); stored != tt.stored {
					t.Errorf("stored = %t, want %t", stored, tt.stored)
				}
				log := srv.Requests(bulk)
				if len(log) != 1 || log[0].Fault == "" || log[0].Route != "POST /v1/blueprints/{blueprint}/entities/bulk" || log[0].RequestSize != 33 {
					t.Errorf("log = %+v", log)
				}
				a.login("client-id", "x")
				a.upsert(200, "service", true, true, `{"identifier":"a"}`)
			})
		}
	}
}

func TestRulesChooseRequests(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	statuses := func(n int, path string) string {
		var b strings.Builder
		for range n {
			status, _ := a.do("GET", path, "")
			if status == 200 {
				b.WriteByte('.')
			} else {
				b.WriteByte('x')
			}
		}
		return b.String()
	}
	for _, tt := range []struct {
		name string
		rule porttest.Rule
		want string
	}{
		{"all", porttest.Status("", 500), "xxxxxxxx"},
		{"prefix", porttest.Status("GET /v1/org*", 500), "xxxxxxxx"},
		{"other route", porttest.Status("GET /v1/blueprints*", 500), "........"},
		{"times", porttest.Status("GET /v1/organization", 500).Times(2), "xx......"},
		{"after", porttest.Status("GET /v1/organization", 500).After(3).Times(1), "...x...."},
		{"rate", porttest.Status("GET /v1/organization", 500).Rate(0.25), "...x...x"},
		{"when", porttest.Status("", 500).When(func(r *http.Request, _ []byte) bool { return r.Header.Get("User-Agent") == "x" }), "........"},
	} {
		srv.ClearFaults()
		srv.Fault(tt.rule)
		if got := statuses(8, "/v1/organization"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Fault of an unknown route did not panic")
		}
	}()
	srv.Fault(porttest.Reset("POST /v1/blueprint/{x}/entities/bulk"))
}

func TestDoChangesTheWorldInBetween(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	srv.Fault(porttest.Do("POST /v1/entities/search", func() {
		srv.PutEntity(agent, `{"identifier":"late","blueprint":"service"}`)
	}).Times(1))
	if got := a.want(200, "POST", "/v1/entities/search", `{"combinator":"and","rules":[]}`).Get("entities.#").Int(); got != 1 {
		t.Errorf("found %d entities, want 1", got)
	}
}

func statusOf(c *http.Client, req *http.Request) (int, error) {
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// TestHang: a client that gives up leaves nothing behind, and Close does not wait for ever.
func TestHang(t *testing.T) {
	t.Parallel()
	srv := porttest.New(porttest.Options{})
	arrived, open := make(chan struct{}), make(chan struct{})
	srv.Fault(porttest.Hang("GET /v1/organization").When(func(*http.Request, []byte) bool {
		close(arrived)
		return true
	}).Times(1), porttest.Gate("GET /v1/blueprints", open))
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/v1/organization", nil)
	go func() { <-arrived; cancel() }()
	if status, err := statusOf(http.DefaultClient, req); !errors.Is(err, context.Canceled) {
		t.Errorf("status = %d, %v, want it cancelled", status, err)
	}
	answered := make(chan error, 1)
	go func() {
		behind, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v1/blueprints", nil)
		_, err := statusOf(http.DefaultClient, behind)
		answered <- err
	}()
	srv.Close()
	srv.Close()
	if err := <-answered; err == nil {
		t.Error("a request behind a closed gate was answered")
	}
	close(open)
	late, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/v1/organization", nil)
	if status, err := statusOf(&http.Client{Transport: srv.Transport()}, late); status != 503 {
		t.Errorf("status of a closed server = %d, %v, want 503", status, err)
	}
}

// TestTransportInBubble uses the fake clock: no sockets, no waiting.
func TestTransportInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, porttest.Options{TokenTTL: time.Hour})
		a := newAPI(t, srv)
		srv.Fault(porttest.Slow("GET /v1/blueprints", 10*time.Minute).Times(1))
		start := time.Now()
		a.want(200, "GET", "/v1/blueprints", "")
		if d := time.Since(start); d != 10*time.Minute {
			t.Errorf("took %v, want 10m", d)
		}
		srv.Fault(porttest.Hang("GET /v1/organization"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://x/v1/organization", nil)
		if _, err := statusOf(a.http, req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do = %v, want the deadline", err)
		}
		synctest.Wait()
		if log := srv.Requests("GET /v1/organization"); len(log) != 1 || log[0].Status != 0 {
			t.Errorf("log = %+v, want one request cut off", log)
		}
	})
}

func TestUnknownRoute(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{KeepBodies: true})
	a := newAPI(t, srv)
	a.want(404, "GET", "/v2/organization", "")
	a.want(404, "PUT", "/v1/organization?a=b%20c", `{"x":1}`)
	log := srv.Requests("(unmatched)")
	if len(log) != 2 || string(log[1].Body) != `{"x":1}` || log[1].Query("a") != "b c" || log[1].Header.Get("Authorization") != "" || log[1].Agent != agent {
		t.Errorf("log = %+v", log)
	}
	srv.ForgetRequests()
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests after ForgetRequests, want none", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		a := newAPI(t, srv)
		wg.Go(func() {
			for range 20 {
				a.upsert(200, "service", true, true, `{"identifier":"shared","relations":{"uses":["x","y"]}}`, `{"identifier":"e`+string(rune('0'+i))+`"}`)
				a.want(200, "POST", "/v1/entities/search", `{"combinator":"and","rules":[]}`)
				a.want(200, "POST", "/v1/blueprints/service/bulk/entities/delete?delete_dependents=true", `{"entities":["x"]}`)
				srv.Entities("")
				srv.Restore(srv.Snapshot())
			}
		})
	}
	wg.Wait()
	if _, found := srv.Entity("service", "shared"); !found {
		t.Error("shared entity is gone")
	}
}
