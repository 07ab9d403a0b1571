package rest

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errNetwork = io.ErrUnexpectedEOF

type retryCase struct {
	name     string
	answer   func(*http.Request) *http.Response
	attempts int
	want     error
}

func retryCases() []retryCase {
	html := []string{"Content-Type", "text/html; charset=utf-8"}
	return []retryCase{
		{"no answer", func(*http.Request) *http.Response { return nil }, 4, errNetwork},
		{"400", status(400, `{"message":"bad","typeKey":"X"}`), 1, nil},
		{"401", status(401, ""), 1, ErrUnauthorized},
		{"403", status(403, `{"message":"no"}`), 1, ErrForbidden},
		{"404", status(404, `{"message":"gone"}`), 1, ErrNotFound},
		{"408", status(408, ""), 4, nil},
		{"409", status(409, ""), 1, nil},
		{"429", status(429, ""), 4, nil},
		{"500", status(500, "<html>oops"), 4, nil},
		{"501", status(501, ""), 1, nil},
		{"502", status(502, ""), 4, nil},
		{"503", status(503, ""), 4, nil},
		{"504", status(504, ""), 4, nil},
		{"203", status(203, "<html>sign in", html...), 1, ErrUnauthorized},
		{"302", status(302, "", "Location", "https://spsprod.vssps.visualstudio.com/_signin?secret=1"), 1, ErrUnauthorized},
		{"200 with a page", status(200, "<html>sign in", html...), 1, ErrUnauthorized},
		{"200 empty", status(200, "\n"), 4, ErrMalformed},
		{"204", status(204, ""), 4, ErrMalformed},
		{"200 cut short", status(200, `{"value":[{"id":`), 4, ErrMalformed},
		{"200 nested without end", status(200, strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), 4, ErrMalformed},
		{"200 shorter than announced", func(*http.Request) *http.Response {
			r := answer(200, `{"value":[]}`)
			r.ContentLength += 3
			return r
		}, 4, ErrMalformed},
		{"200 broken while reading", func(*http.Request) *http.Response {
			r := answer(200, "")
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"va`), failing{})), -1
			return r
		}, 4, errNetwork},
	}
}

// Which answers are repeated, how often, what they mean in the end.
func TestRetryMatrix(t *testing.T) {
	for _, tt := range retryCases() {
		for _, post := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fakeService{Serve: tt.answer}
					c := newTestClient(t, f, options{})
					rq := &Request{Route: "_apis/x"}
					if post {
						rq.Body = []byte(`{"query":"q"}`)
					}
					start := time.Now()
					_, err := c.Send(t.Context(), rq, Caller{})
					if err == nil {
						t.Fatal("no error")
					}
					if got := len(f.Sent()); got != tt.attempts {
						t.Errorf("attempts = %d, want %d (%v)", got, tt.attempts, err)
					}
					if tt.want != nil && !errors.Is(err, tt.want) {
						t.Errorf("err = %v, want %v", err, tt.want)
					}
					if d := time.Since(start); tt.attempts == 4 && (d < 5*time.Second || d > 9*time.Second) {
						t.Errorf("took %v, want about 7s", d)
					}
					if e, ok := errors.AsType[*Error](err); !ok || strings.Contains(e.Error(), "?") {
						t.Errorf("err = %#v, want an *Error without query", err)
					}
				})
			})
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errNetwork }

func TestRetryHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		bodies := make(chan string, 4)
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			b, _ := io.ReadAll(r.Body)
			bodies <- string(b)
			if n.Add(1) < 3 {
				return answer(500, "")
			}
			return answer(200, "\xef\xbb\xbf{\"a\":12345678901234567890}")
		}}
		c := newTestClient(t, f, options{})
		p, err := c.Send(t.Context(), &Request{Route: "_apis/x", Body: []byte("{}")}, Caller{})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.Body); got != `{"a":12345678901234567890}` {
			t.Errorf("body = %q", got)
		}
		for range 3 {
			if b := <-bodies; b != "{}" {
				t.Errorf("sent %q, want the body every time", b)
			}
		}
		if by := c.Calls(); len(by) != 1 || by[0].Calls != 3 {
			t.Errorf("calls = %+v, want every attempt counted", by)
		}
	})
}

// A write is sent once: nobody knows whether it was done.
func TestWriteIsNotRepeated(t *testing.T) {
	f := &fakeService{Serve: status(503, "")}
	c := newTestClient(t, f, options{})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, testOrg+"/_apis/hooks/subscriptions", strings.NewReader("{}"))
	if _, err := c.transport.RoundTrip(req); err == nil || len(f.Sent()) != 1 {
		t.Errorf("err = %v after %d attempts, want one", err, len(f.Sent()))
	}
}

// renewing is a credential that has a better token after a refusal.
type renewing struct{ n atomic.Int32 }

func (c *renewing) Authorize(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", "Bearer token"+string('0'+c.n.Load()))
	return nil
}

