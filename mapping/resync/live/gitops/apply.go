package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// maxLogged bounds the faults of a push that are logged one by one.
const maxLogged = 10

// apply writes what is declared now, and deletes what was declared before only.
func (r *run) apply(ctx context.Context, was []state, now state) (finished bool, err error) {
	after := r.declared(now.files)
	entities, faults, errs := r.complete(ctx, after.entries, now.commit)
	if len(entities) > 0 {
		r.wrote = now.commit
	}
	after.faults = append(after.faults, faults...)
	r.complain(ctx, now.commit, after)

	written := r.write(ctx, entities)
	errs = append(errs, r.session.Err())

	gone, err := r.gone(ctx, was, after.entries)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	if !after.whole {
		return false, nil
	}
	done, err := r.session.Delete(ctx, gone)
	for _, e := range done.Refusals {
		r.log.WarnContext(ctx, "entities that are not declared any more were not deleted", "err", e)
	}
	if refused := r.session.Refusals(); written > 0 || len(refused) > 0 || len(done.Gone) > 0 {
		r.log.InfoContext(ctx, "entities of the specs brought to Port", "commit", now.commit,
			"declared", len(after.entries), "written", written, "reasons_for_refusals", len(refused), "deleted", len(done.Gone))
	}
	return true, err
}

// declared is what the specs of a commit declare together.
func (r *run) declared(files []file) spec {
	all := spec{whole: true}
	for _, f := range files {
		switch {
		case f.absent:
		case f.large:
			all.whole = false
			all.faults = append(all.faults, fmt.Errorf("%s: larger than what is read", f.path))
		default:
			s := parseSpec(f.path, f.text)
			all.entries = append(all.entries, s.entries...)
			all.faults = append(all.faults, s.faults...)
			all.whole = all.whole && s.whole
		}
	}
	return all
}

// complete puts the files in place that entities refer to. An entity whose file
// is unknown is worth another try; one whose file is not as it should be is a
// fault. Neither is written, and neither is taken for gone.
func (r *run) complete(ctx context.Context, entries []entry, commit string) (out []port.Entity, faults, errs []error) {
	files := r.references(ctx, entries, commit)
	for _, f := range files {
		if f.err != nil {
			errs = append(errs, f.err)
		}
	}
	index := map[port.Ref]int{}
	for i := range entries {
		e := &entries[i]
		if e.fault != nil || slices.ContainsFunc(e.values, func(p property) bool { return files[p.file].err != nil }) {
			continue
		}
		entity, err := e.entity(files)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", e.where, err))
			continue
		}
		at, again := index[e.Ref]
		if !again {
			index[e.Ref] = len(out)
			out = append(out, entity)
			continue
		}
		out[at] = r.over(out[at], entity)
	}
	return out, faults, errs
}

// over lays a later declaration of an entity over an earlier one.
func (r *run) over(earlier, later port.Entity) port.Entity {
	if !r.mapping.EnableMergeEntity {
		return later
	}
	body, err := mapping.MergeBodies(earlier.Body, later.Body)
	if err != nil {
		return later
	}
	later.Body = body
	later.Search = later.Search || earlier.Search
	later.Relations = append(slices.Clone(earlier.Relations), later.Relations...)
	return later
}

// complain tells people what is wrong with the specs.
func (r *run) complain(ctx context.Context, commit string, s spec) {
	for i, fault := range s.faults {
		if i == maxLogged {
			r.log.WarnContext(ctx, "further faults in the specs", "commit", commit, "faults", len(s.faults)-i)
			break
		}
		r.log.WarnContext(ctx, "spec not understood", "commit", commit, "err", fault)
	}
	if !s.whole {
		r.log.WarnContext(ctx, "nothing is deleted: it is not known what the specs declare", "commit", commit)
	}
}

// gone are the entities that were declared before and are not now. What an old
// commit declared is not known any more when the commit is not there or its spec
// was never understood. An error means unknown.
func (r *run) gone(ctx context.Context, was []state, after []entry) ([]catalog.Deletion, error) {
	seen := map[port.Ref]bool{}
	for i := range after {
		seen[after[i].Ref] = true
	}
	var out []catalog.Deletion
	var errs []error
	r.before = nil // from here on, what may have left something behind
	for _, s := range was {
		if errors.Is(s.err, azuredevops.ErrNoCommit) {
			r.log.WarnContext(ctx, "the commit before the push is not there: what only its specs declared is left as it is", "commit", s.commit)
			continue
		}
		entries := r.declared(s.files).entries
		if s.err != nil || len(entries) > 0 {
			r.before = append(r.before, s.commit)
		}
		if s.err != nil {
			errs = append(errs, s.err)
			continue
		}
		for _, e := range entries {
			if !seen[e.Ref] {
				seen[e.Ref] = true
				out = append(out, catalog.Deletion{Ref: e.Ref, Proof: "the specs do not declare it any more"})
			}
		}
	}
	return out, errors.Join(errs...)
}
