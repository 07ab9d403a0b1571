package resync

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// maxFetches bounds the listings that run side by side: each holds a few pages.
const maxFetches = 6

// extract runs every listing in every organization. Listings begin in mapping
// order, so that the lanes are fed in the order in which they load.
func (r *run) extract(ctx context.Context) {
	slots := semaphore.NewWeighted(maxFetches)
	snapshots := make([]*azuredevops.Snapshot, len(r.cfg.Organizations))
	for i, org := range r.cfg.Organizations {
		snapshots[i] = org.Snapshot()
		for _, f := range r.fetches {
			snapshots[i].Expect(f.listing, azuredevops.ListOptions{Files: f.files, Since: f.since()})
		}
	}
	var wg sync.WaitGroup
	for _, f := range r.fetches {
		for i, snap := range snapshots {
			if slots.Acquire(ctx, 1) != nil {
				break
			}
			wg.Go(func() {
				defer slots.Release(1)
				r.fetch(ctx, f, i, snap)
			})
		}
	}
	wg.Wait()
}

// seat gives every block and organization its place in its lane. A block that
// has its lane for itself has one place for all organizations: nothing depends
// on their order.
func (r *run) seat() {
	orgs := len(r.cfg.Organizations)
	for _, l := range r.lanes {
		for _, b := range l.blocks {
			n := orgs
			if len(l.blocks) == 1 && !l.ordered {
				n = 1
			}
			for range n {
				s := &seat{lane: l, index: len(l.seats), producers: orgs / n}
				b.left = orgs
				l.seats = append(l.seats, s)
				b.seats = append(b.seats, s)
			}
		}
	}
}

// seatOf is the place of a block's records from organization org.
func (b *block) seatOf(org int) *seat { return b.seats[min(org, len(b.seats)-1)] }

// fetch lists one organization and maps every record for every block.
func (r *run) fetch(ctx context.Context, f *fetch, org int, snap *azuredevops.Snapshot) {
	url := r.cfg.Organizations[org].Organization()
	takers := make([]*taker, len(f.blocks))
	for i, b := range f.blocks {
		takers[i] = &taker{run: r, block: b, seat: b.seatOf(org), examples: r.reports.examples(b)}
		if b.begin() {
			r.reports.put(r.reports.kind(b, port.SyncSyncing))
		}
	}
	defer func() {
		for _, t := range takers {
			t.close(ctx)
			if t.block.ended() {
				r.reports.put(r.reports.kind(t.block, t.block.state()))
			}
		}
	}()
	for rec, err := range f.listing.Records(ctx, snap, azuredevops.ListOptions{Files: f.files, Since: f.since()}) {
		for _, t := range takers {
			if err != nil {
				t.unread(ctx, url, err)
			} else if t.take(ctx, rec) != nil {
				return
			}
		}
	}
}

// A taker maps the records of one fetch for one block.
type taker struct {
	run      *run
	block    *block
	seat     *seat
	examples *examples
	report   mapping.Report
	broken   bool // the block failed as a whole: its records are not mapped any more
}

func (t *taker) close(ctx context.Context) {
	t.block.mu.Lock()
	t.block.report.Merge(&t.report)
	t.block.mu.Unlock()
	t.examples.close()
	t.seat.finish(ctx)
}

// unread notes a part of Azure DevOps that could not be listed.
func (t *taker) unread(ctx context.Context, organization string, err error) {
	scope := azuredevops.Scope{Organization: organization}
	if se, ok := errors.AsType[*azuredevops.ScopeError](err); ok {
		scope, err = se.Scope, se.Err
	}
	if ctx.Err() == nil {
		if scope.Project == "" && errors.Is(err, azuredevops.ErrUnauthorized) {
			t.run.unauthorized.Store(true)
		}
		t.block.source(scope)
		t.block.fail(scope, err.Error(), 0)
		t.run.log.DebugContext(ctx, "not everything could be listed", "kind", t.block.Kind, "kind_index", t.block.Index, "scope", scope.String(), "err", err)
		return
	}
	t.block.fail(scope, "the resync was stopped", 0)
}

// take maps one record and puts its entities into the lane. An error ends the
// listing.
func (t *taker) take(ctx context.Context, rec azuredevops.Record) error {
	src := t.block.source(rec.Scope)
	src.counter.listed.Add(1)
	t.examples.add(rec.JSON)
	if t.broken {
		return nil
	}
	partial := len(rec.Missing) > 0
	if partial {
		src.counter.incomplete.Add(1)
		t.block.fail(rec.Scope, rec.Missing[0].Error(), 1)
	}
	res, err := t.block.Map(ctx, rec.JSON, rec.Files, &t.report)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.broken = true
		t.block.fail(azuredevops.Scope{}, "mapping: "+err.Error(), 0)
		t.run.log.ErrorContext(ctx, "a resource could not be mapped", "kind", t.block.Kind, "kind_index", t.block.Index, "err", err)
		return nil
	}
	src.counter.filtered.Add(int64(res.Filtered))
	src.counter.faulty.Add(int64(res.Faulty))
	src.counter.mapped.Add(int64(len(res.Entities)))
	if res.SelectorErrors > 0 {
		src.counter.selector.Add(int64(res.SelectorErrors))
		t.block.fail(rec.Scope, "selector.query is neither true nor false", 1)
	}
	for i := range res.Entities {
		if err := t.put(ctx, src, rec, &res.Entities[i], partial); err != nil {
			return err
		}
	}
	return nil
}

func (t *taker) put(ctx context.Context, src *source, rec azuredevops.Record, e *port.Entity, partial bool) error {
	for _, rel := range e.Relations {
		for _, id := range rel.Targets {
			t.run.targets.add(e.Blueprint, rel.Name, id)
		}
	}
	if e.Identifier != "" {
		t.run.memory.add(origin{Kind: t.block.Kind, Scope: rec.Scope, Ref: port.Ref{Blueprint: e.Blueprint, Identifier: e.Identifier}})
	}
	e.Relations = nil
	return t.seat.put(ctx, item{Entity: *e, source: src, partial: partial})
}
