// Package actions executes runs of self-service actions, and of nodes of workflows,
// that Port has for the integration: it claims them, acknowledges them, has them
// done by an [Executor], follows them and reports how they ended.
//
// Each step is noted in a ledger before it is taken, so that a process that takes
// the place of one that died knows what is left to do. What a run asks for is never
// started twice: after a crash, or a lost answer, the executor is asked to find what
// may have been started.
package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/ado-port/ado-port/port"
)

// An Executor does what runs of one type ask for. An order is its own text about
// that, which is kept here. Its errors are for people; those that have a method
// Temporary or Doubtful say with it what that means.
type Executor interface {
	// Prepare checks the inputs of a run and makes an order of them; title names it.
	Prepare(ctx context.Context, inputs json.RawMessage) (order json.RawMessage, title string, err error)
	// Start does it. A Temporary error means that nothing was done, a Doubtful one
	// that it may have been.
	Start(ctx context.Context, order json.RawMessage) (externalID, link string, err error)
	// Find returns what may have been started for the order since a time, links by
	// external id.
	Find(ctx context.Context, order json.RawMessage, since time.Time) (map[string]string, error)
	// State is how it ended, "succeeded" or "canceled" or another word; empty while
	// it goes on. An error that is not Temporary means that it will never be known.
	State(ctx context.Context, order json.RawMessage, externalID string) (result, link string, err error)
}

// Config says what a Processor works with. Zero fields mean the defaults of Ocean.
type Config struct {
	Port         *port.Client
	Installation string              // whose runs are executed
	Executors    map[string]Executor // by type of run
	// Directory has the ledger; empty: it ends with the process.
	Directory string
	// Store has it where several processes take turns; nil: there is one.
	Store Store

	HighWatermark int           // runs that may wait: 300
	MaxShare      int           // percentage of them of one source; 0 for no limit
	Lease         time.Duration // of a claim: 60 s
	Interval      time.Duration // between two claims that bring nothing: 10 s
	Workers       int           // runs that are being started at the same time: 3
	Grace         time.Duration // for those when the process ends

	Log      *slog.Logger          // nil means none
	Registry prometheus.Registerer // gets the metrics; nil: they are not shown
}

// A Processor executes runs. Safe for concurrent use.
type Processor struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	ledger  atomic.Pointer[ledger]      // nil until Run has opened it
	queue   chan *entry                 // of Run: what waits for a worker, in the order of the claims
	starts  *semaphore.Weighted         // held by who starts something; all of it by who looks for what was started
	live    sync.WaitGroup              // workers, and a goroutine per run that is followed
	claims  atomic.Bool                 // Run claims
	last    atomic.Pointer[claimResult] // of the latest claim

	mu     sync.Mutex
	queued map[string]source          // of runs that wait, by id
	wakes  map[string]chan<- struct{} // by external id, of runs that are followed
}

// New makes a Processor. It dials nothing.
func New(cfg Config) (*Processor, error) {
	cfg.HighWatermark = cmp.Or(cfg.HighWatermark, 300)
	cfg.Lease = cmp.Or(cfg.Lease, time.Minute)
	cfg.Interval = cmp.Or(cfg.Interval, 10*time.Second)
	cfg.Workers = cmp.Or(cfg.Workers, 3)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	p := &Processor{
		cfg: cfg, log: cfg.Log, wakes: map[string]chan<- struct{}{}, queued: map[string]source{},
		starts: semaphore.NewWeighted(int64(cfg.Workers)),
	}
	p.metrics = newMetrics(p)
	if cfg.Registry != nil {
		if err := p.metrics.register(cfg.Registry); err != nil {
			return nil, fmt.Errorf("metrics of actions: %w", err)
		}
	}
	return p, nil
}

// Run finishes what an earlier process has left and claims runs until ctx is done.
// What is being started then gets Grace to be started and reported; what is not done
// by then, and what runs, is in the ledger for the next process.
func (p *Processor) Run(ctx context.Context) {
	if !p.allowed(ctx) {
		return
	}
	l := p.open(ctx)
	if l == nil {
		return
	}
	defer l.close()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(p.cfg.Grace, cancel) })
	defer stop()
	p.ledger.Store(l)
	p.mu.Lock()
	clear(p.queued) // of an earlier turn; they are not in the ledger and come again
	p.mu.Unlock()
	left := l.unfinished()
	if len(left) > 0 {
		p.log.InfoContext(ctx, "runs of actions that an earlier process has left are gone on with", "runs", len(left))
	}
	p.queue = make(chan *entry, p.cfg.HighWatermark+len(left))
	for _, e := range left {
		p.queue <- e
	}
	for range p.cfg.Workers {
		p.live.Go(func() { p.serve(ctx, work) })
	}
	p.claims.Store(true)
	p.claim(ctx)
	p.claims.Store(false)
	p.live.Wait()
}

// allowed tells whether Port gives runs to these credentials. While it does not say
// so, it is asked again.
func (p *Processor) allowed(ctx context.Context) bool {
	wait := pause{first: firstPause, most: time.Minute}
	for {
		machine, err := p.cfg.Port.MachineUser(ctx)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil && !machine:
			p.log.WarnContext(ctx, "self-service actions are not run, and Port is told so: its credentials are those of a person, and it gives runs to machine users only")
			return false
		case err == nil:
			return true
		}
		p.log.WarnContext(ctx, "self-service actions wait for Port", "err", err)
		if wait.sleep(ctx) != nil {
			return false
		}
	}
}

// openAgain is how long it takes until a ledger that could not be opened is tried
// again: the process before may still have it.
const openAgain = 5 * time.Second

// open opens the ledger, and waits for it if need be; nil at the end of ctx.
func (p *Processor) open(ctx context.Context) *ledger {
	path := ""
	if p.cfg.Directory != "" {
		path = filepath.Join(p.cfg.Directory, ledgerFile)
	} else if p.cfg.Store == nil {
		p.log.WarnContext(ctx, "what becomes of runs of actions is forgotten when this process ends: there is no state directory")
	}
	for said := false; ; said = true {
		l, err := p.openOnce(ctx, path)
		if err == nil {
			return l
		}
		if !said {
			p.log.ErrorContext(ctx, "runs of actions wait for their ledger: it cannot be opened", "path", path, "shared", p.cfg.Store != nil, "err", err)
		}
		if sleep(ctx, openAgain) != nil {
			return nil
		}
	}
}

func (p *Processor) openOnce(ctx context.Context, path string) (*ledger, error) {
	if p.cfg.Store == nil {
		return openLedger(path, p.log)
	}
	l, err := openShared(ctx, p.cfg.Store)
	if err != nil {
		return nil, err
	}
	if err := l.adopt(path, p.log); err != nil {
		p.log.ErrorContext(ctx, "runs of actions of an earlier process are not followed: its ledger cannot be read", "path", path, "err", err)
	}
	return l, nil
}

// sleep waits, or returns why ctx ended before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// temporary and doubtful read what an error of an Executor says.
func temporary(err error) bool {
	var e interface{ Temporary() bool }
	return errors.As(err, &e) && e.Temporary()
}

func doubtful(err error) bool {
	var e interface{ Doubtful() bool }
	return errors.As(err, &e) && e.Doubtful()
}

// A pause grows with every failure.
type pause struct{ first, most, next time.Duration }

func (b *pause) sleep(ctx context.Context) error {
	d := cmp.Or(b.next, b.first)
	b.next = min(d*3/2, b.most)
	return sleep(ctx, d)
}
