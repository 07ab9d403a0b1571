package leader

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/replica"
)

// Touches bring what the live events of all processes have touched to the leader, whose
// stored answers are out of date there. Each process tells before it lists, in a log
// that the leader takes over into its record store, with the place up to which it has
// done so. A store that does not know what came after its place, because the log begins
// later or Redis has lost it, is of no use to the next resync, which reads everything.
type Touches struct {
	log   *replica.Log
	store azuredevops.Store
	orgs  []*azuredevops.Client
	warn  *slog.Logger
	me    string // what this process has told it has noted itself

	mu sync.Mutex
}

// NewTouches makes them; nil for a process that is alone, which notes everything itself.
func NewTouches(group *replica.Group, store azuredevops.Store, orgs []*azuredevops.Client, log *slog.Logger) *Touches {
	if group == nil {
		return nil
	}
	return &Touches{log: group.Log("touched"), store: store, orgs: orgs, warn: log, me: uuid.NewString()}
}

// A touch is an entry of the log.
type touch struct {
	By           string    `json:"by"`
	Organization string    `json:"organization"`
	Parts        []touched `json:"parts"`
}

type touched struct {
	Kind       string `json:"kind"`
	Project    string `json:"project,omitempty"`
	Repository string `json:"repository,omitempty"`
}

// Note notes what a live event has touched, here and for the leader. On an error the
// event must not be handled.
func (t *Touches) Note(ctx context.Context, org *azuredevops.Client, changes []azuredevops.Change) error {
	org.Touch(changes)
	if t == nil || len(changes) == 0 {
		return nil
	}
	e := touch{By: t.me, Organization: org.Key()}
	for i := range changes {
		e.Parts = append(e.Parts, touched{changes[i].Kind, changes[i].Scope.Project, changes[i].Scope.Repository})
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return t.log.Append(ctx, data)
}

// TakeOver notes what other processes have touched until now. It reports whether the
// store knows of everything that was touched since its answers were read; from then on
// it does.
func (t *Touches) TakeOver(ctx context.Context) (all bool, err error) {
	if t == nil {
		return true, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, all := t.place()
	end, err := t.follow(ctx, at, all)
	if errors.Is(err, errGap) || errors.Is(err, replica.ErrLostData) {
		all = false
		end, err = t.follow(ctx, replica.Position{}, false)
	}
	if err == nil && !all {
		t.keep(end)
	}
	return all, err
}

const (
	takeOverEvery = 500 * time.Millisecond
	// shortenAt is how many touches the log may have.
	shortenAt = 20_000
)

// Tend takes over what is touched, and keeps the log short, until ctx is done. It is for
// the one that leads.
func (t *Touches) Tend(ctx context.Context) {
	if t == nil {
		return
	}
	for {
		pause(ctx, takeOverEvery)
		if ctx.Err() != nil {
			return
		}
		if err := t.tend(ctx, shortenAt); err != nil && ctx.Err() == nil {
			t.warn.DebugContext(ctx, "what other processes touch is not known", "err", err)
		}
	}
}

func (t *Touches) tend(ctx context.Context, most int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, known := t.place() // if it is not known, the next resync begins to follow
	if known {
		var err error
		at, err = t.follow(ctx, at, true)
		if errors.Is(err, errGap) || errors.Is(err, replica.ErrLostData) {
			t.store.Drop(placeKey) // no resync may use what was read before
		}
		if err != nil {
			return err
		}
	}
	n, err := t.log.Len(ctx)
	if err == nil && n >= most && !known {
		at, err = t.follow(ctx, at, false)
	}
	if err != nil || n < most {
		return err
	}
	_, err = t.log.Publish(ctx, strings.NewReader(""), at) // it stands for touches that nobody needs any more
	return err
}

// errGap says that the log does not have all that the store has to know.
var errGap = errors.New("touches of other processes are not there any more")

// follow reads the log from a place to its end and notes what it says, if the store is
// to know it. It returns the end.
func (t *Touches) follow(ctx context.Context, at replica.Position, noted bool) (replica.Position, error) {
	for {
		list, err := t.log.Read(ctx, at)
		if err != nil {
			return at, err
		}
		for i := range list {
			if noted {
				if err := t.take(ctx, &list[i], at); err != nil {
					return at, err
				}
			}
		}
		if len(list) > 0 {
			at = list[len(list)-1].At
			if noted {
				t.keep(at)
			}
		}
		if len(list) < replica.LogPage {
			return at, nil
		}
	}
}

// take notes what an entry says; before is up to where the store knows everything.
func (t *Touches) take(ctx context.Context, e *replica.Entry, before replica.Position) error {
	if e.File != "" {
		_, upTo, err := t.log.File(ctx, io.Discard)
		if err == nil && upTo.After(before) {
			err = errGap
		}
		return err
	}
	var said touch
	if err := json.Unmarshal(e.Data, &said); err != nil {
		return errGap // what it says is not known
	}
	if said.By == t.me {
		return nil
	}
	for _, org := range t.orgs {
		if org.Key() != said.Organization {
			continue
		}
		changes := make([]azuredevops.Change, len(said.Parts))
		for i, p := range said.Parts {
			changes[i] = azuredevops.Change{Kind: p.Kind, Scope: azuredevops.Scope{Organization: said.Organization, Project: p.Project, Repository: p.Repository}}
		}
		org.Touch(changes)
	}
	return nil
}

// placeKey is under what the store has the place up to which it knows the log.
const placeKey = "touched by others"

type place struct {
	Epoch string `json:"epoch"`
	At    string `json:"at"`
}

// place is where the store stands in the log; known is false when it does not say.
func (t *Touches) place() (at replica.Position, known bool) {
	value, ok := t.store.Get(placeKey)
	var p place
	if !ok || json.Unmarshal(value, &p) != nil || p.Epoch == "" {
		return at, false
	}
	at, err := replica.ParsePosition(p.At)
	if err != nil {
		return at, false
	}
	t.log.Expect(p.Epoch)
	return at, true
}

func (t *Touches) keep(at replica.Position) {
	if value, err := json.Marshal(place{t.log.Epoch(), at.String()}); err == nil {
		t.store.Put(placeKey, value)
	}
}
