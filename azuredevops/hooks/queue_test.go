package hooks

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

const accountKey = "a2V5LW9mLXRoZS1hY2NvdW50"

func testQueue() *StorageQueue {
	return &StorageQueue{Account: "acme", Name: "hooks", Key: accountKey}
}

// consumers counts the subscriptions that there are by consumer.
func (s *hookStore) consumers() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for _, h := range s.hooks {
		out[h.ConsumerID]++
	}
	return out
}

func TestQueueSubscriptions(t *testing.T) {
	s := newHookStore("p1")
	state := newState()
	var log lockedBuffer
	h := s.client(t, hookOptions{cfg: KeeperConfig{Queue: testQueue()}, state: state, log: &log})
	wantCounts(t, reconcile(t, h, workItems), "created 5")
	want := map[string]string{
		"accountName": "acme", "accountKey": accountKey, "queueName": "hooks", "ttl": "604800", "visiTimeout": "0",
		"resourceDetailsToSend": "all", "messagesToSend": "none", "detailedMessagesToSend": "none",
	}
	for _, x := range s.hooks {
		if x.ConsumerID != "azureStorageQueue" || x.ConsumerActionID != "enqueue" || !maps.Equal(x.ConsumerInputs, want) {
			t.Fatalf("subscription %+v", x)
		}
	}
	wantCounts(t, reconcile(t, h, workItems), "kept 5")

	s.hooks[0].Status = "disabledBySystem"
	s.hooks[1].ConsumerInputs["ttl"] = "60"
	s.hooks[2].ConsumerInputs["resourceDetailsToSend"] = "minimal"
	wantCounts(t, reconcile(t, h, workItems), "kept 2 reenabled 1 repaired 2 gaps 1")
	for _, x := range s.hooks {
		if !maps.Equal(x.ConsumerInputs, want) {
			t.Errorf("inputs %v", x.ConsumerInputs)
		}
	}

	other := testQueue()
	other.Key = "YW5vdGhlcg=="
	h = s.client(t, hookOptions{cfg: KeeperConfig{Queue: other}, state: state, log: &log})
	wantCounts(t, reconcile(t, h, workItems), "repaired 5 gaps 1")
	if got := s.hooks[4].ConsumerInputs["accountKey"]; got != other.Key.Reveal() {
		t.Errorf("key %q", got)
	}
	other.Name = "elsewhere" // also of another account, later
	h = s.client(t, hookOptions{cfg: KeeperConfig{Queue: other}, state: state, log: &log})
	wantCounts(t, reconcile(t, h, workItems), "repaired 5 gaps 1")
	mustNotShow(t, accountKey, log.String())
	mustNotShow(t, other.Key.Reveal(), log.String())
}

// Subscriptions that others have made for the queue are taken over, those for other
// queues are not touched.
func TestQueueAdopts(t *testing.T) {
	s := newHookStore("p1")
	into := func(account, queue string) func(*storedHook) {
		return func(x *storedHook) {
			x.ConsumerID, x.ConsumerActionID = "azureStorageQueue", "enqueue"
			x.ConsumerInputs = map[string]string{"accountName": account, "accountKey": "x", "queueName": queue, "ttl": "60", "visiTimeout": "0"}
		}
	}
	s.add("workitem.created", "", "", into("acme", "hooks"))
	s.add("workitem.created", "", "", into("acme", "other"))
	s.add("workitem.created", "", hookTarget)
	h := s.client(t, hookOptions{cfg: KeeperConfig{Queue: testQueue()}})
	wantCounts(t, reconcile(t, h, workItems), "created 4 adopted 1 repaired 1")
	if got := s.consumers(); got["webHooks"] != 1 || got["azureStorageQueue"] != 6 {
		t.Errorf("subscriptions %v", got)
	}
}

// From web hooks to a queue and back: with both there are both, and what is not used
// any more goes when the other is there.
func TestQueueMigration(t *testing.T) {
	s := newHookStore("p1", "p2")
	for _, perProject := range []bool{false, true} {
		n := 5
		if perProject {
			n = 10
		}
		state := newState()
		step := func(url string, queue *StorageQueue, webHooks, queues int) {
			t.Helper()
			h := s.client(t, hookOptions{cfg: KeeperConfig{URL: url, Queue: queue, PerProject: perProject, Secret: hookSecret}, state: state})
			reconcile(t, h, workItems)
			if got := s.consumers(); got["webHooks"] != webHooks || got["azureStorageQueue"] != queues {
				t.Fatalf("subscriptions %v, want %d and %d", got, webHooks, queues)
			}
			wantCounts(t, reconcile(t, h, workItems), fmt.Sprint("kept ", webHooks+queues))
		}
		step(hookTarget, nil, n, 0)
		step(hookTarget, testQueue(), n, n)
		step("", testQueue(), 0, n)
		step(hookTarget, nil, n, 0)
		step("", testQueue(), 0, n)
		h := s.client(t, hookOptions{cfg: KeeperConfig{Queue: testQueue()}, state: state})
		c, err := h.cleanup(t.Context())
		if err != nil || len(c.jobs) != n {
			t.Fatalf("cleanup of %d: %v", len(c.jobs), err)
		}
		if _, err := c.run(t.Context()); err != nil || len(s.hooks) != 0 {
			t.Errorf("%d subscriptions are left: %v", len(s.hooks), err)
		}
	}
}

