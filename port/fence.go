package port

import (
	"context"
	"errors"
	"net/http"
)

// ErrFenced says that the right to write has gone to another process.
var ErrFenced = errors.New("the right to write has gone to another process, or may have")

type fenceKey struct{}

// WithFence has check asked immediately before every request of ctx that may write: a
// process that was stopped for a while does not know that another one has taken its
// work over, and what it goes on with must not reach Port any more. A nil check asks
// nothing.
func WithFence(ctx context.Context, check func() error) context.Context {
	if check == nil {
		return ctx
	}
	return context.WithValue(ctx, fenceKey{}, check)
}

// CheckFence says why what runs under ctx must not write, wrapping ErrFenced.
func CheckFence(ctx context.Context) error {
	check, _ := ctx.Value(fenceKey{}).(func() error)
	if check == nil {
		return nil
	}
	if err := check(); err != nil {
		return errors.Join(ErrFenced, err)
	}
	return nil
}

// fenced is CheckFence for a call. Searches are asked with POST and held back, too,
// which does no harm: what they are for may not be done.
func (k *call) fenced(ctx context.Context) error {
	if k.method == http.MethodGet || k.anonymous {
		return nil
	}
	return CheckFence(ctx)
}
