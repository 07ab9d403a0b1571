package resync

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/ado-port/ado-port/port"
)

// A reporter tells Port what becomes of a resync. What it cannot tell is
// logged and does not harm the resync. Reports go out beside the work, one
// after the other.
type reporter struct {
	run   *run
	queue chan func(context.Context)
	done  sync.WaitGroup
	stop  context.CancelFunc // of the heartbeat
}

// reportQueue bounds the reports that wait: two for each kind of a large mapping.
const reportQueue = 256

// begin reports that the resync runs and every kind is pending.
func (r *run) beginReports(ctx context.Context) *reporter {
	p := &reporter{run: r, queue: make(chan func(context.Context), reportQueue)}
	beat, stop := context.WithCancel(ctx)
	p.stop = stop
	p.done.Go(func() {
		for f := range p.queue {
			f(ctx)
		}
	})
	p.done.Go(func() { r.cfg.Port.RunHeartbeat(beat, r.id, r.cfg.Heartbeat) })
	kinds := make([]port.SyncReport, len(r.resources))
	for i, b := range r.resources {
		kinds[i] = p.kind(b, port.SyncPending)
	}
	p.post(kinds...)
	p.post(p.whole(port.SyncRuntime, port.SyncSyncing))
	return p
}

// end reports the end of the resync and waits until everything is said.
func (p *reporter) end(state State) {
	p.stop()
	if state == StateAborted {
		for _, b := range p.run.resources {
			if b.state() != port.SyncCompleted && b.state() != port.SyncFailed {
				p.put(p.kind(b, port.SyncAborted))
			}
		}
	}
	p.put(p.whole(port.SyncReconciliation, string(state)))
	p.post(p.whole(port.SyncRuntime, string(state)))
	close(p.queue)
	p.done.Wait()
}

// later runs f after what was asked for before; a full queue drops it, and so
// does a nil reporter.
func (p *reporter) later(f func(context.Context)) {
	if p == nil {
		return
	}
	select {
	case p.queue <- f:
	default:
	}
}

func (p *reporter) post(reports ...port.SyncReport) {
	p.later(func(ctx context.Context) { p.failed(ctx, p.run.cfg.Port.SyncMetrics(ctx, reports...)) })
}

func (p *reporter) put(r port.SyncReport) {
	p.later(func(ctx context.Context) { p.failed(ctx, p.run.cfg.Port.SyncKindMetrics(ctx, r)) })
}

func (p *reporter) failed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		p.run.log.DebugContext(ctx, "port was not told the progress of the resync", "err", err)
	}
}

// kind is the report about one resource.
func (p *reporter) kind(b *resource, state string) port.SyncReport {
	if p == nil {
		return port.SyncReport{}
	}
	c := b.counts()
	return port.SyncReport{
		KindIdentifier: b.KindIndex(), EventID: p.run.id, State: state, Blueprint: b.blueprintExpression(),
		Duration: time.Since(p.run.started), Success: state == port.SyncCompleted,
		RawExtracted: int(c.Listed), ExtractFailed: len(b.unknowns()), Transformed: int(c.Mapped), FilteredOut: int(c.Filtered),
		TransformFailed: int(c.Failed + c.Unknown), Loaded: int(c.Written), LoadFailed: int(c.Refused), LoadSkipped: int(c.Unchanged),
	}
}

// whole is the report about the runtime or the reconciliation.
func (p *reporter) whole(what, state string) port.SyncReport {
	return port.SyncReport{
		KindIdentifier: what, EventID: p.run.id, State: state, Duration: time.Since(p.run.started),
		Success: state == port.SyncCompleted, Deleted: len(p.run.gone),
	}
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
	e.run.reports.later(func(ctx context.Context) {
		if err := e.run.cfg.Port.SendExamples(ctx, kind, records); err != nil && ctx.Err() == nil {
			e.run.log.WarnContext(ctx, "port was not shown examples", "kind", kind, "err", err)
		}
	})
}
