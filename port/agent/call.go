package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// answerLimit bounds what is read of an answer. Port takes 1 MiB, but programs of
	// a mapping may look for a link in more.
	answerLimit  = 4 << 20
	maxRedirects = 30
	// patience is how many timeouts a call may take, as long as bytes keep coming.
	patience = 10
	// attempts of a call that can be repeated, and the pause before the second.
	maxAttempts = 3
	firstPause  = 500 * time.Millisecond
)

// An answer is that of the called service.
type answer struct {
	status  int
	headers http.Header
	text    string
	json    any  // what text holds
	isJSON  bool // text holds JSON
}

// content is the answer as it is reported: JSON where it is some, else the text.
func (a *answer) content() any {
	if a.isJSON {
		return a.json
	}
	return a.text
}

// A caller calls services.
type caller struct {
	client    *http.Client
	timeout   time.Duration // for the connection, and between bytes
	userAgent string
	secret    string
	now       func() time.Time
}

func newCaller(transport http.RoundTripper, timeout time.Duration, secret, userAgent string) *caller {
	return &caller{
		client: &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
			req.Header.Del("Referer") // its query may hold a credential
			if len(via) >= maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return nil
		}},
		timeout: timeout, secret: secret, userAgent: userAgent, now: time.Now,
	}
}

// signed is a request with the bytes that are sent, and the headers of the signature.
type signed struct {
	*request
	body    []byte // nil: none
	address string // with the query
}

// sign makes the bytes of a request and signs exactly these. The headers of the
// signature replace those of the mapping.
func (c *caller) sign(r *request) (*signed, error) {
	if r.headers == nil {
		r.headers = &object{}
	}
	u, err := url.Parse(quoted(r.url))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMapping, errors.Unwrap(err)) // without the address
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%w: the url has to begin with http:// or https:// and a host", errMapping)
	}
	if q := queryText(r.query); q != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+q, "&")
	}
	s := &signed{request: r, address: u.String()}
	canonical := appendJSON(nil, r.body, ascii)
	if r.body != nil {
		s.body = canonical
	}
	timestamp := strconv.FormatInt(c.now().Unix(), 10)
	r.headers.members = slices.DeleteFunc(r.headers.members, func(m member) bool {
		return m.value == nil || strings.EqualFold(m.name, signatureHeader) || strings.EqualFold(m.name, timestampHeader)
	})
	r.headers.set(timestampHeader, timestamp)
	r.headers.set(signatureHeader, sign(c.secret, timestamp, canonical))
	return s, nil
}

// quoted escapes what cannot stand in a url, behind the host. What is escaped stays so.
func quoted(address string) string {
	_, rest, ok := strings.Cut(address, "://")
	i := strings.IndexAny(rest, "/?#")
	if !ok || i < 0 {
		return address
	}
	var b strings.Builder
	at := len(address) - len(rest) + i
	b.WriteString(address[:at])
	for rest = address[at:]; rest != ""; rest = rest[1:] {
		c := rest[0]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 || c == '%' && !(len(rest) > 2 && isHex(rest[1]) && isHex(rest[2])) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// queryText writes query parameters as Python's requests does: null is left out, lists
// repeat the name, booleans are capitalized.
func queryText(q *object) string {
	var out []string
	add := func(name string, v any) {
		switch v := v.(type) {
		case nil:
		case bool:
			out = append(out, url.QueryEscape(name)+"="+pythonBool(v))
		default:
			out = append(out, url.QueryEscape(name)+"="+url.QueryEscape(text(v)))
		}
	}
	for _, m := range q.members {
		if list, ok := m.value.([]any); ok {
			for _, v := range list {
				add(m.name, v)
			}
			continue
		}
		add(m.name, m.value)
	}
	return strings.Join(out, "&")
}

// do sends a request. What may be repeated is, when nobody was reached or the service
// is overloaded: anything that was not sent, and methods that are idempotent.
func (c *caller) do(ctx context.Context, s *signed) (*answer, error) {
	for attempt := 1; ; attempt++ {
		a, err := c.attempt(ctx, s)
		if attempt == maxAttempts || ctx.Err() != nil || !repeatable(strings.ToUpper(s.method), a, err) {
			return a, err
		}
		if pause(ctx, jitter(firstPause<<(attempt-1))) != nil {
			return a, err
		}
	}
}

func repeatable(method string, a *answer, err error) bool {
	idempotent := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}, method)
	if err != nil {
		var dial *net.OpError
		unsent := errors.As(err, &dial) && dial.Op == "dial"
		return !errors.Is(err, errMapping) && (unsent || idempotent && !errors.Is(err, errTimeout))
	}
	switch a.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return idempotent
	}
	return false
}

