package port

import (
	"context"
	"encoding/json"
)

// Attach names the client through which Flush sends, as Start does.
func (s *LogShipper) Attach(c *Client) { s.attach(c) }

// CreateIntegration makes an installation with a mapping, as another process does.
func (c *Client) CreateIntegration(ctx context.Context, origin string, mapping json.RawMessage) (*Integration, error) {
	return c.createIntegration(ctx, SetupConfig{}, origin, mapping)
}
