package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook"
)

// pipes is a listener without a network, so that its connections live in the
// fake time of a test.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// Connections that send nothing, or too slowly, are closed.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, send string
		drip       bool // one byte per second afterwards
		within     time.Duration
		want       string
	}{
		{"nothing", "", false, 10 * time.Second, ""},
		{"headers that do not end", "POST /integration/webhook HTTP/1.1\r\nX-A: ", true, 11 * time.Second, ""},
		{"a body that does not come", "POST /integration/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", false, 31 * time.Second, "HTTP/1.1 503"},
		{"a body that drips", "POST /integration/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", true, 31 * time.Second, "HTTP/1.1 503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				s, err := webhook.New(webhook.Config{Listener: l, Parse: parse, Handler: handlerFunc(
					func(context.Context, string, []webhook.Delivery) error { return nil })})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- s.Run(ctx) }()
				start := time.Now()
				conn := l.dial()
				var sending sync.WaitGroup
				sending.Go(func() {
					_, err := io.WriteString(conn, tt.send)
					for tt.drip && err == nil {
						time.Sleep(time.Second) // the fake clock
						_, err = conn.Write([]byte("x"))
					}
				})
				answer, _ := io.ReadAll(conn)
				if took := time.Since(start); took > tt.within {
					t.Errorf("closed after %v, want at most %v", took, tt.within)
				}
				if !strings.HasPrefix(string(answer), tt.want) || tt.want == "" && strings.Contains(string(answer), " 200 ") {
					t.Errorf("answer %q, want %q", answer, tt.want)
				}
				conn.Close()
				sending.Wait()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A header that is too large is refused before any route is looked at.
func TestLargeHeader(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{})
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-A: %s\r\n\r\n", hookPath, strings.Repeat("a", 100<<10))
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 431") {
		t.Errorf("answer %.80q", answer)
	}
}
