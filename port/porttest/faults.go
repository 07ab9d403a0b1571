package porttest

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

// A Rule makes some requests go wrong. Make one with the functions below and
// narrow it with its methods, each of which returns a changed copy:
//
//	porttest.Status("POST /v1/entities/search", 503).After(2).Times(3)
//
// A route is the pattern of a request as in Requests ("POST
// /v1/blueprints/{blueprint}/entities/bulk"; the names in braces do not
// matter), a prefix before a final "*", or "" for every request.
type Rule struct {
	route  string
	effect effect
	reply  reply
	header http.Header
	delay  time.Duration
	gate   <-chan struct{}
	waits  bool
	skip   int
	times  int
	share  float64
	when   func(r *http.Request, body []byte) bool
	call   func()
}

type effect int

const (
	pass     effect = iota // only delay and call
	answer                 // reply, without handling
	reset                  // cut the connection, without handling
	truncate               // handle; half of the body, then cut
	malform                // handle; damaged JSON in a sound response
	lose                   // handle; reply instead of the answer
	cut                    // handle; cut the connection
	expire                 // expire all tokens, then handle
)

// Status answers with a status and Port's error envelope, without handling the request.
func Status(route string, status int) Rule {
	return Rule{route: route, effect: answer, reply: fail(status, codeOf(status), http.StatusText(status))}
}

// Reset cuts the connection without handling the request.
func Reset(route string) Rule { return Rule{route: route, effect: reset} }

// Truncate handles the request and cuts the connection in the middle of the answer.
func Truncate(route string) Rule { return Rule{route: route, effect: truncate} }

// Malformed handles the request and answers with JSON that lacks its end.
func Malformed(route string) Rule { return Rule{route: route, effect: malform} }

// HTML answers 200 with a page, as proxies and gateways do, without handling the request.
func HTML(route string) Rule {
	return Rule{route: route, effect: answer, reply: reply{
		status: http.StatusOK, kind: "text/html; charset=utf-8",
		body: []byte("<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to continue</body></html>"),
	}}
}

// Slow handles the request after a time.
func Slow(route string, d time.Duration) Rule { return Rule{route: route}.Delay(d) }

// Hang leaves the request unanswered and unhandled until the client gives up or
// the server is closed.
func Hang(route string) Rule { return Rule{route: route, waits: true} }

// Gate handles the request once open is closed.
func Gate(route string, open <-chan struct{}) Rule {
	return Rule{route: route, waits: true, gate: open}
}

// LostAnswer handles the request and answers 500.
func LostAnswer(route string) Rule {
	return Rule{route: route, effect: lose, reply: fail(http.StatusInternalServerError, "internal_error", "Internal server error")}
}

// LostConnection handles the request and cuts the connection.
func LostConnection(route string) Rule { return Rule{route: route, effect: cut} }

// ExpireTokens expires all tokens before the request is looked at.
func ExpireTokens(route string) Rule { return Rule{route: route, effect: expire} }

// Do handles the request as usual after fn has been called: the place to change
// the world in the middle of a client's work.
func Do(route string, fn func()) Rule { return Rule{route: route, call: fn} }

// Times limits the rule to n requests; without it, it lasts.
func (r Rule) Times(n int) Rule { r.times = n; return r }

// After lets n requests pass first.
func (r Rule) After(n int) Rule { r.skip = n; return r }

// Rate limits the rule to a share of the requests, evenly spread, without chance.
func (r Rule) Rate(share float64) Rule { r.share = share; return r }

// When limits the rule to requests for which f is true; others do not count.
func (r Rule) When(f func(r *http.Request, body []byte) bool) Rule { r.when = f; return r }

// Calling calls fn before the request is handled or failed.
func (r Rule) Calling(fn func()) Rule { r.call = fn; return r }

// Delay waits before anything else. A client that gives up meanwhile is not handled.
func (r Rule) Delay(d time.Duration) Rule { r.delay, r.waits = d, d > 0; return r }

// Header adds a header to the answer, such as Retry-After.
func (r Rule) Header(name, value string) Rule {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
	return r
}

// Body replaces the body of the answer of Status, HTML and LostAnswer.
func (r Rule) Body(body string) Rule { r.reply.body = []byte(body); return r }

// name is what the request log says.
func (r *activeRule) name() string {
	if r == nil {
		return ""
	}
	return [...]string{"delay", "status", "reset", "truncate", "malformed", "lost-answer", "lost-connection", "expire-tokens"}[r.effect]
}

// An activeRule is a rule with its counters.
type activeRule struct {
	Rule
	mu   sync.Mutex
	seen int // requests that matched
	hits int
}

// Fault adds rules; the first one that wants a request gets it. A route that
// does not exist panics: the test would pass without testing anything.
func (s *Server) Fault(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rules {
		known := r.route == unmatched
		for route := range s.routes {
			known = known || matches(r.route, route)
		}
		if !known {
			panic("porttest: no route " + r.route)
		}
		s.rules = append(s.rules, &activeRule{Rule: r})
	}
}

// ClearFaults removes all rules.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// fire returns the rule that takes the request, or nil.
func (s *Server) fire(c *call) *activeRule {
	s.mu.Lock()
	rules := s.rules
	s.mu.Unlock()
	for _, r := range rules {
		if matches(r.route, c.route) && (r.when == nil || r.when(c.r, c.body)) && r.take() {
			return r
		}
	}
	return nil
}

func (r *activeRule) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.seen - r.skip
	r.seen++
	if n < 0 || r.times > 0 && r.hits >= r.times {
		return false
	}
	if r.share > 0 && int(float64(n+1)*r.share) == int(float64(n)*r.share) {
		return false
	}
	r.hits++
	return true
}

// before does what comes before handling; false means that the request is not handled.
func (r *activeRule) before(c *call) bool {
	if r == nil {
		return true
	}
	if r.waits && !c.wait(c.r.Context(), r.delay, r.gate) {
		c.s.record(c, r, reply{})
		panic(http.ErrAbortHandler)
	}
	if r.call != nil {
		r.call()
	}
	if r.effect == expire {
		c.s.ExpireTokens()
	}
	return r.effect != answer && r.effect != reset
}

// after changes the answer of a handled request.
func (r *activeRule) after(out *reply, handled bool) {
	if r == nil || !handled {
		return
	}
	switch r.effect {
	case malform:
		out.body = out.body[:len(out.body)*2/3]
	case lose:
		*out = r.reply
	default: // the answer stays, whether or not it arrives
	}
}

func (r *activeRule) resets() bool    { return r != nil && (r.effect == reset || r.effect == cut) }
func (r *activeRule) truncates() bool { return r != nil && r.effect == truncate }

func (r *activeRule) headers(h http.Header) {
	if r == nil {
		return
	}
	maps.Copy(h, r.header)
}
