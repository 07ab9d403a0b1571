// Package catalog is the only way into Port for entities. Full resyncs, live
// events and gitops all write and delete through it, so that a rule holds for all
// of them:
//
//   - What several records or blocks say of one entity is laid over each other
//     before it is compared, so that they do not write it back and forth.
//   - What Port holds already is not written again, and what Port would refuse is
//     not sent.
//   - An entity made of an incomplete record never replaces one that exists.
//   - Only entities of this installation are deleted, those that refer to others
//     first, and those that others refer to not at all where Port would make them
//     again.
//
// A [Catalog] lives as long as the process, a [Session] is one resync, one
// delivery or one push: it knows why it writes.
package catalog

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/ado-port/ado-port/port"
)

// Config is what a Catalog works with.
type Config struct {
	Port *port.Client // required
	// TempDirectory takes entities that wait for others; empty: they wait in memory.
	TempDirectory string
	Audit         *Audit                // hears of every change; nil: there is none
	Log           *slog.Logger          // nil means none
	Registry      prometheus.Registerer // gets the metrics; nil: they are not shown
}

// A Catalog is Port's catalog as this installation writes it. Safe for concurrent use.
type Catalog struct {
	port    *port.Client
	temp    string
	log     *slog.Logger
	audit   *Audit
	metrics *metrics
	whole   int // entities of a blueprint from which on it is compared as a whole

	mu      sync.Mutex
	touched map[Key]struct{} // written by others during a resync; nil when none runs
}

// New makes a Catalog; it asks Port nothing.
func New(cfg Config) *Catalog {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Catalog{port: cfg.Port, temp: cfg.TempDirectory, log: cfg.Log, audit: cfg.Audit, metrics: newMetrics(), whole: wholeFrom}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(c.metrics.entities)
	}
	return c
}

// A Cause is why entities are written and deleted.
type Cause struct {
	// Event is what Port is told: resync, incremental_resync or http_request.
	Event string
	// ID is that of the resync, or of the delivery.
	ID string
	// Type is that of the service hook event, such as git.push; empty for a resync.
	Type string
}

// Options say what a session does.
type Options struct {
	Cause   Cause
	Feature port.Feature // that writes; exporter when zero
	// Merge, CreateMissing and DeleteDependents are the options of the mapping.
	Merge, CreateMissing, DeleteDependents bool
	// Relations are those that the mapping sets, by blueprint; nil where that cannot
	// be told. Port makes entities again that such a relation leads to.
	Relations map[string][]string
	// Members are those that the mapping sets, by blueprint, as Source names them: for
	// ReadHeld.
	Members map[string][]string
	// ReadOnly writes nothing: what is put counts as made. Deletion goes on.
	ReadOnly bool
	// Plan takes what would be done, and nothing is written; nil: it is done.
	Plan *Plan
	// CompareFrom is how many entities of a blueprint make it worth asking Port which
	// of them differ, where LoadOwned has not told which of them it holds; 0: never,
	// everything is written.
	CompareFrom int
}

// A Session is one piece of work on the catalog. Safe for concurrent use, except
// that LoadOwned comes first.
type Session struct {
	c     *Catalog
	opt   Options
	cause string // label of the metrics
	log   *slog.Logger
	enum  sync.Map // blueprint → *enums

	owned   ownedSet
	held    map[string]*held // by blueprint; only those that are compared as a whole
	digests heldDigests
	targets *targetSet
	flight  *semaphore.Weighted // bytes of batches under way

	mu      sync.Mutex
	refused map[string]*Refusal // why Port refused entities, by blueprint and reason
	again   refusedSet          // entities to write again when their relations may exist
	unsure  map[string]struct{} // blueprints in which entities with a search were not written
	failed  []error             // why entities could not be written, where another try is worth it
	lost    []error             // why entities that waited are lost
}

// Begin begins a session.
func (c *Catalog) Begin(o Options) *Session {
	return &Session{
		c: c, opt: o, cause: o.label(), log: c.log.With("cause", o.Cause.ID),
		targets: newTargetSet(), flight: semaphore.NewWeighted(flightBytes), refused: map[string]*Refusal{}, again: refusedSet{}, unsure: map[string]struct{}{},
	}
}

// Watch notes from now on, until the returned function is called, what other
// sessions write: a resync must not delete it. That is the end of the resync for
// the audit.
func (c *Catalog) Watch(ctx context.Context) (stop func()) {
	set := func(m map[Key]struct{}) {
		c.mu.Lock()
		c.touched = m
		c.mu.Unlock()
	}
	set(map[Key]struct{}{})
	return func() {
		set(nil)
		c.audit.resyncEnded(ctx)
	}
}

// touch notes what a session has written beside a resync.
func (c *Catalog) touch(k Key) {
	c.mu.Lock()
	if c.touched != nil {
		c.touched[k] = struct{}{}
	}
	c.mu.Unlock()
}

func (c *Catalog) wasTouched(k Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.touched[k]
	return ok
}

// Err joins why entities could not be written, where another try is worth it.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(s.failed, s.lost...)...)
}

// Lost joins why entities that had to wait could not be read again.
func (s *Session) Lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.lost...)
}

// wrote is told of every entity that has been written, deleted of every one that
// is gone: nothing reaches Port past them.
func (s *Session) wrote(ctx context.Context, c *Change) {
	if s.opt.Cause.Event != EventResync {
		s.c.touch(EntityKey(c.Ref))
	}
	s.changed(ctx, c)
}

func (s *Session) deleted(ctx context.Context, d Deletion) {
	s.changed(ctx, &Change{Ref: d.Ref, Action: Gone, Proof: d.Proof})
}

func (s *Session) changed(ctx context.Context, c *Change) {
	c.Cause = s.opt.Cause
	s.c.metrics.of(change{c.Blueprint, c.Action, s.cause}).Inc()
	s.c.audit.changed(ctx, c)
}

// Events as Port knows them.
const (
	EventResync      = "resync"
	EventIncremental = "incremental_resync"
	EventLive        = "http_request"
)

func (s *Session) upsertOptions() port.UpsertOptions {
	return port.UpsertOptions{
		Merge: s.opt.Merge, CreateMissing: s.opt.CreateMissing, EventType: s.opt.Cause.Event, ResyncID: s.opt.Cause.ID, Feature: s.opt.Feature,
	}
}

// exists says whether Port holds an entity, whoever wrote it. Doubt counts as yes.
func (s *Session) exists(ctx context.Context, ref port.Ref) bool {
	found, err := s.c.port.Exists(ctx, ref)
	if err != nil {
		s.log.WarnContext(ctx, "an incomplete entity is not written because the catalog cannot be asked for it", "entity", ref.String(), "err", err)
		return true
	}
	return found
}

// final says whether Port's answer stays the same when it is asked again.
func final(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
