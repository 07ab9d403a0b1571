// Package resync keeps the catalog equal to Azure DevOps: it lists every kind
// that the mapping names, maps the records, writes what differs and deletes what
// is provably gone.
//
// A Runner does one resync at a time; a newer one replaces the older. See lane
// for the order in which entities reach Port and stale.go for the proof behind a
// deletion.
package resync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// ErrSuperseded ends a resync that a newer one replaces.
var ErrSuperseded = errors.New("a newer resync was asked for")

// Config says what a Runner works with. Zero fields have the stated defaults.
type Config struct {
	Organizations []*azuredevops.Client
	Catalog       *port.Client
	// Mapping loads the mapping for a resync.
	Mapping func(context.Context) (*mapping.Mapping, error)
	// LiveMapping returns the mapping for live events; it may be older than that of Mapping.
	LiveMapping func(context.Context) (*mapping.Mapping, error)
	// StateDirectory is where the memory of a resync lies; empty: none is kept.
	StateDirectory string
	// TempDirectory takes entities that wait for others; empty: they wait in memory.
	TempDirectory string
	// SendExamples posts the first raw records of every resource to Port.
	SendExamples bool
	// Schedule returns when the next resync is planned, the zero time for never;
	// Interval is its distance where it has one. Both are only shown by Port.
	Schedule func(now time.Time) time.Time
	Interval time.Duration
	// Heartbeat is the time between two signs of life during a resync (default 10 s).
	Heartbeat time.Duration
	// Grace bounds the time for finishing what is under way after the end of
	// the context (default 5 s).
	Grace time.Duration
	// Observer is told of progress; nil: nobody is.
	Observer Observer
	Log      *slog.Logger
}

// An Observer follows a resync. Calls come from several goroutines.
type Observer interface {
	Started(*Status)
	Ended(*Summary)
}

// A Runner runs resyncs, one at a time. Safe for concurrent use.
type Runner struct {
	cfg Config

	mu      sync.Mutex
	cancel  context.CancelCauseFunc // of the running resync
	touched map[key]struct{}        // written by live events during a resync; nil when none runs
	turn    sync.Mutex              // held by the running resync

	remembered func() *book // opened when it is first needed
	interval   atomic.Int64 // of incremental runs, in nanoseconds
}

