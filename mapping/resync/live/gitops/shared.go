package gitops

import (
	"context"
	"encoding/json"
	"maps"
)

// A Store has what several processes have applied.
type Store interface {
	All(ctx context.Context) (map[string]string, error)
	Get(ctx context.Context, id string) (string, error) // empty: nothing
	Put(ctx context.Context, id, text string) error
	// Lock waits until no other process has the lock of a name.
	Lock(ctx context.Context, name string) (end func(), err error)
}

// refresh reads what other processes have applied.
func (m *memory) refresh(ctx context.Context) error {
	if m.store == nil {
		return nil
	}
	all, err := m.store.All(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied, m.done = map[repository]refs{}, map[repository]done{}
	for _, text := range all {
		if err := m.take(text); err != nil {
			return err
		}
	}
	return nil
}

// look reads what was done last for a repository, by whatever process. Pushes to one
// come to one process at a time.
func (m *memory) look(ctx context.Context, at repository) (done, error) {
	text, err := m.store.Get(ctx, at.key())
	if err != nil {
		return done{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.applied, at)
	delete(m.done, at)
	if text != "" {
		err = m.take(text)
	}
	return m.done[at], err
}

// take takes over the text of a repository. mu is held.
func (m *memory) take(text string) error {
	var s saved
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	at, declared := s.refs()
	m.applied[at] = declared
	d := done{commit: s.Commit}
	copy(d.made[:], s.Made)
	m.done[at] = d
	return nil
}

// did notes what was done last for a repository.
func (m *memory) did(ctx context.Context, at repository, d done) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[at] = d
	return m.share(ctx, at)
}

// share tells other processes of a repository. mu is held.
func (m *memory) share(ctx context.Context, at repository) error {
	s := savedOf(at, m.applied[at])
	if d := m.done[at]; d.commit != "" {
		s.Commit, s.Made = d.commit, d.made[:]
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return m.store.Put(ctx, at.key(), string(text))
}

func (at repository) key() string { return at.organization + " " + at.id }

// settled says that a repository declares what is remembered: then nothing has to be
// noted or deleted, and no other process has to wait. The file of one process is
// written again where that has failed.
func (m *memory) settled(declared, before refs) bool {
	return m.store != nil && maps.Equal(declared, before)
}
