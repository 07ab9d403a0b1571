package rest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	testOrg   = "https://dev.azure.com/acme"
	testToken = "pat-0123456789"
)

// fakeService answers requests in the process: no sockets, so that a fake clock
// moves.
type fakeService struct {
	mu    sync.Mutex
	log   []string // "METHOD path?query" of what was sent
	serve func(r *http.Request) *http.Response
}

func (f *fakeService) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.log = append(f.log, r.Method+" "+r.URL.RequestURI())
	f.mu.Unlock()
	resp := f.serve(r)
	if resp == nil {
		return nil, io.ErrUnexpectedEOF
	}
	resp.Request = r
	return resp, nil
}

func (f *fakeService) sent() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func always(body string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response { return answer(200, body) }
}

func status(code int, body string, header ...string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response { return answer(code, body, header...) }
}

type options struct {
	cred Credential
	most int
	log  io.Writer
	wait time.Duration
	org  string // empty means testOrg

	registry prometheus.Registerer
}

func newTestClient(tb testing.TB, f *fakeService, o options) *Client {
	tb.Helper()
	if o.cred == nil {
		o.cred = PersonalAccessToken(testToken)
	}
	if o.log == nil {
		o.log = io.Discard
	}
	if o.org == "" {
		o.org = testOrg
	}
	c, err := New(Config{
		OrganizationURL: o.org, Credential: o.cred, Transport: f, MaxInFlight: o.most, Timeout: o.wait, Registry: o.registry,
		Log: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// values makes the list of a page.
func values(objects ...string) string {
	return `{"count":` + strconv.Itoa(len(objects)) + `,"value":[` + strings.Join(objects, ",") + `]}`
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func mustNotShow(t *testing.T, what string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, what) {
			t.Errorf("shows %q: %s", what, text)
		}
	}
}
