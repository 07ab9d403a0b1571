package port

import (
	"bytes"
	"context"
	"encoding/json"
)

// A Request is a call for which the client has no method of its own.
type Request struct {
	Method string
	Path   string // escaped, below /v1
	Header map[string]string
	Body   json.RawMessage // nil: none
	// Once says that it is not sent again; else it is as often as its method allows.
	Once bool
}

// requestLimit bounds an answer: a claim holds up to a hundred runs.
const requestLimit = 32 << 20

// Do sends a request and returns Port's answer, a JSON object.
func (c *Client) Do(ctx context.Context, r Request) (json.RawMessage, error) {
	a, err := c.do(ctx, &call{method: r.Method, path: r.Path, header: r.Header, body: r.Body, once: r.Once, limit: requestLimit})
	if err != nil {
		return nil, err
	}
	defer a.free()
	return bytes.Clone(a.body), nil
}
