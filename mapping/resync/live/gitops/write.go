package gitops

import (
	"context"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// A source is one entity that a spec declares; it counts what became of it.
type source struct {
	members []string
	written *int // of the push
}

func (s *source) Members() []string { return s.members }

func (s *source) Origin() (kind, resource string) { return "gitops", "" }

func (s *source) Count(o catalog.Outcome, n int) {
	if o == catalog.Written {
		*s.written += n
	}
}

// write brings the entities to Port that it does not hold as they are, and counts
// them.
func (r *run) write(ctx context.Context, entities []port.Entity) (written int) {
	w := r.session.Writer(true)
	for i := range entities {
		w.Put(ctx, catalog.Layer{Entity: entities[i], Source: &source{catalog.MembersOf(entities[i].Body), &written}})
	}
	w.Flush(ctx)
	r.session.RetryRefused(ctx)
	for i, x := range r.session.Refusals() {
		if i == maxLogged {
			break
		}
		r.log.WarnContext(ctx, "entity of a spec was refused by Port", "entity", x.Blueprint+"/"+x.Sample, "entities", x.Entities, "reason", x.Reason)
	}
	return written
}
