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
func open(tb testing.TB, cfg spool.Config) *spool.Spool {
	tb.Helper()
	s, err := spool.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("Close: %v", err)
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

func accept(tb testing.TB, s *spool.Spool, list ...spool.Delivery) {
	tb.Helper()
	for _, d := range list {
		if dup, err := s.Accept(tb.Context(), d, nil); err != nil || dup {
			tb.Fatalf("Accept(%s) = %v, %v", d.EventID, dup, err)
		}
	}
}

// take takes one claim, which has to be there.
func take(tb testing.TB, s *spool.Spool) *spool.Claim {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	c, err := s.Take(ctx)
	if err != nil {
		tb.Fatalf("Take: %v", err)
	}
	return c
}

// none checks that there is nothing to take.
func none(tb testing.TB, s *spool.Spool) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	if c, err := s.Take(ctx); err == nil {
		tb.Fatalf("Take = %d deliveries of %s, want none", len(c.Deliveries), c.Key)
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
