package resync

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/ado-port/ado-port/port"
)

// A reporter tells Port what becomes of a full resync, and whoever is named by
// OCEAN__METRICS__WEBHOOK_URL. What it cannot tell does not harm the resync: reports
// go out beside the work, one after the other, each within a bounded time. A nil
// reporter tells nothing.
type reporter struct {
	run     *run
	queue   chan report
	events  chan port.SyncReport // for the webhook
	done    sync.WaitGroup
	ctx     context.Context // of the reports: it outlives that of the work
	giveUp  context.CancelFunc
	stop    context.CancelFunc // of the heartbeat
	hangUp  context.CancelFunc // of the webhook
	told    outcome            // of reports to Port
	posted  outcome            // to the webhook
	shown   outcome            // of examples
	cleanup bool               // the deletion of what is gone has begun
	running sync.WaitGroup     // Port is being told that the resync runs

	mu    sync.Mutex
	begun map[string]time.Time // since when a kind is reported as syncing
	ended map[string]bool      // kinds that are reported as completed or failed
}

// A report is one call, and where its outcome is counted.
type report struct {
	of   *outcome
	send func(context.Context) error
}

// An outcome counts what was not taken. Only one goroutine uses it at a time.
type outcome struct {
	failed, row int // in all, and since the last success
	err         error
}

func (o *outcome) note(err error) {
	if err == nil {
		o.row = 0
		return
	}
	o.failed, o.row, o.err = o.failed+1, o.row+1, err
}

const (
	reportQueue = 1024             // reports that wait: some for each kind of a large mapping
	farewell    = 3 * time.Second  // for all that is left when the time for the work is over
	reportWait  = 10 * time.Second // for one report
	webhookWait = 5 * time.Second  // for one event, and for all that are left at the end
	hopeless    = 3                // failures in a row, after which only the end is reported
)

// beginReports tells Port that the resync runs, and begins the signs of life.
func (r *run) beginReports(ctx context.Context) *reporter {
	p := &reporter{run: r, queue: make(chan report, reportQueue), events: make(chan port.SyncReport, reportQueue), begun: map[string]time.Time{}, ended: map[string]bool{}}
	load := ctx
	p.running.Go(func() { r.setState(load, port.ResyncRunning) }) // nothing waits for it but the end
	// What there was no time to finish has to be told as well.
	ctx, giveUp := context.WithCancel(context.WithoutCancel(load))
	p.ctx, p.giveUp = ctx, giveUp
	context.AfterFunc(load, func() { time.AfterFunc(farewell, giveUp) })
	beat, stop := context.WithCancel(load)
	p.stop = stop
	p.done.Go(func() { r.cfg.Port.RunHeartbeat(beat, r.id, r.cfg.Heartbeat) })
	p.done.Go(func() {
		for next := range p.queue {
			if next.of.row < hopeless {
				next.of.note(p.within(ctx, reportWait, next.send))
			}
		}
	})
	posting, hangUp := context.WithCancel(ctx)
	p.hangUp = hangUp
	p.done.Go(func() {
		for e := range p.events {
			p.posted.note(p.within(posting, webhookWait, func(ctx context.Context) error { return r.cfg.Port.PostMetrics(ctx, e) }))
		}
	})
	return p
}

