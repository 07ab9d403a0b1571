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

	"github.com/ado-port/ado-port/webhook/spool"
)

// Limits of the HTTP server.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second // of a whole request
	writeTimeout  = 60 * time.Second
	idleTimeout   = 15 * time.Second
	maxHeader     = 64 << 10
)

// Delays of start and stop.
const (
	lockPoll   = 200 * time.Millisecond
	lockWait   = time.Minute     // for a process that still has the directory
	openPause  = 2 * time.Second // between two attempts to use the directory
	handleEnds = time.Second     // for handlers whose context has ended
	spoolEnds  = 2 * time.Second // for the last commit
	httpEnds   = time.Second     // for requests whose answer is under way
)

// A Server receives hooks and works on them. Its methods are safe for
// concurrent use.
type Server struct {
	cfg     Config
	prefix  string // "" or /…
	secret  [32]byte
	echo    *echo.Echo
	conns   *conns
	metrics *metrics
	bodies  *bodies
	lines   sampler
	closing atomic.Bool
	looked  chan struct{} // closed after the first attempt

	mu      sync.Mutex
	spool   Spool // nil until it could be opened
	absent  error // why there is none yet
	started bool
}

// Why there is no spool yet, besides spool.ErrLocked.
var (
	errNotOpen   = errors.New("the spool is not open yet")
	errDirectory = errors.New("the directory cannot be used; the log says why")
)

// New checks the configuration. Nothing is served and the spool is not opened
// before Run.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, secret: digest(cfg.Secret), conns: newConns(cfg.Listener),
		bodies: newBodies(max(bodyRoom, 2*cfg.Settings.MaxBodyBytes)), lines: sampler{seen: map[string]sample{}},
		looked: make(chan struct{}), absent: errNotOpen,
	}
	if p := strings.Trim(cfg.Prefix, "/"); p != "" {
		s.prefix = "/" + p
	}
	s.metrics = newMetrics(cfg.Registry, cfg.Events, s.Queue)
	s.echo = s.routes()
	return s, nil
}

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
// Config.ShutdownWait, what waits stays in the spool. It ends at most a few
// seconds after that time, whatever hangs. The error is that of a listener, or
// spool.ErrLocked when another process did not give the directory up.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work, cancelWork := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelWork()

	if s.cfg.Resync != nil && s.cfg.Secret == "" {
		s.cfg.Log.WarnContext(ctx, "there is no POST /resync without OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET: anybody could ask for resyncs; Port is asked for its requests instead")
	}
	opened := s.lookForSpool(ctx)
	var serving, workers sync.WaitGroup
	servers := s.httpServers(ctx)
	for l, srv := range servers {
		serving.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("serving: %w", err))
			}
		})
	}
	sp, err := opened()
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
		s.finish(work, cancelWork, sp, &workers)
	}
	ends, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpEnds)
	defer cancel()
	for _, srv := range servers {
		if srv.Shutdown(ends) != nil {
			_ = srv.Close()
		}
	}
	serving.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// lookWait is how long the first connections wait for the spool to be opened, which
// saves a sender that comes at once a refusal. A damaged spool takes longer.
const lookWait = 250 * time.Millisecond

// lookForSpool begins to open the spool; the returned function waits for it.
func (s *Server) lookForSpool(ctx context.Context) (wait func() (Spool, error)) {
	var sp Spool
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		sp, err = s.waitForSpool(ctx)
	}()
	timer := time.NewTimer(lookWait)
	defer timer.Stop()
	select {
	case <-s.looked:
	case <-done:
	case <-timer.C:
	}
	return func() (Spool, error) {
		<-done
		return sp, err
	}
}

// httpServers are that of the service and, if it has a listener of its own, that
// of the metrics.
func (s *Server) httpServers(ctx context.Context) map[net.Listener]*http.Server {
	newServer := func(h http.Handler) *http.Server {
		return &http.Server{
			Handler:           h,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
			BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		}
	}
	main := newServer(s)
	main.ConnState = s.conns.changed
	servers := map[net.Listener]*http.Server{s.conns: main}
	if s.cfg.MetricsListener != nil {
		e := s.newRouter()
		s.metricsRoutes(e)
		c := newConns(s.cfg.MetricsListener)
		servers[c] = newServer(e)
		servers[c].ConnState = c.changed
	}
	return servers
}

