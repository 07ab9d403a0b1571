package port

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// A call is one request in a form that can be sent again.
type call struct {
	method string
	path   string // escaped, below /v1; or a complete address
	query  string // encoded
	// body is sent when bodies is nil. bodies are entities that are sent as
	// {"entities":[…]} without being copied together.
	body   []byte
	bodies []Entity
	// entities says that the call is about entities, or the blueprints of them,
	// and done by feature.
	entities bool
	feature  Feature
	// repeatable says that a POST may be sent again although the first may have
	// had its effect.
	repeatable bool
	// opaque says that the answer's body is not looked at, unless it is a web
	// page: then something else than Port has answered.
	opaque bool
	// quiet says that nothing about this call is logged: the shipping of logs
	// would feed itself.
	quiet bool
	// once says that the call is not worth a second attempt.
	once bool
	// header holds further headers.
	header map[string]string
	// anonymous says that the call needs no token.
	anonymous bool
	limit     int64 // bytes of the answer, 4 MiB by default
}

// An answer is the body of one in the 2xx range: valid JSON, unless the call is
// opaque.
type answer struct {
	body []byte
	buf  *bytes.Buffer
	pool *Client
}

// free gives the body back; it must not be used afterwards.
func (a *answer) free() {
	if a == nil || a.buf == nil || a.buf.Cap() > maxPooled {
		return
	}
	a.pool.buffers.Put(a.buf)
	a.buf, a.body = nil, nil
}

const (
	defaultAnswerLimit = 4 << 20
	maxPooled          = 4 << 20
	errorBodyLimit     = 64 << 10
	messageLimit       = 2 << 10
	maxRefreshes       = 3 // tokens that one call may see refused
)

func (k *call) url(c *Client) string {
	if strings.Contains(k.path, "://") {
		return k.path
	}
	return c.base + "/v1" + k.path
}

func (k *call) route() string { return k.method + " " + k.path }

// idempotent reports whether the call can be repeated when its answer was lost.
func (k *call) idempotent() bool { return k.repeatable || k.method != http.MethodPost }

// do sends a call until it succeeds, fails for good or is not worth another
// attempt. The error is a *Error, a *callError or that of ctx.
func (c *Client) do(ctx context.Context, k *call) (*answer, error) {
	r := c.newRetry(k)
	refused := 0
	for {
		token, err := c.admit(ctx, k)
		if err != nil {
			return nil, err
		}
		a, err := c.attempt(ctx, k, token, r.timeout())
		if err == nil {
			c.budget.ended(k, false)
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("port: %w", context.Cause(ctx))
		}
		if errors.Is(err, ErrFenced) {
			return nil, err
		}
		if statusOf(err) == http.StatusUnauthorized && !k.anonymous {
			if refused++; refused > maxRefreshes {
				return nil, err
			}
			c.token.discard(token)
			continue
		}
		wait, again := r.next(err)
		if !again {
			return nil, r.final(err)
		}
		c.metrics.retries.Inc()
		if !k.quiet {
			c.log.DebugContext(ctx, "call is repeated", "method", k.method, "path", k.path, "attempt", r.attempts, "wait", wait, "err", err)
		}
		if err := c.backOff(ctx, k, err, wait); err != nil {
			return nil, err
		}
	}
}

// admit returns the token when the call may go by Port's rate limit.
func (c *Client) admit(ctx context.Context, k *call) (token string, err error) {
	if k.anonymous {
		return "", nil
	}
	if token, err = c.token.get(ctx, c.fetchToken); err != nil {
		return "", err
	}
	return token, sleep(ctx, c.pace.turn(time.Now()))
}

// backOff waits before the next attempt. What a 429 asks for holds for all calls.
func (c *Client) backOff(ctx context.Context, k *call, err error, wait time.Duration) error {
	e, ok := errors.AsType[*Error](err)
	if ok && e.StatusCode == http.StatusTooManyRequests && e.RetryAfter > 0 && c.pace.pause(time.Now().Add(wait)) && !k.quiet {
		c.log.WarnContext(ctx, "throttled by Port", "wait", wait, "path", k.path)
	}
	return sleep(ctx, wait)
}

// attempt sends the request once and reads the answer.
func (c *Client) attempt(caller context.Context, k *call, token string, timeout time.Duration) (good *answer, err error) {
	ctx, cancel := context.WithTimeout(caller, timeout)
	defer cancel()
	req, err := c.request(ctx, k, token)
	if err != nil {
		return nil, err
	}
	c.calls.Add(1)
	c.metrics.inFlight.Inc()
	begun, status := time.Now(), 0
	defer func() {
		c.metrics.inFlight.Dec()
		if caller.Err() == nil {
			c.metrics.ended(k, status, time.Since(begun), err)
		}
	}()
	fail := func(err error, sent bool) error {
		if ctx.Err() != nil && caller.Err() == nil {
			// Not ctx's own error: callers take that for the end of the program.
			err = fmt.Errorf("no complete answer within %s", timeout.Round(time.Millisecond))
		}
		return &callError{method: k.method, url: req.URL.Path, err: c.scrub(err, token), sent: sent}
	}
	if err := k.fenced(ctx); err != nil {
		return nil, err
	}
	res, err := c.cfg.Transport.RoundTrip(req)
	if errors.Is(err, ErrFenced) {
		return nil, err
	}
	if err != nil {
		return nil, fail(err, !unsent(err))
	}
	status = res.StatusCode
	defer res.Body.Close()
	c.reached.Store(true)
	c.pace.observe(res.Header, time.Now())
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, c.errorOf(req, res, token)
	}
	a, err := c.read(k, res)
	if err != nil {
		return nil, fail(err, true)
	}
	return a, nil
}

