// Package resync keeps the catalog equal to Azure DevOps: it lists every kind
// that the mapping names, maps the records, writes what differs and deletes what
// is provably gone.
//
// A Runner does one resync at a time. See lane
// for the order in which entities reach Port and stale.go for the proof behind a
// deletion.
package resync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
)

// ErrSuperseded ends a resync whose mapping is not the current one any more.
var ErrSuperseded = errors.New("the mapping has changed")

// Config says what a Runner works with. Zero fields have the stated defaults.
type Config struct {
	Organizations []*azuredevops.Client
	Port          *port.Client
	Catalog       *catalog.Catalog
	// Mapping loads the mapping for a resync.
	Mapping func(context.Context) (*mapping.Mapping, error)
	// Book is told when the origins have changed; nil: nobody asks for them.
	Book *origins.Book
	// StateDirectory is where the origins lie; empty: none are kept.
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
	// DeletionBrake is the share of a blueprint's entities above which they are not
	// deleted while the blocks that write it stay the same (default 0.9; 1: none).
	DeletionBrake float64
	// Grace bounds the time for finishing what is under way after the end of
	// the context (default 5 s).
	Grace time.Duration
	// Observer is told of progress; nil: nobody is.
	Observer Observer
	// Causes are the words that Full is called with, for the metrics.
	Causes []string
	// Registry gets the metrics; nil: they are not shown.
	Registry prometheus.Registerer
	// Plan takes what a full resync would do, and nothing is written anywhere; nil: it
	// is done. Kinds are the only ones that are looked at then; nil: all of the mapping.
	Plan  *catalog.Plan
	Kinds []string
	// Records is the record store; nil: nothing is stored.
	Records Records
	// ResumeWithin is how old what an interrupted resync has read may be to be used by
	// the next one; ReplayWithin how old the records may be to which a changed mapping
	// is applied in place of reading. 0: never.
	ResumeWithin, ReplayWithin time.Duration
	// Touched notes in Records what other processes have found changed. It reports
	// whether all is known that has changed since its answers were read; nil: there are
	// no other processes.
	Touched func(context.Context) (all bool, err error)
	// Replays are the causes that come with an edit of the mapping, Reads those after
	// which everything is read, whatever is stored.
	Replays, Reads []string
	// Stored: nothing is asked of Azure DevOps. What Exported has is used, or without
	// it what is in Records.
	Stored   bool
	Exported *azuredevops.Exported
	// Ended is called at the end of every full resync; nil: nothing is.
	Ended func(*Summary)
	Log   *slog.Logger
}

// An Observer follows a resync. Calls come from several goroutines.
type Observer interface {
	Started(*Status)
	Ended(*Summary)
}

// A Runner runs resyncs, one at a time. Safe for concurrent use.
type Runner struct {
	cfg       Config
	running   sync.Mutex // held by a resync
	completed completed
	metrics   *metrics

	mu      sync.Mutex
	id      string                  // of the running resync
	cancel  context.CancelCauseFunc // of it
	mapping *mapping.Mapping        // that it uses; nil before it has one

	interval atomic.Int64 // of incremental runs, in nanoseconds
}

