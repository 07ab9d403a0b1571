package port

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"
)

const (
	// heldPageSize is the most that Port gives at once.
	heldPageSize = 1000
	// heldFirst is the size of the first page, which tells how large entities are, and
	// heldPageBytes that of further ones: they are held in memory.
	heldFirst     = 100
	heldPageBytes = 900 << 10 // fits in the megabyte to which a buffer grows by doubling
)

// heldRequest is the body of a search in one blueprint.
//
// https://docs.port.io/api-reference/search-a-blueprints-entities
type heldRequest struct {
	Query struct {
		Combinator string `json:"combinator"`
		Rules      []any  `json:"rules"`
	} `json:"query"`
	Limit int    `json:"limit"`
	From  string `json:"from,omitempty"`
}

// Held yields all entities of a blueprint that this installation has written with a
// feature, as JSON objects with every member. The bytes are valid until the next one is
// asked for. An entity that is written meanwhile may be missing, or come as it was. An
// error ends it.
func (c *Client) Held(ctx context.Context, blueprint string, f Feature) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		req := heldRequest{Limit: heldFirst}
		req.Query.Combinator, req.Query.Rules = "and", c.ownedRules(f)
		seen := map[string]bool{}
		for {
			n, size := 0, 0
			next, more, err := c.heldPage(ctx, blueprint, f, req, func(entity []byte) bool {
				n, size = n+1, size+len(entity)
				return yield(entity, nil)
			})
			switch {
			case errors.Is(err, errTooLarge) && req.Limit > 1:
				req.Limit /= 2
				continue
			case err != nil:
				yield(nil, err)
				return
			case !more || next == "":
				return
			case seen[next]:
				yield(nil, fmt.Errorf("port: entities of %s: %w: the same page again", blueprint, errAnswer))
				return
			}
			seen[next] = true
			req.From = next
			if n > 0 {
				req.Limit = min(max(heldPageBytes*n/size, 1), heldPageSize)
			}
		}
	}
}

// heldPage calls each with the entities of a page until it returns false; then more is
// false.
func (c *Client) heldPage(ctx context.Context, blueprint string, f Feature, req heldRequest, each func(entity []byte) bool) (next string, more bool, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return "", false, fmt.Errorf("port: entities of %s: %w", blueprint, err)
	}
	a, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/blueprints/" + url.PathEscape(blueprint) + "/entities/search", body: body,
		entities: true, feature: f, repeatable: true, limit: searchLimit,
	})
	if err != nil {
		return "", false, err
	}
	defer a.free()
	if more, err = eachEntity(a.body, each); err != nil {
		return "", false, fmt.Errorf("port: entities of %s: %w", blueprint, err)
	}
	return gjson.GetBytes(a.body, "next").String(), more, nil
}
