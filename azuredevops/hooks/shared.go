package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// A Store has what several processes know. The one that looks after the subscriptions
// sets it.
type Store interface {
	Get(ctx context.Context) ([]byte, error) // nil: nothing
	Set(ctx context.Context, b []byte) error
}

// followEvery is the time between two looks at what the leader knows.
const followEvery = 5 * time.Second

// Follow takes over what the process knows that looks after the subscriptions, until
// ctx is done: to which organization each belongs, and that they have their
// credentials. A process that is alone knows it itself.
func (k *Keeper) Follow(ctx context.Context) {
	if k == nil || k.cfg.State == nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if !k.running.Load() {
			_ = k.load(ctx) // again in a moment
		}
		timer.Reset(followEvery)
	}
}

// load reads the shared state.
func (k *Keeper) load(ctx context.Context) error {
	if k.cfg.State == nil {
		return nil
	}
	b, err := k.cfg.State.Get(ctx)
	if err != nil || b == nil {
		return err
	}
	if err := k.state.replace(b); err != nil {
		return err
	}
	for _, o := range k.each {
		if k.state.checked(o.c.Key()).IsZero() {
			return nil
		}
	}
	k.looked.Store(true)
	return nil
}

// replace takes over another state.
func (s *state) replace(b []byte) error {
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	if f.Version != fileVersion || len(f.Salt) == 0 {
		return errors.New("not a state of this version")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty {
		return nil // what is about to be saved is newer
	}
	s.f = f
	s.fill()
	return nil
}

// sharedAlive is lastAlive of several processes.
func (k *Keeper) sharedAlive(ctx context.Context) time.Time {
	at, _ := timeIn(ctx, k.cfg.Alive)
	return at
}

const (
	leftTries = 3
	leftPause = time.Second
)

// removedForAll is removed of several processes; what was known last while nobody can be
// asked.
func (k *Keeper) removedForAll(ctx context.Context) (at time.Time) {
	for range leftTries {
		var err error
		if at, err = timeIn(ctx, k.cfg.Left); err == nil {
			k.left.Store(&at)
			return at
		}
		if known := k.left.Load(); known != nil {
			return *known
		}
		pause := time.NewTimer(leftPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return at
		}
	}
	return at
}

// shareRemoved tells all processes what the directory of this one says from a time when
// it was alone.
func (k *Keeper) shareRemoved(ctx context.Context) {
	if k.cfg.Left == nil || k.cfg.StateDirectory == "" {
		return
	}
	path := filepath.Join(k.cfg.StateDirectory, removedFile)
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	if err = k.cfg.Left.Set(ctx, info.ModTime().UTC().AppendFormat(nil, time.RFC3339)); err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		k.cfg.Log.WarnContext(ctx, "other processes are not told that service hooks were removed", "err", err)
	}
}

// timeIn reads a time; zero where there is none.
func timeIn(ctx context.Context, s Store) (at time.Time, err error) {
	b, err := s.Get(ctx)
	if err != nil || len(b) == 0 {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, string(b))
}