// New makes a Runner; it starts nothing.
func New(cfg Config) (*Runner, error) {
	if len(cfg.Organizations) == 0 || cfg.Port == nil || cfg.Catalog == nil || cfg.Mapping == nil {
		return nil, errors.New("resync: organizations, port, catalog and mapping are required")
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
	if cfg.DeletionBrake <= 0 {
		cfg.DeletionBrake = defaultBrake
	}
	r := &Runner{cfg: cfg, completed: completed{dir: cfg.StateDirectory, log: cfg.Log}, metrics: newMetrics(&cfg)}
	if err := r.metrics.register(cfg.Registry); err != nil {
		return nil, fmt.Errorf("metrics of resyncs: %w", err)
	}
	return r, nil
}

// A mode is what a run does with the records that it lists.
type mode int

const (
	full        mode = iota
	incremental      // write what changed since the cursors, delete nothing, report nothing
	learn            // write nothing: learn the origins, and delete what is provably gone
	planning         // write nothing at all: fill Config.Plan
)

// Causes of a resync that the runner knows itself.
const (
	CauseOnce     = "once"
	CauseLearning = "learning"
)

func (m mode) String() string {
	return [...]string{full: "full", incremental: "incremental", learn: "learning", planning: "planning"}[m]
}

// Full runs a full resync, behind one that is running. cause is one of few words for
// people, such as "schedule". The summary is never nil.
// The error is ErrSuperseded, ctx's cause, or what kept the resync from starting;
// what went wrong inside is in the summary.
func (r *Runner) Full(ctx context.Context, cause string) (*Summary, error) {
	if r.cfg.Plan != nil {
		return r.start(ctx, planning, cause)
	}
	return r.start(ctx, full, cause)
}

// Once runs one resync, an incremental one that looks back for interval unless that
// is 0. With strict a failed one is an error, and one
// whose mapping could not be used completely; otherwise it is none, as in the
// Python integration. A stop is a good end.
func (r *Runner) Once(ctx context.Context, interval time.Duration, strict bool) error {
	run := func(ctx context.Context) (*Summary, error) { return r.Full(ctx, CauseOnce) }
	if interval > 0 {
		run = func(ctx context.Context) (*Summary, error) { return r.Incremental(ctx, interval) }
	}
	sum, _ := run(ctx)
	switch {
	case strict && sum.State == StateFailed:
		return fmt.Errorf("the resync failed: %s", sum.Reason())
	case strict && sum.Held() > 0:
		return fmt.Errorf("not everything that is gone was deleted: %s", sum.Reason())
	case strict && len(sum.LeftOut) > 0:
		return fmt.Errorf("the mapping is not used completely: %s", sum.Reason())
	}
	return nil
}

// Learn lists everything without writing entities, so that live events know what
// came from where: for a service that has no origins of a resync and shall not
// begin with one. Entities that are provably gone are deleted.
func (r *Runner) Learn(ctx context.Context) (*Summary, error) {
	return r.start(ctx, learn, CauseLearning)
}

// Reconsider ends a running resync when the mapping is another one by now: what it
// still does would be done again. It reports whether that is so, and the caller has
// another one run.
func (r *Runner) Reconsider(ctx context.Context) (changed bool) {
	r.mu.Lock()
	used, cancel := r.mapping, r.cancel
	r.mu.Unlock()
	if used == nil {
		return false
	}
	m, err := r.cfg.Mapping(ctx)
	if changed = err == nil && m != used; changed {
		cancel(ErrSuperseded)
	}
	return changed
}

// Prepare makes ready for live events: a service that knows no origins, and does not
// begin with a resync, first learns what there is.
func (r *Runner) Prepare(ctx context.Context, begins bool) {
	r.cfg.Book.Prepare(ctx)
	if begins || r.cfg.Book.Known() {
		return
	}
	if _, err := r.Learn(ctx); err != nil && ctx.Err() == nil {
		r.cfg.Log.WarnContext(ctx, "what is in the catalog could not be learned: live events delete nothing before the next resync", "err", err)
	}
}

// UnderWay names the resync that runs, or is "".
func (r *Runner) UnderWay() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id == "" {
		return ""
	}
	return "resync " + r.id
}

// start runs a resync in a mode.
func (r *Runner) start(ctx context.Context, m mode, cause string) (*Summary, error) {
	r.running.Lock()
	defer r.running.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := context.Cause(ctx); err != nil {
		return &Summary{State: StateAborted}, err
	}
	run := r.newRun(time.Now(), m)
	run.cancel, run.cause = cancel, cause
	r.uses(run.id, nil, cancel)
	defer r.uses("", nil, nil)
	ctx = port.LogContext(ctx, slog.String("resync_id", run.id))
	run.log.InfoContext(ctx, "resync started", "cause", cause, "mode", m.String())
	defer r.cfg.Catalog.Watch(ctx)()
	r.metrics.began(run)
	sum, err := run.full(ctx)
	r.metrics.ended(run, sum)
	if r.cfg.Observer != nil && (m == full || m == incremental) {
		r.cfg.Observer.Ended(sum)
	}
	if r.cfg.Ended != nil && m == full {
		r.cfg.Ended(sum)
	}
	return sum, err
}

// uses notes what the running resync works with.
func (r *Runner) uses(id string, m *mapping.Mapping, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id, r.mapping, r.cancel = id, m, cancel
}

// run is one resync.
type run struct {
	runner  *Runner
	cancel  context.CancelCauseFunc
	mode    mode
	cfg     *Config
	log     *slog.Logger
	id      string
	cause   string
	started time.Time
	// portBegan is when the last resync before this one began, as Port has told.
	portBegan time.Time
	window    time.Duration // how far an incremental run without a cursor looks back
	mapping   *mapping.Mapping

	listings  []*listing
	resources []*resource
	lanes     []*lane
	session   *catalog.Session
	origins   *origins.Writer
	use       use // of the record store
	reports   *reporter

	mu       sync.Mutex
	doubt    map[string]string // blueprints that must not be cleaned, and why
	failures []string          // what went wrong outside of listings

	notDeleted   map[string]*NotDeleted           // by hold, blueprint and reason
	knownOrigins map[catalog.Key][]origins.Origin // of stale entities
	gone         map[catalog.Key]struct{}         // deleted entities
	going        map[string]bool                  // their blueprints
	unwritten    map[string]int                   // those of blueprints that no resource writes any more
	former       map[string]*Former               // by the key of an organization that is not configured any more
	before       usage                            // what was asked before this resync
	portCalls    int64
	// unauthorized says that Azure DevOps refused the credentials for a whole organization.
	unauthorized atomic.Bool
	dropped      atomic.Bool // entities on their way were lost
}

