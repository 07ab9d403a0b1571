package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	startInFlight = 4
	// maxPause bounds what one header may ask for: the window of Azure DevOps is
	// five minutes, so an hour is a broken clock.
	maxPause = time.Hour
)

// A limiter decides when the next request of one identity and organization may
// go out. It begins with few requests in flight, allows one more with every
// answer until the service complains, then halves and grows by one per round.
// A pause that the service asks for holds for everything. Urgent requests pass
// all others.
type limiter struct {
	most int // for all processes that share the identity
	log  *slog.Logger

	mu       sync.Mutex
	max      int // for this one
	limit    int
	cautious bool // throttled once: grow slowly
	grown    int  // answers since the limit grew, when cautious
	round    int  // counts halvings: answers of an older round do not halve again
	inFlight int
	waiting  int
	urgent   []*waiter
	bulk     []*waiter
	until    time.Time
	timer    *time.Timer

	episode   episode
	throttled time.Duration    // all pauses, what is left of the last one included
	by        map[string]*wait // by kind
}

type waiter struct {
	ready chan struct{}
	gone  bool
	round int
	call  *call // nil for what is not ours
}

// An episode is a period in which the service asks to slow down.
type episode struct {
	on       bool
	start    time.Time
	resource string
	answers  int // that asked for it
	waiting  int // most requests that waited
}

func newLimiter(most int, log *slog.Logger) *limiter {
	return &limiter{most: most, max: most, limit: min(startInFlight, most), log: log, by: map[string]*wait{}}
}

// share leaves the other processes of so many that use the identity their parts. A few
// requests at once each may have: the service says when it is too much.
func (l *limiter) share(processes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max = max(min(startInFlight, l.most), l.most/max(1, processes))
	l.limit = min(l.limit, l.max)
	l.dispatch() // there may be more room than before
}

// acquire waits for a slot. The caller gives it back with release; round goes to
// observe.
func (l *limiter) acquire(ctx context.Context, urgent bool) (round int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c, _ := ctx.Value(callKey{}).(*call)
	l.mu.Lock()
	w := &waiter{ready: make(chan struct{}), call: c}
	if urgent {
		l.urgent = append(l.urgent, w)
	} else {
		l.bulk = append(l.bulk, w)
	}
	l.waits(w, 1)
	l.dispatch()
	l.episode.waiting = max(l.episode.waiting, l.waiting)
	l.mu.Unlock()
	select {
	case <-w.ready:
		return w.round, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.ready: // granted at the same moment
		l.inFlight--
	default:
		w.gone = true
		l.waits(w, -1)
	}
	l.dispatch()
	return 0, ctx.Err()
}

// paused is how long the pauses have lasted so far. What it grows by while
// somebody waits is how long that one waits for a pause, and not for a slot. mu is
// held.
func (l *limiter) paused() time.Duration {
	if l.throttled == 0 {
		return 0
	}
	return l.throttled - max(0, time.Until(l.until))
}

// A usage is what a limiter does now.
type usage struct {
	inFlight, waiting, limit int
	paused                   time.Duration // so far, all pauses together
}

func (l *limiter) use() usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return usage{l.inFlight, l.waiting, l.limit, l.paused()}
}

// A wait is how long something of a kind has waited for pauses: as long as at least
// one request of it waits, its time is that of [limiter.paused].
type wait struct {
	waiting   int
	from, sum time.Duration
}

func (w *wait) soFar(paused time.Duration) time.Duration {
	if w.waiting > 0 {
		return w.sum + paused - w.from
	}
	return w.sum
}

// waits notes that a waiter has come or, with by -1, that it waits no more. mu is held.
func (l *limiter) waits(w *waiter, by int) {
	l.waiting += by
	if w.call == nil {
		return
	}
	k := l.by[w.call.kind]
	if k == nil {
		k = &wait{}
		l.by[w.call.kind] = k
	}
	now := l.paused()
	k.sum, k.from = k.soFar(now), now
	k.waiting += by
}

func (l *limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.dispatch()
}

// dispatch lets as many waiters go as there is room for. mu is held.
func (l *limiter) dispatch() {
	if l.waiting > 0 {
		if wait := time.Until(l.until); wait > 0 {
			if l.timer == nil {
				l.timer = time.AfterFunc(wait, l.wake)
			}
			return
		}
	}
	for l.inFlight < l.limit {
		w := next(&l.urgent)
		if w == nil {
			w = next(&l.bulk)
		}
		if w == nil {
			return
		}
		l.waits(w, -1)
		l.inFlight++
		w.round = l.round
		close(w.ready)
	}
}

