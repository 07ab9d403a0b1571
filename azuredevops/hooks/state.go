package hooks

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// A state is what Azure DevOps does not tell about subscriptions: which
// credentials they were given (as a salted hash), what they looked like
// afterwards, when they were last seen well, what was refused, which addresses
// this installation has had. It is also the registry of subscriptions, for
// events of several organizations. One is shared by all of them; it is safe for
// concurrent use, and safe to lose: then every subscription is written once.
type state struct {
	path string // empty: in memory

	mu    sync.Mutex
	f     stateFile
	dirty bool
}

// stateFile is the form on disk.
type stateFile struct {
	Version       int                  `json:"version"`
	Salt          []byte               `json:"salt"`
	URLs          []string             `json:"urls,omitempty"` // normalized, newest last
	Organizations map[string]*orgState `json:"organizations,omitempty"`
	Subscriptions map[string]*entry    `json:"subscriptions,omitempty"` // by id
}

type orgState struct {
	Checked time.Time               `json:"checked,omitzero"` // when everything was last listed
	Refused map[string]*refusalNote `json:"refused,omitempty"`
	Gaps    []Gap                   `json:"gaps,omitempty"` // that nobody has made up for yet
}

// entry is one subscription of ours.
type entry struct {
	Organization string    `json:"organization"`
	Project      string    `json:"project,omitempty"`
	Event        string    `json:"event"`
	Queue        bool      `json:"queue,omitempty"`
	Print        string    `json:"print,omitempty"` // of the credentials it was given
	Shape        string    `json:"shape,omitempty"` // as answered then
	Off          bool      `json:"off,omitempty"`   // did not deliver when last seen
	Since        time.Time `json:"since,omitzero"`  // of Off; zero means unknown
}

// refusalNote is a creation that Azure DevOps refused.
type refusalNote struct {
	At      time.Time `json:"at"`
	URL     string    `json:"url"`
	Status  int       `json:"status"`
	Message string    `json:"message,omitempty"`
}

const (
	fileVersion = 1
	maxURLs     = 20
	// about 20 ms, once per process.
	hashRounds = 100_000
)

// newState makes a state that lives in memory.
func newState() *state {
	s := &state{f: stateFile{Version: fileVersion, Salt: make([]byte, 16)}}
	_, _ = rand.Read(s.f.Salt) // never fails
	s.fill()
	return s
}

// openState reads the state from a file, or begins one. A damaged file is logged
// and begun anew; one that cannot be read stays as it is, and the state lives in
// memory.
func openState(path string, log *slog.Logger) *state {
	s := newState()
	b, err := os.ReadFile(path) //nolint:gosec // the file that the state is kept in, named by settings
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what is known of service hooks is lost: they are repaired as if they were new", "err", err)
		return s
	}
	s.path = path
	if err != nil {
		return s
	}
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil || f.Version != fileVersion || len(f.Salt) == 0 {
		log.Warn("state of service hooks is unreadable and begun anew", "path", path, "err", err)
		return s
	}
	s.f = f
	s.fill()
	return s
}

// fill makes what a file may lack.
func (s *state) fill() {
	if s.f.Organizations == nil {
		s.f.Organizations = map[string]*orgState{}
	}
	if s.f.Subscriptions == nil {
		s.f.Subscriptions = map[string]*entry{}
	}
	maps.DeleteFunc(s.f.Organizations, func(_ string, o *orgState) bool { return o == nil })
	maps.DeleteFunc(s.f.Subscriptions, func(_ string, e *entry) bool { return e == nil })
	// Older versions used the address as it was configured.
	for _, address := range slices.Sorted(maps.Keys(s.f.Organizations)) {
		o, key := s.f.Organizations[address], azuredevops.OrganizationKey(address)
		if other := s.f.Organizations[key]; other == nil || other.Checked.Before(o.Checked) {
			s.f.Organizations[key] = o
		}
		if key != address {
			delete(s.f.Organizations, address)
		}
	}
	for _, e := range s.f.Subscriptions {
		if e.Organization != "" {
			e.Organization = azuredevops.OrganizationKey(e.Organization)
		}
	}
}

