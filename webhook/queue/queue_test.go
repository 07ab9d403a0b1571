package queue_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/queue"
	"github.com/ado-port/ado-port/webhook/queue/queuetest"
)

const (
	path = "/acme/hooks"
	key  = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA=="
)

// receiver notes what it gets. While full it takes nothing.
type receiver struct {
	mu     sync.Mutex
	full   bool
	bodies []string
	dead   []string // reasons
	tries  int
}

func (r *receiver) Accept(_ context.Context, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	switch {
	case r.full:
		return errors.New("too many deliveries wait")
	case !bytes.HasPrefix(body, []byte("{")):
		return fmt.Errorf("%w: no JSON", webhook.ErrNoDelivery)
	}
	r.bodies = append(r.bodies, string(body))
	return nil
}

func (r *receiver) Bury(_ context.Context, _, reason string, _ []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return errors.New("too many deliveries wait")
	}
	r.dead = append(r.dead, reason)
	return nil
}

func (r *receiver) set(full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full = full
}

func (r *receiver) got() (bodies, dead []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.bodies)
	return slices.Clone(r.bodies), slices.Clone(r.dead)
}

// transport answers from a queuetest.Server, without a network: time may stand still
// then. fault may do something else, and says whether it did.
type transport struct {
	server *queuetest.Server
	mu     sync.Mutex
	fault  func(r *http.Request, serve func() *http.Response) (*http.Response, error)
	calls  int
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	serve := func() *http.Response {
		w := httptest.NewRecorder()
		t.server.ServeHTTP(w, r)
		resp := w.Result()
		resp.Request = r
		return resp
	}
	t.mu.Lock()
	t.calls++
	fault := t.fault
	t.mu.Unlock()
	if fault != nil {
		if resp, err := fault(r, serve); resp != nil || err != nil {
			return resp, err
		}
	}
	return serve(), nil
}

func (t *transport) asked() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

func (t *transport) set(fault func(*http.Request, func() *http.Response) (*http.Response, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = fault
}

type bench struct {
	*transport
	into     *receiver
	queue    *queue.Queue
	log      *bytes.Buffer
	registry *prometheus.Registry
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{transport: &transport{server: &queuetest.Server{}}, into: &receiver{}, log: &bytes.Buffer{}, registry: prometheus.NewRegistry()}
	var err error
	b.queue, err = queue.New(queue.Config{
		URL: "https://queue.example.com" + path, Account: "acme", Key: key, Into: b.into, Transport: b.transport,
		Registry: b.registry, Log: slog.New(slog.NewTextHandler(b.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) put(texts ...string) {
	for _, text := range texts {
		b.server.Put(path, base64.StdEncoding.EncodeToString([]byte(text)), 0)
	}
}

// run reads in the background, inside a bubble, until stop is called or the test ends.
func (b *bench) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.queue.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run(t)
		after(time.Second) // the queue is made
		if n := b.server.Len(path); n != 0 {
			t.Fatalf("%d messages: the queue has not been made", n)
		}
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprintf(`{"n":%03d}`, i))
		}
		b.put(want...)
		after(1100 * time.Millisecond)
		if got, dead := b.into.got(); !slices.Equal(got, want) || dead != nil {
			t.Errorf("got %d, dead %v", len(got), dead)
		}
		if n := b.server.Len(path); n != 0 {
			t.Errorf("%d messages are left", n)
		}
		calls := b.asked()
		after(time.Hour)
		if n := b.asked() - calls; n > 3700 {
			t.Errorf("%d questions in an hour without events", n)
		}
	})
}

