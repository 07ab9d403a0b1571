package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// Withdraw takes members such as "title" or "properties.state" out of an entity
// that goes on. Merging cannot take anything away, so the entity is read, changed
// and written whole. Entities of somebody else are left alone.
func (s *Session) Withdraw(ctx context.Context, ref port.Ref, members []string) error {
	mine, err := s.ours(ctx, ref.Blueprint, []Deletion{{Ref: ref}})
	if err != nil || len(mine) == 0 {
		return err
	}
	held, err := s.c.port.Entity(ctx, ref)
	if errors.Is(err, port.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	body, err := without(held, members)
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	differences := withdrawn(held, members)
	if len(differences) == 0 {
		return nil
	}
	opt := s.upsertOptions()
	opt.Merge = false
	s.forget(ref)
	res, err := s.c.port.Upsert(ctx, opt, []port.Entity{{Blueprint: ref.Blueprint, Identifier: ref.Identifier, Body: body}})
	if err != nil {
		return err
	}
	if e := res.Err(0); e != nil {
		return e
	}
	s.wrote(ctx, &Change{Ref: ref, Action: Updated, Differences: differences, body: body})
	return nil
}

// withdrawn are those of the members that the entity has.
func withdrawn(held []byte, members []string) (out []mapping.Difference) {
	for _, m := range members {
		group, name, ok := strings.Cut(m, ".")
		v := gjson.GetBytes(held, group)
		if ok {
			v = v.Get(gjson.Escape(name))
		}
		if v.Exists() && v.Type != gjson.Null {
			out = append(out, mapping.Difference{Path: m, From: json.RawMessage(v.Raw), To: json.RawMessage("null")})
		}
	}
	return out
}

// without is an entity as it is sent, made of one as Port shows it, with some
// members left out.
func without(held []byte, members []string) ([]byte, error) {
	var entity map[string]json.RawMessage
	if err := json.Unmarshal(held, &entity); err != nil {
		return nil, err
	}
	body := map[string]json.RawMessage{}
	for _, name := range []string{"identifier", "icon", "blueprint", "title", "team"} {
		v, ok := entity[name]
		if ok && !slices.Contains(members, name) && string(v) != "[]" { // an empty team is how Port shows none
			body[name] = v
		}
	}
	for _, group := range []string{"properties", "relations"} {
		if entity[group] == nil {
			continue // Port shows none
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(entity[group], &values); err != nil {
			return nil, err
		}
		for _, m := range members {
			if name, ok := strings.CutPrefix(m, group+"."); ok {
				delete(values, name)
			}
		}
		var err error
		if body[group], err = json.Marshal(values); err != nil {
			return nil, err
		}
	}
	return json.Marshal(body)
}
