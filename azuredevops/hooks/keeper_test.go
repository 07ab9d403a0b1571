package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
)

// A keeping is a Keeper over a store, and what it has asked its collaborators for.
type keeping struct {
	*Keeper
	store *hookStore
	log   lockedBuffer
	dir   string

	wanted    Wanted
	noMapping error
	asked     []time.Time // for what is wanted
	relisted  []azuredevops.Change
	relistErr error
	resyncs   int
	delivered []string // ids of events
	failed    error    // of a delivery
}

func newKeeping(t *testing.T, s *hookStore, dir string, change ...func(*KeeperConfig)) *keeping {
	t.Helper()
	k := &keeping{store: s, dir: dir, wanted: workItems}
	cfg := KeeperConfig{
		Organizations: []*azuredevops.Client{newTestClient(t, s.fake, options{})},
		URL:           hookTarget, Secret: hookSecret, PerProject: true, StateDirectory: dir, Log: testLog(&k.log),
		Wanted: func(context.Context) (Wanted, error) {
			k.asked = append(k.asked, time.Now())
			return k.wanted, k.noMapping
		},
		Relist: func(_ context.Context, c *azuredevops.Client, changes []azuredevops.Change) error {
			if c.Organization() != testOrg {
				t.Errorf("lists %s again", c.Organization())
			}
			k.relisted = append(k.relisted, changes...)
			return k.relistErr
		},
		Resync: func() { k.resyncs++ },
		Redeliver: func(_ context.Context, bodies [][]byte) error {
			for _, b := range bodies {
				k.delivered = append(k.delivered, gjson.GetBytes(b, "id").String())
			}
			return k.failed
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if k.Keeper, err = NewKeeper(cfg); err != nil {
		t.Fatal(err)
	}
	return k
}

// start runs the keeper; stop ends it and waits.
func (k *keeping) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

// once runs the keeper for a moment.
func (k *keeping) once(t *testing.T) {
	t.Helper()
	k.start(t)()
}

// switchOff makes a subscription one that Azure DevOps has switched off.
func (k *keeping) switchOff(event, project string) {
	for _, h := range k.store.hooks {
		if h.EventType == event && h.PublisherInputs["projectId"] == project {
			h.Status = "disabledBySystem"
		}
	}
}

// alive is the time that the file says.
func alive(t *testing.T, dir string) time.Time {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "hooks-alive"))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// wasAlive leaves what a process leaves that ended then.
func wasAlive(t *testing.T, dir string, at time.Time) {
	t.Helper()
	path := filepath.Join(dir, "hooks-alive")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
		t.Fatal(err)
	}
}

// Subscriptions are looked after at once, hourly, and when that is asked for; the
// hour begins anew then.
func TestRunTiming(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		wasAlive(t, dir, time.Now().Add(-time.Minute))
		k := newKeeping(t, newHookStore("p1"), dir)
		began := time.Now()
		if !k.Repairing() {
			t.Error("not repairing before the first look")
		}
		stop := k.start(t)
		if k.Repairing() || len(k.store.hooks) != 5 {
			t.Errorf("after the first look: repairing %v, %d subscriptions", k.Repairing(), len(k.store.hooks))
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		k.Soon()
		k.Soon() // while one waits
		synctest.Wait()
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		var at []time.Duration
		for _, a := range k.asked {
			at = append(at, a.Sub(began))
		}
		if n := len(at); n > 0 && at[n-1] == 90*time.Minute {
			t.Error("no look an hour after the one that was asked for")
		}
		want := []time.Duration{0, time.Hour, 90 * time.Minute, 150 * time.Minute}
		if at = slices.Compact(at); !slices.Equal(at, want) {
			t.Errorf("looked at %v, want %v", at, want)
		}
		time.Sleep(30 * time.Second)
		if got := time.Since(alive(t, dir)); got != 30*time.Second {
			t.Errorf("was alive %v ago", got)
		}
		stop()
		if got := time.Since(alive(t, dir)); got != 0 {
			t.Errorf("ended without a note: was alive %v ago", got)
		}
	})
}