func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // no secret depends on it
}

// pause waits, or returns why ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errTimeout = errors.New("no answer in time")

// attempt sends a request once. The time limit holds for the connection, the head of
// the answer and each part of its body; all together it is patience times that.
func (c *caller) attempt(caller context.Context, s *signed) (*answer, error) {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	total := time.AfterFunc(patience*c.timeout, func() {
		cancel(fmt.Errorf("%w: not complete within %s", errTimeout, patience*c.timeout))
	})
	defer total.Stop()
	idle := newAlarm(c.timeout, func() { cancel(fmt.Errorf("%w: nothing came for %s", errTimeout, c.timeout)) })
	defer idle.stop()

	req, err := c.request(ctx, s)
	if err != nil {
		return nil, err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, plainError(ctx, caller, err)
	}
	defer res.Body.Close()
	idle.again()
	body, err := io.ReadAll(io.LimitReader(watched{res.Body, idle}, answerLimit))
	if err != nil {
		return nil, plainError(ctx, caller, err)
	}
	a := &answer{status: res.StatusCode, headers: res.Header, text: decodeText(body, res.Header.Get("Content-Type"))}
	if v, err := parse(bytes.TrimSpace(body)); err == nil {
		a.json, a.isJSON = v, true
	}
	return a, nil
}

func (c *caller) request(ctx context.Context, s *signed) (*http.Request, error) {
	var body io.Reader
	if s.body != nil {
		body = bytes.NewReader(s.body)
	}
	req, err := http.NewRequestWithContext(ctx, strings.ToUpper(s.method), s.address, body)
	if err != nil {
		return nil, fmt.Errorf("%w: the method or the url cannot be sent", errMapping)
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "*/*")
	if s.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, m := range s.headers.members {
		switch v := text(m.value); {
		case strings.EqualFold(m.name, "Host"):
			req.Host = v
		case strings.EqualFold(m.name, "Content-Length"), strings.EqualFold(m.name, "Transfer-Encoding"):
		default:
			req.Header.Set(m.name, v)
		}
	}
	return req, nil
}

// plainError says what went wrong without the address, whose query may hold a
// credential.
func plainError(ctx, caller context.Context, err error) error {
	if cause := context.Cause(ctx); caller.Err() == nil && errors.Is(cause, errTimeout) {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection ended before the answer was complete")
	}
	return err
}

// An alarm goes off when nothing happens for a time.
type alarm struct {
	mu    sync.Mutex
	after time.Duration
	timer *time.Timer
}

func newAlarm(after time.Duration, f func()) *alarm {
	return &alarm{after: after, timer: time.AfterFunc(after, f)}
}

func (a *alarm) again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer.Reset(a.after)
}

func (a *alarm) stop() { a.timer.Stop() }

// watched is a body whose bytes put the alarm off.
type watched struct {
	io.Reader
	idle *alarm
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.idle.again()
	return n, err
}

// decodeText is the text of an answer. A text without charset is Latin-1, as the
// standard for HTTP/1.1 once said, and port-agent reads it so; anything else is UTF-8
// if it can be.
func decodeText(body []byte, contentType string) string {
	media, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	if err != nil {
		media, charset = "", ""
	}
	switch {
	case charset == "" && strings.HasPrefix(media, "text/"), charset == "iso-8859-1", charset == "latin-1", charset == "latin1":
		return latin1(body)
	case !utf8.Valid(body) && charset == "" && media != "application/json":
		return latin1(body)
	}
	return strings.ToValidUTF8(string(body), "\ufffd")
}

func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// reportContext is what the programs of a report mapping see.
func reportContext(inv *invocation, s *signed, a *answer) []byte {
	headers := &object{}
	for name, values := range a.headers {
		headers.set(name, strings.Join(values, ", "))
	}
	slices.SortFunc(headers.members, func(x, y member) int { return strings.Compare(x.name, y.name) })
	doc := &object{members: []member{
		{"body", inv.message},
		{"request", &object{members: []member{{"method", s.method}, {"url", s.url}, {"body", s.request.body}, {"headers", s.headers}, {"query", s.query}}}},
		{"response", &object{members: []member{{"statusCode", json.Number(strconv.Itoa(a.status))}, {"headers", headers}, {"text", a.text}, {"json", a.json}}}},
	}}
	return appendJSON(nil, doc, readable)
}
