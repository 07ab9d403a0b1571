// Package hooks looks after the service hook subscriptions of Azure DevOps: what
// is wanted, what is there, what was not delivered.
//
// A [Keeper] does it for all organizations of an installation. [Keeper.Run] says
// when; organization.reconcile is what it does. The collaborators that know the
// mapping, the catalog and the receiver of deliveries are handed in.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// KeeperConfig says where Azure DevOps is to deliver events, and who knows what
// they are for.
type KeeperConfig struct {
	Organizations []*azuredevops.Client

	// URL of the receiver, as it is seen from Azure DevOps: base URL, prefix and Route.
	// Empty where there is a Queue and no public address.
	URL string
	// Queue gets the events; nil: none does. With a URL too, both do: every event comes
	// twice, as long as one moves from one to the other.
	Queue   *StorageQueue
	OldURLs []string // that this installation had before; subscriptions that deliver there are moved
	// Secret is the password that deliveries carry, 1 to 256 characters without
	// white space; empty means none. Username goes with it; empty means "port".
	Secret   rest.Secret
	Username string
	// PerProject makes a set of subscriptions for each project without an
	// excluded tag, else there is one for the whole organization.
	PerProject     bool
	StateDirectory string // for what survives a restart; empty: none
	// State and Alive are what several processes have instead, of which one at a time
	// runs the Keeper; nil: there is one.
	State, Alive Store
	// Left is what people tell all of them with a command; nil: it lies in the state
	// directory.
	Left Store

	Wanted    func(context.Context) (Wanted, error)                                  // what the mapping needs events for
	Relist    func(context.Context, *azuredevops.Client, []azuredevops.Change) error // lists again, completely
	Resync    func()                                                                 // asks for a resync
	Redeliver func(ctx context.Context, bodies [][]byte) error                       // handles deliveries that did not arrive
	Log       *slog.Logger                                                           // nil means none
	Registry  prometheus.Registerer                                                  // gets the metrics; nil: they are not shown
}

// Route is where the service takes deliveries, behind base URL and prefix.
const Route = "/integration/webhook"

const (
	reconcileEvery = time.Hour
	aliveEvery     = time.Minute
	aliveFile      = "hooks-alive" // its time says until when deliveries were received
	stateFileName  = "hooks-state.json"
)

// A Keeper looks after the subscriptions of all organizations. A nil one looks
// after none.
type Keeper struct {
	cfg    KeeperConfig
	state  *state
	each   []*organization // as cfg.Organizations
	again  chan struct{}   // something has changed that subscriptions depend on
	looked atomic.Bool     // every organization has been looked after once

	running atomic.Bool // Run is

	left atomic.Pointer[time.Time] // since when several processes leave the subscriptions removed, as far as is known
}

// NewKeeper checks the settings. It dials nothing.
func NewKeeper(cfg KeeperConfig) (*Keeper, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	k := &Keeper{cfg: cfg, again: make(chan struct{}, 1), state: newState()}
	switch {
	case cfg.State != nil:
		k.state.store = cfg.State
	case cfg.StateDirectory != "":
		k.state = openState(filepath.Join(cfg.StateDirectory, stateFileName), cfg.Log)
	}
	for _, c := range cfg.Organizations {
		o := newOrganization(c, cfg, k.state)
		if err := o.health.register(cfg.Registry); err != nil {
			return nil, fmt.Errorf("metrics of service hooks: %w", err)
		}
		k.each = append(k.each, o)
	}
	return k, nil
}

// projectsAge is how old the list of projects may be for a reconciliation that is
// not about new ones.
const projectsAge = 24 * time.Hour

// Run reconciles at once, hourly, and when it is told to, until ctx is done. The
// first time it also handles what could not be delivered while no process was
// there.
func (k *Keeper) Run(ctx context.Context) {
	if k == nil {
		return
	}
	k.running.Store(true)
	defer k.running.Store(false)
	if err := k.load(ctx); err != nil && ctx.Err() == nil {
		k.cfg.Log.WarnContext(ctx, "what another process knows of service hooks is lost: they are repaired as if they were new", "err", err)
	}
	k.shareRemoved(ctx)
	since, left := k.lastAlive(ctx), false
	if k.cfg.Queue != nil && !since.IsZero() && time.Since(since) > queueKeeps {
		k.cfg.Log.WarnContext(ctx, "events of the storage queue may have expired while no process was there; a resync brings what they said", "since", since)
		k.cfg.Resync()
	}
	next := time.NewTimer(0)
	defer next.Stop()
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		var reading azuredevops.Reading
		select {
		case <-next.C:
		case <-k.again: // a resync has just read the projects, or the mapping has changed
			reading.Since = time.Now().Add(-projectsAge)
		case <-alive.C:
			k.noteAlive(ctx)
			if !left || !k.removed(ctx).IsZero() {
				continue
			}
		case <-ctx.Done():
			k.noteAlive(context.WithoutCancel(ctx))
			return
		}
		now := time.Now()
		next.Reset(reconcileEvery)
		if at := k.removed(ctx); !at.IsZero() {
			k.leave(ctx, &left, at)
			continue
		}
		if left { // what happened since then was not delivered
			left = false
			k.cfg.Resync()
		}
		k.reconcile(ctx, reading)
		if !since.IsZero() {
			k.catchUp(ctx, since)
		}
		since = now
		next.Reset(reconcileEvery)
	}
}

