package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/netutil"

	"github.com/ado-port/ado-port/webhook/spool"
)

// Limits of the HTTP server.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second // of a whole request
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	maxConns      = 2048
)

// Delays of start and stop.
const (
	lockPoll    = 200 * time.Millisecond
	cancelGrace = 2 * time.Second // for handlers whose context has ended
	closeGrace  = 2 * time.Second // for requests whose answer is under way
)

// A Server receives hooks and works on them. Its methods are safe for
// concurrent use.
type Server struct {
	cfg      Config
	prefix   string // "" or /…
	secret   [32]byte
	echo     *echo.Echo
	listener net.Listener
	metrics  *metrics
	bodies   budget
	lines    sampler
	closing  atomic.Bool
	born     time.Time

	mu      sync.Mutex
	spool   *spool.Spool // nil while another process has the directory
	started bool
}

// New binds the listener. Nothing is served and the spool is not opened before
// Run.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, secret: digest(string(cfg.Secret)), born: cfg.Now()}
	if p := strings.Trim(cfg.Prefix, "/"); p != "" {
		s.prefix = "/" + p
	}
	s.bodies.free.Store(max(bodyBudget, 2*cfg.Settings.MaxBodyBytes))
	s.metrics = newMetrics(cfg.Registry, s.spoolStats)
	s.echo = s.routes()
	if s.listener = cfg.Listener; s.listener == nil {
		addr, err := net.ResolveTCPAddr("tcp", cfg.Addr)
		if err != nil {
			return nil, fmt.Errorf("listening: %w", err)
		}
		if s.listener, err = net.ListenTCP("tcp", addr); err != nil {
			return nil, fmt.Errorf("listening: %w", err)
		}
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// ServeHTTP answers one request, as Run does for those of the listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Start lets workers begin. Until then deliveries are accepted and wait.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	if s.spool != nil {
		s.spool.Start()
	}
}

// Run opens the spool and serves until ctx is done. Then it stops in the order
// of the work: new deliveries are answered 503, handlers that run get
// Config.ShutdownWait, what waits stays in the spool. The error is that of the
// listener, or ErrLocked when another process did not give the directory up.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work, cancelWork := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelWork()

	var serving, workers sync.WaitGroup
	srv := s.httpServer(ctx)
	serving.Go(func() {
		if err := srv.Serve(netutil.LimitListener(s.listener, maxConns)); !errors.Is(err, http.ErrServerClosed) {
			stop(fmt.Errorf("serving: %w", err))
		}
	})
	sp, err := s.waitForSpool(ctx)
	if err != nil {
		stop(err)
	} else if s.cfg.Handler != nil {
		for range s.cfg.Settings.Workers {
			workers.Go(func() { s.worker(work, sp) })
		}
	}
	<-ctx.Done()
	s.closing.Store(true)
	if sp != nil {
		sp.Stop()
		s.finish(work, cancelWork, &workers)
		if err := sp.Close(); err != nil {
			s.cfg.Log.ErrorContext(work, "the spool did not close", "err", err)
		}
	}
	s.shutdown(work, srv)
	serving.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (s *Server) httpServer(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}

// waitForSpool opens the spool, and waits for a process that ends just now: at
// a rolling restart on a shared volume both live for a while.
func (s *Server) waitForSpool(ctx context.Context) (*spool.Spool, error) {
	deadline := s.cfg.Now().Add(s.cfg.LockWait)
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for warned := false; ; warned = true {
		sp, err := s.openSpool(ctx)
		if err == nil || !errors.Is(err, ErrLocked) {
			return sp, err
		}
		if !warned {
			s.cfg.Log.WarnContext(ctx, "another process has the directory of the spool: deliveries are answered 503 until it ends", "directory", s.cfg.Directory)
		}
		if !s.cfg.Now().Before(deadline) {
			return nil, fmt.Errorf("%w: %s; give every process an own OCEAN__STATE_DIRECTORY", ErrLocked, s.cfg.Directory)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Server) openSpool(ctx context.Context) (*spool.Spool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spool != nil {
		return s.spool, nil
	}
	set := s.cfg.Settings
	sp, err := spool.Open(ctx, spool.Config{
		Directory: s.cfg.Directory, MaxBytes: set.SpoolMaxBytes, MaxDeliveries: set.SpoolMaxDeliveries, MaxAge: set.MaxAge,
		Held: !s.started, Committed: s.metrics.committed, Log: s.cfg.Log, Now: s.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	s.spool = sp
	return sp, nil
}

// finish waits for the workers: first for their handlers to end by themselves.
func (s *Server) finish(ctx context.Context, cancel context.CancelFunc, workers *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		workers.Wait()
		close(done)
	}()
	timer := time.NewTimer(s.cfg.ShutdownWait)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	cancel()
	timer.Reset(cancelGrace)
	select {
	case <-done:
	case <-timer.C:
		s.cfg.Log.WarnContext(ctx, "handlers do not end; their deliveries are handled again after the next start")
	}
}

// shutdown ends the HTTP server.
func (s *Server) shutdown(ctx context.Context, srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close()
	}
}

// store is the open spool; nil when there is none yet.
func (s *Server) store() *spool.Spool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spool
}
