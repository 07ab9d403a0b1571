package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// A call says what the transport has to know of a request beyond HTTP. It
// travels in the request's context, because the SDK stands between.
type call struct {
	route, kind, project string
	content              bool  // the bytes of a file: anything is a good answer
	mayBeEmpty           bool  // 204 is a good answer
	most                 int64 // bytes of a good answer; 0 means maxBodyBytes
	read                 bool  // a POST that only reads, and may be repeated
	urgent               bool
	hide                 string // a secret in the body, which the service may echo
	budget               *Budget
}

type callKey struct{}

// callOf is the call of a request; a typed method of the SDK sends none.
func callOf(r *http.Request) *call {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		return c
	}
	return &call{route: r.Method, mayBeEmpty: true, content: !strings.Contains(r.Header.Get("Accept"), "json")}
}

const (
	firstBackoff = time.Second
	// pauses that the service asks for do not use up attempts, but they end.
	maxPauses = 5
)

// A transport is the one place where requests are authorized, limited, repeated
// and judged. Its answers are 2xx with the whole body in memory (a *Page); all
// others are an *Error.
type transport struct {
	base    http.RoundTripper
	cred    *account
	limit   *limiter
	count   *counters
	metrics *metrics
	memory  *buffers
	bodies  *Bodies
	timeout time.Duration
	log     *slog.Logger
}

// RoundTrip sends r until it has a good answer or no hope.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	c := callOf(r)
	var tried attempts
	for {
		resp, err := t.attempt(r, c, &tried)
		if err == nil {
			if tried.failed > 0 {
				c.budget.helped(c.route)
			}
			return resp, nil
		}
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		wait, again := t.next(r, c, &tried, err)
		if !again {
			if worthRepeating(err) {
				c.budget.gaveUp(c.route)
			}
			return nil, err
		}
		t.metrics.retries.Inc()
		t.log.DebugContext(r.Context(), "request repeated", "route", c.route, "err", err, "wait", wait)
		if err := Sleep(r.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// attempts are the tries of one request so far.
type attempts struct {
	failed, paused int
	refreshed      bool
	refused        bool // the credential can do better
}

// next decides whether and when to repeat.
func (t *transport) next(r *http.Request, c *call, tried *attempts, err error) (time.Duration, bool) {
	if tried.refused && !tried.refreshed {
		tried.refreshed = true
		return 0, true
	}
	if !worthRepeating(err) || !repeatable(r, c) {
		return 0, false
	}
	left := c.budget.retries(c.route)
	e, _ := errors.AsType[*Error](err)
	if e != nil && e.RetryAfter > 0 && tried.paused < maxPauses && left > 0 {
		tried.paused++
		return 0, true // the limiter keeps the pause
	}
	if errors.Is(err, errStalled) || errors.Is(err, errEndless) {
		left = min(left, 1)
	}
	if tried.failed >= left {
		return 0, false
	}
	wait := firstBackoff << tried.failed
	tried.failed++
	return time.Duration(float64(wait) * (0.75 + rand.Float64()/2)), true //nolint:gosec // jitter needs no secrecy
}

// repeatable tells whether sending r twice does no harm, and is possible.
func repeatable(r *http.Request, c *call) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
	default:
		if !c.read {
			return false
		}
	}
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// worthRepeating tells whether an error may pass by itself.
func worthRepeating(err error) bool {
	if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrTooLarge) || errors.Is(err, errOversized) {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.StatusCode == 0 || errors.Is(err, ErrMalformed) {
		return !hopeless(err)
	}
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.StatusCode < 300 // the body did not arrive
}

// attempt sends r once.
func (t *transport) attempt(r *http.Request, c *call, tried *attempts) (good *http.Response, err error) {
	round, err := t.limit.acquire(r.Context(), c.urgent)
	if err != nil {
		return nil, err
	}
	defer t.limit.release()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	clocks := newProgress(t.timeout, cancel)
	defer clocks.stop()

	req, err := again(ctx, r)
	if err != nil {
		return nil, err
	}
	area := t.metrics.area(c)
	if err := t.cred.Authorize(ctx, req); err != nil {
		if errors.Is(err, ErrUnauthorized) {
			t.metrics.refused(area)
		}
		return nil, t.broken(ctx, req, fmt.Errorf("sign in: %w", err))
	}
	t.count.sent(c)
	begun, status := time.Now(), 0
	defer func() {
		if r.Context().Err() == nil {
			t.metrics.ended(area, status, time.Since(begun), err)
		}
	}()
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, t.broken(ctx, req, err)
	}
	status = resp.StatusCode
	defer resp.Body.Close()
	t.limit.observe(r.Context(), round, resp.StatusCode, resp.Header)
	clocks.answered(resp.Body)
	resp.Body = clocks
	err = t.finish(ctx, req, resp, c, clocks)
	if errors.Is(err, ErrUnauthorized) {
		if tried.refused = t.cred.refused(ctx, req, err, tried.refreshed); !tried.refused {
			t.metrics.refused(area)
		}
	}
	if err != nil {
		return nil, err
	}
	t.cred.accepted()
	t.metrics.accepted(area)
	return resp, nil
}

// again is r with a fresh body, to be changed freely.
func again(ctx context.Context, r *http.Request) (*http.Request, error) {
	req := r.Clone(ctx)
	if r.Body == nil || r.Body == http.NoBody || r.GetBody == nil {
		return req, nil
	}
	body, err := r.GetBody()
	req.Body = body
	return req, err
}

