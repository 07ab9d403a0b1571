package port

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// A Blueprint is what this program needs to know of a blueprint.
type Blueprint struct {
	Identifier string
	Required   []string // properties that an entity must have
	// Types are the types of the properties, as JSON schema calls them.
	Types map[string]string
	// Enums are the values that a property may have, as JSON, by property; a
	// property that is not in it may have any.
	Enums     map[string][]json.RawMessage
	Relations map[string]BlueprintRelation
}

// A BlueprintRelation is a relation of a blueprint.
type BlueprintRelation struct {
	Target   string `json:"target"` // a blueprint
	Required bool   `json:"required"`
	Many     bool   `json:"many"`
}

// Blueprint returns a blueprint, remembered for ClientConfig.BlueprintTTL. It
// is shared: read-only. A blueprint that does not exist is ErrNotFound and not
// remembered.
func (c *Client) Blueprint(ctx context.Context, id string) (*Blueprint, error) {
	if b, ok := c.blueprints.get(id, c.cfg.BlueprintTTL); ok {
		return b, nil
	}
	b, err := c.getBlueprint(ctx, id)
	if err != nil {
		return nil, err
	}
	c.blueprints.put(id, b)
	return b, nil
}

// ForgetBlueprints makes the next Blueprint ask Port again. A resync begins with it.
func (c *Client) ForgetBlueprints() { c.blueprints.forget() }

func (c *Client) getBlueprint(ctx context.Context, id string) (*Blueprint, error) {
	var a struct {
		Blueprint json.RawMessage `json:"blueprint"`
	}
	if err := c.getJSON(ctx, "/blueprints/"+url.PathEscape(id), "", &a); err != nil {
		return nil, err
	}
	b, err := readBlueprint(a.Blueprint)
	if err != nil {
		return nil, fmt.Errorf("port: blueprint %s: %w", id, err)
	}
	return b, nil
}

// readBlueprint reads a blueprint as Port shows it.
func readBlueprint(doc json.RawMessage) (*Blueprint, error) {
	if emptyJSON(doc) {
		return nil, errAnswer
	}
	var a struct {
		Identifier string `json:"identifier"`
		Schema     struct {
			Required   []string `json:"required"`
			Properties map[string]struct {
				Type string            `json:"type"`
				Enum []json.RawMessage `json:"enum"`
			} `json:"properties"`
		} `json:"schema"`
		Relations map[string]BlueprintRelation `json:"relations"`
	}
	if err := json.Unmarshal(doc, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	b := &Blueprint{
		Identifier: a.Identifier, Required: a.Schema.Required, Types: map[string]string{},
		Relations: a.Relations, Enums: map[string][]json.RawMessage{},
	}
	for name, p := range a.Schema.Properties {
		b.Types[name] = p.Type
		if len(p.Enum) > 0 {
			b.Enums[name] = p.Enum
		}
	}
	return b, nil
}

// getJSON reads a document.
func (c *Client) getJSON(ctx context.Context, path, query string, into any) error {
	return c.callJSON(ctx, &call{method: http.MethodGet, path: path, query: query}, into)
}

// callJSON sends a call and decodes the answer.
func (c *Client) callJSON(ctx context.Context, k *call, into any) error {
	a, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	defer a.free()
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("port: %s %s: %w: %w", k.method, k.path, errAnswer, err)
	}
	return nil
}
