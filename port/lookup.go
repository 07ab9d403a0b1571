package port

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"
)

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

// Exists reports whether Port holds an entity, whoever wrote it.
func (c *Client) Exists(ctx context.Context, ref Ref) (bool, error) {
	body, err := json.Marshal(query{Combinator: "and", Rules: []rule{
		{Property: "$identifier", Operator: "=", Value: ref.Identifier},
		{Property: "$blueprint", Operator: "=", Value: ref.Blueprint},
	}})
	if err != nil {
		return false, fmt.Errorf("port: search %s: %w", ref, err)
	}
	a, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/entities/search", query: "exclude_calculated_properties=true&include=identifier", body: body,
		entities: true, repeatable: true,
	})
	if err != nil {
		return false, err
	}
	defer a.free()
	list := gjson.GetBytes(a.body, "entities")
	if !list.IsArray() {
		return false, fmt.Errorf("port: search %s: %w: no list", ref, errAnswer)
	}
	return list.Get("0").Exists(), nil
}