func (*reporter) within(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// started reports that every kind is pending and the resync runs.
func (p *reporter) started() {
	if p == nil {
		return
	}
	kinds := make([]port.SyncReport, len(p.run.resources))
	for i, b := range p.run.resources {
		kinds[i] = p.kind(b, port.SyncPending)
	}
	p.post(kinds...)
	p.post(p.whole(port.SyncRuntime, port.SyncSyncing))
}

// kindEnded reports that a resource was read, unless ctx was what ended it.
func (p *reporter) kindEnded(ctx context.Context, b *resource) {
	if p == nil || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	p.ended[b.KindIndex()] = true
	p.mu.Unlock()
	p.put(p.kind(b, b.state()))
}

// cleans reports that what is gone is being deleted.
func (p *reporter) cleans() {
	if p != nil {
		p.cleanup = true
		p.post(p.whole(port.SyncReconciliation, port.SyncSyncing))
	}
}

// end reports the end of the resync and waits until everything is said.
func (p *reporter) end(state State) {
	if p == nil {
		return
	}
	ctx := p.ctx
	defer p.giveUp()
	if state == StateAborted {
		for _, b := range p.run.resources {
			if !p.ended[b.KindIndex()] {
				p.put(p.kind(b, port.SyncAborted))
			}
		}
		p.post(p.whole(port.SyncReconciliation, port.SyncAborted))
	} else if p.cleanup {
		p.put(p.whole(port.SyncReconciliation, string(state)))
	}
	p.running.Wait()
	p.run.setState(ctx, string(state))
	last := p.whole(port.SyncRuntime, string(state))
	p.run.runner.metrics.report(last)
	p.event(last)
	close(p.events)
	close(p.queue)
	p.stop()
	defer time.AfterFunc(webhookWait, p.hangUp).Stop()
	p.done.Wait()
	p.hangUp()
	// Whatever was dropped: without this one Port shows a resync that never ends.
	p.told.note(p.within(ctx, reportWait, func(ctx context.Context) error { return p.run.cfg.Port.SyncMetrics(ctx, last) }))
	p.complain(ctx)
}

// complain says in a line each what was not taken.
func (p *reporter) complain(ctx context.Context) {
	if ctx.Err() != nil {
		return // there was no time
	}
	if p.told.failed > 0 {
		p.run.log.WarnContext(ctx, "port was not told all of the progress of the resync", "reports", p.told.failed, "err", p.told.err)
	}
	if p.shown.failed > 0 {
		p.run.log.WarnContext(ctx, "port was not shown examples", "resources", p.shown.failed, "err", p.shown.err)
	}
	if p.posted.failed > 0 {
		p.run.log.WarnContext(ctx, "OCEAN__METRICS__WEBHOOK_URL did not take all events of the resync", "events", p.posted.failed, "err", p.posted.err)
	}
}

// later sends something after what was asked for before; a full queue drops it.
func (p *reporter) later(of *outcome, send func(context.Context) error) {
	select {
	case p.queue <- report{of, send}:
	default:
	}
}

// event sends a report to the webhook.
func (p *reporter) event(r port.SyncReport) {
	select {
	case p.events <- r:
	default:
	}
}

func (p *reporter) post(reports ...port.SyncReport) {
	p.later(&p.told, func(ctx context.Context) error { return p.run.cfg.Port.SyncMetrics(ctx, reports...) })
	for _, r := range reports {
		p.run.runner.metrics.report(r)
		if r.State != port.SyncPending {
			p.event(r)
		}
	}
}

func (p *reporter) put(r port.SyncReport) {
	if p == nil {
		return
	}
	p.later(&p.told, func(ctx context.Context) error { return p.run.cfg.Port.SyncKindMetrics(ctx, r) })
	p.run.runner.metrics.report(r)
	p.event(r)
}

// kind is the report about one resource.
func (p *reporter) kind(b *resource, state string) port.SyncReport {
	if p == nil {
		return port.SyncReport{}
	}
	c := b.counts()
	return withCounts(port.SyncReport{
		KindIdentifier: b.KindIndex(), EventID: p.run.id, State: state, Blueprint: b.BlueprintExpression(),
		Duration: p.took(b.KindIndex(), state), Success: state == port.SyncCompleted, ExtractFailed: len(b.unknowns()),
	}, &c)
}

// withCounts is a report with figures.
func withCounts(r port.SyncReport, c *Counts) port.SyncReport {
	r.RawExtracted, r.Transformed, r.FilteredOut, r.TransformFailed = int(c.Listed), int(c.Mapped), int(c.Filtered), int(c.Failed+c.Unknown)
	r.Loaded, r.LoadFailed, r.LoadSkipped = int(c.Written), int(c.Refused), int(c.Unchanged)
	return r
}

// whole is the report about the runtime or the reconciliation.
func (p *reporter) whole(what, state string) port.SyncReport {
	return port.SyncReport{
		KindIdentifier: what, EventID: p.run.id, State: state, Duration: p.took(what, state),
		Success: state == port.SyncCompleted, Deleted: len(p.run.gone),
	}
}

// took is how long something has been syncing.
func (p *reporter) took(what, state string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, begun := p.begun[what]
	switch {
	case what == port.SyncRuntime:
		return time.Since(p.run.started)
	case state == port.SyncSyncing:
		p.begun[what] = time.Now()
	case begun:
		return time.Since(at)
	}
	return 0
}

// setState tells Port that a resync began or how it ended.
func (r *run) setState(ctx context.Context, status string) {
	s := port.ResyncState{Status: status, Start: r.started, Interval: r.cfg.Interval}
	if status != port.ResyncRunning {
		s.End = time.Now()
	}
	if r.cfg.Schedule != nil {
		s.Next = r.cfg.Schedule(time.Now())
	}
	if err := r.cfg.Port.SetResyncState(ctx, s); err != nil {
		r.log.WarnContext(ctx, "port was not told the state of the resync", "state", status, "err", err)
	}
}

// maxExamples is how many raw records of a resource Port is shown.
const maxExamples = 5

// examples collects the first raw records of one resource; nil collects none.
type examples struct {
	run      *run
	resource *resource
	records  [][]byte
}

// examples returns where a listing puts its first records. Of several
// organizations the first one that asks provides them.
func (p *reporter) examples(b *resource) *examples {
	if p == nil || !p.run.cfg.SendExamples || !b.shown.CompareAndSwap(false, true) {
		return nil
	}
	return &examples{run: p.run, resource: b}
}

func (e *examples) add(record []byte) {
	if e == nil || len(e.records) == maxExamples {
		return
	}
	if e.records = append(e.records, bytes.Clone(record)); len(e.records) == maxExamples {
		e.post()
	}
}

// close sends what was collected when there were fewer records.
func (e *examples) close() {
	if e != nil && len(e.records) > 0 && len(e.records) < maxExamples {
		e.post()
	}
}

// post sends the examples beside the extraction, which does not wait.
func (e *examples) post() {
	kind, records := e.resource.Kind, e.records
	p := e.run.reports
	p.later(&p.shown, func(ctx context.Context) error { return p.run.cfg.Port.SendExamples(ctx, kind, records) })
}