func (c *renewing) Invalidate(*http.Request) bool { c.n.Add(1); return true }

func TestUnauthorizedOnceMore(t *testing.T) {
	for _, code := range []int{401, 203, 302} {
		cred := &renewing{}
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			if r.Header.Get("Authorization") == "Bearer token1" {
				return answer(200, "{}")
			}
			return answer(code, "")
		}}
		c := newTestClient(t, f, options{cred: cred})
		if _, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{}); err != nil || len(f.Sent()) != 2 {
			t.Errorf("%d: %v after %d attempts, want success with the second token", code, err, len(f.Sent()))
		}
		cred.n.Store(5)
		_, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		if !errors.Is(err, ErrUnauthorized) || len(f.Sent()) != 4 {
			t.Errorf("%d: %v after %d attempts, want to give up after one repetition", code, err, len(f.Sent())-2)
		}
	}
}

// A route that always fails costs at most 15 s, however its requests come.
func TestBudgetOfARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeService{Serve: status(500, "")}
		c, budget := newTestClient(t, f, options{}), &Budget{}
		start := time.Now()
		for range 100 {
			_, _ = c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{"k", budget})
		}
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("100 requests one after the other took %v", d)
		}
		if got, want := len(f.Sent()), 4+4*2+95; got != want {
			t.Errorf("attempts = %d, want %d", got, want)
		}
		f.Serve = always("{}")
		if _, err := c.Send(t.Context(), &Request{Route: "_apis/y"}, Caller{"k", budget}); err != nil {
			t.Errorf("another route: %v", err)
		}
	})
}

// Retries that help keep the budget alive.
func TestBudgetRecovers(t *testing.T) {
	var b Budget
	for range 50 {
		b.gaveUp("r")
		b.helped("r")
	}
	if got := b.retries("r"); got != maxRetries {
		t.Errorf("retries = %d, want %d", got, maxRetries)
	}
	var none *Budget
	none.gaveUp("r")
	none.helped("r")
	if got := none.retries("r"); got != maxRetries {
		t.Errorf("without a budget: retries = %d", got)
	}
}

// stalling gives some bytes whenever it is asked, after a pause.
type stalling struct {
	ctx   context.Context
	pause time.Duration
	bytes int
	left  int
}

func (s *stalling) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if err := Sleep(s.ctx, s.pause); err != nil {
		return 0, err
	}
	s.left--
	n := min(s.bytes, len(b))
	for i := range n {
		b[i] = ' '
	}
	return n, nil
}

func TestTimeoutWithoutProgress(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration
		bytes int
		times int
		want  error
	}{
		{"slow but alive", 4 * time.Second, 8 << 10, 100, nil},
		{"stuck", 70 * time.Second, 60 << 10, 200, errStalled},
		{"dripping", time.Second, 1, 1000, errStalled},
		{"endless", time.Second, 2 << 10, math.MaxInt, errEndless},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeService{Serve: func(r *http.Request) *http.Response {
					a := answer(200, "")
					a.ContentLength = -1
					a.Body = io.NopCloser(io.MultiReader(strings.NewReader("{}"), &stalling{ctx: r.Context(), pause: tt.pause, bytes: tt.bytes, left: tt.times}))
					return a
				}}
				c := newTestClient(t, f, options{wait: time.Minute})
				_, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
				if !errors.Is(err, tt.want) || tt.want != nil && len(f.Sent()) != 2 {
					t.Errorf("err = %v after %d attempts, want %v, if any after 2", err, len(f.Sent()), tt.want)
				}
			})
		})
	}
}

func TestCanceledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeService{Serve: status(429, "", "Retry-After", "300")}
		c := newTestClient(t, f, options{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Send(ctx, &Request{Route: "_apis/x"}, Caller{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("err = %v after %v", err, time.Since(start))
		}
		if l := c.transport.limit; l.inFlight != 0 || l.waiting != 0 {
			t.Errorf("%d in flight, %d wait, want nothing left", l.inFlight, l.waiting)
		}
	})
}

func TestNoSecretAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		echo := func(r *http.Request) *http.Response {
			return answer(500, `{"message":"you sent `+r.Header.Get("Authorization")+` that is `+testToken+`"}`)
		}
		f := &fakeService{Serve: echo}
		c := newTestClient(t, f, options{log: &log})
		_, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		basic := strings.TrimPrefix(headerOf(t, PersonalAccessToken(testToken)), "Basic ")
		for _, secret := range []string{testToken, basic} {
			mustNotShow(t, secret, err.Error(), log.String())
		}
		if !strings.Contains(err.Error(), redacted) {
			t.Errorf("err = %v, want the echo redacted", err)
		}
	})
}

func headerOf(t *testing.T, c Credential) string {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, testOrg, nil)
	if err := c.Authorize(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r.Header.Get("Authorization")
}