// While there is much, an account that takes its time is asked for more and more at once.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var want []string
		for i := range 960 {
			want = append(want, fmt.Sprintf(`{"n":%03d}`, i))
		}
		b.put(want...)
		b.set(func(*http.Request, func() *http.Response) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return nil, nil
		})
		b.run(t)
		after(6 * time.Second) // four deletions at once take 24
		if got, dead := b.into.got(); !slices.Equal(got, want) || dead != nil {
			t.Errorf("got %d, dead %v", len(got), dead)
		}
		if n := b.server.Len(path); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// What a process had in hand when it died comes soon after.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(`{"n":1}`)
		b.set(func(_ *http.Request, serve func() *http.Response) (*http.Response, error) {
			b.set(nil)
			serve() // to whoever is dead now
			return nil, errors.New("connection reset by peer")
		})
		b.run(t)
		after(10 * time.Second)
		if got, _ := b.into.got(); got != nil {
			t.Errorf("got %v, which another process may have in hand", got)
		}
		after(10 * time.Second)
		if got, _ := b.into.got(); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put("no JSON", `{"adoPortCheck":"x"}`, `{"good":1}`, "\ufeff"+`{"good":2}`)
		b.server.Put(path, "%%%", 0)
		b.server.Put(path, `{"plain":1}`, 0)
		b.server.Put(path, `{"never":1}`, 299)
		if err := b.queue.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, dead := b.into.got()
		if want := []string{`{"good":1}`, `{"good":2}`, `{"plain":1}`}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		slices.Sort(dead)
		if text := strings.Join(dead, "; "); len(dead) != 3 || !strings.Contains(text, "base64") || !strings.Contains(text, "no JSON") || !strings.Contains(text, "read 300 times") {
			t.Errorf("dead letters: %s", text)
		}
		if n := b.server.Len(path); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// While deliveries cannot be stored nothing more is read, and nothing is deleted.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for i := range 50 {
			b.put(fmt.Sprintf(`{"n":%02d}`, i))
		}
		b.into.set(true)
		b.run(t)
		after(10 * time.Minute)
		if n := b.server.Len(path); n != 50 {
			t.Fatalf("%d messages are left of 50", n)
		}
		if n := strings.Count(b.log.String(), "level=WARN"); n != 1 {
			t.Errorf("said %d times:\n%s", n, b.log)
		}
		b.into.set(false)
		after(time.Minute)
		if got, dead := b.into.got(); len(got) != 50 || dead != nil {
			t.Errorf("got %d of 50, dead %v: %v", len(got), dead, got)
		}
		if n := b.server.Len(path); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

func status(code int, contentType, body string) func(*http.Request, func() *http.Response) (*http.Response, error) {
	return func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// Whatever the storage account does, everything arrives in the end, and it is said once.
func TestFaults(t *testing.T) {
	ours := func(code int, body string) func(*http.Request, func() *http.Response) (*http.Response, error) {
		return func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
			resp, err := status(code, "application/xml", body)(r, nil)
			resp.Header.Set("x-ms-request-id", "1")
			return resp, err
		}
	}
	only := func(method string, fault func(*http.Request, func() *http.Response) (*http.Response, error)) func(*http.Request, func() *http.Response) (*http.Response, error) {
		return func(r *http.Request, serve func() *http.Response) (*http.Response, error) {
			if r.Method != method {
				return nil, nil
			}
			return fault(r, serve)
		}
	}
	lost := func(_ *http.Request, serve func() *http.Response) (*http.Response, error) {
		serve()
		return nil, errors.New("connection reset by peer")
	}
	for name, fault := range map[string]func(*http.Request, func() *http.Response) (*http.Response, error){
		"429":           ours(http.StatusTooManyRequests, ""),
		"503":           ours(http.StatusServiceUnavailable, "<Error><Code>ServerBusy</Code></Error>"),
		"truncated":     only(http.MethodGet, ours(http.StatusOK, "<QueueMessagesList><QueueMessage><MessageId>1")),
		"malformed":     only(http.MethodGet, ours(http.StatusOK, "{}")),
		"without parts": only(http.MethodGet, ours(http.StatusOK, "<QueueMessagesList><QueueMessage></QueueMessage></QueueMessagesList>")),
		// To delete it would be to delete all messages.
		"without an id":   only(http.MethodGet, ours(http.StatusOK, "<QueueMessagesList><QueueMessage><MessageId></MessageId><PopReceipt>p</PopReceipt><MessageText>e30=</MessageText></QueueMessage></QueueMessagesList>")),
		"page of a proxy": status(http.StatusOK, "text/html", "<html><body>Sign in</body></html>"),
		"redirect":        status(http.StatusFound, "text/html", ""),
		"key refused":     ours(http.StatusForbidden, "<Error><Code>AuthenticationFailed</Code></Error>"),
		"reset": func(*http.Request, func() *http.Response) (*http.Response, error) {
			return nil, errors.New("connection reset by peer")
		},
		"read, answer lost":     only(http.MethodGet, lost),
		"deleted, answer lost":  only(http.MethodDelete, lost),
		"deletion does nothing": only(http.MethodDelete, ours(http.StatusInternalServerError, "")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.put(`{"n":1}`, `{"n":2}`)
				b.set(fault)
				b.run(t)
				after(20 * time.Minute)
				b.set(nil)
				after(2 * time.Minute)
				if got, dead := b.into.got(); !slices.Equal(got, []string{`{"n":1}`, `{"n":2}`}) || dead != nil {
					t.Errorf("got %q, dead %q", got, dead)
				}
				if n := b.server.Len(path); n != 0 {
					t.Errorf("%d messages are left", n)
				}
				if n := strings.Count(b.log.String(), "level=WARN"); n > 1 {
					t.Errorf("said %d times:\n%s", n, b.log)
				}
				if strings.Contains(b.log.String(), key) {
					t.Errorf("the log has the key:\n%s", b.log)
				}
				if s, text := b.status(t); s.State != queue.StateReachable || s.Received != 2 || s.LastError == "" || strings.Contains(text, key) || strings.Contains(text, "popreceipt") {
					t.Errorf("the status is %s", text)
				}
			})
		})
	}
}

