package hooks

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What is kept of a reconciliation is what a look at the subscriptions finds after it.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2")
		reg := prometheus.NewRegistry()
		k := newKeeping(t, s, t.TempDir(), func(cfg *KeeperConfig) { cfg.Registry = reg })
		if h := k.Health(); len(h) != 1 || h[0].Organization != "acme" || !h[0].Looked.IsZero() {
			t.Errorf("health before the first look: %+v", h)
		}
		refuse := false
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if refuse && r.Method != http.MethodGet && strings.Contains(r.URL.Path, "subscriptions") {
				return answer(403, `{"message":"no permission"}`)
			}
			return nil
		}
		check := func(step string, want map[string]int) {
			t.Helper()
			k.once(t)
			h := k.Health()[0]
			maps.DeleteFunc(h.Subscriptions, func(_ string, n int) bool { return n == 0 })
			if !maps.Equal(h.Subscriptions, want) {
				t.Errorf("%s: %v, want %v", step, h.Subscriptions, want)
			}
			found := map[string]int{}
			o, err := k.each[0].overview(t.Context(), k.wanted)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range o.Hooks {
				found[f.Health]++
			}
			if !maps.Equal(found, want) {
				t.Errorf("%s: a look finds %v, want %v", step, found, want)
			}
		}
		n := len(k.wanted.Events()) * 2
		refuse = true
		check("refused", map[string]int{healthMissing: n})
		refuse = false
		time.Sleep(2 * time.Hour) // refusals are remembered for an hour
		check("created", map[string]int{healthGood: n})
		k.switchOff("workitem.updated", "p1")
		refuse = true
		check("switched off, and it cannot be mended", map[string]int{healthGood: n - 1, healthBroken: 1})
		refuse = false
		time.Sleep(2 * time.Hour) // refusals are remembered for an hour
		check("mended", map[string]int{healthGood: n})
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}
