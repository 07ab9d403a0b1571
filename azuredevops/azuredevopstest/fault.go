package azuredevopstest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Fault makes the server misbehave on the requests that it matches. Make one
// with a constructor, narrow it with its methods and hand it to [Server.Fault];
// it must not be changed after that.
//
// A pattern is a method and a path below the organization, such as
// "GET /{project}/_apis/git/repositories": {…} stands for any one segment, a
// trailing ... for any rest, a missing method for every method, the empty
// pattern for every request. A project may be named literally, also when the
// request uses its id.
type Fault struct {
	name     string
	method   string
	segments []string
	rest     bool
	any      bool

	project string
	query   url.Values
	skip    int
	times   int
	rate    float64
	header  http.Header
	delay   time.Duration

	prepare func()
	before  func(*request) (*response, error) // instead of the answer
	after   func(*response) error             // damages the answer

	seen, hits int // guarded by Server.mu
}

func newFault(name, pattern string) *Fault {
	f := &Fault{name: name + " " + pattern, query: url.Values{}, header: http.Header{}, rate: 1}
	if method, path, found := strings.Cut(pattern, " "); found {
		f.method, pattern = method, path
	}
	pattern, f.rest = strings.CutSuffix(pattern, "...")
	f.any = pattern == ""
	f.segments = split(pattern)
	return f
}

// Status answers with a status and the error object of the service.
func Status(pattern string, status int) *Fault {
	f := newFault("status "+strconv.Itoa(status), pattern)
	f.before = func(*request) (*response, error) {
		return failure(status, faultType(status), faultText(status)), nil
	}
	return f
}

func faultType(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "Microsoft.TeamFoundation.Framework.Server.RequestBlockedException"
	case http.StatusForbidden, http.StatusUnauthorized:
		return errForbidden
	default:
		return "Microsoft.VisualStudio.Services.Common.VssServiceException"
	}
}

func faultText(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency' in namespace 'User'."
	case http.StatusForbidden, http.StatusUnauthorized:
		return "TF400813: The user is not authorized to access this resource."
	case http.StatusServiceUnavailable:
		return "TF10216: Azure DevOps services are currently unavailable. Try again later."
	default:
		return "TF400898: An Internal Error Occurred."
	}
}

// RateLimited answers 429 with Retry-After, in whole seconds, and the
// X-RateLimit headers.
func RateLimited(pattern string, retryAfter time.Duration) *Fault {
	return Status(pattern, http.StatusTooManyRequests).Delayed(retryAfter)
}

// Answer answers with a status, content type and body of the test's choice.
func Answer(pattern string, status int, contentType, body string) *Fault {
	f := newFault("answer "+strconv.Itoa(status), pattern)
	f.before = func(*request) (*response, error) { return answerBytes(status, contentType, []byte(body)), nil }
	return f
}

// SignInHTML answers with the sign-in page: status 203 and HTML.
func SignInHTML(pattern string) *Fault {
	f := newFault("sign-in page", pattern)
	f.before = func(*request) (*response, error) { return signInPage(), nil }
	return f
}

// SignInRedirected answers with the redirect to the sign-in page.
func SignInRedirected(pattern string) *Fault {
	f := newFault("sign-in redirect", pattern)
	f.before = func(q *request) (*response, error) { return refuse(q, SignInRedirect, false), nil }
	return f
}

// Empty answers 200 with no body at all.
func Empty(pattern string) *Fault { return Answer(pattern, http.StatusOK, jsonType, "") }

// Reset cuts the connection before the request has any effect.
func Reset(pattern string) *Fault {
	f := newFault("reset", pattern)
	f.before = func(*request) (*response, error) { return nil, errReset }
	return f
}

// LostAnswer lets the request have its effect and cuts the connection instead
// of answering.
func LostAnswer(pattern string) *Fault {
	f := newFault("lost answer", pattern)
	f.after = func(*response) error { return errReset }
	return f
}

// Truncate cuts the connection in the middle of the body.
func Truncate(pattern string) *Fault {
	f := newFault("truncate", pattern)
	f.after = func(r *response) error {
		half := len(r.body) / 2
		r.cut = max(1, len(r.body)-half)
		r.body = r.body[:half]
		return nil
	}
	return f
}

