package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// What an error of this package means. Ask with errors.Is.
var (
	// ErrUnauthorized: the credential was not accepted. Azure DevOps says so with
	// 401, but also with 203, a sign-in page or a redirect to one.
	ErrUnauthorized = errors.New("not signed in")
	// ErrForbidden: signed in, but without the permission (403).
	ErrForbidden = errors.New("no permission")
	// ErrNotFound: 404 for something that was asked for blindly. It is absent, or
	// hidden from this identity. A 404 for something that Azure DevOps has just
	// listed is not ErrNotFound: that is unknown, see Listed.
	ErrNotFound = errors.New("not found")
	// ErrNotOffered: this Azure DevOps Server lacks a part of the interface. It is
	// not ErrNotFound: nothing is known about what would be there.
	ErrNotOffered = errors.New("not offered by this server")
	// ErrMalformed: an answer that is not what was asked for: cut short, empty,
	// not JSON, a page that repeats itself.
	ErrMalformed = errors.New("malformed answer")
	// ErrTooLarge: the answer is above the limit of its request and was not read.
	ErrTooLarge = errors.New("larger than what is read")
)

// errNoRoute is a 404 about the address instead of the object: it says nothing
// about the object.
var errNoRoute = errors.New("no such route")

// maxMessageBytes bounds what is kept of the body of an error.
const maxMessageBytes = 64 << 10

// An Error is a request that did not end well: a status outside the 2xx range,
// an answer that cannot be used, or none at all. It unwraps to one of the
// sentinels above or to the error of the network.
type Error struct {
	Method, URL string        // without the query: it never holds a credential
	StatusCode  int           // zero when there was no answer
	TypeKey     string        // the service's name for the error, such as GitItemNotFoundException
	Message     string        // the service's own words, at most 64 KiB
	RetryAfter  time.Duration // zero when the response named none

	err error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Method + " " + e.URL + ": ")
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, "%d ", e.StatusCode)
		if e.err == nil {
			b.WriteString(http.StatusText(e.StatusCode))
		}
	}
	if e.err != nil {
		b.WriteString(e.err.Error())
	}
	if e.Message != "" {
		b.WriteString(": " + FirstLine(e.Message))
	}
	return b.String()
}

// Unwrap gives the meaning of the error.
func (e *Error) Unwrap() error { return e.err }

// Listed turns a 404 into an error that is not ErrNotFound: what was asked for
// had just been listed, so the answer proves nothing.
func Listed(err error) error {
	if errors.Is(err, ErrNotFound) {
		return &goneError{err}
	}
	return err
}

var errGone = errors.New("it was listed a moment ago")

// A goneError hides that an error is ErrNotFound, from whoever looks inside too.
type goneError struct{ err error }

func (e *goneError) Error() string { return e.err.Error() + " (" + errGone.Error() + ")" }

// Is finds what the error wraps, but not ErrNotFound.
func (e *goneError) Is(target error) bool {
	return target == errGone || target != ErrNotFound && errors.Is(e.err, target)
}

// As gives the *Error without its meaning.
func (e *goneError) As(target any) bool {
	to, ok := target.(**Error)
	found, has := errors.AsType[*Error](e.err)
	if !ok || !has {
		return false
	}
	c := *found
	c.err = errGone
	*to = &c
	return true
}

// FirstLine shortens a message for people.
func FirstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.TrimSpace(s)
	const most = 300
	if len(s) > most {
		s = s[:most]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		s += "…"
	}
	return s
}

// newError describes a response. body is the beginning of its body.
func newError(r *http.Request, status int, body []byte, cause error) *Error {
	e := &Error{Method: r.Method, URL: PlainURL(r.URL), StatusCode: status, err: cause}
	body = trimBOM(body)
	if !rawjson.Valid(body) {
		if text := strings.TrimSpace(string(body)); !strings.HasPrefix(text, "<") && utf8.ValidString(text) {
			e.Message = text
		}
		return e
	}
	found := gjson.GetManyBytes(body, "message", "value.Message", "typeKey")
	e.Message, e.TypeKey = found[0].String(), found[2].String()
	if e.Message == "" {
		e.Message = found[1].String()
	}
	return e
}

// statusError is the meaning of a status outside the 2xx range.
func statusError(status int) error {
	switch {
	case status == http.StatusUnauthorized || status >= 300 && status < 400:
		return ErrUnauthorized
	case status == http.StatusForbidden:
		return ErrForbidden
	case status == http.StatusNotFound:
		return ErrNotFound
	}
	return nil
}

// PlainURL is u without user, query and fragment.
func PlainURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func trimBOM(b []byte) []byte {
	if len(b) >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf {
		return b[3:]
	}
	return b
}

// Kept is an answer 400 or 404 that was kept, as the error that it was.
func Kept(e Error) error {
	e.err = statusError(e.StatusCode)
	return &e
}
