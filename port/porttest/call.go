package porttest

import (
	"context"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// A call is one request while it is handled.
type call struct {
	s     *Server
	o     *Organization
	r     *http.Request
	route string
	query url.Values
	body  []byte
	doc   gjson.Result // body, once valid JSON
	now   time.Time
}

type handler func(c *call) reply

// A reply is an answer before it is sent.
type reply struct {
	status int
	kind   string // content type; empty means application/json
	body   []byte
}

func ok(status int, name string, value []byte) reply {
	b := make([]byte, 0, len(value)+len(name)+16)
	b = append(b, `{"ok":true,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	b = append(b, value...)
	return reply{status: status, body: append(b, '}')}
}

func done() reply { return reply{status: http.StatusOK, body: []byte(`{"ok":true}`)} }

// fail is Port's error envelope.
func fail(status int, code, message string) reply {
	b := appendString([]byte(`{"ok":false,"error":`), code)
	b = appendString(append(b, `,"message":`...), message)
	return reply{status: status, body: append(b, '}')}
}

func invalid(message string) reply {
	return fail(http.StatusUnprocessableEntity, "invalid_request", message)
}

func notFound(kind, id string) reply {
	return fail(http.StatusNotFound, "not_found", kind+" with identifier \""+id+"\" was not found")
}

func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "invalid_request"
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusConflict:
		return "conflict"
	case http.StatusTooManyRequests:
		return "too_many_requests"
	default:
		return "internal_error"
	}
}

// Limits of request bodies in bytes: Port's own for the API, and
// a generous one for what is only recorded.
const (
	maxBody   = 1 << 20
	maxIngest = 16 << 20
	maxDrain  = 256 << 20 // read and dropped so that the client sees the 413 and no broken pipe
)

// serve is the way of a request: body, fault, credentials, limit, handler, log.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, route string, h handler) {
	c := &call{s: s, r: r, route: route, query: r.URL.Query(), now: s.opt.Now().UTC()}
	tooLarge, err := c.read()
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	rule := s.fire(c)
	var out reply
	handled := rule.before(c)
	switch {
	case !handled:
		out = rule.reply
	case tooLarge:
		out = fail(http.StatusRequestEntityTooLarge, "request_entity_too_large", "Request body is too large")
	default:
		out = c.answer(h)
	}
	limits := s.limits(c.o, c.now)
	rule.after(&out, handled)
	s.record(c, rule, out)
	send(w, limits, rule, out)
}

// read takes the whole body; one that is too large is dropped.
func (c *call) read() (tooLarge bool, err error) {
	limit := int64(maxBody)
	if matches("POST /v1/integration*", c.route) || matches("PUT /v1/metrics*", c.route) ||
		matches("POST /v1/logs*", c.route) || matches("POST /v1/metrics*", c.route) {
		limit = maxIngest
	}
	if c.r.ContentLength > 0 && c.r.ContentLength <= limit {
		c.body = make([]byte, c.r.ContentLength)
		_, err = io.ReadFull(c.r.Body, c.body)
		return false, err
	}
	c.body, err = io.ReadAll(io.LimitReader(c.r.Body, limit+1))
	if err != nil || int64(len(c.body)) <= limit {
		return false, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(c.r.Body, maxDrain))
	return true, err
}

// answer checks what every route demands and calls the handler.
func (c *call) answer(h handler) reply {
	if c.route == unmatched {
		return h(c)
	}
	if c.route != tokenRoute {
		if complaint := c.authorize(); complaint != "" {
			return fail(http.StatusUnauthorized, "unauthorized", complaint)
		}
		if !c.s.admit(c.o, c.now) {
			return fail(http.StatusTooManyRequests, "too_many_requests", "Rate limit exceeded")
		}
	}
	switch c.r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		text := string(c.body)
		if text == "" && c.r.Method == http.MethodPatch {
			text = "{}"
		}
		if text != "" && !gjson.Valid(text) {
			return fail(http.StatusBadRequest, "bad_request", "Body is not valid JSON")
		}
		if c.doc = gjson.Parse(text); !c.doc.IsObject() {
			return invalid("body must be object")
		}
	}
	return h(c)
}

// admit counts a request of an organization and refuses it beyond the limit.
func (s *Server) admit(o *Organization, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.Before(o.windowEnd) {
		o.windowEnd, o.used = now.Add(s.opt.RateWindow), 0
	}
	o.used++
	return s.opt.RateLimit == 0 || o.used <= s.opt.RateLimit
}

// limits are the headers that Port sends with every answer: seconds, not a date
// (https://docs.port.io/api-reference/rate-limits).
func (s *Server) limits(o *Organization, now time.Time) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, used, reset := s.opt.RateLimit, 0, s.opt.RateWindow
	if limit == 0 {
		limit = unlimited
	}
	if o != nil && now.Before(o.windowEnd) {
		used, reset = o.used, o.windowEnd.Sub(now)
	}
	h := http.Header{}
	h.Set("x-ratelimit-period", strconv.Itoa(int(s.opt.RateWindow.Seconds())))
	h.Set("x-ratelimit-limit", strconv.Itoa(limit))
	h.Set("x-ratelimit-remaining", strconv.Itoa(max(limit-used, 0)))
	h.Set("x-ratelimit-reset", strconv.Itoa(int(math.Ceil(reset.Seconds()))))
	return h
}

// send writes the answer, as damaged as the rule wants it.
func send(w http.ResponseWriter, limits http.Header, rule *activeRule, out reply) {
	if rule.resets() {
		abort(w)
	}
	h := w.Header()
	maps.Copy(h, limits)
	h.Set("x-trace-id", hash(rule.name(), string(out.body)))
	h.Set("Content-Type", "application/json; charset=utf-8")
	if out.kind != "" {
		h.Set("Content-Type", out.kind)
	}
	h.Set("Content-Length", strconv.Itoa(len(out.body)))
	rule.headers(h)
	w.WriteHeader(out.status)
	if rule.truncates() {
		_, _ = w.Write(out.body[:len(out.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(out.body)
}

// abort ends the connection without an answer: with a reset where there is a
// connection.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // none to take: Transport
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}

// wait returns after d (zero: never), when gate is closed, or with false when
// the client or the server went away.
func (c *call) wait(ctx context.Context, d time.Duration, gate <-chan struct{}) bool {
	var alarm <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-alarm:
		return true
	case <-gate:
		return true
	case <-ctx.Done():
		return false
	case <-c.s.stop:
		return false
	}
}

func (c *call) flag(name string) bool { return c.query.Get(name) == "true" }

func appendString(b []byte, s string) []byte { return gjson.AppendJSONString(b, s) }
