package replica

import (
	"errors"
	"sync"
	"time"
)

// A Term is the time in which a process is a member under one name. It is the fence
// of everything that is done for a seat of it.
type Term struct {
	name string

	mu      sync.Mutex
	renewed time.Time // when the last sign of life was sent that Redis has heard
	ended   bool
}

// errEnded says that a Term is over.
var errEnded = errors.New("this process has given no sign of life in time")

// Name is that of the member in Redis, where scripts compare it.
func (t *Term) Name() string { return t.name }

// Fence says why nothing may be done any more for a seat of a family with such a life.
func (t *Term) Fence(life time.Duration) func() error {
	return func() error { return t.check(life) }
}

func (t *Term) check(life time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || since(t.renewed) >= safe(life) {
		return errEnded
	}
	return nil
}

// since is the longer time of two clocks: one goes on while a process is stopped, the
// other also while the machine is.
func since(at time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

func (t *Term) renew(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewed = at
}

func (t *Term) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}