// Without a mapping, or an organization that answers, deliveries may lack their
// credentials for longer.
func TestRunWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1"), "")
		k.noMapping = errors.New("port is away")
		stop := k.start(t)
		if !k.Repairing() || len(k.store.fake.Sent()) != 0 || !strings.Contains(k.log.String(), "port is away") {
			t.Errorf("without a mapping: repairing %v, sent %q", k.Repairing(), k.store.fake.Sent())
		}
		k.noMapping = nil
		k.store.before = func(*http.Request, []byte) *http.Response { return answer(401, "") }
		k.Soon()
		synctest.Wait()
		if !k.Repairing() || !strings.Contains(k.log.String(), "could not be looked after") {
			t.Errorf("signed out: repairing %v", k.Repairing())
		}
		k.store.before = nil
		k.Soon()
		synctest.Wait()
		if k.Repairing() {
			t.Error("still repairing")
		}
		stop()
	})
}

// What a project missed is listed again, until that has succeeded once.
func TestRelist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1", "p2"), "")
		k.wanted = Wanted{Kinds: []string{"branch", "work-item"}}
		k.once(t)
		if k.relisted != nil || k.resyncs != 0 {
			t.Fatalf("relisted %v, %d resyncs without a gap", k.relisted, k.resyncs)
		}
		k.switchOff("workitem.created", "p2")
		k.relistErr = errors.New("throttled")
		k.once(t)
		want := []azuredevops.Change{{Kind: "work-item", Scope: azuredevops.Scope{Project: "p2", ProjectName: "Name of p2"}}}
		if !reflect.DeepEqual(k.relisted, want) || !strings.Contains(k.log.String(), "throttled") {
			t.Errorf("relisted %v, want %v", k.relisted, want)
		}
		k.relisted, k.relistErr = nil, nil
		k.once(t)
		if !reflect.DeepEqual(k.relisted, want) {
			t.Errorf("relisted %v after a failure, want %v", k.relisted, want)
		}
		k.relisted = nil
		k.once(t)
		if k.relisted != nil || k.resyncs != 0 {
			t.Errorf("relisted %v, %d resyncs, want the gap closed", k.relisted, k.resyncs)
		}
	})
}

// What the whole organization missed is what a resync is for.
func TestGapOfTheOrganization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1"), "", func(c *KeeperConfig) { c.PerProject = false })
		k.once(t)
		k.switchOff("workitem.created", "")
		k.once(t)
		k.once(t)
		if k.resyncs != 1 || k.relisted != nil {
			t.Errorf("%d resyncs, relisted %v; want one resync", k.resyncs, k.relisted)
		}
	})
}

// What could not be delivered while no process was there is handled after the
// subscriptions have been looked after, and once.
func TestCatchUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		newKeeping(t, s, dir).once(t)
		time.Sleep(24 * time.Hour)
		id := s.hooks[0].ID
		down := time.Now()
		wasAlive(t, dir, down)
		for i := range 3 {
			at := down.Add(time.Duration(i) * time.Minute)
			s.notes[id] = slices.Insert(s.notes[id], 0, note(id, i, fmt.Sprint("e", i), at, delivered(fmt.Sprint("e", i))))
		}
		time.Sleep(2 * time.Hour)
		s.notes[id] = append(s.notes[id], note(id, 9, "old", down.Add(-time.Hour), delivered("old")))

		k := newKeeping(t, s, dir)
		stop := k.start(t)
		if want := []string{"e0", "e1", "e2"}; !slices.Equal(k.delivered, want) || k.resyncs != 0 {
			t.Errorf("delivered %q and %d resyncs, want %q", k.delivered, k.resyncs, want)
		}
		sent := strings.Join(s.fake.Sent(), "\n")
		if strings.LastIndex(sent, "GET /acme/_apis/hooks/subscriptions") > strings.LastIndex(sent, "notificationsquery") {
			t.Error("asked for failures before subscriptions were looked after")
		}
		k.delivered = nil
		k.Soon()
		synctest.Wait()
		if k.delivered != nil {
			t.Errorf("delivered %q again", k.delivered)
		}
		stop()
	})
}

