package spool_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

// open opens a spool that is closed at the end of the test.
func open(t testing.TB, cfg spool.Config) *spool.Spool {
	t.Helper()
	s, err := spool.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func delivery(key string, n int) spool.Delivery {
	return spool.Delivery{
		Key: key, EventType: "git.push", EventID: fmt.Sprintf("%s/%d", key, n), SubscriptionID: "s1",
		Body: fmt.Appendf(nil, `{"key":%q,"n":%d,"fill":"%0200d"}`, key, n, n),
	}
}

func accept(t testing.TB, s *spool.Spool, list ...spool.Delivery) {
	t.Helper()
	for _, d := range list {
		if dup, err := s.Accept(t.Context(), d, nil); err != nil || dup {
			t.Fatalf("Accept(%s) = %v, %v", d.EventID, dup, err)
		}
	}
}

// take takes one claim, which has to be there.
func take(t testing.TB, s *spool.Spool) *spool.Claim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := s.Take(ctx)
	if err != nil {
		t.Fatalf("Take: %v", err)
	}
	return c
}

// none checks that there is nothing to take.
func none(t testing.TB, s *spool.Spool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := s.Take(ctx); err == nil {
		t.Fatalf("Take = %d deliveries of %s, want none", len(c.Deliveries), c.Key)
	}
}

// wait waits until ok.
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func ids(c *spool.Claim) []string {
	var out []string
	for _, d := range c.Deliveries {
		out = append(out, d.EventID)
	}
	return out
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
