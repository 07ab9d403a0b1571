package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
)

func TestDeadLetterRoutes(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	s := serve(t, webhook.Config{Secret: "x", Directory: t.TempDir(), Handler: handlerFunc(func(context.Context, string, []webhook.Delivery) error {
		if well.Load() {
			return nil
		}
		return fmt.Errorf("no project of that id: %w", webhook.ErrPermanent)
	})})
	s.Start()
	auth := []string{"Authorization", basic(":x")}
	for i := range 3 {
		if code := send(s, event(i, 1), auth...); code != 200 {
			t.Fatalf("hook answered %d", code)
		}
	}
	wait(t, "three dead letters", func() bool { return s.Stats().DeadLetters == 3 })

	list := do(s, "GET", "/dead-letters", "", auth...)
	lines := strings.Split(strings.TrimSpace(list.Body.String()), "\n")
	ids := regexp.MustCompile(`"id":(\d+)`).FindAllStringSubmatch(list.Body.String(), -1)
	if list.Code != 200 || len(lines) != 3 || len(ids) != 3 || !strings.Contains(lines[0], "no project of that id") {
		t.Fatalf("GET = %d %s", list.Code, list.Body)
	}
	if strings.Contains(list.Body.String(), "resource") {
		t.Errorf("bodies are shown: %s", list.Body)
	}

	well.Store(true)
	for _, tt := range []struct {
		method, path string
		want         int
		body         string
	}{
		{"DELETE", "/dead-letters/x", 400, ""},
		{"DELETE", "/dead-letters/" + ids[0][1], 204, ""},
		{"DELETE", "/dead-letters/" + ids[0][1], 404, ""},
		{"POST", "/dead-letters/redrive?id=x", 400, ""},
		{"POST", "/dead-letters/redrive?id=" + ids[0][1], 404, ""},
		{"POST", "/dead-letters/redrive?id=" + ids[1][1], 200, `{"redriven":1}`},
		{"POST", "/dead-letters/redrive", 200, `{"redriven":1}`},
		{"POST", "/dead-letters/redrive", 200, `{"redriven":0}`},
	} {
		res := do(s, tt.method, tt.path, "", auth...)
		if res.Code != tt.want || !strings.Contains(res.Body.String(), tt.body) {
			t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, res.Code, res.Body, tt.want, tt.body)
		}
		if res := do(s, tt.method, tt.path, ""); res.Code != 401 {
			t.Errorf("%s %s without a password = %d, want 401", tt.method, tt.path, res.Code)
		}
	}
	wait(t, "none left", func() bool { return s.Stats().DeadLetters == 0 && s.Stats().Depth == 0 })
}

// lettersAway is a spool that can tell one dead letter and then cannot be asked any more.
type lettersAway struct{ webhook.Spool }

var errAway = errors.New("dial tcp: connection refused")

func (lettersAway) Dead() iter.Seq2[spool.DeadLetter, error] {
	return func(yield func(spool.DeadLetter, error) bool) {
		_ = yield(spool.DeadLetter{Delivery: spool.Delivery{ID: 7}}, nil) && yield(spool.DeadLetter{}, errAway)
	}
}

func (lettersAway) Redrive(context.Context, ...uint64) (int, error) { return 0, errAway }
func (lettersAway) Drop(context.Context, uint64) error              { return errAway }

// Dead letters that nobody can ask for are none that are damaged, and not the whole list.
func TestDeadLettersThatCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{Secret: "x", Spool: func(ctx context.Context, cfg spool.Config) (webhook.Spool, error) {
		sp, err := spool.Open(ctx, cfg)
		return lettersAway{sp}, err
	}})
	for _, route := range [][2]string{{"GET", "/dead-letters"}, {"POST", "/dead-letters/redrive"}, {"POST", "/dead-letters/redrive?id=7"}, {"DELETE", "/dead-letters/7"}} {
		res := do(s, route[0], route[1], "", "Authorization", basic(":x"))
		if got := strings.TrimSpace(res.Body.String()); res.Code != 503 || got != `{"detail":"dial tcp: connection refused"}` {
			t.Errorf("%s %s = %d %s", route[0], route[1], res.Code, got)
		}
	}
	if l := s.DeadLetters(9); len(l.Oldest) > 0 || l.Error != errAway.Error() {
		t.Errorf("the page is told %+v", l)
	}
}

// Without a password nobody can be told from anybody, so nothing is shown.
func TestNoDeadLetterRoutesWithoutASecret(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{})
	for _, route := range [][2]string{{"GET", "/dead-letters"}, {"POST", "/dead-letters/redrive"}, {"DELETE", "/dead-letters/1"}} {
		if res := do(s, route[0], route[1], ""); res.Code != 404 {
			t.Errorf("%s %s = %d, want 404", route[0], route[1], res.Code)
		}
	}
}
