package azuredevops_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/azuredevops/records"
)

func newStore(t *testing.T, dir string) *records.Store {
	t.Helper()
	s, err := records.Open(dir, records.Limits{Bytes: 64 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// storingClient is a client that keeps answers; change may edit its configuration.
func storingClient(t *testing.T, s *azuredevopstest.Server, store azuredevops.Store, change ...func(*azuredevops.ClientConfig)) *azuredevops.Client {
	t.Helper()
	cfg := azuredevops.ClientConfig{
		OrganizationURL: s.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("secret"), Transport: s.Transport(), Store: store,
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := azuredevops.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A reading is what a listing has.
type reading struct{ Records, Errors []string }

// readAll reads listings as a resync does, in one snapshot.
func readAll(t *testing.T, c *azuredevops.Client, all []*azuredevops.Listing, how azuredevops.Reading, now time.Time) (out []reading, calls int64) {
	t.Helper()
	before, s, opt := callsOf(c), c.SnapshotOf(how), azuredevops.ListOptions{Now: now}
	for _, l := range all {
		s.Expect(l, opt)
	}
	for _, l := range all {
		var r reading
		for rec, err := range l.Records(t.Context(), s, opt) {
			if err != nil {
				r.Errors = append(r.Errors, err.Error())
				continue
			}
			r.Records = append(r.Records, fmt.Sprintf("%+v %s %v", rec.Scope, rec.JSON, rec.Missing))
		}
		out = append(out, r)
	}
	return out, callsOf(c) - before
}

func callsOf(c *azuredevops.Client) (n int64) {
	for _, k := range c.Calls() {
		n += k.Calls
	}
	return n
}

// Whatever a listing asks for, it is the same from the store, without a call, also
// after a start; and for nobody else.
func TestEveryKindFromTheStore(t *testing.T) {
	t.Parallel()
	_, srv := world(t)
	dir := t.TempDir()
	store := newStore(t, dir)
	c := storingClient(t, srv, store)
	began := time.Now()
	var all []*azuredevops.Listing
	for _, kind := range azuredevops.Kinds() {
		for _, sel := range withinSelectors()[kind] {
			all = append(all, bind(t, kind, sel))
		}
	}
	want, _ := readAll(t, c, all, azuredevops.Reading{}, began)
	store.Close()
	store = newStore(t, dir)
	c = storingClient(t, srv, store)
	for _, how := range []azuredevops.Reading{{Since: began}, {Since: began, Only: true}} {
		got, calls := readAll(t, c, all, how, began)
		if calls != 0 {
			t.Errorf("%+v took %d calls", how, calls)
		}
		for i, l := range all {
			if !reflect.DeepEqual(want[i], got[i]) {
				t.Errorf("%+v: %s: %d records, want %d; %v", how, l.Key, len(got[i].Records), len(want[i].Records), got[i].Errors)
			}
		}
	}
	some := []*azuredevops.Listing{bind(t, "project", `{}`), bind(t, "pipeline", `{}`)}
	_, usual := readAll(t, c, some, azuredevops.Reading{}, began)
	for when, change := range map[string]func(*azuredevops.ClientConfig){
		"another identity": func(cfg *azuredevops.ClientConfig) { cfg.Identity = "other" },
		"no store":         func(cfg *azuredevops.ClientConfig) { cfg.Store = nil },
	} {
		other := storingClient(t, srv, store, change)
		if _, calls := readAll(t, other, some, azuredevops.Reading{Since: began}, began); calls != usual {
			t.Errorf("%s: %d calls, want %d", when, calls, usual)
		}
	}
	none := storingClient(t, srv, nil)
	if got, calls := readAll(t, none, some, azuredevops.Reading{Since: began, Only: true}, began); calls != 0 || len(got[0].Errors) != 1 {
		t.Errorf("without a store and a call: %d calls, %+v", calls, got)
	}
}

// How old a stored answer may be. The list of projects may be a little older, because a
// start asks for it before the resync begins.
func TestAgeOfAnswers(t *testing.T) {
	t.Parallel()
	_, srv := world(t)
	c := storingClient(t, srv, newStore(t, t.TempDir()))
	some := []*azuredevops.Listing{bind(t, "project", `{}`), bind(t, "pipeline", `{}`)}
	_, all := readAll(t, c, some, azuredevops.Reading{}, time.Time{})
	for _, tt := range []struct {
		later time.Duration
		calls int64
	}{{-time.Minute, 0}, {30 * time.Second, all - 1}, {2 * time.Minute, all}} {
		if _, calls := readAll(t, c, some, azuredevops.Reading{Since: time.Now().Add(tt.later)}, time.Time{}); calls != tt.calls {
			t.Errorf("%v later: %d calls, want %d", tt.later, calls, tt.calls)
		}
	}
}