// unsent reports whether a request cannot have reached the server.
func unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func (c *Client) request(ctx context.Context, k *call, token string) (*http.Request, error) {
	addr := k.url(c)
	if k.query != "" {
		addr += "?" + k.query
	}
	req, err := http.NewRequestWithContext(ctx, k.method, addr, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("port: %s %s: %w", k.method, k.path, err)
	}
	req.Header["User-Agent"] = []string{c.agent(k)}
	if token != "" {
		req.Header["Authorization"] = []string{token}
	}
	for name, value := range k.header {
		req.Header.Set(name, value)
	}
	if k.bodies != nil || k.body != nil {
		req.Header["Content-Type"] = []string{"application/json"}
		req.GetBody = func() (io.ReadCloser, error) { return k.fencedBody(ctx), nil }
		req.Body = k.fencedBody(ctx)
		req.ContentLength = k.size()
	}
	return req, nil
}

func (k *call) reader() io.Reader {
	if k.bodies != nil {
		return bulkReader(k.bodies)
	}
	return bytes.NewReader(k.body)
}

func (k *call) size() int64 {
	if k.bodies != nil {
		return bulkSize(k.bodies)
	}
	return int64(len(k.body))
}

// read takes the body of an answer in the 2xx range.
func (c *Client) read(k *call, res *http.Response) (*answer, error) {
	if t, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); t == "text/html" {
		return nil, fmt.Errorf("%w: an HTML page instead of JSON; is %s (%s) the API of Port?", errAnswer, c.cfg.Variables.BaseURL, c.base)
	}
	if k.opaque {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, errorBodyLimit)) // lets the connection be used again
		return &answer{}, nil
	}
	buf, _ := c.buffers.Get().(*bytes.Buffer)
	if buf == nil {
		buf = new(bytes.Buffer)
	}
	buf.Reset()
	limit := k.limit
	limit = cmp.Or(limit, defaultAnswerLimit)
	if _, err := buf.ReadFrom(io.LimitReader(res.Body, limit+1)); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if int64(buf.Len()) > limit {
		return nil, errTooLarge
	}
	body := bytes.TrimSpace(buf.Bytes())
	if len(body) == 0 || body[0] != '{' || !rawjson.Valid(body) {
		return nil, fmt.Errorf("%w: %d bytes that are no JSON object", errAnswer, len(body))
	}
	return &answer{body: body, buf: buf, pool: c}, nil
}

// errorOf turns an answer outside the 2xx range into an error.
func (c *Client) errorOf(req *http.Request, res *http.Response, token string) *Error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, errorBodyLimit))
	e := &Error{
		Method: req.Method, URL: req.URL.Path, StatusCode: res.StatusCode, TraceID: res.Header.Get("X-Trace-Id"),
		RetryAfter: retryAfter(res, time.Now()),
	}
	if rawjson.Valid(body) {
		e.Code, e.Message = gjson.GetBytes(body, "error").String(), gjson.GetBytes(body, "message").String()
	} else if t, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); t == "text/plain" {
		e.Message = string(body)
	}
	e.Code = shorten(c.clean(e.Code, token), 100)
	e.Message = shorten(c.clean(e.Message, token), messageLimit)
	e.TraceID = shorten(c.clean(e.TraceID, token), 100)
	return e
}

// clean removes credentials that a server or a proxy may have echoed.
func (c *Client) clean(s, token string) string {
	if len(token) >= minSecret {
		s = strings.ReplaceAll(s, token, redactedMark)
		if _, bare, ok := strings.Cut(token, " "); ok && len(bare) >= minSecret {
			s = strings.ReplaceAll(s, bare, redactedMark)
		}
	}
	return c.cfg.Masker.String(s)
}

// scrub is clean for an error, whose chain is kept when nothing was found.
func (c *Client) scrub(err error, token string) error {
	if s := c.clean(err.Error(), token); s != err.Error() {
		return errors.New(s)
	}
	return err
}

func shorten(s string, n int) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// retryAfter reads how long a server wants to be left alone: Retry-After for
// 429 and 503, Port's x-ratelimit-reset for 429 only and only when nothing of
// the window remains, because Port sends it with every answer.
func retryAfter(res *http.Response, now time.Time) time.Duration {
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		if d := waitOf(res.Header.Get("Retry-After"), now); d > 0 {
			return min(d, maxWait)
		}
		if left := res.Header.Get("X-Ratelimit-Remaining"); left == "" || left == "0" {
			return min(waitOf(res.Header.Get("X-Ratelimit-Reset"), now), maxWait)
		}
	case http.StatusServiceUnavailable:
		return min(waitOf(res.Header.Get("Retry-After"), now), maxWait)
	}
	return 0
}

// waitOf understands seconds, seconds since 1970 (above 10,000), ISO 8601 and
// HTTP dates. What it does not understand and what has passed is zero.
func waitOf(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case f <= 0 || f != f:
			return 0
		case f <= 10_000:
			return time.Duration(f * float64(time.Second))
		case f > 1e11: // milliseconds
			return max(0, time.UnixMilli(int64(min(f, 1e15))).Sub(now))
		}
		return max(0, time.Unix(int64(f), 0).Sub(now))
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", http.TimeFormat} {
		if t, err := time.Parse(layout, s); err == nil {
			return max(0, t.Sub(now))
		}
	}
	return 0
}