// blanks have no end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) { return copy(p, "        "), nil }

func TestEndlessAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set(func(_ *http.Request, serve func() *http.Response) (*http.Response, error) {
			resp := serve()
			resp.Body = io.NopCloser(bufio.NewReader(blanks{}))
			return resp, nil
		})
		if err := b.queue.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than any") {
			t.Errorf("Drain: %v", err)
		}
	})
}

func TestDrainGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set(status(http.StatusServiceUnavailable, "text/plain", ""))
		if err := b.queue.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("Drain: %v", err)
		}
	})
}

func TestProve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for range 2 { // the queue is made the first time
			if other, err := b.queue.Prove(t.Context()); other || err != nil {
				t.Fatal(other, err)
			}
		}
		if n := b.server.Len(path); n != 0 {
			t.Errorf("%d messages are left", n)
		}
		b.set(func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
			if r.Method == http.MethodDelete { // a service reads in between
				b.set(nil)
				after(2 * time.Second)
				return nil, b.queue.Drain(t.Context())
			}
			return nil, nil
		})
		if other, err := b.queue.Prove(t.Context()); !other || err != nil {
			t.Error(other, err)
		}
		if got, dead := b.into.got(); got != nil || dead != nil {
			t.Errorf("got %v, %v", got, dead)
		}
		b.set(status(http.StatusForbidden, "application/xml", ""))
		if _, err := b.queue.Prove(t.Context()); err == nil {
			t.Error("no error without permission")
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]queue.Config{
		"STORAGE_ACCOUNT_KEY": {URL: "https://acme.queue.core.windows.net/hooks", Account: "acme", Key: "no base64!"},
		"STORAGE_QUEUE_URL":   {URL: "http://127.0.0.1:1/acme/hooks", Account: "acme"},
	} {
		if _, err := queue.New(cfg); err == nil || !strings.Contains(err.Error(), name) || cfg.Key != "" && strings.Contains(err.Error(), cfg.Key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := queue.New(queue.Config{URL: "https://acme.queue.core.windows.net/hooks", Account: "acme"}); err != nil {
		t.Errorf("without a key: %v", err)
	}
	var none *queue.Queue
	none.Run(t.Context())
	if err := none.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if s := none.Status(); s != nil {
		t.Errorf("none has the status %+v", s)
	}
}
