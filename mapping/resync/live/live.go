// Package live brings the catalog in step with what service hooks tell. A delivery
// decides only where to look: each part of Azure DevOps that it may concern is
// listed again, by the code of a resync, narrowed to the part. What that makes is
// written, and what the book of origins knows of the part and nothing makes any
// more is deleted. What the delivery itself says is never written.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/live/gitops"
	"github.com/ado-port/ado-port/mapping/resync/origins"
)

// ErrMalformed is a delivery that cannot be understood, however often it comes.
var ErrMalformed = errors.New("a delivery that cannot be handled")

// Config is what a Follower works with.
type Config struct {
	Organizations []*azuredevops.Client
	Catalog       *catalog.Catalog
	// Mapping returns the mapping; it may be some minutes old.
	Mapping func(context.Context) (*mapping.Mapping, error)
	Book    *origins.Book
	// Touched notes that stored answers about changes are out of date, also for other
	// processes; nil: there are none. On an error the event is tried again.
	Touched func(ctx context.Context, org *azuredevops.Client, changes []azuredevops.Change) error
	// StateDirectory has what GitOps remembers; empty: it ends with the process.
	StateDirectory string
	// GitOps has that for several processes; nil: there is one.
	GitOps gitops.Store
	// Registered tells which organization a subscription belongs to, nil where it
	// is not known.
	Registered func(subscription string) *azuredevops.Client
	Log        *slog.Logger // nil means none
}

// A Follower follows what changes. Safe for concurrent use; deliveries about one
// object come one after the other.
type Follower struct {
	cfg    Config
	gitops *gitops.Gitops
}

// New makes a Follower.
func New(cfg Config) *Follower {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Touched == nil {
		cfg.Touched = func(_ context.Context, org *azuredevops.Client, changes []azuredevops.Change) error {
			org.Touch(changes)
			return nil
		}
	}
	return &Follower{cfg: cfg, gitops: gitops.New(gitops.Config{Catalog: cfg.Catalog, StateDirectory: cfg.StateDirectory, Store: cfg.GitOps, Log: cfg.Log})}
}

// work is what deliveries say of one organization.
type work struct {
	org     *azuredevops.Client
	cause   catalog.Cause
	changes []azuredevops.Change
	seen    map[azuredevops.Change]bool
	types   map[string]bool // of the events, which cause names
	pushes  gitops.Pushes
}

// Handle brings the catalog in step with what deliveries say has changed. The
// error says that something could not be read or written and is worth another try,
// or wraps ErrMalformed; everything else has been done then. Handling a delivery
// again is harmless.
func (f *Follower) Handle(ctx context.Context, deliveries [][]byte) error {
	var all []*work
	var malformed, errs []error
	for _, body := range deliveries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ev, err := azuredevops.ParseEvent(body)
		var org *azuredevops.Client
		if err == nil {
			org, err = azuredevops.Resolve(&ev, f.cfg.Organizations, f.cfg.Registered)
		}
		if err != nil {
			malformed = append(malformed, err)
			continue
		}
		all = add(all, org, &ev)
	}
	for _, w := range all {
		w.cause.Type = strings.Join(slices.Sorted(maps.Keys(w.types)), ",")
		errs = append(errs, f.Relist(ctx, w.org, w.cause, w.changes), f.push(ctx, w))
	}
	// One that cannot be handled takes no other one's further tries away.
	if err := errors.Join(errs...); err != nil || len(malformed) == 0 {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, errors.Join(malformed...))
}

// add adds what an event says to the work in its organization.
func add(all []*work, org *azuredevops.Client, ev *azuredevops.Event) []*work {
	i := slices.IndexFunc(all, func(w *work) bool { return w.org == org })
	if i < 0 {
		i = len(all)
		all = append(all, &work{
			org: org, cause: catalog.Cause{Event: catalog.EventLive, ID: ev.ID}, seen: map[azuredevops.Change]bool{}, types: map[string]bool{},
		})
	}
	w := all[i]
	w.types[ev.Type] = true
	for _, c := range azuredevops.Changes(ev) {
		if !w.seen[c] {
			w.seen[c] = true
			w.changes = append(w.changes, c)
		}
	}
	w.pushes.Add(ev)
	return all
}

// push brings in step what the files of pushed repositories declare.
func (f *Follower) push(ctx context.Context, w *work) error {
	if len(w.pushes.List) == 0 {
		return nil
	}
	m, err := f.cfg.Mapping(ctx)
	if err != nil || len(m.SpecPath) == 0 {
		return err
	}
	var errs []error
	for _, p := range w.pushes.List {
		if err := f.gitops.Push(ctx, w.org, p, m, w.cause); err != nil {
			errs = append(errs, fmt.Errorf("gitops of repository %s: %w", p.Repository, err))
		}
	}
	return errors.Join(errs...)
}
