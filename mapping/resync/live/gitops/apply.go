package gitops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// maxLogged bounds the faults of a push that are logged one by one.
const maxLogged = 10

// apply writes what is declared now, and deletes what is remembered and not declared
// any more. unread says why some of the entities are not known. What could not be
// deleted is left.
func (r *run) apply(ctx context.Context, entities []port.Entity, after spec, unread error) (left bool, err error) {
	declared, before := refs{}, r.g.memory.of(r.at)
	for i := range after.entries {
		declared[after.entries[i].Ref] = struct{}{}
	}
	both := maps.Clone(declared)
	maps.Copy(both, before)
	// Before anything is written: a process that is killed behind the writing has to
	// know later what to take away, and others have to know what not to.
	if !r.g.memory.settled(both, before) {
		if err := r.remember(ctx, both); err != nil {
			return false, err
		}
	}
	written := r.write(ctx, entities)
	if err := errors.Join(unread, r.session.Err()); err != nil || !after.whole {
		return false, err
	}
	done, err := r.withdraw(ctx, declared, before)
	for _, e := range done.Refusals {
		r.log.WarnContext(ctx, "entities that are not declared any more were not deleted", "err", e)
	}
	if refused := r.session.Refusals(); written > 0 || len(refused) > 0 || len(done.Gone) > 0 {
		r.log.InfoContext(ctx, "entities of the specs brought to Port", "commit", r.commit,
			"declared", len(after.entries), "written", written, "reasons_for_refusals", len(refused), "deleted", len(done.Gone))
	}
	return len(done.Failed)+len(done.Referred) > 0, err
}

// remember notes what the repository declares, in between deletions.
func (r *run) remember(ctx context.Context, declared refs) error {
	end, err := r.g.alone(ctx)
	if err != nil {
		return err
	}
	defer end()
	return r.g.memory.set(ctx, r.at, declared)
}

// withdraw deletes what is remembered of this repository, and neither it nor another
// one declares. What stays nevertheless is remembered for the next try.
func (r *run) withdraw(ctx context.Context, declared, before refs) (catalog.Deleted, error) {
	if r.g.memory.settled(declared, before) {
		return catalog.Deleted{}, nil
	}
	end, err := r.g.alone(ctx)
	if err != nil {
		return catalog.Deleted{}, err
	}
	defer end()
	var gone []catalog.Deletion
	for ref := range before {
		if _, still := declared[ref]; !still && !r.g.memory.elsewhere(r.at, ref) {
			gone = append(gone, catalog.Deletion{Ref: ref, Proof: "applied for repository " + r.at.id + ", whose specs at " + r.commit + " do not declare it"})
		}
	}
	done, err := r.session.Delete(ctx, gone)
	for _, ref := range slices.Concat(done.Failed, done.Referred) {
		declared[ref] = struct{}{}
	}
	return done, errors.Join(err, r.g.memory.set(ctx, r.at, declared))
}

// declared is what the specs declare together.
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
func (r *run) complete(ctx context.Context, entries []entry) (out []port.Entity, faults []error, err error) {
	files := r.references(ctx, entries)
	var errs []error
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
	return out, faults, errors.Join(errs...)
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
func (r *run) complain(ctx context.Context, s spec) {
	for i, fault := range s.faults {
		if i == maxLogged {
			r.log.WarnContext(ctx, "further faults in the specs", "commit", r.commit, "faults", len(s.faults)-i)
			break
		}
		r.log.WarnContext(ctx, "spec not understood", "commit", r.commit, "err", fault)
	}
	if !s.whole {
		r.log.WarnContext(ctx, "nothing is deleted: it is not known what the specs declare", "commit", r.commit)
	}
}
