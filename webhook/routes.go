package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// routes are those of the Python integration, and the dead letters. What lies
// below the hook prefix does not reach the router: it would answer 404 and 405.
// What acts or tells something is there only with a password.
func (s *Server) routes() *echo.Echo {
	e := s.newRouter(s.divert)
	p := e.Group(s.prefix)
	p.GET("/health/live", health("live", nil))
	p.GET("/health/ready", health("ready", s.unready))
	if s.cfg.MetricsListener == nil {
		s.metricsRoutes(e)
	}
	if s.showsStatus() {
		site := echo.WrapHandler(http.StripPrefix(s.prefix, s.cfg.Status))
		p.GET("/status.json", site, s.protect)
		p.GET("/", site, s.protect)
		p.POST("/page/:action", site, s.protect)
	}
	e.GET("/docs", docs)
	e.GET("/isHealthy", health("live", nil))
	if s.cfg.Secret != "" {
		s.deadLetterRoutes(p.Group("/dead-letters", s.protect))
		if s.cfg.Resync != nil {
			e.POST("/resync", s.resync, s.protect)
		}
	}
	return e
}

// showsStatus is the rule of Config.Status.
func (s *Server) showsStatus() bool {
	switch {
	case s.cfg.Status == nil:
		return false
	case s.cfg.ShowStatus != nil:
		return *s.cfg.ShowStatus
	case s.cfg.Secret != "":
		return true
	}
	addr, ok := s.cfg.Listener.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

func (s *Server) newRouter(pre ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard)
	e.HTTPErrorHandler = s.fail
	e.Pre(append([]echo.MiddlewareFunc{s.observe}, pre...)...)
	return e
}

func (s *Server) metricsRoutes(e *echo.Echo) {
	h := echo.WrapHandler(promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	p := e.Group(s.prefix)
	p.GET("/metrics", h)
	p.GET("/metrics/", h)
}

// observe adds the headers of every answer and a line for debugging, without
// the path: that is the sender's.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, id := time.Now(), uuid.NewString()
		res := c.Response()
		res.Header().Set(echo.HeaderXRequestID, id)
		res.Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
		res.Header().Set(echo.HeaderCacheControl, "no-store")
		res.Before(func() {
			res.Header().Set("X-Process-Time", strconv.FormatFloat(time.Since(start).Seconds(), 'f', 5, 64))
		})
		err := func() (err error) {
			defer s.recover(c, "a request failed", func() { err = echo.ErrInternalServerError })
			return next(c)
		}()
		if err != nil {
			c.Error(err)
		}
		if ctx := c.Request().Context(); s.cfg.Log.Enabled(ctx, slog.LevelDebug) {
			s.cfg.Log.DebugContext(ctx, "request", "id", id, "route", c.Path(), "status", res.Status, "took", time.Since(start).String())
		}
		return nil
	}
}

// recover is deferred by what answers requests: then does what a panic asks for.
func (s *Server) recover(c echo.Context, msg string, then func()) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
		panic(p)
	}
	s.logPanic(c.Request().Context(), msg, p)
	then()
}

// logPanic logs where it happened. What is thrown is only shown when it is the
// runtime's own: anything else may quote a payload.
func (s *Server) logPanic(ctx context.Context, msg string, p any) {
	what := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	s.cfg.Log.ErrorContext(ctx, msg, "panic", what, "stack", string(debug.Stack())) //nolint:sloglint // the callers' messages are constant
}

// divert leads hooks past the router. Several slashes count as one: hooks made
// from a base URL with a trailing slash have two.
func (s *Server) divert(next echo.HandlerFunc) echo.HandlerFunc {
	hooks := s.prefix + "/integration"
	return func(c echo.Context) error {
		path := c.Request().URL.Path
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
		if rest, ok := strings.CutPrefix(path, hooks); ok && (rest == "" || rest[0] == '/') {
			c.SetPath(hooks)
			return s.hook(c, rest)
		}
		return next(c)
	}
}

// fail answers errors of other routes, in the words of the Python program.
func (*Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, detail := http.StatusInternalServerError, any(http.StatusText(http.StatusInternalServerError))
	if he := (*echo.HTTPError)(nil); errors.As(err, &he) {
		status, detail = he.Code, he.Message
	}
	if c.Request().Method == http.MethodHead {
		_ = c.NoContent(status)
		return
	}
	_ = c.JSON(status, map[string]any{"detail": detail})
}

// health answers a probe: 503 for a reason. unready may be nil.
func health(check string, unready func() string) echo.HandlerFunc {
	type answer struct {
		Status string `json:"status"`
		Check  string `json:"check"`
		Reason string `json:"reason,omitempty"`
	}
	return func(c echo.Context) error {
		a := answer{Status: "healthy", Check: check}
		if unready != nil {
			a.Reason = unready()
		}
		if a.Reason != "" {
			a.Status = "unhealthy"
			return c.JSON(http.StatusServiceUnavailable, a)
		}
		return c.JSON(http.StatusOK, a)
	}
}

// docs is there for the probes of old charts.
func docs(c echo.Context) error {
	return c.HTML(http.StatusOK, `<!doctype html><html lang="en"><meta charset="utf-8"><title>ado-port</title><h1>ado-port</h1><p>The service is up.</p></html>`)
}

// protect asks for the password of the hooks. Where there is none and only this machine
// can ask, the request has to name this machine: a page of somebody else's whose name leads
// here (DNS rebinding) could read everything otherwise.
func (s *Server) protect(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.cfg.Secret == "" && s.cfg.ShowStatus == nil && !namesLoopback(c.Request().Host) {
			return echo.ErrMisdirectedRequest
		}
		if s.authenticate(c.Request()) != granted {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="ado-port"`)
			return echo.ErrUnauthorized
		}
		return next(c)
	}
}

// namesLoopback says that a Host header means this machine.
func namesLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// resync starts a resync and does not wait for it. A service that waits for something
// itself takes no request that it would forget.
func (s *Server) resync(c echo.Context) error {
	if s.cfg.Ready != nil && !s.cfg.Ready() {
		return echo.ErrServiceUnavailable
	}
	s.cfg.Resync()
	return c.JSONBlob(http.StatusAccepted, []byte(`{"status":"accepted"}`))
}

// sampleEvery is the time between two lines of one reason.
const sampleEvery = 10 * time.Second

// sampler keeps what happens often from filling the log.
type sampler struct {
	mu   sync.Mutex
	seen map[string]sample // by reason, of which there are few
}

type sample struct {
	last  time.Time
	count int
}

// pass counts an occurrence. ok: log it, with the number since the last line.
func (s *sampler) pass(reason string, now time.Time) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.seen[reason]
	x.count++
	n, ok = x.count, x.last.IsZero() || now.Sub(x.last) >= sampleEvery
	if ok {
		x = sample{last: now}
	}
	s.seen[reason] = x
	return n, ok
}