// waitForSpool opens the spool. It waits for a process that ends just now, as at
// a rolling restart on a shared volume, and for a directory that can be used.
func (s *Server) waitForSpool(ctx context.Context) (Spool, error) {
	begun := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	said, unusable := "", false // the same thing is logged once
	look := sync.OnceFunc(func() { close(s.looked) })
	defer look()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		sp, err := s.openSpool(ctx)
		switch {
		case err == nil:
			if unusable {
				s.cfg.Log.InfoContext(ctx, "deliveries can be stored now", "directory", s.cfg.Directory)
			}
			return sp, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, spool.ErrLocked):
			if time.Since(begun) >= lockWait {
				return nil, fmt.Errorf("%w: %s; give every process an own OCEAN__STATE_DIRECTORY", err, s.cfg.Directory)
			}
			if said != err.Error() {
				s.cfg.Log.WarnContext(ctx, "another process has the directory of the spool: deliveries are answered 503 until it ends", "directory", s.cfg.Directory)
			}
			s.lacks(spool.ErrLocked)
			timer.Reset(lockPoll)
		default:
			unusable = true
			s.lacks(errDirectory)
			if said != err.Error() {
				s.cfg.Log.ErrorContext(ctx, "deliveries are answered 503 until their directory can be used", "err", err)
			}
			begun = time.Now()
			timer.Reset(openPause)
		}
		look()
		said = err.Error()
	}
}

// openLocal opens the spool of a directory.
func openLocal(ctx context.Context, cfg spool.Config) (Spool, error) {
	sp, err := spool.Open(ctx, cfg)
	if err != nil {
		return nil, err // and no Spool, where nil has a type
	}
	return sp, nil
}

func (s *Server) openSpool(ctx context.Context) (Spool, error) {
	set := s.cfg.Settings
	open := s.cfg.Spool
	if open == nil {
		open = openLocal
	}
	sp, err := open(ctx, spool.Config{
		Directory: s.cfg.Directory, Used: s.cfg.Used, Lost: s.cfg.Lost,
		MaxBytes: set.SpoolMaxBytes, MaxDeliveries: set.SpoolMaxDeliveries, MaxAge: set.MaxAge,
		Strangers: max(1, set.Workers/4), Held: true, Committed: s.metrics.committed, Log: s.cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spool = sp
	if s.started {
		sp.Start()
	}
	return sp, nil
}

// finish ends the work: first handlers may end by themselves.
func (s *Server) finish(ctx context.Context, cancel context.CancelFunc, sp Spool, workers *sync.WaitGroup) {
	sp.Stop()
	handled := make(chan struct{})
	go func() {
		workers.Wait()
		close(handled)
	}()
	if !within(s.cfg.ShutdownWait, handled) {
		cancel()
		if !within(handleEnds, handled) {
			s.cfg.Log.WarnContext(ctx, "handlers do not end; their deliveries are handled again after the next start")
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := sp.Close(); err != nil {
			s.cfg.Log.ErrorContext(ctx, "the spool did not close", "err", err)
		}
	}()
	if !within(spoolEnds, closed) {
		s.cfg.Log.ErrorContext(ctx, "the spool does not end its last commit, for which it waits for its disk or for Redis; what was handled may be handled again after the next start")
	}
}

// within waits for the end of something, for so long at most.
func within(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// unready is why this process should get no deliveries; "" when it should. Anybody can
// ask, so it names no file and no address. While another process has the directory it is
// ready: a rolling update ends that one only then, and if it does not end this one does.
func (s *Server) unready() string {
	select {
	case <-s.looked:
	default:
		return errNotOpen.Error()
	}
	if s.cfg.Ready != nil && !s.cfg.Ready() {
		return "the service waits for what it needs; the log says for what"
	}
	sp, err := s.store()
	switch {
	case errors.Is(err, spool.ErrLocked), errors.Is(err, errNotOpen):
		return ""
	case err != nil:
		return err.Error()
	case sp.Failing() != nil:
		return "deliveries cannot be stored; the log and /status.json say why"
	}
	return ""
}

// store is the open spool, or why there is none yet.
func (s *Server) store() (Spool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spool == nil {
		return nil, s.absent
	}
	return s.spool, nil
}

// lacks notes why there is no spool.
func (s *Server) lacks(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent = why
}
