package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// A fitting compares the mapping with the blueprints.
type fitting struct {
	*check
	blueprints map[string]*port.Blueprint // nil: it does not exist, or is unknown
	blocks     map[string][]*mapping.Resource
	said       map[string]bool // blueprint and text of what was said
	wrong      map[string]bool // blueprints about which something was said
}

// fit says which blocks make entities that Port would refuse, as far as the mapping
// and some records show.
func (c *check) fit(ctx context.Context) {
	if c.mapping == nil {
		return
	}
	f := &fitting{
		check: c, blueprints: map[string]*port.Blueprint{}, blocks: map[string][]*mapping.Resource{},
		said: map[string]bool{}, wrong: map[string]bool{},
	}
	for _, r := range c.mapping.Resources {
		if id, literal := r.Blueprint(); literal {
			f.blocks[id] = append(f.blocks[id], r)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.blocks)) {
		f.members(ctx, id)
	}
	for _, s := range c.samples {
		for _, r := range s.group.Resources {
			f.records(ctx, r, s)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.blocks)) {
		if f.blueprints[id] != nil && !f.wrong[id] {
			c.ok("blueprint", id, "it fits what %s of the mapping would write (%s)", count(len(f.blocks[id]), "block"), count(len(f.keys(id)), "member"))
		}
	}
}

// problem says something about a blueprint once.
func (f *fitting) problem(id, text, remedy string) {
	f.wrong[id] = true
	if !f.said[id+"\x00"+remedy] {
		f.said[id+"\x00"+remedy] = true
		f.fail("blueprint", id, text, remedy)
	}
}