// Malformed ends the body early, but with the right length: JSON that does not
// parse.
func Malformed(pattern string) *Fault {
	f := newFault("malformed", pattern)
	f.after = func(r *response) error {
		r.body = r.body[:len(r.body)*2/3]
		return nil
	}
	return f
}

// Slow delays the answer.
func Slow(pattern string, d time.Duration) *Fault {
	f := newFault("slow", pattern)
	f.delay = d
	return f
}

// SlowBody pauses in the middle of the body.
func SlowBody(pattern string, d time.Duration) *Fault {
	f := newFault("slow body", pattern)
	f.after = func(r *response) error {
		r.pause = d
		return nil
	}
	return f
}

// Do runs a function before the request is answered as usual: a change of the
// world between two pages, for instance. Narrow it with Skip and Times.
func Do(pattern string, run func()) *Fault {
	f := newFault("do", pattern)
	f.prepare = run
	return f
}

// Headers changes nothing but adds the headers that [Fault.Header] and
// [Fault.Delayed] name to good answers.
func Headers(pattern string) *Fault { return newFault("headers", pattern) }

// In narrows the fault to a project, by name or id.
func (f *Fault) In(project string) *Fault {
	f.project = project
	return f
}

// Query narrows the fault to requests with a query parameter. The value "*"
// stands for any, the empty value for none.
func (f *Fault) Query(name, value string) *Fault {
	f.query.Set(strings.ToLower(name), value)
	return f
}

// Skip leaves the first n matching requests alone.
func (f *Fault) Skip(n int) *Fault {
	f.skip = n
	return f
}

// Times ends the fault after n requests.
func (f *Fault) Times(n int) *Fault {
	f.times = n
	return f
}

// Rate hits only this share of the matching requests, chosen by the seed of the
// world.
func (f *Fault) Rate(share float64) *Fault {
	f.rate = share
	return f
}

// Header adds a header to the answer.
func (f *Fault) Header(name, value string) *Fault {
	f.header.Set(name, value)
	return f
}

// Delayed adds the headers of a throttled caller: Retry-After in whole seconds
// and X-RateLimit-*.
//
// https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits
func (f *Fault) Delayed(retryAfter time.Duration) *Fault {
	seconds := strconv.Itoa(int(retryAfter / time.Second))
	f.header.Set("Retry-After", seconds)
	f.header.Set("X-RateLimit-Resource", "core/user")
	f.header.Set("X-RateLimit-Delay", "1.000")
	f.header.Set("X-RateLimit-Limit", "200")
	f.header.Set("X-RateLimit-Remaining", "0")
	return f
}

// Fault adds faults. The first that matches a request is applied.
func (s *Server) Fault(faults ...*Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Hits is the number of requests that a fault was applied to.
func (s *Server) Hits(f *Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.hits
}

// fault chooses the fault of a request, nil for none.
func (s *Server) fault(q *request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.matches(q) || f.times > 0 && f.hits >= f.times {
			continue
		}
		if f.seen++; f.seen <= f.skip {
			continue
		}
		if f.rate < 1 && s.rng.Float64() >= f.rate {
			continue
		}
		f.hits++
		return f
	}
	return nil
}

func (f *Fault) matches(q *request) bool {
	if f.method != "" && !strings.EqualFold(f.method, q.Method) {
		return false
	}
	if f.project != "" && !q.inProject(f.project) {
		return false
	}
	for name, want := range f.query {
		switch got := q.query[name]; {
		case want[0] == "*" && len(got) > 0, want[0] == "" && len(got) == 0:
		case len(got) == 0 || !strings.EqualFold(got[0], want[0]):
			return false
		}
	}
	if f.any {
		return true
	}
	if len(q.segments) < len(f.segments) || !f.rest && len(q.segments) != len(f.segments) {
		return false
	}
	for i, want := range f.segments {
		got := q.segments[i]
		if want[0] == '{' && !strings.EqualFold(got, "_apis") || strings.EqualFold(want, got) || i == 0 && q.inProject(want) {
			continue
		}
		return false
	}
	return true
}

func (q *request) inProject(key string) bool {
	return q.project != nil && (strings.EqualFold(q.projectName, key) || strings.EqualFold(q.project.ID, key))
}
