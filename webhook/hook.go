package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ado-port/ado-port/webhook/spool"
)

const (
	// drainGood and drainBad are how much of a refused body is read, so that the
	// sender reads our answer and not a reset: after authentication and before it.
	drainGood = 64 << 20
	drainBad  = 1 << 20
	// storeTimeout is how long a delivery waits for the disk.
	storeTimeout = 15 * time.Second
)

// refusal is an answer other than 200. Its text is what the sender reads and
// what the metric is labelled with; it never repeats anything of the request.
type refusal struct {
	status     int
	reason     string // label of the metric
	message    string
	retryAfter int // seconds; of 503
}

var (
	refuseAuth     = &refusal{status: http.StatusUnauthorized, reason: "credentials", message: "wrong credentials"}
	refuseMissing  = &refusal{status: http.StatusUnauthorized, reason: "no_credentials", message: "credentials are needed"}
	refuseRepair   = &refusal{status: http.StatusServiceUnavailable, reason: "no_credentials_yet", message: "credentials are needed", retryAfter: 30}
	refuseRoute    = &refusal{status: http.StatusBadRequest, reason: "route", message: "want POST to the path of the hooks"}
	refuseSize     = &refusal{status: http.StatusBadRequest, reason: "size", message: "the body is too large"}
	refuseRead     = &refusal{status: http.StatusBadRequest, reason: "read", message: "the body could not be read"}
	refuseSlow     = &refusal{status: http.StatusServiceUnavailable, reason: "slow", message: "the body came too slowly", retryAfter: 5}
	refusePayload  = &refusal{status: http.StatusBadRequest, reason: "payload", message: "the body is no delivery of a service hook"}
	refuseBusy     = &refusal{status: http.StatusServiceUnavailable, reason: "busy", message: "too much at once", retryAfter: 5}
	refuseIdle     = &refusal{status: http.StatusServiceUnavailable, reason: "no_handler", message: "nothing handles deliveries here", retryAfter: 60}
	refuseClosing  = &refusal{status: http.StatusServiceUnavailable, reason: "closing", message: "the service ends", retryAfter: 10}
	refuseStarting = &refusal{status: http.StatusServiceUnavailable, reason: "starting", message: "the service begins", retryAfter: 5}
	refuseFull     = &refusal{status: http.StatusServiceUnavailable, reason: "full", message: "too many deliveries wait", retryAfter: 30}
	refuseStore    = &refusal{status: http.StatusServiceUnavailable, reason: "storage", message: "the delivery could not be stored", retryAfter: 10}
	refusePanic    = &refusal{status: http.StatusServiceUnavailable, reason: "fault", message: "an error in the service", retryAfter: 10}
)

// refusals are all of them; every reason is a series from the start.
var refusals = []*refusal{
	refuseAuth, refuseMissing, refuseRepair, refuseRoute, refuseSize, refuseRead, refuseSlow, refusePayload,
	refuseBusy, refuseIdle, refuseClosing, refuseStarting, refuseFull, refuseStore, refusePanic,
}

// hook answers everything below the hook prefix: 200, 400, 401 or 503, the only
// answers after which Azure DevOps does the right thing.
func (s *Server) hook(c echo.Context, path string) error {
	s.metrics.received.Inc()
	b := s.bodies.begin(c.Response(), c.Request())
	defer b.close()
	no := s.receive(c, path, b)
	if no == nil {
		return c.JSONBlob(http.StatusOK, []byte(`{"status":"ok"}`))
	}
	s.metrics.rejected.WithLabelValues(no.reason).Inc()
	if n, ok := s.lines.pass(no.reason, time.Now()); ok {
		s.cfg.Log.WarnContext(c.Request().Context(), "deliveries are refused", "reason", no.message, "status", no.status, "deliveries", n)
	}
	drain := int64(drainGood)
	if no.status == http.StatusUnauthorized || no == refuseRepair {
		drain = drainBad
	}
	if no != refuseSlow && no != refuseRead && !s.conns.crowded() && c.Request().Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, b, drain)
	}
	h := c.Response().Header()
	switch {
	case no.status == http.StatusUnauthorized:
		h.Set(echo.HeaderWWWAuthenticate, `Basic realm="ado-port"`)
	case no.retryAfter > 0:
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(no.retryAfter))
	}
	if no == refuseClosing || no == refuseBusy {
		h.Set(echo.HeaderConnection, "close")
	}
	return c.JSONBlob(no.status, []byte(`{"status":"error","message":"`+no.message+`"}`))
}

// receive takes a delivery; nil when it is durable.
func (s *Server) receive(c echo.Context, path string, b *body) (no *refusal) {
	defer s.recover(c, "a delivery could not be received", func() { no = refusePanic })
	r := c.Request()
	v := s.authenticate(r)
	switch {
	case v == missing && s.cfg.Lenient, v == granted:
	case v == missing && s.cfg.Repairing != nil && s.cfg.Repairing():
		return refuseRepair
	case v == missing:
		return refuseMissing
	default:
		return refuseAuth
	}
	if r.Method != http.MethodPost || path != "/webhook" && !strings.HasPrefix(path, "/webhook/") {
		return refuseRoute
	}
	sp, no := s.usable()
	if no != nil {
		return no
	}
	if s.conns.crowded() && !s.bodies.makeWay() {
		return refuseBusy
	}
	body, no := b.readBody(r.ContentLength, s.cfg.Settings.MaxBodyBytes)
	if no != nil {
		return no
	}
	return s.keep(r.Context(), sp, body, v == granted && s.cfg.Secret != "")
}

// usable is where deliveries are stored, or why none can be taken now.
func (s *Server) usable() (Spool, *refusal) {
	sp, err := s.store()
	switch {
	case s.cfg.Handler == nil:
		return nil, refuseIdle
	case s.closing.Load():
		return nil, refuseClosing
	case errors.Is(err, errDirectory):
		return nil, refuseStore
	case err != nil:
		return nil, refuseStarting
	}
	return sp, nil
}

// keep stores a delivery; proven says that it came with the password, or
// another way of which that is as good.
func (s *Server) keep(ctx context.Context, sp Spool, body []byte, proven bool) *refusal {
	env, err := s.cfg.Parse(body)
	if err != nil {
		return refusePayload
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	duplicate, err := sp.Accept(ctx, Delivery{
		Key: env.Key, EventType: env.EventType, EventID: env.EventID, SubscriptionID: env.SubscriptionID,
		Received: time.Now(), Stranger: !proven && !env.Known, Body: body,
	}, env.Resource)
	switch {
	case errors.Is(err, spool.ErrInvalid):
		return refusePayload
	case errors.Is(err, spool.ErrFull):
		return refuseFull
	case errors.Is(err, spool.ErrClosed):
		return refuseClosing
	case err != nil:
		return refuseStore // the spool logs why
	case duplicate:
		s.metrics.duplicates.Inc()
	default:
		s.metrics.accepted.WithLabelValues(s.metrics.event(env.EventType)).Inc()
	}
	return nil
}
