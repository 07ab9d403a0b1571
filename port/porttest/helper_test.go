package porttest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const agent = "port-ocean/azure-devops/1.0.0/my-ado/exporter"

// api is a bare client of the imitated API.
type api struct {
	t     testing.TB
	http  *http.Client
	url   string
	token string
	agent string
}

func newAPI(tb testing.TB, srv *porttest.Server) *api {
	tb.Helper()
	a := &api{t: tb, http: &http.Client{Transport: srv.Transport()}, url: "http://port.example", agent: agent}
	a.login("client-id", "secret")
	return a
}

func (a *api) login(id, secret string) int {
	a.t.Helper()
	a.token = ""
	status, doc := a.do("POST", "/v1/auth/access_token", fmt.Sprintf(`{"clientId":%q,"clientSecret":%q}`, id, secret))
	a.token = doc.Get("accessToken").Str
	return status
}

// answer is an answer that has been read.
type answer struct {
	status int
	line   string // status with its text
	header http.Header
	body   string
}

// try sends a request; err is what the transport or reading the body reported.
func (a *api) try(method, path, body string) (answer, error) {
	a.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, r)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", a.agent)
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Status, res.Header, string(b)}, err
}

func (a *api) do(method, path, body string) (int, gjson.Result) {
	a.t.Helper()
	got, err := a.try(method, path, body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	if !gjson.Valid(got.body) {
		a.t.Fatalf("%s %s = %q, want JSON", method, path, got.body)
	}
	return got.status, gjson.Parse(got.body)
}

func (a *api) want(status int, method, path, body string) gjson.Result {
	a.t.Helper()
	got, doc := a.do(method, path, body)
	if got != status {
		a.t.Fatalf("%s %s = %d %s, want %d", method, path, got, doc.Raw, status)
	}
	return doc
}

// upsert writes entities in bulk with the options that an integration sends.
func (a *api) upsert(status int, blueprint string, merge, createMissing bool, entities ...string) gjson.Result {
	a.t.Helper()
	return a.want(status, "POST", fmt.Sprintf("/v1/blueprints/%s/entities/bulk?upsert=true&merge=%t&create_missing_related_entities=%t&validation_only=false", blueprint, merge, createMissing),
		`{"entities":[`+strings.Join(entities, ",")+`]}`)
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	projectBlueprint = `{"identifier":"project","title":"Project","schema":{"properties":{"link":{"type":"string","format":"url"}}}}`
	serviceBlueprint = `{"identifier":"service","schema":{"properties":{
		"url":{"type":"string","format":"url"},"state":{"type":"string","enum":["on","off"]},"stars":{"type":"number","minimum":0},
		"code":{"type":"string","pattern":"^[A-Z]+$","maxLength":3},"tags":{"type":"array","items":{"type":"string"},"maxItems":2},
		"live":{"type":"boolean"},"raw":{"type":"object"},"at":{"type":"string","format":"date-time"},"mail":{"type":"string","format":"email"}}},
		"relations":{"project":{"target":"project"},"uses":{"target":"service","many":true}}}`
	strictBlueprint = `{"identifier":"strict","schema":{"properties":{"name":{"type":"string"}},"required":["name"]},
		"relations":{"project":{"target":"project","required":true}}}`
)

func newServer(tb testing.TB, opt porttest.Options) *porttest.Server {
	tb.Helper()
	srv := porttest.NewUnstarted(opt)
	tb.Cleanup(srv.Close)
	srv.AddBlueprint(serviceBlueprint, projectBlueprint, strictBlueprint)
	return srv
}

// failed counts the entities that failed.
func failed(r *port.UpsertResult) int {
	n := 0
	for i := range r.Identifiers {
		if r.Err(i) != nil {
			n++
		}
	}
	return n
}

// dropped reports whether an entity's search matched nothing.
func dropped(r *port.UpsertResult, i int) bool { return r.Identifiers[i] == "" && r.Err(i) == nil }
