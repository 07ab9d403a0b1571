package webhook_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
)

// countsAway is a spool that has a dead letter, and that nobody can ask at times.
type countsAway struct {
	webhook.Spool

	away *atomic.Bool
}

func (c countsAway) Stats() spool.Stats {
	if c.away.Load() {
		return spool.Stats{Unknown: true, Left: spool.Left{Deliveries: 940, DeadLetters: 2}}
	}
	return spool.Stats{Depth: 3, DeadLetters: 1, Shared: new(5)}
}

// What nobody knows is not 0: /status.json leaves it out, and metrics show what was known
// last, so that an alert goes on.
func TestUnknownBacklog(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	away.Store(true)
	s := serve(t, webhook.Config{Spool: func(ctx context.Context, cfg spool.Config) (webhook.Spool, error) {
		sp, err := spool.Open(ctx, cfg)
		return countsAway{sp, &away}, err
	}})
	const unknown = `{"kind":"redis","usable":true,"workingObjects":0,"toMove":{"deliveries":940,"deadLetters":2}}`
	want := func(when, document string, metrics ...string) {
		t.Helper()
		if got, err := json.Marshal(s.Queue()); err != nil || string(got) != document {
			t.Errorf("%s: %s, %v", when, got, err)
		}
		scrape := do(s, "GET", "/metrics", "").Body.String()
		for _, line := range metrics {
			if line, lacks := strings.CutPrefix(line, "no "); strings.Contains(scrape, "\n"+line) == lacks {
				t.Errorf("%s: %s, lacking is %v", when, line, lacks)
			}
		}
		if s.Unhandled() == 0 {
			t.Errorf("%s: all is handled", when)
		}
	}
	want("before anything was known", unknown, "no ado_port_hooks_depth", "no ado_port_hooks_dead_letters", "ado_port_hooks_spool_usable 1")
	away.Store(false)
	want("meanwhile", `{"kind":"redis","usable":true,"workingObjects":0,"depth":3,"bytes":0,"strangers":0,"oldestSeconds":0,"delayedObjects":0,"deadLetters":1,"sharedDepth":5}`,
		"ado_port_hooks_depth 3", "ado_port_hooks_dead_letters 1", "ado_port_hooks_to_move 0")
	away.Store(true)
	want("afterwards", unknown, "ado_port_hooks_depth 3", "ado_port_hooks_dead_letters 1", "ado_port_hooks_to_move 942")
}
