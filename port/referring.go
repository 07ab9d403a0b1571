package port

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/url"
	"slices"

	"github.com/tidwall/gjson"
)

// A Reference is one relation between two entities.
type Reference struct {
	From Ref
	To   string // identifier
}

// Referring yields the references to entities of a blueprint from those that this
// installation has written, with any feature. from are the relations
// to look at, by blueprint; nil stands for all. An error ends it.
//
// https://docs.port.io/search-and-query/relation-operators
func (c *Client) Referring(ctx context.Context, blueprint string, ids []string, from map[string][]string) iter.Seq2[Reference, error] {
	return func(yield func(Reference, error) bool) {
		q := &referring{c: c, blueprint: blueprint, from: from}
		if err := q.prepare(ctx); err != nil {
			yield(Reference{}, err)
			return
		}
		if from != nil && len(q.in) == 0 {
			return
		}
		s := search{what: "what refers to " + blueprint, params: q.params}
		c.searchParts(ctx, s, ids, q.rules, func(ids []string, entity []byte) bool {
			return q.references(ctx, gjson.ParseBytes(entity), ids, yield)
		}, func(err error) { yield(Reference{}, err) })
	}
}

// referring is what the requests of one question share.
type referring struct {
	c         *Client
	blueprint string              // of the entities that are referred to
	from      map[string][]string // relations to look at, by blueprint; nil: all
	in        []string            // blueprints that have such a relation to blueprint
	params    url.Values
}

// prepare finds the blueprints and relations to ask for.
func (q *referring) prepare(ctx context.Context) error {
	q.params = url.Values{}
	for _, id := range slices.Sorted(maps.Keys(q.from)) {
		b, err := q.c.Blueprint(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		found := false
		for _, name := range q.from[id] {
			if b.Relations[name].Target == q.blueprint {
				q.params.Add("include", "relations."+name)
				found = true
			}
		}
		if found {
			q.in = append(q.in, id)
		}
	}
	if q.from != nil {
		q.params["include"] = append(q.params["include"], "blueprint", "identifier")
	}
	return nil
}

func (q *referring) rules(ids []string) []any {
	rules := []any{map[string]any{"operator": "relatedTo", "blueprint": q.blueprint, "value": ids}}
	rules = append(rules, q.c.ownedRules(FeatureExporter)[:2]...) // without the feature
	if q.from != nil {
		rules = append(rules, rule{"$blueprint", "in", q.in})
	}
	return rules
}

// references yields the references of one entity. The service also finds entities
// that lead to the wanted ones over others; those have none.
func (q *referring) references(ctx context.Context, entity gjson.Result, ids []string, yield func(Reference, error) bool) bool {
	from := Ref{entity.Get("blueprint").String(), entity.Get("identifier").String()}
	b, err := q.c.Blueprint(ctx, from.Blueprint)
	if err != nil {
		yield(Reference{}, err)
		return false
	}
	more := true
	entity.Get("relations").ForEach(func(name, value gjson.Result) bool {
		known := q.from == nil || slices.Contains(q.from[from.Blueprint], name.Str)
		if !known || b.Relations[name.Str].Target != q.blueprint {
			return true
		}
		for _, to := range value.Array() {
			if more && to.Type == gjson.String && slices.Contains(ids, to.Str) {
				more = yield(Reference{from, to.Str}, nil)
			}
		}
		return more
	})
	return more
}