// Once looks after the subscriptions for a process that ends, as Run does when it
// begins. It returns until when everything was handled before, zero when nobody knows.
func (k *Keeper) Once(ctx context.Context) (last time.Time) {
	last = k.lastAlive(ctx)
	if at := k.removed(ctx); !at.IsZero() {
		k.leave(ctx, new(bool), at)
		k.cfg.Resync() // nothing tells of changes
		return last
	}
	k.reconcile(ctx, azuredevops.Reading{})
	if !last.IsZero() {
		k.catchUp(ctx, last)
	}
	return last
}

// Note notes until when everything was handled, for a process that ends; zero: nobody
// knows.
func (k *Keeper) Note(at time.Time) {
	if k.cfg.StateDirectory == "" {
		return
	}
	path := filepath.Join(k.cfg.StateDirectory, aliveFile)
	if at.IsZero() {
		_ = os.Remove(path)
		return
	}
	k.touchAlive()
	_ = os.Chtimes(path, at, at) // lost, the next run does more than it has to
}

// leave leaves subscriptions removed, and says so once.
func (k *Keeper) leave(ctx context.Context, left *bool, since time.Time) {
	if !*left {
		k.cfg.Log.WarnContext(ctx, "service hooks were removed by ado-port hooks --cleanup and are left so; ado-port hooks --repair brings them back", "since", since)
	}
	*left = true
	k.looked.Store(true)
}

// Repairing says whether subscriptions may still lack their credentials: until
// they have been looked after once.
func (k *Keeper) Repairing() bool { return k != nil && !k.looked.Load() }

// Soon asks for a reconciliation.
func (k *Keeper) Soon() {
	if k == nil {
		return
	}
	select {
	case k.again <- struct{}{}:
	default:
	}
}

// Registered is the organization that a subscription belongs to, or nil.
func (k *Keeper) Registered(subscription string) *azuredevops.Client {
	if k == nil {
		return nil
	}
	key := k.state.entry(subscription).Organization
	i := slices.IndexFunc(k.cfg.Organizations, func(c *azuredevops.Client) bool { return c.Key() == key })
	if i < 0 {
		return nil
	}
	return k.cfg.Organizations[i]
}

func (k *Keeper) reconcile(ctx context.Context, reading azuredevops.Reading) {
	w, err := k.cfg.Wanted(ctx)
	if err != nil {
		k.cfg.Log.WarnContext(ctx, "service hooks wait for a mapping", "err", err)
		return
	}
	looked := true
	for _, o := range k.each {
		o.reading = reading
		report, err := o.reconcile(ctx, w)
		if err != nil {
			looked = false
			if ctx.Err() == nil {
				o.log.WarnContext(ctx, "service hooks could not be looked after", "err", err)
			}
			continue
		}
		k.relist(ctx, o, report.Gaps)
	}
	if looked {
		k.looked.Store(true)
	}
}

// relist lists again what was not delivered while subscriptions were off.
func (k *Keeper) relist(ctx context.Context, o *organization, gaps []Gap) {
	if len(gaps) == 0 {
		return
	}
	var changes []azuredevops.Change
	for _, g := range gaps {
		if g.Project == "" {
			k.cfg.Resync() // the whole organization is what a resync is for
			o.caught(ctx, gaps)
			return
		}
		for _, kind := range g.Kinds {
			changes = append(changes, azuredevops.Change{Kind: kind, Scope: azuredevops.Scope{Project: g.Project, ProjectName: g.ProjectName}})
		}
	}
	if err := k.cfg.Relist(ctx, o.c, changes); err != nil {
		o.log.WarnContext(ctx, "what was not delivered could not be listed again; trying later", "err", err)
		return
	}
	o.caught(ctx, gaps)
}

// catchUp handles the events that Azure DevOps could not deliver since a time.
func (k *Keeper) catchUp(ctx context.Context, since time.Time) {
	for _, o := range k.each {
		failed, err := o.failedNotifications(ctx, since)
		if err != nil && ctx.Err() == nil {
			o.log.WarnContext(ctx, "not all deliveries that failed are known", "err", err)
		}
		if n := len(failed.bodies); n > 0 {
			o.log.InfoContext(ctx, "handling what Azure DevOps could not deliver", "events", n, "since", since)
			if err := k.cfg.Redeliver(ctx, failed.bodies); err != nil && ctx.Err() == nil {
				o.log.WarnContext(ctx, "a resync makes up for deliveries that failed", "err", err)
				k.cfg.Resync()
			}
		}
		k.relist(ctx, o, failed.gaps)
	}
}

// noteAlive records that deliveries are received now.
func (k *Keeper) noteAlive(ctx context.Context) {
	if k.cfg.Alive != nil {
		_ = k.cfg.Alive.Set(ctx, time.Now().UTC().AppendFormat(nil, time.RFC3339)) // lost, it only costs a look at failed deliveries
		return
	}
	k.touchAlive()
}

// touchAlive is noteAlive of a process that is alone.
func (k *Keeper) touchAlive() {
	if k.cfg.StateDirectory == "" {
		return
	}
	path, now := filepath.Join(k.cfg.StateDirectory, aliveFile), time.Now()
	if err := os.Chtimes(path, now, now); errors.Is(err, os.ErrNotExist) {
		_ = os.WriteFile(path, nil, 0o600) // lost, it only costs a look at failed deliveries
	}
}

// lastAlive is when an earlier process received deliveries last.
func (k *Keeper) lastAlive(ctx context.Context) time.Time {
	if k.cfg.Alive != nil {
		return k.sharedAlive(ctx)
	}
	if k.cfg.StateDirectory == "" {
		return time.Time{}
	}
	info, err := os.Stat(filepath.Join(k.cfg.StateDirectory, aliveFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// WasAlive says whether an earlier process received deliveries here.
func (k *Keeper) WasAlive(ctx context.Context) bool { return k != nil && !k.lastAlive(ctx).IsZero() }
