package port

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	// searchIDs is how many identifiers one search asks for.
	searchIDs = 100
	// searchLimit bounds an answer in memory; a search that exceeds it is halved.
	searchLimit = 16 << 20
)

// A rule is part of Port's search language (Port's API reference, search and query).
type rule struct {
	Property string `json:"property"`
	Operator string `json:"operator"`
	Value    any    `json:"value"`
}

// A SearchQuery names entities of a blueprint.
type SearchQuery struct {
	Blueprint string
	IDs       []string
	// Include are members to show, such as "title", "properties.state" or
	// "relations.project", besides blueprint and identifier.
	Include []string
	Whole   bool // show every member instead
	Anyone  bool // also what others have written
	// Feature wrote the entities; exporter when zero.
	Feature Feature
}

// Search yields what Port holds of the entities that this installation has
// written with a feature, or anyone, as JSON objects. The bytes are valid until the next
// one is asked for.
//
// Entities that Port does not have, or that belong to someone else where that
// matters, are left out. The order is Port's. An error ends it.
func (c *Client) Search(ctx context.Context, q SearchQuery) iter.Seq2[[]byte, error] {
	s := search{what: q.Blueprint, params: url.Values{"include": {"blueprint", "identifier"}}, feature: q.Feature}
	if q.Whole {
		s.params = url.Values{}
	}
	for _, name := range q.Include {
		if !slices.Contains(s.params["include"], name) {
			s.params.Add("include", name)
		}
	}
	var whose []any
	if !q.Anyone {
		whose = c.ownedRules(q.Feature)
	}
	return func(yield func([]byte, error) bool) {
		c.searchParts(ctx, s, q.IDs, func(ids []string) []any {
			return append([]any{rule{"$identifier", "in", ids}, rule{"$blueprint", "=", q.Blueprint}}, whose...)
		}, func(_ []string, entity []byte) bool { return yield(entity, nil) }, func(err error) { yield(nil, err) })
	}
}

// Find returns the identifiers of the entities of a blueprint for which a query of a
// mapping holds: an object with combinator and rules.
func (c *Client) Find(ctx context.Context, blueprint string, query json.RawMessage) (ids []string, err error) {
	s := search{what: "in " + blueprint, params: url.Values{"include": {"identifier"}}}
	_, err = c.search(ctx, s, []any{rule{"$blueprint", "=", blueprint}, query}, func(entity []byte) bool {
		ids = append(ids, gjson.GetBytes(entity, "identifier").String())
		return true
	})
	return ids, err
}

// Exists reports whether Port holds an entity, whoever wrote it.
func (c *Client) Exists(ctx context.Context, ref Ref) (found bool, err error) {
	s := search{what: ref.String(), params: url.Values{"include": {"identifier"}}}
	rules := []any{rule{"$identifier", "=", ref.Identifier}, rule{"$blueprint", "=", ref.Blueprint}}
	_, err = c.search(ctx, s, rules, func([]byte) bool {
		found = true
		return false
	})
	return found, err
}

// Entity reads one entity as Port holds it, without calculated properties. It is
// ErrNotFound when Port says that there is none.
func (c *Client) Entity(ctx context.Context, ref Ref) ([]byte, error) {
	a, err := c.do(ctx, &call{
		method: http.MethodGet, path: "/blueprints/" + url.PathEscape(ref.Blueprint) + "/entities/" + url.PathEscape(ref.Identifier),
		query: "exclude_calculated_properties=true",
	})
	if err != nil {
		return nil, err
	}
	defer a.free()
	entity := gjson.GetBytes(a.body, "entity")
	if !entity.IsObject() {
		return nil, fmt.Errorf("port: %s: %w: no entity", ref, errAnswer)
	}
	return []byte(entity.Raw), nil
}

// search is what the requests of one search share.
type search struct {
	what    string // for errors
	params  url.Values
	feature Feature
}

// searchParts searches for many entities, some at a time and fewer where the
// answer was too large. It ends when each returns false, and after an error, of
// which fail is told.
func (c *Client) searchParts(ctx context.Context, s search, ids []string, rules func(ids []string) []any, each func(ids []string, entity []byte) bool, fail func(error)) {
	var part func(ids []string) bool
	part = func(ids []string) bool {
		more, err := c.search(ctx, s, rules(ids), func(entity []byte) bool { return each(ids, entity) })
		if errors.Is(err, errTooLarge) && len(ids) > 1 {
			half := len(ids) / 2
			return part(ids[:half]) && part(ids[half:])
		}
		if err != nil {
			fail(err)
		}
		return more
	}
	for ids := range slices.Chunk(ids, searchIDs) {
		if !part(ids) {
			return
		}
	}
}

// search calls each with the entities that all rules hold for, until it returns
// false; then more is false, as after an error.
func (c *Client) search(ctx context.Context, s search, rules []any, each func(entity []byte) bool) (more bool, err error) {
	body, err := json.Marshal(map[string]any{"combinator": "and", "rules": rules})
	if err != nil {
		return false, fmt.Errorf("port: search %s: %w", s.what, err)
	}
	a, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/entities/search", query: strings.TrimSuffix("exclude_calculated_properties=true&"+s.params.Encode(), "&"), body: body,
		entities: true, feature: s.feature, repeatable: true, limit: searchLimit,
	})
	if err != nil {
		return false, err
	}
	defer a.free()
	if more, err = eachEntity(a.body, each); err != nil {
		return false, fmt.Errorf("port: search %s: %w", s.what, err)
	}
	return more, nil
}

// eachEntity calls each with the entities of an answer until it returns false; then more
// is false. An answer without a list is an error.
func eachEntity(body []byte, each func(entity []byte) bool) (more bool, err error) {
	// GetBytes would copy the list, which is nearly all of the answer.
	list := gjson.Get(rawjson.View(body), "entities")
	if !list.IsArray() {
		return false, fmt.Errorf("%w: no list", errAnswer)
	}
	more = true
	list.ForEach(func(_, entity gjson.Result) bool {
		more = each(body[entity.Index : entity.Index+len(entity.Raw)])
		return more
	})
	return more, nil
}

// ownedRules restrict a search to what this installation wrote with a feature, in
// either layout: type first, feature last, identifier between slashes. Port's
// contains disregards case; where the identifier begins like a feature it would
// pass for one, and only the end tells them apart.
func (c *Client) ownedRules(f Feature) []any {
	const property, contains = "$datasource", "contains"
	last := contains
	if strings.HasPrefix(strings.ToLower(c.cfg.Identifier), f.String()) {
		last = "endsWith"
	}
	return []any{
		rule{property, contains, "port-ocean/" + c.cfg.IntegrationType + "/"},
		rule{property, contains, "/" + c.cfg.Identifier + "/"},
		rule{property, last, "/" + f.String()},
	}
}
