package port

import (
	"context"
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
