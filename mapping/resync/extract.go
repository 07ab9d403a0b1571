package resync

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
)

// maxListings bounds the listings that run side by side: each holds a few pages.
const maxListings = 6

// extract runs every listing in every organization. Listings begin in mapping
// order, so that the lanes are fed in the order in which they load.
func (r *run) extract(ctx context.Context) {
	slots := semaphore.NewWeighted(maxListings)
	all := make([]snapshots, len(r.cfg.Organizations))
	for i := range all {
		all[i] = r.snapshot(i)
	}
	var wg sync.WaitGroup
	for _, l := range r.listings {
		for i, from := range all {
			if slots.Acquire(ctx, 1) != nil {
				break
			}
			wg.Go(func() {
				defer slots.Release(1)
				r.list(ctx, l, i, from)
			})
		}
	}
	wg.Wait()
}

// takeTurns gives every resource and organization its turn in its lane. A resource
// that has its lane for itself has one turn for all organizations: nothing depends
// on their order.
func (r *run) takeTurns() {
	orgs := len(r.cfg.Organizations)
	for _, l := range r.lanes {
		l.writer = r.session.Writer(l.ordered)
		for _, b := range l.resources {
			n := orgs
			if len(l.resources) == 1 && !l.ordered {
				n = 1
			}
			b.left = orgs
			for range n {
				t := &turn{lane: l, index: len(l.turns), producers: orgs / n}
				l.turns = append(l.turns, t)
				b.turns = append(b.turns, t)
			}
		}
	}
}

// turnOf is the turn of the records from organization org.
func (r *resource) turnOf(org int) *turn { return r.turns[min(org, len(r.turns)-1)] }

// list lists one organization and maps every record for every resource.
func (r *run) list(ctx context.Context, l *listing, org int, from snapshots) {
	key := r.cfg.Organizations[org].Key()
	sinks := make([]*sink, len(l.resources))
	for i, b := range l.resources {
		sinks[i] = &sink{run: r, resource: b, turn: b.turnOf(org), examples: r.reports.examples(b)}
		if b.begin() {
			r.reports.put(r.reports.kind(b, port.SyncSyncing))
		}
	}
	defer func() {
		for _, s := range sinks {
			s.close(ctx)
			if s.resource.ended() {
				r.reports.kindEnded(ctx, s.resource)
			}
		}
	}()
	for rec, err := range r.records(ctx, from, l, org) {
		for _, s := range sinks {
			if err != nil {
				s.unread(ctx, key, err)
			} else if s.take(ctx, rec) != nil {
				return
			}
		}
	}
}

// A sink maps the records of one listing for one resource.
type sink struct {
	run      *run
	resource *resource
	turn     *turn
	examples *examples
	report   mapping.Report
	broken   bool // the resource failed as a whole: its records are not mapped any more
}

func (s *sink) close(ctx context.Context) {
	s.resource.mu.Lock()
	s.resource.report.Merge(&s.report)
	s.resource.mu.Unlock()
	s.examples.close()
	s.turn.finish(ctx)
}

// unread notes a part of Azure DevOps that could not be listed.
func (s *sink) unread(ctx context.Context, organization string, err error) {
	scope := azuredevops.Scope{Organization: organization}
	if se, ok := errors.AsType[*azuredevops.ScopeError](err); ok {
		scope, err = se.Scope, se.Err
	}
	if ctx.Err() == nil {
		if scope.Project == "" && errors.Is(err, azuredevops.ErrUnauthorized) {
			s.run.unauthorized.Store(true)
		}
		s.resource.source(scope)
		s.resource.fail(scope, err.Error(), 0)
		s.run.log.DebugContext(ctx, "not everything could be listed", "kind", s.resource.Kind, "kind_index", s.resource.Index, "scope", scope.String(), "err", err)
		return
	}
	s.resource.fail(scope, "the resync was stopped", 0)
}

// take maps one record and puts its entities into the lane. An error ends the
// listing.
func (s *sink) take(ctx context.Context, rec azuredevops.Record) error {
	src := s.resource.source(rec.Scope)
	s.examples.add(rec.JSON)
	if s.broken {
		src.add(Counts{Listed: 1, Unknown: 1})
		return nil
	}
	partial := len(rec.Missing) > 0
	if partial {
		src.add(Counts{Incomplete: 1})
		s.resource.fail(rec.Scope, rec.Missing[0].Error(), 1)
	}
	res, err := s.resource.Map(ctx, rec.JSON, rec.Files, &s.report)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.broken = true
		src.add(Counts{Listed: 1, Unknown: 1})
		s.resource.fail(azuredevops.Scope{}, "mapping: "+err.Error(), 0)
		s.run.log.ErrorContext(ctx, "a resource could not be mapped", "kind", s.resource.Kind, "kind_index", s.resource.Index, "err", err)
		return nil
	}
	src.add(Counts{
		Listed: int64(res.Items), Mapped: int64(len(res.Entities)), Filtered: int64(res.Filtered), Failed: int64(res.Faulty), Unknown: int64(res.SelectorErrors),
	})
	if res.SelectorErrors > 0 {
		s.resource.fail(rec.Scope, "selector.query is neither true nor false, or it hit a limit", 1)
	}
	for i := range res.Entities {
		if err := s.put(ctx, src, rec, &res.Entities[i], partial); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) put(ctx context.Context, src *source, rec azuredevops.Record, e *port.Entity, partial bool) error {
	l := catalog.Layer{Entity: *e, Source: src, Partial: partial}
	s.run.session.Refer(&l)
	if e.Identifier != "" {
		s.run.origins.Add(origins.Origin{Kind: s.resource.Kind, Scope: rec.Scope, Ref: port.Ref{Blueprint: e.Blueprint, Identifier: e.Identifier}})
	}
	return s.turn.put(ctx, l)
}
