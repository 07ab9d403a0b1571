package port_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// answers is a transport that answers with one status after a sound token.
type answers struct {
	status int
	header http.Header
	err    error
	body   string
	calls  atomic.Int32
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, status, header := `{"ok":true,"accessToken":"eyJtoken.very-secret-value","expiresIn":3600,"tokenType":"Bearer"}`, 200, http.Header{}
	if !strings.HasSuffix(r.URL.Path, "/auth/access_token") {
		a.calls.Add(1)
		if a.err != nil {
			return nil, a.err
		}
		body, status, header = a.body, a.status, a.header
		if body == "" {
			// A server that repeats what it was sent.
			body = fmt.Sprintf(`{"ok":false,"error":"broken","message":"you sent %s"}`, r.Header.Get("Authorization"))
		}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestRetryMatrix(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for _, tt := range []struct {
		name           string
		status         int
		err            error
		read, log      int32 // attempts of a read and of a POST that must not be repeated lightly
		unauth, absent bool
	}{
		{"200", 200, nil, 1, 1, false, false},
		{"302", 302, nil, 1, 1, false, false},
		{"400", 400, nil, 1, 1, false, false},
		{"401", 401, nil, 4, 4, true, false},
		{"403", 403, nil, 1, 1, false, false},
		{"404", 404, nil, 1, 1, false, false}, // not Port's not_found
		{"408", 408, nil, 8, 1, false, false},
		{"409", 409, nil, 1, 1, false, false},
		{"422", 422, nil, 1, 1, false, false},
		{"429", 429, nil, 8, 8, false, false},
		{"500", 500, nil, 8, 1, false, false},
		{"501", 501, nil, 1, 1, false, false},
		{"502", 502, nil, 8, 1, false, false},
		{"503", 503, nil, 8, 8, false, false},
		{"504", 504, nil, 8, 1, false, false},
		{"dial", 0, dial, 8, 8, false, false},
		{"reset", 0, reset, 8, 1, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := porttest.NewUnstarted(porttest.Options{})
				a := &answers{status: tt.status, err: tt.err}
				c := client(t, srv, func(cfg *port.ClientConfig) { cfg.Transport = a })
				err := c.SendExamples(t.Context(), "project", [][]byte{[]byte(`{}`)})
				if (err == nil) != (tt.status == 200) {
					t.Errorf("err = %v", err)
				}
				if got := a.calls.Load(); got != tt.read {
					t.Errorf("attempts of a call that can be repeated = %d, want %d", got, tt.read)
				}
				if got := errors.Is(err, port.ErrUnauthorized); got != tt.unauth {
					t.Errorf("ErrUnauthorized = %v", got)
				}
				if got := errors.Is(err, port.ErrNotFound); got != tt.absent {
					t.Errorf("ErrNotFound = %v", got)
				}
				noSecret(t, fmt.Sprint(err))
			})
			synctest.Test(t, func(t *testing.T) {
				a := &answers{status: 200, body: `{"integration":{"logAttributes":{"ingestUrl":"http://port.example/logs"}}}`}
				c := client(t, porttest.NewUnstarted(porttest.Options{}), func(cfg *port.ClientConfig) { cfg.Transport = a })
				ship := shipper(c)
				if _, err := c.Integration(t.Context()); err != nil {
					t.Fatal(err)
				}
				log(ship).Info("x")
				a.calls.Store(0)
				a.status, a.err, a.body = tt.status, tt.err, ""
				_ = ship.Flush(t.Context())
				if got := a.calls.Load(); got != tt.log {
					t.Errorf("attempts of a log shipment = %d, want %d", got, tt.log)
				}
			})
		})
	}
}

