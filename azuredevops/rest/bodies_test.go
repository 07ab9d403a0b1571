package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBodiesShareOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &Bodies{}
		paused := 0
		pause := func() func() { paused++; return func() { paused-- } }
		grow := func(b *body, n int) {
			if err := b.grow(t.Context(), n, pause); err != nil {
				t.Error(err)
			}
		}
		oldest, second, small := &body{of: all}, &body{of: all}, &body{of: all}
		grow(oldest, mostBodies/2)
		grow(second, mostBodies/4)
		grow(oldest, 4*mostBodies) // the oldest may always grow
		grow(small, smallBody)
		if all.used != 4*mostBodies+mostBodies/4 || len(all.line) != 2 {
			t.Fatalf("%d bytes used by %d", all.used, len(all.line))
		}
		var wg sync.WaitGroup
		wg.Go(func() { grow(second, mostBodies/2) })
		synctest.Wait()
		if second.size != mostBodies/4 || paused != 1 {
			t.Fatalf("%d bytes were given, %d waits", second.size, paused)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		third := &body{of: all}
		if err := third.grow(ctx, 2*smallBody, pause); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the end of the context", err)
		}
		third.done()
		oldest.done()
		wg.Wait()
		if second.size != mostBodies/2 || all.used != mostBodies/2 || paused != 0 {
			t.Errorf("%d bytes, %d used, %d waits", second.size, all.used, paused)
		}
		second.done()
		if all.used != 0 || len(all.line) != 0 {
			t.Errorf("%d bytes are left to %d", all.used, len(all.line))
		}
	})
}

// While a request waits for memory it is not the service that is slow.
func TestWaitingForMemoryIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeService{Serve: func(*http.Request) *http.Response {
			a := answer(200, "")
			a.ContentLength = -1
			a.Body = io.NopCloser(bytes.NewReader(append(bytes.Repeat([]byte(" "), 1<<20), "{}"...)))
			return a
		}}
		c := newTestClient(t, f, options{wait: time.Minute})
		other := &body{of: c.transport.bodies}
		if err := other.grow(t.Context(), 2*mostBodies, nil); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Hour, other.done)
		p, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		if err != nil || len(f.Sent()) != 1 {
			t.Errorf("err = %v after %d attempts", err, len(f.Sent()))
		}
		p.Free()
		if b := c.transport.bodies; b.used != 0 || len(b.line) != 0 {
			t.Errorf("%d bytes are left to %d", b.used, len(b.line))
		}
	})
}

// An answer that is too large is not asked for again.
func TestOversizedAnswer(t *testing.T) {
	f := &fakeService{Serve: func(*http.Request) *http.Response {
		a := answer(200, "{}")
		a.ContentLength = maxBodyBytes + 1
		return a
	}}
	_, err := newTestClient(t, f, options{}).Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
	if !errors.Is(err, ErrMalformed) || len(f.Sent()) != 1 {
		t.Errorf("err = %v after %d attempts", err, len(f.Sent()))
	}
}