// While the subscriptions for the queue are refused, the web hooks stay.
func TestQueueRefused(t *testing.T) {
	s := newHookStore("p1")
	state := newState()
	reconcile(t, s.client(t, hookOptions{state: state}), workItems)
	s.before = func(r *http.Request, body []byte) *http.Response {
		if r.Method == http.MethodPost && strings.Contains(string(body), "azureStorageQueue") {
			return answer(400, `{"message":"The key `+accountKey+` is not valid"}`)
		}
		return nil
	}
	var log lockedBuffer
	h := s.client(t, hookOptions{cfg: KeeperConfig{Queue: testQueue()}, state: state, log: &log})
	r := reconcile(t, h, workItems)
	if got := s.consumers(); got["webHooks"] != 5 || len(r.Refused) == 0 {
		t.Errorf("subscriptions %v, refused %v", got, r.Refused)
	}
	mustNotShow(t, accountKey, log.String(), r.Refused[0].Message)
}

// Without the key what exists is used, and it is said why nothing is made.
func TestQueueWithoutKey(t *testing.T) {
	s := newHookStore("p1")
	state := newState()
	reconcile(t, s.client(t, hookOptions{cfg: KeeperConfig{Queue: testQueue()}, state: state}), workItems)
	s.hooks = s.hooks[:3]
	writes := len(s.writes())
	keyless := testQueue()
	keyless.Key = rest.Secret("")
	var log lockedBuffer
	h := s.client(t, hookOptions{cfg: KeeperConfig{Queue: keyless}, state: state, log: &log})
	wantCounts(t, reconcile(t, h, workItems), "kept 3 refused 2")
	if n := len(s.writes()) - writes; n != 0 {
		t.Errorf("%d writes", n)
	}
	if !strings.Contains(log.String(), "OCEAN__HOOKS__STORAGE_ACCOUNT_KEY") {
		t.Errorf("the log does not say what is missing:\n%s", log.String())
	}
	l, err := h.overview(t.Context(), workItems)
	if err != nil {
		t.Fatal(err)
	}
	l.arrange(false)
	var text strings.Builder
	if err := l.WriteText(&text); err != nil || !strings.Contains(text.String(), "azure-storage-queue://acme/hooks") || !strings.Contains(text.String(), "STORAGE_ACCOUNT_KEY") {
		t.Errorf("%v:\n%s", err, text.String())
	}
	if l.Summary[healthMissing] != 2 || l.Summary[healthGood] != 3 {
		t.Errorf("summary %v", l.Summary)
	}
}

// Events that nobody has read for a week are lost; a resync brings what they said.
func TestQueueAfterAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		use := func(cfg *KeeperConfig) { cfg.URL, cfg.Queue = "", testQueue() }
		for ago, want := range map[time.Duration]int{5 * 24 * time.Hour: 0, 7 * 24 * time.Hour: 1} {
			wasAlive(t, dir, time.Now().Add(-ago))
			k := newKeeping(t, newHookStore("p1"), dir, use)
			k.once(t)
			if k.resyncs != want {
				t.Errorf("after %s: %d resyncs, want %d", ago, k.resyncs, want)
			}
		}
	})
}

// A process that ends looks after the subscriptions once, and notes what was handled.
func TestKeeperOnce(t *testing.T) {
	dir := t.TempDir()
	s := newHookStore("p1")
	use := func(cfg *KeeperConfig) { cfg.URL, cfg.Queue = "", testQueue() }
	k := newKeeping(t, s, dir, use)
	if last := k.Once(t.Context()); !last.IsZero() || s.consumers()["azureStorageQueue"] != 5 {
		t.Errorf("last %v, subscriptions %v", last, s.consumers())
	}
	at := time.Now().Add(-time.Hour).Round(time.Second)
	k.Note(at)
	if last := k.Once(t.Context()); !last.Equal(at) || k.resyncs != 0 {
		t.Errorf("last %v, want %v; %d resyncs", last, at, k.resyncs)
	}
	k.Note(time.Time{})
	if err := k.leaveRemoved(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := k.Once(t.Context()); !last.IsZero() || k.resyncs != 1 {
		t.Errorf("last %v; %d resyncs: nothing else tells of changes", last, k.resyncs)
	}
}