// save writes the state to its file if it has changed.
func (s *state) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty || s.path == "" {
		return nil
	}
	b, err := json.Marshal(&s.f)
	if err != nil {
		return err
	}
	if err := statefile.Replace(s.path, b); err != nil {
		return err
	}
	s.dirty = false
	return nil
}

// print is the salted hash of credentials, empty without a secret.
func (s *state) print(username string, secret rest.Secret) string {
	if secret == "" {
		return ""
	}
	s.mu.Lock()
	salt := s.f.Salt
	s.mu.Unlock()
	key, err := pbkdf2.Key(sha256.New, username+":"+secret.Reveal(), salt, hashRounds, 16)
	if err != nil {
		return "" // no such credentials are known, which only costs a call
	}
	return hex.EncodeToString(key)
}

// entry is what is known of a subscription, or a zero entry.
func (s *state) entry(id string) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.f.Subscriptions[strings.ToLower(id)]; e != nil {
		return *e
	}
	return entry{}
}

// set notes what is known of a subscription.
func (s *state) set(id string, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = strings.ToLower(id)
	if old := s.f.Subscriptions[id]; old == nil || *old != e {
		s.f.Subscriptions[id] = &e
		s.dirty = true
	}
}

// drop forgets a subscription.
func (s *state) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.f.Subscriptions, strings.ToLower(id))
	s.dirty = true
}

// of are the ids and entries of an organization.
func (s *state) of(organization string) map[string]entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]entry{}
	for id, e := range s.f.Subscriptions {
		if e.Organization == organization {
			out[id] = *e
		}
	}
	return out
}

// org is the state of an organization. mu is held.
func (s *state) org(organization string) *orgState {
	o := s.f.Organizations[organization]
	if o == nil {
		o = &orgState{}
		s.f.Organizations[organization] = o
	}
	return o
}

// checked is when the subscriptions were last listed completely.
func (s *state) checked(organization string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(organization).Checked
}

func (s *state) setChecked(organization string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org(organization).Checked = at.UTC().Round(0)
	s.dirty = true
}

// refused is what was refused lately for what is asked for.
func (s *state) refused(organization, what, url string) (refusalNote, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.org(organization).Refused[what]
	if r == nil || r.URL != url {
		return refusalNote{}, false
	}
	return *r, true
}

// setRefused notes a refusal; nil forgets it.
func (s *state) setRefused(organization, what string, r *refusalNote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(organization)
	if r == nil {
		if o.Refused[what] == nil {
			return
		}
		delete(o.Refused, what)
	} else {
		if o.Refused == nil {
			o.Refused = map[string]*refusalNote{}
		}
		o.Refused[what] = r
	}
	s.dirty = true
}

// addGaps notes gaps that have ended; of two for the same events the longer one
// counts.
func (s *state) addGaps(organization string, gaps []Gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(organization)
	for _, g := range gaps {
		s.dirty = true
		i := slices.IndexFunc(o.Gaps, func(x Gap) bool { return x.Event == g.Event && x.Project == g.Project })
		switch {
		case i < 0:
			o.Gaps = append(o.Gaps, g)
		default:
			if g.Since.Before(o.Gaps[i].Since) {
				o.Gaps[i].Since = g.Since
			}
			o.Gaps[i].Until = g.Until
		}
	}
}

// gaps are those that nobody has made up for.
func (s *state) gaps(organization string) []Gap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.org(organization).Gaps)
}

// closeGaps forgets gaps that are made up for. One that has grown meanwhile
// stays.
func (s *state) closeGaps(organization string, gaps []Gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(organization)
	n := len(o.Gaps)
	o.Gaps = slices.DeleteFunc(o.Gaps, func(x Gap) bool {
		return slices.ContainsFunc(gaps, func(g Gap) bool {
			return x.Event == g.Event && x.Project == g.Project && x.Since.Equal(g.Since) && x.Until.Equal(g.Until)
		})
	})
	s.dirty = s.dirty || len(o.Gaps) != n
}

// addresses are those that this installation had before. remember notes the
// present ones for later.
func (s *state) addresses(present []string, remember bool) (old []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.f.URLs {
		if !slices.Contains(present, u) {
			old = append(old, u)
		}
	}
	if now := slices.Concat(old, present); remember && !slices.Equal(now, s.f.URLs) {
		s.f.URLs = now[max(0, len(now)-maxURLs):]
		s.dirty = true
	}
	return old
}