// A new installation has missed nothing.
func TestNothingToCatchUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1"), dir)
		k.once(t)
		if n := k.store.fake.Count("notificationsquery"); n != 0 {
			t.Errorf("%d questions for failures", n)
		}
		if _, err := os.Stat(filepath.Join(dir, "hooks-alive")); err != nil {
			t.Error(err)
		}
	})
}

// A delivery that cannot be handled, or shown, is made up for.
func TestCatchUpFallsBack(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		newKeeping(t, s, dir).once(t)
		id := s.hooks[0].ID
		s.notes[id] = []string{note(id, 1, "e", time.Now(), delivered("e"))}
		k := newKeeping(t, s, dir)
		wasAlive(t, dir, time.Now())
		k.failed = errors.New("port is away")
		k.once(t)
		if k.resyncs != 1 || !strings.Contains(k.log.String(), "port is away") {
			t.Errorf("%d resyncs after a delivery that failed, want 1", k.resyncs)
		}
		s.notes[id] = []string{note(id, 1, "e", time.Now(), `null`)}
		k = newKeeping(t, s, dir)
		k.once(t)
		want := []azuredevops.Change{{Kind: "work-item", Scope: azuredevops.Scope{Project: "p1"}}}
		if k.delivered != nil || len(k.relisted) != 1 || k.relisted[0].Kind != "work-item" || k.relisted[0].Scope.Project != "p1" || k.resyncs != 0 {
			t.Errorf("delivered %q, relisted %v, %d resyncs; want %v", k.delivered, k.relisted, k.resyncs, want)
		}
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if strings.Contains(r.URL.Path, "notificationsquery") {
				return answer(403, `{"message":"no view"}`)
			}
			return nil
		}
		k = newKeeping(t, s, dir)
		k.once(t)
		if !strings.Contains(k.log.String(), "not all deliveries that failed are known") {
			t.Errorf("log = %s", k.log.String())
		}
	})
}

// The state says which credentials subscriptions have: with it nothing is written
// again, without it every one is, once.
func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		written := func() int {
			before := len(s.writes())
			stop := newKeeping(t, s, dir).start(t)
			time.Sleep(time.Minute) // there is no hurry about credentials
			stop()
			return len(s.writes()) - before
		}
		path := filepath.Join(dir, "hooks-state.json")
		for _, tt := range []struct {
			name   string
			damage func() error
			want   int
		}{
			{"new", func() error { return nil }, 5},
			{"kept", func() error { return nil }, 0},
			{"lost", func() error { return os.Remove(path) }, 5},
			{"kept again", func() error { return nil }, 0},
			{"damaged", func() error { return os.WriteFile(path, []byte(`{"version":1,"sal`), 0o600) }, 5},
			{"mended", func() error { return nil }, 0},
			{"unreadable", func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, 5},
		} {
			if err := tt.damage(); err != nil {
				t.Fatal(err)
			}
			if got := written(); got != tt.want {
				t.Errorf("%s: %d writes, want %d", tt.name, got, tt.want)
			}
		}
	})
}

func TestRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1"), "")
		if c := k.Registered("x"); c != nil {
			t.Errorf("Registered = %v", c.Organization())
		}
		k.once(t)
		if c := k.Registered(strings.ToUpper(k.store.hooks[0].ID)); c != k.cfg.Organizations[0] {
			t.Errorf("Registered = %v", c)
		}
		k.state.set("of-another", entry{Organization: "https://dev.azure.com/other"})
		if c := k.Registered("of-another"); c != nil {
			t.Errorf("Registered = %v, want none for an organization that is not served", c.Organization())
		}
	})
	var none *Keeper
	none.Soon()
	if none.Repairing() || none.Registered("x") != nil {
		t.Error("no keeper repairs")
	}
}
