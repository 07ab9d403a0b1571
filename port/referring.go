package port

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
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
		q, err := c.newReferring(ctx, blueprint, from)
		if err != nil {
			yield(Reference{}, err)
			return
		}
		for part := range slices.Chunk(ids, searchIDs) {
			if from != nil && len(q.in) == 0 || !q.part(ctx, part, yield) {
				return
			}
		}
	}
}

// referring is what the requests of one question share.
type referring struct {
	c         *Client
	blueprint string              // of the entities that are referred to
	from      map[string][]string // relations to look at, by blueprint; nil: all
	in        []string            // blueprints that have such a relation to blueprint
	params    string
}

func (c *Client) newReferring(ctx context.Context, blueprint string, from map[string][]string) (*referring, error) {
	q := &referring{c: c, blueprint: blueprint, from: from}
	params := url.Values{"exclude_calculated_properties": {"true"}}
	for _, id := range slices.Sorted(maps.Keys(from)) {
		b, err := c.Blueprint(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found := false
		for _, name := range from[id] {
			if b.Relations[name].Target == blueprint {
				params.Add("include", "relations."+name)
				found = true
			}
		}
		if found {
			q.in = append(q.in, id)
		}
	}
	if from != nil {
		params["include"] = append(params["include"], "blueprint", "identifier")
	}
	q.params = params.Encode()
	return q, nil
}

// part yields the references to some entities; false ends the iteration.
func (q *referring) part(ctx context.Context, ids []string, yield func(Reference, error) bool) bool {
	c, blueprint := q.c, q.blueprint
	type relatedTo struct {
		Operator  string   `json:"operator"`
		Blueprint string   `json:"blueprint"`
		Value     []string `json:"value"`
	}
	rules := []any{relatedTo{"relatedTo", blueprint, ids}}
	for _, r := range c.ownedRules(FeatureExporter)[:2] { // without the feature
		rules = append(rules, r)
	}
	if q.from != nil {
		rules = append(rules, rule{"$blueprint", "in", q.in})
	}
	body, err := json.Marshal(map[string]any{"combinator": "and", "rules": rules})
	if err != nil {
		yield(Reference{}, fmt.Errorf("port: search what refers to %s: %w", blueprint, err))
		return false
	}
	a, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/entities/search", query: q.params, body: body,
		entities: true, repeatable: true, limit: searchLimit,
	})
	if errors.Is(err, errTooLarge) && len(ids) > 1 {
		half := len(ids) / 2
		return q.part(ctx, ids[:half], yield) && q.part(ctx, ids[half:], yield)
	}
	if err != nil {
		yield(Reference{}, err)
		return false
	}
	defer a.free()
	list := gjson.GetBytes(a.body, "entities")
	if !list.IsArray() {
		yield(Reference{}, fmt.Errorf("port: search what refers to %s: %w: no list", blueprint, errAnswer))
		return false
	}
	more := true
	list.ForEach(func(_, entity gjson.Result) bool {
		more = q.references(ctx, entity, ids, yield)
		return more
	})
	return more
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
