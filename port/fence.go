package port

import (
	"context"
	"errors"
	"io"
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

// fencedBody is the body of a call, which asks the fence again whenever a piece of it is
// read to be sent: a connection may have to be made first, or a large body wait for
// room, and a process can be stopped meanwhile. A request whose body ends early is not
// handled.
func (k *call) fencedBody(ctx context.Context) io.ReadCloser {
	if check, _ := ctx.Value(fenceKey{}).(func() error); check == nil {
		return io.NopCloser(k.reader()) // as it is, so that net/http knows that it is in memory
	}
	return io.NopCloser(&fencedReader{k.reader(), func() error { return k.fenced(ctx) }})
}

type fencedReader struct {
	io.Reader

	check func() error
}

// Read implements io.Reader.
func (f *fencedReader) Read(p []byte) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	return f.Reader.Read(p)
}
