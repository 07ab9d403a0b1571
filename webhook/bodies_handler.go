package webhook

import (
	"context"
	"errors"
	"fmt"
)

// BodiesHandler is the Handler of a function that takes nothing but bodies. An error
// that wraps permanent is one after which another try is of no use.
func BodiesHandler(handle func(ctx context.Context, bodies [][]byte) error, permanent error) Handler {
	return bodiesHandler{handle, permanent}
}

type bodiesHandler struct {
	handle    func(ctx context.Context, bodies [][]byte) error
	permanent error
}

// Handle is that of Handler.
func (h bodiesHandler) Handle(ctx context.Context, _ string, deliveries []Delivery) error {
	bodies := make([][]byte, len(deliveries))
	for i := range deliveries {
		bodies[i] = deliveries[i].Body
	}
	err := h.handle(ctx, bodies)
	if errors.Is(err, h.permanent) {
		return fmt.Errorf("%w: %w", ErrPermanent, err)
	}
	return err
}
