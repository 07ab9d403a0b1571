package queue_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook/queue"
)

// status is what the queue says of itself, and the same as JSON.
func (b *bench) status(t *testing.T) (queue.Status, string) {
	t.Helper()
	s := b.queue.Status()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return *s, string(text)
}

// reachable is the sample of the gauge; "": there is none.
func (b *bench) reachable(t *testing.T) string {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "ado_port_storage_queue_reachable" {
			return fmt.Sprint(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return ""
}

// The status follows a queue that is read, fails, is read again, and has a process that
// cannot store what is in it.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		want := func(when string, is func(s *queue.Status) bool) {
			t.Helper()
			s, text := b.status(t)
			if s.URL != "https://queue.example.com"+path || !is(&s) {
				t.Errorf("%s the status is %s", when, text)
			}
			if strings.Contains(text, key) {
				t.Errorf("%s the status has the key: %s", when, text)
			}
			gauge := map[string]string{queue.StateReachable: "1", queue.StateUnreachable: "0"}[s.State]
			if got := b.reachable(t); got != gauge {
				t.Errorf("%s the queue is %s, and the gauge %q", when, s.State, got)
			}
		}
		want("before it is read", func(s *queue.Status) bool {
			return s.Activity == queue.ActivityNone && s.State == queue.StateNotAsked && s.LastRead.IsZero() && s.Since.IsZero()
		})
		began := time.Now()
		stop := b.run(t)
		b.put(`{"n":1}`, "no JSON")
		after(time.Minute)
		good := time.Now()
		want("with nothing to read", func(s *queue.Status) bool {
			return s.Activity == queue.ActivityWaiting && s.State == queue.StateReachable && s.Since.Equal(began) && good.Sub(s.LastRead) <= time.Second &&
				s.Received == 2 && s.Poisoned == 1 && s.LastError == ""
		})
		b.set(status(http.StatusServiceUnavailable, "text/plain", ""))
		after(10 * time.Minute)
		away := time.Now()
		want("while it is away", func(s *queue.Status) bool {
			return s.Activity == queue.ActivityRetrying && s.State == queue.StateUnreachable && s.Since.After(good) && s.Since.Before(good.Add(time.Minute)) &&
				strings.Contains(s.LastError, "503") && s.LastErrorAt.After(s.Since) && s.LastRead.Before(s.Since)
		})
		b.set(nil)
		b.into.set(true)
		b.put(`{"n":2}`)
		after(time.Hour)
		want("while deliveries cannot be stored", func(s *queue.Status) bool {
			return s.Activity == queue.ActivityHeld && strings.Contains(s.Held, "too many") && s.State == queue.StateReachable && s.LastRead.After(away)
		})
		b.into.set(false)
		after(time.Hour)
		want("afterwards", func(s *queue.Status) bool {
			return s.Activity == queue.ActivityWaiting && s.State == queue.StateReachable && s.Since.After(away) && s.Held == "" && s.Received == 3 && strings.Contains(s.LastError, "503")
		})
		stop()
		want("when another process reads", func(s *queue.Status) bool {
			return s.Activity == queue.ActivityNone && s.State == queue.StateNotAsked && s.Since.IsZero() && s.Received == 3
		})
		b.set(status(http.StatusServiceUnavailable, "text/plain", ""))
		stop = b.run(t)
		after(time.Second)
		want("when this one reads again", func(s *queue.Status) bool { return s.State == queue.StateUnreachable })
		stop()
		want("when another process reads again", func(s *queue.Status) bool { return s.State == queue.StateNotAsked })
	})
}

// A signature in the address, which settings refuse, is not shown either.
func TestStatusShowsNoSignature(t *testing.T) {
	t.Parallel()
	q, err := queue.New(queue.Config{
		URL: "https://user:word@acme.queue.core.windows.net/hooks?sig=signature#fragment", Account: "acme", Key: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Status().URL; got != "https://acme.queue.core.windows.net/hooks" {
		t.Errorf("the address is %s", got)
	}
}