func (l *limiter) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	l.dispatch()
}

// next takes the first waiter that still waits.
func next(queue *[]*waiter) *waiter {
	for len(*queue) > 0 {
		w := (*queue)[0]
		(*queue)[0] = nil
		*queue = (*queue)[1:]
		if !w.gone {
			return w
		}
	}
	return nil
}

// observe learns from an answer to a request of that round.
func (l *limiter) observe(ctx context.Context, round, status int, h http.Header) {
	now := time.Now()
	pause, slow := throttling(now, status, h)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slow {
		l.calm(ctx, now, round)
		return
	}
	if !l.episode.on {
		l.episode = episode{on: true, start: now, waiting: l.waiting}
	}
	l.episode.answers++
	if r := h.Get("X-RateLimit-Resource"); r != "" {
		l.episode.resource = r
	}
	if round == l.round {
		l.round++
		l.limit = max(1, l.limit/2)
		l.cautious, l.grown = true, 0
	}
	if until := now.Add(pause); until.After(l.until) {
		from := l.until
		if now.After(from) {
			from = now
		}
		l.throttled += until.Sub(from)
		l.until = until
		if l.timer != nil {
			l.timer.Reset(pause)
		}
	}
}

// calm takes note of an answer without complaint. mu is held.
func (l *limiter) calm(ctx context.Context, now time.Time, round int) {
	if l.episode.on && round == l.round && !now.Before(l.until) {
		e := l.episode
		l.episode = episode{}
		l.log.WarnContext(ctx, "azure devops throttled", "duration", now.Sub(e.start), "resource", e.resource, "answers", e.answers, "queued", e.waiting, "requests_at_once", l.limit)
	}
	if l.limit >= l.max {
		return
	}
	if l.cautious {
		if l.grown++; l.grown < l.limit {
			return
		}
		l.grown = 0
	}
	l.limit++
	l.dispatch()
}

// pauses is what Throttled returns.
func (l *limiter) pauses() (all time.Duration, byKind map[string]time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byKind = map[string]time.Duration{}
	for kind, w := range l.by {
		if d := w.soFar(l.paused()); d > 0 {
			byKind[kind] = d
		}
	}
	return l.paused(), byKind
}

// throttling reads the headers of rate limits: how long to pause before the next
// request, and whether to slow down at all. Retry-After counts on every status,
// X-RateLimit-Reset only when the budget is used up.
//
// https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits
func throttling(now time.Time, status int, h http.Header) (pause time.Duration, slow bool) {
	blocked := status == http.StatusTooManyRequests
	slow = blocked
	if after, ok := retryAfter(now, h); ok {
		pause, slow = after, true
	}
	if d, err := strconv.ParseFloat(strings.TrimSpace(h.Get("X-RateLimit-Delay")), 64); err == nil && d > 0 {
		slow = true
	}
	if blocked || strings.TrimSpace(h.Get("X-RateLimit-Remaining")) == "0" {
		if d, ok := untilReset(now, h); ok {
			pause, slow = max(pause, d), true
		}
	}
	return min(pause, maxPause), slow
}

// retryAfter reads Retry-After: seconds, a date, or (above 10,000, as the Python
// integration reads it) a Unix time.
func retryAfter(now time.Time, h http.Header) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		switch {
		case !(s > 0):
			return 0, false
		case s > 10_000:
			return clamp(time.Unix(int64(min(s, 1e11)), 0).Sub(serverNow(now, h))), true
		}
		return time.Duration(s * float64(time.Second)), true
	}
	if at, err := http.ParseTime(v); err == nil {
		return clamp(at.Sub(serverNow(now, h))), true
	}
	return 0, false
}

// untilReset reads X-RateLimit-Reset, a Unix time.
func untilReset(now time.Time, h http.Header) (time.Duration, bool) {
	s, err := strconv.ParseInt(strings.TrimSpace(h.Get("X-RateLimit-Reset")), 10, 64)
	if err != nil || s <= 0 {
		return 0, false
	}
	d := clamp(time.Unix(min(s, 1e11), 0).Sub(serverNow(now, h)))
	return d, d > 0
}

// serverNow is the time by the clock that wrote the headers.
func serverNow(now time.Time, h http.Header) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

func clamp(d time.Duration) time.Duration { return min(max(d, 0), maxPause) }
