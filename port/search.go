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

// Search yields what Port holds of the entities of a blueprint that this
// installation owns, as JSON objects with the members in include (such as
// "title", "properties.state", "relations.project") besides blueprint and
// identifier. The bytes are valid until the next one is asked for.
//
// Entities that Port does not have, or that belong to someone else, are left
// out. The order is Port's. An error ends it.
func (c *Client) Search(ctx context.Context, blueprint string, ids, include []string) iter.Seq2[[]byte, error] {
	params := url.Values{"exclude_calculated_properties": {"true"}, "include": {"blueprint", "identifier"}}
	for _, name := range include {
		if !slices.Contains(params["include"], name) {
			params["include"] = append(params["include"], name)
		}
	}
	encoded := params.Encode()
	return func(yield func([]byte, error) bool) {
		for part := range slices.Chunk(ids, searchIDs) {
			if !c.searchPart(ctx, encoded, blueprint, part, yield) {
				return
			}
		}
	}
}

// searchPart yields the entities of one request, or of its halves when the
// answer was too large; false ends the iteration.
func (c *Client) searchPart(ctx context.Context, params, blueprint string, ids []string, yield func([]byte, error) bool) bool {
	a, err := c.searchOnce(ctx, params, blueprint, ids)
	if errors.Is(err, errTooLarge) && len(ids) > 1 {
		half := len(ids) / 2
		return c.searchPart(ctx, params, blueprint, ids[:half], yield) && c.searchPart(ctx, params, blueprint, ids[half:], yield)
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	defer a.free()
	list := member(a.body, "entities")
	if len(list) == 0 || list[0] != '[' {
		yield(nil, fmt.Errorf("port: search %s: %w: no list", blueprint, errAnswer))
		return false
	}
	more := true
	eachElement(list, func(entity []byte) bool {
		more = yield(entity, nil)
		return more
	})
	return more
}

func (c *Client) searchOnce(ctx context.Context, params, blueprint string, ids []string) (*answer, error) {
	body, err := json.Marshal(query{Combinator: "and", Rules: append([]rule{
		{Property: "$identifier", Operator: "in", Value: ids},
		{Property: "$blueprint", Operator: "=", Value: blueprint},
	}, c.ownedRules()...)})
	if err != nil {
		return nil, fmt.Errorf("port: search %s: %w", blueprint, err)
	}
	return c.do(ctx, &call{
		method: http.MethodPost, path: "/entities/search", query: params, body: body,
		exporter: true, repeatable: true, limit: searchLimit,
	})
}

// ownedRules restrict a search to what this installation wrote as exporter, in
// either layout: type first, feature last, identifier between slashes.
func (c *Client) ownedRules() []rule {
	const property, operator = "$datasource", "contains"
	return []rule{
		{property, operator, "port-ocean/" + c.cfg.IntegrationType + "/"},
		{property, operator, "/" + c.cfg.Identifier + "/"},
		{property, operator, "/" + exporter},
	}
}
