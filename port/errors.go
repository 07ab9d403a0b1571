package port

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What callers ask for with errors.Is.
var (
	// ErrUnauthorized says that Port refuses the client id and secret, or
	// refuses every fresh token.
	ErrUnauthorized = errors.New("not authorized")
	// ErrNotFound says that Port itself answered that there is no such thing.
	// A 404 of anything between here and Port, or of a wrong address, is not one.
	ErrNotFound = errors.New("not found")
)

// An Error is an answer of Port outside the 2xx range. It unwraps to
// ErrUnauthorized or ErrNotFound where the answer says so. It never holds a
// credential.
type Error struct {
	Method     string
	URL        string // without the query
	StatusCode int
	Code       string        // Port's own name of the error, such as "not_found"; may be empty
	Message    string        // Port's own words, shortened
	TraceID    string        // what Port's support asks for
	RetryAfter time.Duration // zero when the answer named none
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "port: %s %s: %d", e.Method, e.URL, e.StatusCode)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	} else if t := http.StatusText(e.StatusCode); t != "" {
		b.WriteString(" " + t)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.TraceID != "" {
		b.WriteString(" (trace " + e.TraceID + ")")
	}
	return b.String()
}

// Unwrap returns ErrUnauthorized, ErrNotFound or nil.
func (e *Error) Unwrap() error {
	switch {
	case e.StatusCode == http.StatusUnauthorized:
		return ErrUnauthorized
	case e.StatusCode == http.StatusNotFound && e.Code == "not_found" && !strings.HasPrefix(e.Message, "Route "):
		// "Route GET:/… not found" is Port's answer to an address it does not serve.
		return ErrNotFound
	}
	return nil
}

// errAnswer marks an answer that is not what Port sends: HTML, cut short,
// malformed or too large.
var errAnswer = errors.New("unusable answer")

// errTooLarge is an answer above its limit.
var errTooLarge = fmt.Errorf("%w: too large", errAnswer)

// A callError is a call that got no usable answer.
type callError struct {
	method, url string
	err         error
	sent        bool // the request may have reached Port
}

func (e *callError) Error() string { return "port: " + e.method + " " + e.url + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// statusOf returns the HTTP status behind an error, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.StatusCode
	}
	return 0
}

// Temporary says whether the same call may succeed later by itself: Port could
// not be reached, or had trouble of its own.
func Temporary(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.StatusCode >= http.StatusInternalServerError || e.StatusCode == http.StatusTooManyRequests || e.StatusCode == http.StatusRequestTimeout
	}
	var c *callError
	return errors.As(err, &c)
}
