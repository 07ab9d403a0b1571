package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

// worker works on one claim after the other until the spool stops.
func (s *Server) worker(ctx context.Context, sp *spool.Spool) {
	for {
		c, err := sp.Take(ctx)
		if err != nil {
			return
		}
		err = s.handle(ctx, c)
		s.report(ctx, c, err, sp.Finish(c, err))
	}
}

// handle calls the handler. A panic is an error like any other.
func (s *Server) handle(ctx context.Context, c *spool.Claim) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandleTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, "deliveries could not be handled", p)
			err = errors.New("the handler panicked")
		}
	}()
	if reason := epitaph(c.Key, c.Deliveries); reason != "" {
		return fmt.Errorf("%w: %s", ErrPermanent, reason)
	}
	if err := s.cfg.Handler.Handle(ctx, c.Key, c.Deliveries); err != nil {
		return fmt.Errorf("handling: %w", err)
	}
	return nil
}

// report counts what became of a claim.
func (s *Server) report(ctx context.Context, c *spool.Claim, err error, out spool.Outcome) {
	now, m := time.Now(), s.metrics
	for i := range out.Done {
		d := &out.Done[i]
		event, took := m.event(d.EventType), now.Sub(d.Received)
		m.processed.WithLabelValues(event).Inc()
		m.latency.WithLabelValues(event).Observe(took.Seconds())
		m.minutes.add(now, took)
	}
	if n := len(out.Done); n > 1 {
		m.coalesced.Add(float64(n - 1))
	}
	for i := range out.Dead {
		m.dead.WithLabelValues(m.event(out.Dead[i].EventType)).Inc()
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	last := &c.Deliveries[len(c.Deliveries)-1]
	m.failed.WithLabelValues(m.event(last.EventType)).Inc()
	if len(out.Dead) > 0 {
		if n, ok := s.lines.pass("dead", now); ok {
			s.cfg.Log.ErrorContext(ctx, "deliveries become dead letters", "key", c.Key, "event", last.EventType, "deliveries", len(out.Dead), "lines", n, "err", err)
		}
		return
	}
	if n, ok := s.lines.pass("failed", now); ok {
		s.cfg.Log.WarnContext(ctx, "deliveries could not be handled and are tried again", "key", c.Key, "event", last.EventType,
			"deliveries", out.Retried, "attempt", last.Attempt, "again_in", out.Delay.String(), "lines", n, "err", err)
	}
}
