package azuredevopstest

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// A Stub answers requests in the process as a test says: no sockets, so that a fake
// clock moves.
type Stub struct {
	Serve func(r *http.Request) *http.Response // nil breaks the connection

	mu  sync.Mutex
	log []string
}

// RoundTrip answers a request.
func (s *Stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.log = append(s.log, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	resp := s.Serve(r)
	if resp == nil {
		return nil, io.ErrUnexpectedEOF
	}
	resp.Request = r
	return resp, nil
}

// Sent is "METHOD path?query" of every request so far.
func (s *Stub) Sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// Count is how many requests contain a text.
func (s *Stub) Count(text string) int {
	n := 0
	for _, rq := range s.Sent() {
		if strings.Contains(rq, text) {
			n++
		}
	}
	return n
}

// Reply is a response with names and values of headers in turn.
func Reply(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// Always answers every request alike.
func Always(body string) func(*http.Request) *http.Response { return AlwaysStatus(http.StatusOK, body) } //nolint:bodyclose // there is none yet

// AlwaysStatus is Always with a status and headers.
func AlwaysStatus(code int, body string, header ...string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response { return Reply(code, body, header...) }
}

// Values makes the list of a page.
func Values(objects ...string) string {
	return `{"count":` + strconv.Itoa(len(objects)) + `,"value":[` + strings.Join(objects, ",") + `]}`
}

// A Buffer is written and read at the same time.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
