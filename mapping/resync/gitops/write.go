package gitops

import (
	"context"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// A writer brings entities to Port.
type writer struct {
	run     *run
	written int
	refused int
	errs    []error
}

// write upserts the entities that Port does not hold as they are, blueprint by
// blueprint. Where Port does not make entities that others refer to, those that it
// refuses are sent again as long as others succeed: what they refer to may have
// come after them.
func (w *writer) write(ctx context.Context, entities []port.Entity) {
	byBlueprint := map[string][]port.Entity{}
	var blueprints []string
	for i := range entities {
		bp := entities[i].Blueprint
		if byBlueprint[bp] == nil {
			blueprints = append(blueprints, bp)
		}
		byBlueprint[bp] = append(byBlueprint[bp], entities[i])
	}
	for _, bp := range blueprints {
		byBlueprint[bp] = w.differing(ctx, bp, byBlueprint[bp])
	}
	for {
		var refused []*port.EntityError
		before := w.written
		for _, bp := range blueprints {
			left, why := w.upsert(ctx, byBlueprint[bp])
			byBlueprint[bp] = left
			refused = append(refused, why...)
		}
		again := len(refused) > 0 && w.written > before && !w.run.mapping.CreateMissingRelatedEntities
		if again && len(w.errs) == 0 {
			continue
		}
		w.refused = len(refused)
		for i, e := range refused {
			if i == maxLogged {
				break
			}
			w.run.log.WarnContext(ctx, "entity of a spec was refused by Port", "entity", e.Ref.String(), "err", e)
		}
		return
	}
}

// upsert writes entities of a blueprint. Those that Port refuses are left.
func (w *writer) upsert(ctx context.Context, entities []port.Entity) (left []port.Entity, refused []*port.EntityError) {
	if len(entities) == 0 {
		return nil, nil
	}
	res, err := w.run.g.catalog.Upsert(ctx, port.UpsertOptions{
		Merge: w.run.mapping.EnableMergeEntity, CreateMissing: w.run.mapping.CreateMissingRelatedEntities,
		EventType: eventType, Feature: port.FeatureGitOps,
	}, entities)
	if err != nil {
		w.errs = append(w.errs, err)
		return nil, nil
	}
	for i := range entities {
		switch e := res.Err(i); {
		case e == nil:
			w.written++
		case final(e.Status):
			left, refused = append(left, entities[i]), append(refused, e)
		default:
			w.errs = append(w.errs, e)
		}
	}
	return left, refused
}

// differing leaves out what Port holds already, written by us. Without merging an
// entity has to be written to lose what it does not set.
func (w *writer) differing(ctx context.Context, blueprint string, entities []port.Entity) []port.Entity {
	include, size := membersOf(entities)
	if !w.run.mapping.EnableMergeEntity || size > maxIncluded {
		return entities
	}
	q := port.SearchQuery{Blueprint: blueprint, Include: include, Feature: port.FeatureGitOps}
	byID := make(map[string]*port.Entity, len(entities))
	for i := range entities {
		if e := &entities[i]; !e.Search {
			q.IDs = append(q.IDs, e.Identifier)
			byID[e.Identifier] = e
		}
	}
	for held, err := range w.run.g.catalog.SearchOwned(ctx, q) {
		if err != nil {
			return entities // written without a comparison
		}
		id := gjson.GetBytes(held, "identifier").String()
		if e := byID[id]; e != nil && mapping.Equal(e.Body, held) {
			delete(byID, id)
		}
	}
	return slices.DeleteFunc(entities, func(e port.Entity) bool { return !e.Search && byID[e.Identifier] == nil })
}

// membersOf are the members that entities set, as a search names them, and the
// length of their names.
func membersOf(entities []port.Entity) (names []string, size int) {
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
			size += len(name) + len("&include=")
		}
	}
	for i := range entities {
		gjson.ParseBytes(entities[i].Body).ForEach(func(key, val gjson.Result) bool {
			switch key.Str {
			case "properties", "relations":
				val.ForEach(func(name, _ gjson.Result) bool {
					add(key.Str + "." + name.Str)
					return true
				})
			case "title", "icon", "team":
				add(key.Str)
			}
			return true
		})
	}
	return names, size
}
