package resync

import (
	"context"
	"slices"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
)

// Incremental writes what has changed since the cursors that Port keeps, or for as
// long as interval where there is none. It runs the resources of those kinds
// that can be listed since a time, deletes nothing, and reports nothing to Port
// but the cursors. A resource that could not be read completely keeps its cursor, so
// that the next run sees the same again.
func (r *Runner) Incremental(ctx context.Context, interval time.Duration) (*Summary, error) {
	r.interval.Store(int64(interval))
	return r.start(ctx, incremental, CauseOnce)
}

// cursors reads since when each resource has to be listed.
func (r *run) cursors(ctx context.Context) error {
	for _, b := range r.resources {
		at, err := r.cfg.Port.Cursor(ctx, b.Kind, b.Index)
		if err != nil {
			return err
		}
		if at.IsZero() {
			at = r.started.Add(-r.window)
		}
		b.since = at
	}
	return nil
}

// since is the earliest cursor of the resources that share a listing.
func (l *listing) since() time.Time {
	var out time.Time
	for _, b := range l.resources {
		if out.IsZero() || b.since.Before(out) {
			out = b.since
		}
	}
	return out
}

// saveCursors moves the cursors of the resources that were read completely to the
// start of this run: what changed during it is seen again.
func (r *run) saveCursors(ctx context.Context) {
	for _, b := range r.resources {
		if len(b.unknowns()) > 0 {
			continue
		}
		if err := r.cfg.Port.SetCursor(ctx, b.Kind, b.Index, r.started); err != nil {
			r.problem(ctx, "saving the cursor of "+b.Name(), err)
		}
	}
}

// runs says whether a run has use for a kind.
func (r *run) runs(kind string) bool {
	if r.mode == incremental {
		return azuredevops.Incremental(kind)
	}
	return r.cfg.Kinds == nil || slices.Contains(r.cfg.Kinds, kind)
}
