package resync

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/port"
)

// clear takes out of entities what only records that are gone have set: the
// entities go on, because other records make them. Merging cannot take anything
// away, so the entity is read, changed and written whole.
func (l *live) clear(ctx context.Context) {
	lost := map[key]map[string]bool{} // kinds whose records are gone, by entity
	refs := map[key]port.Ref{}
	for _, o := range l.gone {
		k := o.key()
		if lost[k] == nil {
			lost[k] = map[string]bool{}
		}
		lost[k][o.Kind] = true
		refs[k] = o.Ref
	}
	for k, kinds := range lost {
		if l.orphan(refs[k]) {
			continue
		}
		keys := l.onlySetBy(k, refs[k].Blueprint, kinds)
		if len(keys) == 0 {
			continue
		}
		if err := l.clearEntity(ctx, refs[k], keys); err != nil {
			l.keepGone(refs[k].Blueprint, []string{refs[k].Identifier})
			l.errs = append(l.errs, err)
		}
	}
}

// onlySetBy lists the members of an entity that blocks of lost kinds set and
// blocks of the kinds that still make it do not.
func (l *live) onlySetBy(k key, blueprint string, lost map[string]bool) []string {
	still := map[string]bool{}
	origins, err := l.book.entity(k)
	if err != nil {
		return nil
	}
	for _, o := range origins {
		if !slices.ContainsFunc(l.gone, func(g origin) bool { return g.line() == o.line() }) {
			still[o.Kind] = true
		}
	}
	for _, o := range l.made {
		if o.key() == k {
			still[o.Kind] = true
		}
	}
	kept := map[string]bool{}
	var keys []string
	for _, f := range l.fetches {
		for _, b := range f.blocks {
			if id, literal := b.Blueprint(); literal && id != blueprint {
				continue
			}
			for _, key := range b.Keys() {
				if still[b.Kind] {
					kept[key] = true
				} else if lost[b.Kind] {
					keys = append(keys, key)
				}
			}
		}
	}
	return slices.DeleteFunc(keys, func(key string) bool { return kept[key] })
}

// clearEntity writes an entity without some members, if it is ours.
func (l *live) clearEntity(ctx context.Context, ref port.Ref, keys []string) error {
	if !l.owns(ctx, ref) {
		return nil
	}
	held, err := l.catalog.Entity(ctx, ref)
	if errors.Is(err, port.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var entity map[string]json.RawMessage
	if err := json.Unmarshal(held, &entity); err != nil {
		return err
	}
	body := map[string]json.RawMessage{}
	for _, name := range []string{"identifier", "icon", "blueprint", "title", "team"} {
		v, ok := entity[name]
		if ok && !slices.Contains(keys, name) && string(v) != "[]" { // an empty team is how Port shows none
			body[name] = v
		}
	}
	for _, group := range []string{"properties", "relations"} {
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(entity[group], &members); err != nil {
			return err
		}
		for _, key := range keys {
			if name, ok := strings.CutPrefix(key, group+"."); ok {
				delete(members, name)
			}
		}
		if body[group], err = json.Marshal(members); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(body)
	if err != nil {
		return err
	}
	res, err := l.catalog.Upsert(ctx, port.UpsertOptions{Merge: false, CreateMissing: l.mapping.CreateMissingRelatedEntities, EventType: "http_request"},
		[]port.Entity{{Blueprint: ref.Blueprint, Identifier: ref.Identifier, Body: doc}})
	if err == nil && res.Err(0) != nil {
		err = res.Err(0)
	}
	return err
}

// owns says whether the entity was written by this installation last.
func (l *live) owns(ctx context.Context, ref port.Ref) bool {
	for _, err := range l.catalog.Search(ctx, ref.Blueprint, []string{ref.Identifier}, nil) {
		return err == nil
	}
	return false
}
