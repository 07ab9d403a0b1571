package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
)

// Ten events of one object in a burst, while the handler is busy, become two
// calls; the payloads come in order.
func TestCoalescing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls [][]string
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := serve(t, webhook.Config{Directory: t.TempDir(), Handler: handlerFunc(func(_ context.Context, _ string, list []webhook.Delivery) error {
		mu.Lock()
		var ids []string
		for _, d := range list {
			ids = append(ids, d.EventID)
		}
		calls = append(calls, ids)
		first := len(calls) == 1
		mu.Unlock()
		if first {
			close(begun)
			<-goOn
		}
		return nil
	})})
	s.Start()
	for i := range 10 {
		if got := send(s, event(i, 7)); got != http.StatusOK {
			t.Fatalf("POST = %d", got)
		}
		if i == 0 {
			<-begun
		}
	}
	close(goOn)
	wait(t, "all", func() bool { return s.Stats().Handled == 10 })
	want := "[[event-0] [event-1 event-2 event-3 event-4 event-5 event-6 event-7 event-8 event-9]]"
	if got := fmt.Sprint(calls); got != want {
		t.Errorf("calls %s, want %s", got, want)
	}
	if st := s.Stats(); st.Coalesced != 8 {
		t.Errorf("coalesced %d, want 8", st.Coalesced)
	}
}

// Objects are worked on in parallel, as many as there are workers, and never two
// at once for one object.
func TestWorkers(t *testing.T) {
	t.Parallel()
	const workers = 4
	var now, most, objects atomic.Int32
	busy := sync.Map{}
	full := make(chan struct{})
	s := serve(t, webhook.Config{
		Settings: webhook.Settings{Workers: workers}, Handler: handlerFunc(func(_ context.Context, key string, _ []webhook.Delivery) error {
			if _, twice := busy.LoadOrStore(key, true); twice {
				t.Errorf("%s is handled twice at once", key)
			}
			defer busy.Delete(key)
			n := now.Add(1)
			defer now.Add(-1)
			if n > most.Load() {
				most.Store(n)
			}
			if objects.Add(1) == workers {
				close(full)
			}
			<-full
			return nil
		}),
	})
	for i := range 100 {
		send(s, event(i, i%20))
	}
	s.Start()
	wait(t, "all", func() bool { return s.Stats().Handled == 100 })
	if most.Load() != workers {
		t.Errorf("at most %d at once, want %d", most.Load(), workers)
	}
}

func TestRetryAndDeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		var repaired atomic.Bool
		s := serve(t, webhook.Config{Listener: newPipes(), Directory: t.TempDir(), Handler: handlerFunc(func(_ context.Context, _ string, list []webhook.Delivery) error {
			switch {
			case repaired.Load():
				return nil
			case tries.Add(1) == 1:
				return errors.New("not yet")
			}
			return fmt.Errorf("%s: %w", list[0].EventType, webhook.ErrPermanent)
		})})
		s.Start()
		send(s, event(1, 1))
		wait(t, "the dead letter", func() bool { return s.Stats().DeadLetters == 1 })
		var id uint64
		for l, err := range s.Spool().Dead() {
			if err != nil || l.Attempts != 2 || !strings.Contains(l.Reason, "permanent") || string(l.Body) != event(1, 1) {
				t.Errorf("dead letter %+v, %v", l, err)
			}
			id = l.ID
		}
		metrics := do(s, "GET", "/metrics", "").Body.String()
		for _, line := range []string{
			"ado_port_hooks_dead_letters 1", `ado_port_hooks_dead_total{event="t"} 1`, `ado_port_hooks_failed_total{event="t"} 2`,
			`ado_port_hooks_accepted_total{event="t"} 1`, "ado_port_hooks_depth 0", "ado_port_hooks_spool_in_memory 0",
		} {
			if !strings.Contains(metrics, line+"\n") {
				t.Errorf("no line %q in %s", line, metrics)
			}
		}
		repaired.Store(true)
		if n, err := s.Spool().Redrive(t.Context()); n != 1 || err != nil {
			t.Errorf("Redrive = %d, %v", n, err)
		}
		wait(t, "the redriven one", func() bool { return s.Stats().Handled == 1 })
		if err := s.Spool().Drop(t.Context(), id); !errors.Is(err, spool.ErrNotFound) {
			t.Errorf("Drop = %v, want ErrNotFound", err)
		}
		st := s.Stats()
		if st.Received != 1 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

