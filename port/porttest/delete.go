package porttest

import (
	"net/http"
	"slices"
)

func (c *call) deleteEntity() reply {
	id := c.r.PathValue("entity")
	b, missing := c.blueprint()
	switch {
	case b == nil:
		return missing
	case b.entities[id] == nil:
		return notFound("Entity", id)
	}
	if by := c.o.delete(b, []string{id}, c.flag("delete_dependents"), c.query.Get("event_type")); by != "" {
		return hasDependents(by)
	}
	return done()
}

// deleteBulk fails as a whole when something depends on one of the entities;
// unknown ones are left out of the answer.
func (c *call) deleteBulk() reply {
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	list := c.doc.Get("entities").Array()
	if len(list) < 1 || len(list) > maxDelete {
		return invalid("body/entities must have between 1 and 100 items")
	}
	ids := []string{}
	for _, x := range list {
		if b.entities[x.Str] != nil && !slices.Contains(ids, x.Str) {
			ids = append(ids, x.Str)
		}
	}
	if by := c.o.delete(b, ids, c.flag("delete_dependents"), c.query.Get("event_type")); by != "" {
		return hasDependents(by)
	}
	return ok(http.StatusOK, "deletedEntities", appendStrings(nil, ids))
}

func hasDependents(by string) reply {
	return fail(http.StatusForbidden, "has_dependents", "Entities cannot be deleted: "+by+" depends on them")
}

// delete removes entities and the references to them. Entities that would lose
// a required relation go too, or prevent it all when dependents is false; then one
// of them is named. That only required relations count is a guess.
func (o *Organization) delete(b *blueprint, ids []string, dependents bool, event string) (by string) {
	gone := map[*entity]bool{}
	for _, id := range ids {
		gone[b.entities[id]] = true
	}
	for lost := true; lost; { // the dependents of the dependents too
		more := o.st.dependents(gone)
		if len(more) > 0 && !dependents {
			return slices.Min(more)
		}
		lost = len(more) > 0
	}
	for e := range gone {
		delete(o.st.blueprints[e.blueprint].entities, e.id)
		o.changed(e, nil, event)
	}
	o.writes += len(gone)
	o.st.unlink(gone)
	return ""
}

// dependents adds to gone the entities whose required relation leads only to
// such, and names them.
func (st *state) dependents(gone map[*entity]bool) (names []string) {
	for _, b := range st.blueprints {
		for name, def := range b.relations {
			if !def.required {
				continue
			}
			for _, e := range b.entities {
				if !gone[e] && e.leadsOnlyTo(name, st.blueprints[def.target], gone) {
					gone[e] = true
					names = append(names, e.id)
				}
			}
		}
	}
	return names
}

func (e *entity) leadsOnlyTo(name string, target *blueprint, gone map[*entity]bool) bool {
	for _, l := range e.relations {
		if l.name == name {
			return len(l.ids) > 0 && !slices.ContainsFunc(l.ids, func(id string) bool { return !gone[target.entities[id]] })
		}
	}
	return false
}

// unlink takes entities out of the relations of others.
func (st *state) unlink(gone map[*entity]bool) {
	lost := map[string]map[string]bool{}
	for e := range gone {
		if lost[e.blueprint] == nil {
			lost[e.blueprint] = map[string]bool{}
		}
		lost[e.blueprint][e.id] = true
	}
	for _, b := range st.blueprints {
		points := false
		for _, def := range b.relations {
			points = points || lost[def.target] != nil
		}
		if !points {
			continue
		}
		for id, e := range b.entities {
			if mended := e.without(b, lost); mended != nil {
				b.entities[id] = mended
			}
		}
	}
}

// without is a copy of the entity that refers to none of the lost ones, or nil
// when it does not refer to any.
func (e *entity) without(b *blueprint, lost map[string]map[string]bool) *entity {
	var c *entity
	for i, l := range e.relations {
		ids := lost[b.relations[l.name].target]
		if ids == nil || !slices.ContainsFunc(l.ids, func(id string) bool { return ids[id] }) {
			continue
		}
		if c == nil {
			copied := *e
			c = &copied
			c.relations = slices.Clone(e.relations)
		}
		c.relations[i].ids = slices.DeleteFunc(slices.Clone(l.ids), func(id string) bool { return ids[id] })
	}
	return c
}