// broken describes an attempt that brought no answer, or half of one.
func (t *transport) broken(ctx context.Context, r *http.Request, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStalled):
		err = fmt.Errorf("%w (%s with less than %d bytes a second)", cause, t.timeout, leastRate)
	case errors.Is(cause, errEndless):
		err = fmt.Errorf("%w (%s)", cause, longest*t.timeout)
	}
	return &Error{Method: r.Method, URL: PlainURL(r.URL), err: err}
}

// finish reads the body and judges the answer. On success the body of resp is a
// *Page.
func (t *transport) finish(ctx context.Context, r *http.Request, resp *http.Response, c *call, clocks *progress) error {
	after, _ := retryAfter(time.Now(), resp.Header)
	if resp.StatusCode < 200 || resp.StatusCode >= 300 || resp.StatusCode == http.StatusNonAuthoritativeInfo {
		return t.refused(r, resp, c, after)
	}
	tooLarge := &Error{Method: r.Method, URL: PlainURL(r.URL), StatusCode: resp.StatusCode, err: ErrTooLarge}
	from := io.Reader(resp.Body)
	if c.most > 0 {
		if resp.ContentLength > c.most {
			return tooLarge
		}
		from = io.LimitReader(from, c.most+1)
	}
	room := &body{of: t.bodies}
	defer room.done()
	whole, err := t.memory.read(from, resp.ContentLength, func(n int) error { return room.grow(ctx, n, clocks.pause) })
	if err == nil && c.most > 0 && int64(len(whole)) > c.most {
		t.memory.put(whole)
		return tooLarge
	}
	if err != nil {
		e, _ := errors.AsType[*Error](t.broken(ctx, r, fmt.Errorf("reading the answer: %w", err)))
		e.StatusCode = resp.StatusCode
		return e
	}
	p := &Page{Body: whole, whole: whole, pool: t.memory, Status: resp.StatusCode, Token: resp.Header.Get("X-Ms-Continuationtoken")}
	if !c.content {
		p.Body = trimBOM(whole)
	}
	if problem, meaning := t.judge(p, resp, c); problem != "" {
		p.Free()
		return &Error{Method: r.Method, URL: PlainURL(r.URL), StatusCode: resp.StatusCode, Message: problem, RetryAfter: after, err: meaning}
	}
	resp.Body, resp.ContentLength = p, int64(len(p.Body))
	return nil
}

// typeKey is the member that errors of the service have, and nothing else.
const typeKey = "typeKey"

// mayHave tells, quickly, whether a body may have the member typeKey. The letter that is
// looked for is rare.
func mayHave(body []byte) bool {
	for at := 0; ; at++ {
		n := bytes.IndexByte(body[at:], 'K')
		if n < 0 {
			return false
		}
		if at += n; bytes.HasSuffix(body[:at], []byte(`"type`)) && bytes.HasPrefix(body[at:], []byte(`Key"`)) {
			return true
		}
	}
}

// judge looks at a body that arrived with a good status: what is wrong with it,
// and what that means.
func (t *transport) judge(p *Page, resp *http.Response, c *call) (problem string, meaning error) {
	switch {
	case resp.ContentLength >= 0 && int64(len(p.whole)) != resp.ContentLength:
		return fmt.Sprintf("%d bytes arrived, %d were announced", len(p.whole), resp.ContentLength), ErrMalformed
	case c.content:
		return "", nil
	case len(bytes.TrimSpace(p.Body)) == 0:
		if c.mayBeEmpty {
			return "", nil
		}
		return "the answer is empty", ErrMalformed
	case isHTML(resp.Header):
		return "got a page for people, as for signing in, instead of data", ErrUnauthorized
	case !rawjson.Valid(p.Body):
		return "the answer is not JSON, or cut short", ErrMalformed
	case mayHave(p.Body) && rawjson.Has(p.Body, typeKey):
		return "an error in place of data: " + rawjson.Text(p.Body, "message"), ErrMalformed
	}
	return "", nil
}

// refused makes an error of a response that is not a success.
func (t *transport) refused(r *http.Request, resp *http.Response, c *call, after time.Duration) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessageBytes))
	e := newError(r, resp.StatusCode, body, statusError(resp.StatusCode))
	e.RetryAfter = after
	if resp.StatusCode == http.StatusTooManyRequests && after == 0 {
		e.RetryAfter, _ = untilReset(time.Now(), resp.Header)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound && noRoute(resp.Header, e):
		e.err = errNoRoute
	case resp.StatusCode == http.StatusNonAuthoritativeInfo:
		e.err, e.Message = ErrUnauthorized, "got the sign-in page instead of data"
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e.Message = "redirected"
		if to, err := resp.Location(); err == nil {
			e.Message = "redirected to " + PlainURL(to)
		}
	}
	e.Message = withoutSecret(e.Message, r.Header.Get("Authorization"))
	if c.hide != "" {
		e.Message = strings.ReplaceAll(e.Message, c.hide, redacted)
	}
	return e
}

// noRoute tells whether a 404 is about the address itself: Server shows a page for
// people, other parts name the missing controller.
func noRoute(h http.Header, e *Error) bool {
	return isHTML(h) || strings.Contains(e.Message, "does not implement IController") || strings.HasPrefix(e.Message, "The controller for path")
}

// withoutSecret removes what a server may have echoed of a credential.
func withoutSecret(text, authorization string) string {
	_, token, _ := strings.Cut(authorization, " ")
	if token == "" || text == "" {
		return text
	}
	text = strings.ReplaceAll(text, token, redacted)
	r := &http.Request{Header: http.Header{"Authorization": {authorization}}}
	if _, password, ok := r.BasicAuth(); ok && password != "" {
		text = strings.ReplaceAll(text, password, redacted)
	}
	return text
}

func isHTML(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(h.Get("Content-Type"))), "text/html")
}

// Sleep waits for d or the end of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