func (r *Runner) newRun(now time.Time, m mode) *run {
	run := &run{
		runner: r, mode: m, cfg: &r.cfg, log: r.cfg.Log, id: uuid.NewString(), started: now, window: time.Duration(r.interval.Load()),
		doubt: map[string]string{}, gone: map[catalog.Key]struct{}{}, going: map[string]bool{}, unwritten: map[string]int{}, former: map[string]*Former{}, notDeleted: map[string]*NotDeleted{},
	}
	run.before, run.portCalls = run.usage(), run.cfg.Port.Calls()
	return run
}

// full runs the steps of a resync.
func (r *run) full(ctx context.Context) (*Summary, error) {
	load, stop := r.loadContext(ctx)
	defer stop()
	r.cfg.Port.ForgetBlueprints()
	defer r.cfg.Port.ForgetBlueprints()
	if i := r.cfg.Port.Installed(); i != nil {
		r.portBegan, _ = i.Resynced()
	}
	if r.mode == full {
		r.reports = r.beginReports(load)
	}
	m, err := r.cfg.Mapping(ctx)
	if err == nil {
		r.mapping = m
		r.runner.uses(r.id, m, r.cancel)
		err = r.plan(ctx)
	}
	if err == nil && r.mode == incremental {
		err = r.cursors(ctx)
	}
	if err == nil {
		err = r.decideUse(ctx)
	}
	if err != nil {
		return r.end(ctx, err)
	}
	r.runner.metrics.planned(r)
	for _, b := range r.resources {
		if id, literal := b.Blueprint(); literal {
			r.cfg.Catalog.Expect(id)
		}
	}
	r.reports.started()
	opt := SessionOptions(m, catalog.Cause{Event: r.mode.event(), ID: r.id})
	opt.ReadOnly = r.mode == learn // an incremental run writes everything that has changed
	opt.Plan = r.cfg.Plan
	if r.mode == full || r.mode == planning { // others compare nothing
		opt.Members = members(m)
	}
	r.session = r.cfg.Catalog.Begin(opt)
	switch r.mode {
	case incremental:
		r.origins = &origins.Writer{} // it knows too little to replace what is remembered
	case planning:
		r.origins = origins.Remembered(r.cfg.StateDirectory)
	case full, learn:
		r.origins = origins.NewWriter(r.cfg.StateDirectory, r.log)
	}
	r.origins.With(r.cfg.Book)
	if r.cfg.Observer != nil && r.mode == full {
		r.cfg.Observer.Started(&Status{run: r})
	}
	r.transfer(ctx, load)
	r.session.RetryRefused(load)
	if err := r.session.Lost(); err != nil {
		r.dropped.Store(true)
		r.problem(load, "entities that had to wait", err)
	}
	if ctx.Err() == nil && r.mode != incremental {
		r.reports.cleans()
		r.clean(load)
	}
	switch r.mode {
	case incremental:
		r.saveCursors(load)
	case full, learn:
		r.remember(ctx)
	case planning:
	}
	return r.end(ctx, context.Cause(ctx))
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

// transfer runs extraction and loading side by side until both are done. Loading
// begins when it is known what Port holds.
func (r *run) transfer(ctx, load context.Context) {
	r.takeTurns()
	var wg sync.WaitGroup
	owned := make(chan struct{})
	wg.Go(func() {
		r.loadOwned(load)
		wait := r.session.ReadHeld(ctx) // not load: when listing ends early, little is compared
		if r.stores() {
			r.cfg.Records.Sync() // what is written to Port from now on must not be newer than what is known of it here
		}
		close(owned)
		wait()
	})
	for _, l := range r.lanes {
		wg.Go(func() {
			<-owned
			l.work(ctx, load)
		})
	}
	r.extract(ctx)
	wg.Wait()
}

// loadOwned asks Port for the entities of this installation. When that fails
// nothing is compared and nothing is deleted.
func (r *run) loadOwned(ctx context.Context) {
	if r.mode == incremental {
		return // everything that changed is written
	}
	if err := r.session.LoadOwned(ctx, r.started); err != nil {
		r.doubtAll("the entities that Port holds could not be listed")
		r.problem(ctx, "listing the entities of this installation", err)
	}
}

// event is the name of a mode for Port.
func (m mode) event() string {
	if m == incremental {
		return catalog.EventIncremental
	}
	return catalog.EventResync
}

// problem notes what went wrong outside of a listing; it makes the resync fail.
func (r *run) problem(ctx context.Context, what string, err error) {
	r.mu.Lock()
	r.failures = append(r.failures, what+": "+err.Error())
	r.mu.Unlock()
	r.log.ErrorContext(ctx, "resync problem", "what", what, "err", err)
}