// A call of the handler that takes too long is ended and tried again.
func TestHandleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, webhook.Config{Listener: newPipes(), HandleTimeout: time.Millisecond, Handler: handlerFunc(func(ctx context.Context, _ string, list []webhook.Delivery) error {
			if list[0].Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})})
		s.Start()
		send(s, event(1, 1))
		wait(t, "the second try", func() bool { return s.Stats().Handled == 1 })
	})
}

// A handler that never ends does not keep the server from ending; its delivery
// waits for the next start.
func TestStuckHandler(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun := make(chan struct{})
	s, stop := start(t, webhook.Config{Directory: dir, ShutdownWait: time.Millisecond, Handler: handlerFunc(
		func(ctx context.Context, _ string, _ []webhook.Delivery) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		},
	)})
	s.Start()
	send(s, event(1, 1))
	<-begun
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := serve(t, webhook.Config{Directory: dir}).Stats().Depth; got != 1 {
		t.Errorf("%d wait after the restart, want 1", got)
	}
}

// Run ends in time although a handler does not look at its context.
func TestDeafHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		s, err := webhook.New(webhook.Config{Listener: newPipes(), Parse: parse, ShutdownWait: 5 * time.Second, Handler: handlerFunc(
			func(context.Context, string, []webhook.Delivery) error {
				<-goOn
				return nil
			},
		)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		s.Start()
		synctest.Wait()
		send(s, event(1, 1))
		synctest.Wait()
		begun := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 10*time.Second { // of the fake clock
			t.Errorf("Run ended after %v", took)
		}
		close(goOn)
	})
}

// Known is who has the password, or whom the envelope names so.
func TestStrangers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, secret, password string
		lenient, known         bool
		want                   int
	}{
		{"password", "x", basic(":x"), false, false, 0},
		{"no password where one is wanted", "x", "", true, false, 1},
		{"no password and known", "x", "", true, true, 0},
		{"none is wanted", "", "", false, false, 1},
		{"none is wanted, and any is sent", "", basic(":x"), false, false, 1},
		{"none is wanted and known", "", "", false, true, 0},
	} {
		s := serve(t, webhook.Config{Secret: tt.secret, Lenient: tt.lenient, Parse: func(body []byte) (webhook.Envelope, error) {
			e, err := parse(body)
			e.Known = tt.known
			return e, err
		}})
		var header []string
		if tt.password != "" {
			header = []string{"Authorization", tt.password}
		}
		if got := send(s, event(1, 1), header...); got != 200 {
			t.Errorf("%s: %d", tt.name, got)
		}
		if st := s.Stats(); st.Depth != 1 || st.Strangers != tt.want {
			t.Errorf("%s: %d strangers of %d, want %d of 1", tt.name, st.Strangers, st.Depth, tt.want)
		}
	}
}

// The labels of metrics are bounded, whatever senders call their events.
func TestEventLabels(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{})
	for i := range 200 {
		send(s, strings.ReplaceAll(event(i, i), `"t"`, fmt.Sprintf(`"type.%d"`, i)))
		send(s, strings.ReplaceAll(event(i, i), `"t"`, fmt.Sprintf(`"odd one %d {}"`, i)))
	}
	metrics := do(s, "GET", "/metrics", "").Body.String()
	if n := strings.Count(metrics, "ado_port_hooks_accepted_total{"); n > 60 {
		t.Errorf("%d series", n)
	}
	if !strings.Contains(metrics, `ado_port_hooks_accepted_total{event="other"}`) || strings.Contains(metrics, "odd one") {
		t.Error("the rest is not counted as other")
	}
}
