package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

// ErrNoDelivery says that a body is no delivery of a service hook, or too large to be
// taken: another try is of no use.
var ErrNoDelivery = errors.New("no delivery")

// errLater says that a delivery cannot be stored now; the same one may be later.
var errLater = errors.New("deliveries cannot be taken now")

// Accept takes a delivery that came another way than by POST, from a sender who has
// proven that it may send. It returns nil when the delivery is durable, or when an
// earlier one that says the same is. An error that is not ErrNoDelivery may pass.
func (s *Server) Accept(ctx context.Context, body []byte) error {
	s.metrics.received.Inc()
	sp, no := s.usable()
	switch {
	case no != nil:
	case int64(len(body)) > s.cfg.Settings.MaxBodyBytes:
		no = refuseSize
	default:
		no = s.keepSafely(ctx, sp, body)
	}
	switch {
	case no == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	s.metrics.rejected.WithLabelValues(no.reason).Inc()
	if no == refusePayload || no == refuseSize {
		return fmt.Errorf("%w: %s", ErrNoDelivery, no.message)
	}
	return fmt.Errorf("%w: %s", errLater, no.message)
}

// keepSafely is keep for bodies that no HTTP server guards: one that brings the parser
// down is no delivery.
func (s *Server) keepSafely(ctx context.Context, sp *spool.Spool, body []byte) (no *refusal) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, "a delivery could not be received", p)
			no = refusePayload
		}
	}()
	return s.keep(ctx, sp, body, true)
}

// buried begins the key of what is to become a dead letter; id and reason follow.
const buried = "dead letter "

// longestReason of a dead letter, which is a part of its key.
const longestReason = 300

// Bury stores what nobody can read as a delivery, to be kept as a dead letter. The
// same id is buried once. It returns nil when that is durable.
func (s *Server) Bury(ctx context.Context, id, reason string, body []byte) error {
	sp, no := s.usable()
	if no != nil {
		return fmt.Errorf("%w: %s", errLater, no.message)
	}
	if len(reason) > longestReason {
		reason = strings.ToValidUTF8(reason[:longestReason], "")
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// It takes the way of every delivery, and dies when its turn has come: so it needs
	// nothing of the store that other deliveries do not.
	_, err := sp.Accept(ctx, Delivery{Key: buried + id + ": " + reason, EventID: id, Received: time.Now(), Body: body}, nil)
	return err
}

// epitaph is why deliveries are dead letters from the start, "" when they are not, or
// when somebody wants them handled all the same.
func epitaph(key string, deliveries []Delivery) string {
	text, is := strings.CutPrefix(key, buried)
	if _, reason, ok := strings.Cut(text, ": "); is && ok && !deliveries[0].Redriven {
		return reason
	}
	return ""
}
