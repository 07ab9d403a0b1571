package leader_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/resync/leader"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
)

// A store keeps its values in memory.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (s *store) Get(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	return slices.Clone(v), ok
}

func (s *store) Put(key string, value ...[]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[string][]byte{}
	}
	s.values[key] = bytes.Join(value, nil)
	return true
}

func (s *store) Drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
}

func (s *store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.values)
}

func (*store) Sync()     {}
func (*store) Off() bool { return false }

// touched says whether the store knows that something of a project has changed.
func (s *store) touched(project string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.values {
		if strings.HasPrefix(key, "touched\x00") && strings.Contains(key, "\x00"+project+"\x00") {
			return true
		}
	}
	return false
}

// A toucher is a process with a record store.
type toucher struct {
	*leader.Touches

	t     *testing.T
	store *store
	org   *azuredevops.Client
}

func newToucher(t *testing.T, g *replica.Group, s *store) *toucher {
	t.Helper()
	org, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: "https://dev.azure.com/contoso", Credential: azuredevops.PersonalAccessToken("pat"), Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return &toucher{leader.NewTouches(g, s, []*azuredevops.Client{org}, slog.New(slog.DiscardHandler)), t, s, org}
}

func (p *toucher) note(project string) {
	p.t.Helper()
	change := azuredevops.Change{Kind: "repository", Scope: azuredevops.Scope{Project: project, Repository: "r"}}
	if err := p.Note(p.t.Context(), p.org, []azuredevops.Change{change}); err != nil {
		p.t.Fatal(err)
	}
}

// takeOver wants to know whether everything is known, and some projects to be touched.
func (p *toucher) takeOver(when string, all bool, projects ...string) {
	p.t.Helper()
	got, err := p.TakeOver(p.t.Context())
	if err != nil || got != all {
		p.t.Errorf("%s: TakeOver = %v, %v; want %v", when, got, err, all)
	}
	for _, project := range projects {
		if !p.store.touched(project) {
			p.t.Errorf("%s: %s does not count as touched", when, project)
		}
	}
}

// What one process has touched is known to the store of another one, or that store
// says that it does not know.
func TestTouches(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	first := <-a.turns // a leads
	leads := newToucher(t, a.group, &store{})
	other := newToucher(t, a.group, &store{})
	other.note("before")
	if err := leads.Shorten(first.ctx); err != nil { // without a store that follows
		t.Fatal(err)
	}
	leads.takeOver("a store that has never followed", false)
	if leads.store.touched("before") {
		t.Error("it has taken over what came before all that it knows")
	}
	leads.takeOver("right behind", true)
	other.takeOver("the other store", false)

	other.note("p1")
	leads.note("own")
	leads.takeOver("after a touch", true, "p1", "own")
	other.note("p2")
	leads = newToucher(t, a.group, leads.store)
	leads.takeOver("after a start", true, "p2")
	other.takeOver("the other store, later", true, "own")

	other.note("p3")
	if err := leads.Shorten(first.ctx); err != nil {
		t.Fatal(err)
	}
	leads.takeOver("behind a log that it has made short", true, "p3")
	other.takeOver("before a log that was made short", false)
	other.takeOver("and right behind", true)
	leads.note("p4")
	other.takeOver("after a touch", true, "p4")

	if got := s.Do("FLUSHALL"); got != "+OK" {
		t.Fatal(got)
	}
	for _, err := other.TakeOver(t.Context()); err != nil; _, err = other.TakeOver(t.Context()) {
		if t.Context().Err() != nil { // until a member has said that the data is new
			t.Fatal(err)
		}
	}
	leads.takeOver("of data that is lost", false)
	leads.takeOver("and right behind", true)

	s.Kill()
	if all, err := leads.TakeOver(t.Context()); err == nil {
		t.Errorf("without Redis: TakeOver = %v, nil", all)
	}
	if err := leads.Note(t.Context(), leads.org, []azuredevops.Change{{Kind: "repository"}}); err == nil {
		t.Error("without Redis a touch is told to nobody, without an error")
	}
}

// A process that is alone notes what it touches in its own store, which knows all.
func TestTouchesAlone(t *testing.T) {
	t.Parallel()
	p := newToucher(t, nil, &store{})
	p.note("p1")
	p.takeOver("alone", true, "p1")
	p.Tend(t.Context()) // has nothing to do
}
