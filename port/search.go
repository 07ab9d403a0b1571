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
)

const (
	// searchIDs is how many identifiers one search asks for.
	searchIDs = 100
	// searchLimit bounds an answer in memory; a search that exceeds it is halved.
	searchLimit = 16 << 20
)

// rule and query are Port's search language (Port's API reference, search and query).
type rule struct {
	Property string `json:"property"`
	Operator string `json:"operator"`
	Value    any    `json:"value"`
}

type query struct {
	Combinator string `json:"combinator"`
	Rules      []rule `json:"rules"`
}

// A SearchQuery names entities of a blueprint.
type SearchQuery struct {
	Blueprint string
	IDs       []string
	// Include are members to show, such as "title", "properties.state" or
	// "relations.project", besides blueprint and identifier.
	Include []string
	// Feature wrote the entities; exporter when zero.
	Feature Feature
}

// SearchOwned yields what Port holds of the entities that this installation has
// written with a feature, as JSON objects. The bytes are valid until the next
// one is asked for.
//
// Entities that Port does not have, or that belong to someone else, are left
// out. The order is Port's. An error ends it.
func (c *Client) SearchOwned(ctx context.Context, q SearchQuery) iter.Seq2[[]byte, error] {
	params := url.Values{"exclude_calculated_properties": {"true"}, "include": {"blueprint", "identifier"}}
	for _, name := range q.Include {
		if !slices.Contains(params["include"], name) {
			params["include"] = append(params["include"], name)
		}
	}
	s := search{c: c, params: params.Encode(), blueprint: q.Blueprint, feature: q.Feature}
	return func(yield func([]byte, error) bool) {
		for part := range slices.Chunk(q.IDs, searchIDs) {
			if !s.part(ctx, part, yield) {
				return
			}
		}
	}
}

// search is what the requests of one search share.
type search struct {
	c                 *Client
	params, blueprint string
	feature           Feature
}

// part yields the entities of one request, or of its halves when the answer was
// too large; false ends the iteration.
func (s *search) part(ctx context.Context, ids []string, yield func([]byte, error) bool) bool {
	a, err := s.once(ctx, ids)
	if errors.Is(err, errTooLarge) && len(ids) > 1 {
		half := len(ids) / 2
		return s.part(ctx, ids[:half], yield) && s.part(ctx, ids[half:], yield)
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	defer a.free()
	list := gjson.GetBytes(a.body, "entities")
	if !list.IsArray() {
		yield(nil, fmt.Errorf("port: search %s: %w: no list", s.blueprint, errAnswer))
		return false
	}
	more := true
	list.ForEach(func(_, entity gjson.Result) bool {
		more = yield(a.body[entity.Index:entity.Index+len(entity.Raw)], nil)
		return more
	})
	return more
}

func (s *search) once(ctx context.Context, ids []string) (*answer, error) {
	body, err := json.Marshal(query{Combinator: "and", Rules: append([]rule{
		{Property: "$identifier", Operator: "in", Value: ids},
		{Property: "$blueprint", Operator: "=", Value: s.blueprint},
	}, s.c.ownedRules(s.feature)...)})
	if err != nil {
		return nil, fmt.Errorf("port: search %s: %w", s.blueprint, err)
	}
	return s.c.do(ctx, &call{
		method: http.MethodPost, path: "/entities/search", query: s.params, body: body,
		entities: true, feature: s.feature, repeatable: true, limit: searchLimit,
	})
}

// ownedRules restrict a search to what this installation wrote with a feature, in
// either layout: type first, feature last, identifier between slashes. Port's
// contains disregards case; where the identifier begins like a feature it would
// pass for one, and only the end tells them apart.
func (c *Client) ownedRules(f Feature) []rule {
	const property, contains = "$datasource", "contains"
	last := contains
	if strings.HasPrefix(strings.ToLower(c.cfg.Identifier), f.String()) {
		last = "endsWith"
	}
	return []rule{
		{property, contains, "port-ocean/" + c.cfg.IntegrationType + "/"},
		{property, contains, "/" + c.cfg.Identifier + "/"},
		{property, last, "/" + f.String()},
	}
}
