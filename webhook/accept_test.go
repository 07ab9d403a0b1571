package webhook_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ado-port/ado-port/webhook"
)

const acceptable = `{"eventType":"x","publisherId":"tfs","id":"e1","resource":{"id":1}}`

func TestAccept(t *testing.T) {
	t.Parallel()
	var handled atomic.Int64
	s := serve(t, webhook.Config{
		Secret: "secret", Directory: t.TempDir(), Settings: webhook.Settings{MaxBodyBytes: 1024},
		Handler: handlerFunc(func(_ context.Context, _ string, d []webhook.Delivery) error {
			handled.Add(int64(len(d)))
			return nil
		}),
	})
	body := []byte(acceptable)
	for range 2 { // the second is a copy
		if err := s.Accept(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"no JSON", strings.Repeat("x", 2000)} {
		if err := s.Accept(t.Context(), []byte(bad)); !errors.Is(err, webhook.ErrNoDelivery) {
			t.Errorf("%.10q: %v, want ErrNoDelivery", bad, err)
		}
	}
	s.Start()
	wait(t, "the delivery", func() bool { return handled.Load() == 1 && s.Queue().Depth == 0 })
}

func TestBury(t *testing.T) {
	t.Parallel()
	var handled atomic.Int64
	s := serve(t, webhook.Config{
		Directory: t.TempDir(),
		Handler: handlerFunc(func(_ context.Context, _ string, d []webhook.Delivery) error {
			handled.Add(int64(len(d)))
			return nil
		}),
	})
	s.Start()
	for range 2 { // the second is a copy
		if err := s.Bury(t.Context(), "m1", "not base64: "+strings.Repeat("é", 400), []byte("<html>")); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "the dead letter", func() bool { return s.Queue().DeadLetters == 1 })
	l := s.DeadLetters(9).Oldest
	if !strings.Contains(l[0].Reason, "not base64") || l[0].Bytes != 6 || handled.Load() != 0 {
		t.Errorf("dead letter %+v; %d handled", l[0], handled.Load())
	}
	if n, err := s.Redrive(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	wait(t, "the redriven one", func() bool { return handled.Load() == 1 && s.Queue().Depth == 0 })
}

func TestAcceptWithoutHandler(t *testing.T) {
	t.Parallel()
	s, stop := start(t, webhook.Config{})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Accept(t.Context(), []byte(acceptable)); err == nil || errors.Is(err, webhook.ErrNoDelivery) {
		t.Errorf("after the end: %v", err)
	}
	if err := s.Bury(t.Context(), "m1", "why", nil); err == nil {
		t.Error("buried after the end")
	}
}
