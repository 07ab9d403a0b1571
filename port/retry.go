package port

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// How often and how long a call is repeated. Ocean's first delay is kept
// (0.3 s); its ten retries up to 300 s apart are not: eight attempts take 40 s.
const (
	maxAttempts   = 8
	firstDelay    = 300 * time.Millisecond
	maxDelay      = 30 * time.Second
	maxWait       = 300 * time.Second // that a header can ask for
	startPatience = 15 * time.Second  // until Port has answered once
	startTimeout  = 7 * time.Second   // of an attempt until then
)

// A retry decides about the attempts of one call.
type retry struct {
	c        *Client
	k        *call
	attempts int // that failed
	started  time.Time
	most     int
}

func (c *Client) newRetry(k *call) *retry {
	return &retry{c: c, k: k, started: time.Now(), most: c.budget.attempts(k)}
}

func (r *retry) timeout() time.Duration {
	if r.c.reached.Load() {
		return r.c.cfg.Timeout
	}
	left := startPatience - time.Since(r.started)
	return min(r.c.cfg.Timeout, startTimeout, max(left, time.Second))
}

// next reports how long to wait before the next attempt, if there is one.
func (r *retry) next(err error) (time.Duration, bool) {
	r.attempts++
	if !retryable(r.k, err) || r.attempts >= r.most || r.k.once {
		return 0, false
	}
	wait := jitter(min(firstDelay<<(r.attempts-1), maxDelay))
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	if !r.c.reached.Load() && time.Since(r.started)+wait > startPatience {
		return 0, false
	}
	return wait, true
}

// retryable is the one place that says which failures are worth another
// attempt. 429 and 503 say that nothing was done; after 408, 500, 502, 504, a
// broken connection or an unusable answer the request may have had its effect.
func retryable(k *call, err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.StatusCode {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return true
		case http.StatusRequestTimeout:
			return k.idempotent()
		}
		return e.StatusCode >= 500 && e.StatusCode != http.StatusNotImplemented && k.idempotent()
	}
	if e, ok := errors.AsType[*callError](err); ok {
		return !errors.Is(err, errTooLarge) && !untrusted(err) && (k.idempotent() || !e.sent)
	}
	return false
}

// untrusted reports whether the address showed a certificate that is refused.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// jitter spreads the attempts of calls that failed together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // no secret depends on it
}

// final is the error of a call that is given up.
func (r *retry) final(err error) error {
	if retryable(r.k, err) && !r.k.once {
		r.c.budget.ended(r.k, true)
	}
	if untrusted(err) {
		return fmt.Errorf("port: the certificate of %s is not trusted (name its authority with SSL_CERT_FILE): %w", r.c.base, err)
	}
	if !r.c.reached.Load() {
		return fmt.Errorf("port: no answer from %s after %d attempts (check %s, the network and the proxy): %w",
			r.c.base, r.attempts, r.c.cfg.Variables.BaseURL, err)
	}
	if r.attempts > 1 {
		return fmt.Errorf("%w (after %d attempts)", err, r.attempts)
	}
	return err
}

// budget ends the patience with a route that fails for good: after
// patientFailures calls the rest get one attempt, until one succeeds. A resync
// against a broken Port would take hours otherwise.
type budget struct {
	mu       sync.Mutex
	failures map[string]int
}

const patientFailures = 5

func (b *budget) attempts(k *call) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures[k.route()] >= patientFailures {
		return 1
	}
	return maxAttempts
}

// ended notes how a call of a route ended.
func (b *budget) ended(k *call, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if failed {
		b.failures[k.route()]++
	} else {
		delete(b.failures, k.route())
	}
}
