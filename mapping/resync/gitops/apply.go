package gitops

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

const (
	// eventType is what writes of live events belong to (port.md 2.7).
	eventType = "http_request"
	// maxIncluded bounds the names of members that a search asks for: they are
	// part of its address.
	maxIncluded = 4 << 10
	// maxLogged bounds the faults of a push that are logged one by one.
	maxLogged = 10
)

// apply writes what is declared now, and deletes what was declared before only.
func (r *run) apply(ctx context.Context, was []state, now state) (finished bool, err error) {
	after := r.declared(now.files)
	entities, faults, errs := r.complete(ctx, after.entries, now.commit)
	if len(entities) > 0 {
		r.wrote = now.commit
	}
	after.faults = append(after.faults, faults...)
	r.complain(ctx, now.commit, after)

	w := &writer{run: r}
	w.write(ctx, entities)
	errs = append(errs, w.errs...)

	gone, err := r.gone(ctx, was, after.entries)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	if !after.whole {
		return false, nil
	}
	if gone, err = r.unrelated(ctx, gone, entities); err != nil {
		return false, err
	}
	deleted, err := r.remove(ctx, gone)
	if w.written > 0 || w.refused > 0 || deleted > 0 {
		r.log.InfoContext(ctx, "entities of the specs brought to Port", "commit", now.commit,
			"declared", len(after.entries), "written", w.written, "refused", w.refused, "deleted", deleted)
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
func (r *run) gone(ctx context.Context, was []state, after []entry) ([]port.Ref, error) {
	seen := map[port.Ref]bool{}
	for i := range after {
		seen[after[i].Ref] = true
	}
	var out []port.Ref
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
				out = append(out, e.Ref)
			}
		}
	}
	return out, errors.Join(errs...)
}

// unrelated leaves out entities that declared ones refer to, when Port makes such
// entities by itself: it would make them again (port.md 5.6).
func (r *run) unrelated(ctx context.Context, gone []port.Ref, entities []port.Entity) ([]port.Ref, error) {
	if len(gone) == 0 || !r.mapping.CreateMissingRelatedEntities {
		return gone, nil
	}
	needed := map[port.Ref]bool{}
	for i := range entities {
		e := &entities[i]
		if len(e.Relations) == 0 {
			continue
		}
		bp, err := r.g.catalog.Blueprint(ctx, e.Blueprint)
		if errors.Is(err, port.ErrNotFound) {
			continue // so Port has refused the entity
		}
		if err != nil {
			return nil, err
		}
		for _, rel := range e.Relations {
			for _, id := range rel.Targets {
				needed[port.Ref{Blueprint: bp.Relations[rel.Name].Target, Identifier: id}] = true
			}
		}
	}
	return slices.DeleteFunc(gone, func(ref port.Ref) bool { return needed[ref] }), nil
}

// remove deletes those of the entities that are ours: that this installation has
// written last, as gitops. The blueprints go in reverse, because later ones tend
// to refer to earlier ones.
func (r *run) remove(ctx context.Context, gone []port.Ref) (deleted int, err error) {
	byBlueprint := map[string][]string{}
	var blueprints []string
	for _, ref := range gone {
		if byBlueprint[ref.Blueprint] == nil {
			blueprints = append(blueprints, ref.Blueprint)
		}
		byBlueprint[ref.Blueprint] = append(byBlueprint[ref.Blueprint], ref.Identifier)
	}
	var errs []error
	for _, bp := range slices.Backward(blueprints) {
		ours, err := r.ours(ctx, bp, byBlueprint[bp])
		if err != nil || len(ours) == 0 {
			errs = append(errs, err)
			continue
		}
		done, err := r.g.catalog.Delete(ctx, port.DeleteOptions{
			Dependents: r.mapping.DeleteDependentEntities, EventType: eventType, Feature: port.FeatureGitOps,
		}, bp, ours)
		deleted += len(done)
		if e, ok := errors.AsType[*port.Error](err); ok && final(e.StatusCode) {
			r.log.WarnContext(ctx, "entities that are not declared any more were not deleted", "blueprint", bp, "entities", len(ours), "err", err)
			err = nil
		}
		errs = append(errs, err)
	}
	return deleted, errors.Join(errs...)
}

// ours asks Port which entities this installation has written as gitops.
func (r *run) ours(ctx context.Context, blueprint string, ids []string) (out []string, err error) {
	q := port.SearchQuery{Blueprint: blueprint, IDs: ids, Feature: port.FeatureGitOps}
	for held, err := range r.g.catalog.SearchOwned(ctx, q) {
		if err != nil {
			return nil, err
		}
		if id := gjson.GetBytes(held, "identifier").String(); slices.Contains(ids, id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// final tells whether an answer of Port stays the same when it is asked again.
func final(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}
