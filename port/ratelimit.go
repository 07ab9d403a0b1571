package port

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A pacer keeps calls within Port's rate limit, which Port states in every
// answer: x-ratelimit-limit, -remaining and -reset (Port's API reference, rate
// limits). Nothing is held back before nine tenths of a window are used; then
// the rest of it is spread over the time that is left.
type pacer struct {
	mu        sync.Mutex
	paused    time.Time     // no call before that: a 429 asked for it
	windowEnd time.Time     // until then interval holds
	interval  time.Duration // between calls, zero when there is no hurry
	free      time.Time     // when the next call may go
	pauses    time.Duration // all of them together, what is left of the last one included
}

// turn takes the next place and returns how long to wait for it.
func (p *pacer) turn(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := now
	if p.interval > 0 && now.Before(p.windowEnd) {
		if p.free.After(at) {
			at = p.free
		}
		p.free = at.Add(p.interval)
		if at.After(p.windowEnd) {
			at = p.windowEnd
		}
	}
	if p.paused.After(at) {
		at = p.paused
	}
	return at.Sub(now)
}

// pause stops all calls until a time. It reports whether they were not stopped
// before.
func (p *pacer) pause(until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := p.paused
	now := time.Now()
	fresh := !now.Before(from)
	if fresh {
		from = now
	}
	if until.After(from) {
		p.pauses += until.Sub(from)
		p.paused = until
	}
	return fresh
}

// lasted is how long the pauses have lasted so far.
func (p *pacer) lasted(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pauses - max(0, p.paused.Sub(now))
}

// observe reads the limit from an answer.
func (p *pacer) observe(h http.Header, now time.Time) {
	remaining, err := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	if err != nil || remaining < 0 {
		return
	}
	limit, _ := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	left := waitOf(h.Get("X-Ratelimit-Reset"), now)
	p.mu.Lock()
	defer p.mu.Unlock()
	if remaining > limit/10 || left <= 0 || left > maxWait {
		p.interval = 0
		return
	}
	p.windowEnd = now.Add(left)
	p.interval = left / time.Duration(remaining+1)
	if next := now.Add(p.interval); next.After(p.free) || p.free.After(p.windowEnd) {
		p.free = next
	}
}