// blueprint reads one from Port, or from what the first start makes. at is the block
// that names it.
func (f *fitting) blueprint(ctx context.Context, id string, at *mapping.Resource) *port.Blueprint {
	if b, known := f.blueprints[id]; known {
		return b
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b, err := f.cfg.Port.Blueprint(ctx, id)
	if errors.Is(err, port.ErrNotFound) {
		if i := slices.IndexFunc(f.planned, func(p *port.Blueprint) bool { return p.Identifier == id }); i >= 0 {
			b, err = f.planned[i], nil
		}
	}
	f.blueprints[id] = b
	switch {
	case errors.Is(err, port.ErrNotFound):
		f.problem(id, path(at, "")+" writes it, and Port has no such blueprint",
			"create the blueprint "+id+" in Port, or correct "+path(at, "port.entity.mappings.blueprint"))
	case err != nil:
		f.wrong[id] = true
		f.warn("blueprint", id, "not checked: "+err.Error(), "")
	}
	return b
}

func path(r *mapping.Resource, tail string) string {
	return strings.TrimSuffix(fmt.Sprintf("resources[%d].%s", r.Index, tail), ".")
}

// keys are the members that the blocks of a blueprint set.
func (f *fitting) keys(id string) map[string]bool {
	out := map[string]bool{}
	for _, r := range f.blocks[id] {
		for _, k := range r.Keys() {
			out[k] = true
		}
	}
	return out
}

// members looks at what the blocks of a blueprint set, without any record.
func (f *fitting) members(ctx context.Context, id string) {
	b := f.blueprint(ctx, id, f.blocks[id][0])
	if b == nil {
		return
	}
	for _, r := range f.blocks[id] {
		f.names(b, id, r)
		literals := r.Literals()
		for _, name := range slices.Sorted(maps.Keys(literals)) {
			f.value(b, id, r, name, literals[name], "")
		}
	}
	set := f.keys(id)
	for _, name := range b.Required {
		if !set["properties."+name] {
			f.problem(id, fmt.Sprintf("it requires the property %q, which no block sets", name),
				fmt.Sprintf("add %s, or make the property optional in Port", path(f.blocks[id][0], "port.entity.mappings.properties."+name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.Relations)) {
		if b.Relations[name].Required && !set["relations."+name] {
			f.problem(id, fmt.Sprintf("it requires the relation %q, which no block sets", name),
				fmt.Sprintf("add %s, or make the relation optional in Port", path(f.blocks[id][0], "port.entity.mappings.relations."+name)))
		}
	}
}

// names finds properties and relations that the blueprint does not have.
func (f *fitting) names(b *port.Blueprint, id string, r *mapping.Resource) {
	for _, key := range r.Keys() {
		group, name, _ := strings.Cut(key, ".")
		what := ""
		switch group {
		case "properties":
			if _, ok := b.Types[name]; !ok {
				what = "property"
			}
		case "relations":
			if _, ok := b.Relations[name]; !ok {
				what = "relation"
			}
		}
		if what != "" {
			at := path(r, "port.entity.mappings."+key)
			f.problem(id, fmt.Sprintf("%s: it has no %s %q", at, what, name),
				fmt.Sprintf("add the %s %s to the blueprint %s in Port, or remove %s", what, name, id, at))
		}
	}
}

// records maps sampled records and looks at the entities.
func (f *fitting) records(ctx context.Context, r *mapping.Resource, s sample) {
	var rep mapping.Report
	for _, rec := range s.records {
		res, err := r.Map(ctx, rec.JSON, rec.Files, &rep)
		if err != nil {
			f.warn("mapping", r.KindIndex(), err.Error(), "")
			return
		}
		for _, e := range res.Entities {
			f.entity(ctx, r, e)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rep.Expressions)) {
		if x := rep.Expressions[name]; x.Errors > 0 {
			f.warn("mapping", r.KindIndex(), fmt.Sprintf("%s fails for %d of %s that were looked at, first for %q: %s",
				x.Path, x.Errors, count(len(s.records), "record"), x.Sample, x.FirstError), "correct the expression "+x.Expression)
		}
	}
}

// entity looks at an entity as Port would.
func (f *fitting) entity(ctx context.Context, r *mapping.Resource, e port.Entity) {
	b := f.blueprint(ctx, e.Blueprint, r)
	if b == nil {
		return
	}
	gjson.GetBytes(e.Body, "properties").ForEach(func(k, v gjson.Result) bool {
		f.value(b, e.Blueprint, r, k.String(), []byte(v.Raw), e.Identifier)
		return true
	})
	if _, literal := r.Blueprint(); !literal {
		f.names(b, e.Blueprint, r)
	}
}

// value says whether Port would take the value of a property. sample is the entity
// that has it; a literal has none.
func (f *fitting) value(b *port.Blueprint, id string, r *mapping.Resource, name string, raw []byte, sample string) {
	want, known := b.Types[name]
	v := gjson.ParseBytes(raw)
	if !known || v.Type == gjson.Null {
		return
	}
	at := path(r, "port.entity.mappings.properties."+name)
	of := ""
	if sample != "" {
		of = fmt.Sprintf(" (entity %q)", sample)
	}
	if got := kindOf(v); !fits(v, want) {
		f.problem(id, fmt.Sprintf("%s gives a value of type %s%s, and the property is of type %s", at, got, of, want),
			fmt.Sprintf("change the expression at %s, or the type of the property in Port", at))
		return
	}
	enum := b.Enums[name]
	if len(enum) == 0 || v.IsArray() || v.IsObject() {
		return
	}
	if !slices.ContainsFunc(enum, func(x json.RawMessage) bool { return mapping.SameJSON(raw, x) }) {
		var list []string
		for _, x := range enum {
			list = append(list, string(x))
		}
		f.problem(id, fmt.Sprintf("%s gives %s%s, which is not among the values of the property: %s", at, shortened(v.Raw), of, shortened(strings.Join(list, ", "))),
			fmt.Sprintf("add the value to the enum of the property %s in Port, or translate it at %s", name, at))
	}
}

func shortened(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// kindOf is the type of a value, as JSON schema calls it.
func kindOf(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return "string"
	case v.Type == gjson.Number:
		return "number"
	case v.IsBool():
		return "boolean"
	case v.IsArray():
		return "array"
	default:
		return "object"
	}
}

// fits tells whether Port takes a value for a type: it changes scalars into one
// another where nothing is lost. A type that is not known fits.
func fits(v gjson.Result, want string) bool {
	got := kindOf(v)
	if got == want {
		return true
	}
	scalar := got != "object" && got != "array"
	switch want {
	case "string", "array":
		return scalar
	case "number":
		return got == "boolean" || got == "string" && gjson.Valid(v.Str) && gjson.Parse(v.Str).Type == gjson.Number
	case "boolean":
		return v.Raw == "0" || v.Raw == "1" || v.Raw == `"true"` || v.Raw == `"false"`
	case "object":
		return false
	}
	return true
}