// Those who read an answer recurse: one that is nested without end is none.
func TestNestedAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &answers{status: 200, body: `{"integration":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}"}
		c := client(t, porttest.NewUnstarted(porttest.Options{}), func(cfg *port.ClientConfig) { cfg.Transport = a })
		if _, err := c.Integration(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestWaitHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		header string
		value  func() string
		want   time.Duration // of the first wait, 0 for the usual one
	}{
		{"seconds", 429, "Retry-After", func() string { return "7" }, 7 * time.Second},
		{"date", 429, "Retry-After", func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, 9 * time.Second},
		{"reset", 429, "X-Ratelimit-Reset", func() string { return fmt.Sprint(time.Now().Add(20 * time.Second).Unix()) }, 20 * time.Second},
		{"too long", 429, "Retry-After", func() string { return "9000" }, 300 * time.Second},
		{"garbage", 429, "Retry-After", func() string { return "soon" }, 0},
		{"negative", 429, "Retry-After", func() string { return "-5" }, 0},
		{"503", 503, "Retry-After", func() string { return "7" }, 7 * time.Second},
		{"503 reset", 503, "X-Ratelimit-Reset", func() string { return "200" }, 0},
		{"502", 502, "Retry-After", func() string { return "200" }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := catalog(t, porttest.Options{})
				rule := porttest.Status(ownedRoute, tt.status).Header(tt.header, tt.value()).Times(1)
				if tt.name == "reset" {
					rule = rule.Header("X-Ratelimit-Remaining", "0")
				}
				srv.Fault(rule)
				start := time.Now()
				for _, err := range c.Owned(t.Context(), time.Time{}) {
					t.Fatal(err)
				}
				low, high := tt.want, tt.want
				if tt.want == 0 {
					low, high = 200*time.Millisecond, 400*time.Millisecond
				}
				if d := time.Since(start).Round(time.Second / 100); d < low || d > high {
					t.Errorf("waited %v, want %v to %v", d, low, high)
				}
			})
		})
	}
}

func TestTokenSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{TokenTTL: time.Hour})
		srv.Fault(porttest.Slow(tokenRoute, time.Second))
		run := func() {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if _, err := c.Blueprint(t.Context(), "service"); err != nil {
						t.Error(err)
					}
					c.ForgetBlueprints()
				})
			}
			wg.Wait()
		}
		run()
		if got := count(srv, tokenRoute); got != 1 {
			t.Errorf("tokens fetched = %d, want 1", got)
		}
		time.Sleep(time.Hour - 61*time.Second)
		run()
		if got := count(srv, tokenRoute); got != 1 {
			t.Errorf("tokens fetched before the last minute = %d, want 1", got)
		}
		time.Sleep(2 * time.Second)
		run()
		if got := count(srv, tokenRoute); got != 2 {
			t.Errorf("tokens fetched in the last minute = %d, want 2", got)
		}
		srv.ExpireTokens()
		run()
		if got := count(srv, tokenRoute); got != 3 {
			t.Errorf("tokens fetched after one was revoked = %d, want 3", got)
		}
	})
}

// A token that expires under any call is renewed, and the call repeated.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{})
	if err := c.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"patch": func() error { return c.SetResyncState(t.Context(), port.ResyncState{Status: port.ResyncRunning}) },
		"post":  func() error { return c.SendExamples(t.Context(), "project", [][]byte{[]byte(`{}`)}) },
		"bulk": func() error {
			res, err := c.Upsert(t.Context(), merge, entities(1))
			if e := res.Err(0); e != nil {
				return e
			}
			return err
		},
		"heartbeat": func() error { return c.Heartbeat(t.Context(), "e") },
	} {
		srv.ExpireTokens()
		if err := call(); err != nil {
			t.Errorf("%s with an expired token: %v", name, err)
		}
	}
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{ClientSecret: "another"})
		start := time.Now()
		err := c.Setup(t.Context(), port.SetupConfig{})
		if !errors.Is(err, port.ErrUnauthorized) {
			t.Fatalf("err = %v, want ErrUnauthorized", err)
		}
		for _, part := range []string{"OCEAN__PORT__CLIENT_ID", "OCEAN__PORT__CLIENT_SECRET", "http://port.example"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %s", err, part)
			}
		}
		noSecret(t, err.Error())
		if time.Since(start) > 0 || count(srv, tokenRoute) != 1 {
			t.Errorf("refused after %v and %d attempts, want at once", time.Since(start), count(srv, tokenRoute))
		}
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	hang := roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	refuse := roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	})
	for name, transport := range map[string]http.RoundTripper{"hanging": hang, "refusing": refuse} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := client(t, porttest.NewUnstarted(porttest.Options{}), func(cfg *port.ClientConfig) { cfg.Transport = transport })
				start := time.Now()
				_, err := c.Integration(t.Context())
				if err == nil || !strings.Contains(err.Error(), "no answer from http://port.example") {
					t.Errorf("err = %v", err)
				}
				if d := time.Since(start); d < 5*time.Second || d > 17*time.Second {
					t.Errorf("gave up after %v, want about 15 s", d)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Near the end of a rate window calls are spread over what is left of it, and
// never refused.
func TestPacing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{RateLimit: 50, RateWindow: time.Minute})
		start := time.Now()
		for range 120 {
			if _, err := c.Blueprint(t.Context(), "service"); err != nil {
				t.Fatal(err)
			}
			c.ForgetBlueprints()
		}
		for _, r := range srv.Requests() {
			if r.Status == 429 {
				t.Errorf("%s was refused at %v", r.Route, r.At.Sub(start))
			}
		}
		if d := time.Since(start); d < time.Minute || d > 3*time.Minute {
			t.Errorf("took %v, want two windows or so", d)
		}
	})
}

func TestConcurrentBulks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		srv.Fault(porttest.Slow(bulkRoute, time.Second))
		start := time.Now()
		var wg sync.WaitGroup
		for range 18 {
			wg.Go(func() { _, _ = c.Upsert(t.Context(), merge, entities(1)) })
		}
		wg.Wait()
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("18 bulks took %v, want 3 s with 6 at a time", d)
		}
	})
}

func TestNewChecks(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"api.getport.io", "ftp://x", "http://user:very-secret-value@x", "http://", "%"} {
		_, err := port.New(port.ClientConfig{
			ClientID: "a", ClientSecret: testSecret, BaseURL: base, IntegrationType: "t", Identifier: "i", Version: "v",
		})
		if err == nil || !strings.Contains(err.Error(), "OCEAN__PORT__BASE_URL") {
			t.Errorf("New with base URL %q: %v", base, err)
		}
		noSecret(t, fmt.Sprint(err))
	}
	s := port.Secret(testSecret)
	noSecret(t, fmt.Sprintf("%v %+v %#v %s %q", s, struct{ S port.Secret }{s}, s, s, s))
}