// New makes a Runner; it starts nothing.
func New(cfg Config) (*Runner, error) {
	if len(cfg.Organizations) == 0 || cfg.Catalog == nil || cfg.Mapping == nil {
		return nil, errors.New("resync: organizations, catalog and mapping are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 10 * time.Second
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 5 * time.Second
	}
	r := &Runner{cfg: cfg}
	r.remembered = sync.OnceValue(func() *book { return openBook(cfg.StateDirectory, cfg.Log) })
	return r, nil
}

// A mode is what a run does with the records that it lists.
type mode int

const (
	full        mode = iota
	incremental      // write what changed since the cursors, delete nothing, report nothing
	learn            // write nothing: learn the origins, and delete what is provably gone
)

// Full runs a full resync. A resync that is running is told to stop, and this
// one begins when it has. The summary is never nil. The error is ErrSuperseded,
// ctx's cause, or what kept the resync from starting; what went wrong inside is
// in the summary.
func (r *Runner) Full(ctx context.Context) (*Summary, error) { return r.start(ctx, full) }

// Learn lists everything without writing entities, so that live events know what
// came from where: for a service that has no memory of a resync and shall not
// begin with one. Entities that are provably gone are deleted.
func (r *Runner) Learn(ctx context.Context) (*Summary, error) { return r.start(ctx, learn) }

// Remembers says whether live events know what the last resync made.
func (r *Runner) Remembers() bool { return r.remembered().known() }

// start runs a resync in a mode.
func (r *Runner) start(ctx context.Context, m mode) (*Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.mu.Lock()
	if r.cancel != nil {
		r.cancel(ErrSuperseded)
	}
	r.cancel = cancel
	r.mu.Unlock()

	r.turn.Lock()
	defer r.turn.Unlock()
	if err := context.Cause(ctx); err != nil {
		return &Summary{State: StateAborted}, err
	}
	run := r.newRun(time.Now(), m)
	r.watch(true)
	defer r.watch(false)
	sum, err := run.full(ctx)
	if r.cfg.Observer != nil && m != learn {
		r.cfg.Observer.Ended(sum)
	}
	return sum, err
}

// watch begins or ends the noting of what live events write.
func (r *Runner) watch(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.touched = nil
	if on {
		r.touched = map[key]struct{}{}
	}
}

// touch notes that a live event has written entities: a resync that runs must
// not delete them.
func (r *Runner) touch(units []*unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.touched == nil {
		return
	}
	for _, u := range units {
		r.touched[u.key] = struct{}{}
	}
}

func (r *Runner) wasTouched(k key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.touched[k]
	return ok
}

// run is one resync.
type run struct {
	runner  *Runner
	mode    mode
	cfg     *Config
	catalog *port.Client
	log     *slog.Logger
	id      string
	started time.Time
	temp    string
	mapping *mapping.Mapping

	fetches []*fetch
	blocks  []*block
	lanes   []*lane
	owned   *ownedSet
	memory  *originWriter
	targets *targetSet
	reports *reporter

	mu       sync.Mutex
	refused  map[string]*Refusal // why Port refused entities, by blueprint and reason
	again    refusedSet          // entities to write again when their relations may exist
	doubt    map[string]string   // blueprints that must not be cleaned, and why
	failures []string            // what went wrong outside of listings
	kept     int                 // stale entities that may still exist
	braked   int                 // stale entities above the threshold

	origins   map[key][]origin   // remembered ones of stale entities
	gone      map[key]struct{}   // deleted entities
	before    map[usageKey]usage // calls before this resync
	portCalls int64
	// unauthorized says that Azure DevOps refused the credentials for a whole organization.
	unauthorized atomic.Bool
}

func (r *Runner) newRun(now time.Time, m mode) *run {
	run := &run{
		runner: r, mode: m, cfg: &r.cfg, catalog: r.cfg.Catalog, id: NewID(), started: now, temp: r.cfg.TempDirectory,
		log:     r.cfg.Log,
		owned:   newOwnedSet(),
		targets: newTargetSet(),
		refused: map[string]*Refusal{}, again: refusedSet{}, doubt: map[string]string{}, gone: map[key]struct{}{},
	}
	run.before, run.portCalls = run.usage(), run.catalog.Stats().Calls
	return run
}

// NewID makes a version 4 UUID: Port groups everything of a resync by it.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// full runs the steps of a resync (port.md 5.2).
func (r *run) full(ctx context.Context) (*Summary, error) {
	load, stop := r.loadContext(ctx)
	defer stop()
	r.catalog.ForgetBlueprints()
	defer r.catalog.ForgetBlueprints()
	if r.mode == full {
		r.setState(load, port.ResyncRunning)
	}
	m, err := r.cfg.Mapping(ctx)
	if err == nil {
		r.mapping = m
		err = r.plan(ctx)
	}
	if err == nil && r.mode == incremental {
		err = r.cursors(ctx)
	}
	if err != nil {
		return r.end(ctx, load, err)
	}
	if r.mode == full {
		r.reports = r.beginReports(load)
	}
	r.memory = &originWriter{} // an incremental run knows too little to replace what is remembered
	if r.mode != incremental {
		r.memory = newOriginWriter(r.cfg.StateDirectory, r.log)
	}
	if r.cfg.Observer != nil && r.mode == full {
		r.cfg.Observer.Started(&Status{run: r})
	}
	r.transfer(ctx, load)
	r.retryRefused(load)
	if ctx.Err() == nil && r.mode != incremental {
		r.clean(load)
	}
	if r.mode == incremental {
		r.saveCursors(load)
	} else {
		r.remember(ctx)
	}
	return r.end(ctx, load, context.Cause(ctx))
}

// loadContext outlives ctx by the grace period: what is under way is finished.
func (r *run) loadContext(ctx context.Context) (context.Context, context.CancelFunc) {
	load, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(r.cfg.Grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-load.Done():
		}
	})
	return load, func() {
		stop()
		cancel()
	}
}

// transfer runs extraction and loading side by side until both are done.
func (r *run) transfer(ctx, load context.Context) {
	r.seat()
	var wg sync.WaitGroup
	wg.Go(func() { r.loadOwned(load) })
	for _, l := range r.lanes {
		wg.Go(func() {
			r.owned.wait(load)
			l.work(ctx, load)
		})
	}
	r.extract(ctx)
	wg.Wait()
}

// merges says whether Port merges what several writes say of one entity.
func (r *run) merges() bool { return r.mapping.EnableMergeEntity }

// event is the name of a mode for Port.
func (m mode) event() string {
	if m == incremental {
		return "incremental_resync"
	}
	return "resync"
}

func (r *run) upsertOptions() port.UpsertOptions {
	return port.UpsertOptions{
		Merge: r.mapping.EnableMergeEntity, CreateMissing: r.mapping.CreateMissingRelatedEntities,
		EventType: r.mode.event(), ResyncID: r.id,
	}
}

// problem notes what went wrong outside of a listing; it makes the resync fail.
func (r *run) problem(ctx context.Context, what string, err error) {
	r.mu.Lock()
	r.failures = append(r.failures, what+": "+err.Error())
	r.mu.Unlock()
	r.log.ErrorContext(ctx, "resync problem", "what", what, "err", err)
}
