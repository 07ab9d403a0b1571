package webhook_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/webhook"
)

const hookPath = "/integration/webhook"

// serve runs a server on a port of its own until the end of the test. It waits
// until the spool is open.
func serve(tb testing.TB, cfg webhook.Config) *webhook.Server {
	tb.Helper()
	s, stop := start(tb, cfg)
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	return s
}

// start is serve with a function that stops the server before.
func start(tb testing.TB, cfg webhook.Config) (*webhook.Server, func() error) {
	tb.Helper()
	if cfg.Parse == nil {
		cfg.Parse = parse
	}
	if cfg.Handler == nil {
		cfg.Handler = handlerFunc(func(context.Context, string, []webhook.Delivery) error { return nil })
	}
	if cfg.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		cfg.Listener = l
	}
	s, err := webhook.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	wait(tb, "the spool", func() bool { return !s.Stats().Waiting })
	return s, func() error {
		cancel()
		return <-done
	}
}

// wait waits until ok.
func wait(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("%s: not within a minute", what)
		}
	}
}

// send posts a body to the server without a network.
func send(s http.Handler, body string, header ...string) int {
	return do(s, http.MethodPost, hookPath, body, header...).Code
}

func do(s http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1/", strings.NewReader(body))
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// capture is a log and what was written to it.
func capture() (*slog.Logger, func() string) {
	b := &buffer{}
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b.String
}

type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
