package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
)

// Ports are where to listen.
type Ports struct {
	HTTP, Metrics int // 0 for Metrics: there are none
	// Host is the address to listen on; empty: all.
	Host string
	// Optional says that nothing depends on somebody listening.
	Optional bool
}

// Listen makes a Server that listens on ports. An error of theirs names the variable.
// There is no Server when the port is taken and optional.
func Listen(ctx context.Context, cfg Config, p Ports) (*Server, error) {
	bind := func(variable string, port int) (net.Listener, error) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(p.Host, strconv.Itoa(port)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		return ln, nil
	}
	var err error
	if cfg.Listener, err = bind("APPLICATION__PORT", p.HTTP); err != nil {
		if p.Optional {
			cfg.Log.WarnContext(ctx, "nobody listens: the port is taken", "port", p.HTTP, "err", err)
			return nil, nil //nolint:nilnil // a Server is not needed
		}
		return nil, err
	}
	if p.Metrics > 0 {
		if cfg.MetricsListener, err = bind("OCEAN__METRICS__PORT", p.Metrics); err != nil {
			return nil, errors.Join(err, cfg.Listener.Close())
		}
	}
	return New(cfg)
}

// DirectoryIn is that of the spool in a state directory; "" without one.
func DirectoryIn(state string) string {
	if state == "" {
		return ""
	}
	return filepath.Join(state, "hooks")
}

// Address is the port on which a Server listens, as ":8000"; "" without one.
func (s *Server) Address() string {
	if s == nil {
		return ""
	}
	_, port, err := net.SplitHostPort(s.cfg.Listener.Addr().String())
	if err != nil {
		return "" // no address of a port
	}
	return ":" + port
}

// Serve is Run where nobody waits for the error. Without a Server it does nothing.
func (s *Server) Serve(ctx context.Context) {
	if s == nil {
		return
	}
	if err := s.Run(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.ErrorContext(ctx, "the HTTP server has ended", "err", err)
	}
}

// RunWhile serves while a function runs, and ends then.
func (s *Server) RunWhile(ctx context.Context, f func(context.Context)) {
	serving, stop := context.WithCancel(ctx)
	var server sync.WaitGroup
	defer server.Wait()
	defer stop()
	server.Go(func() { _ = s.Run(serving) }) // it ends with serving
	f(ctx)
}
