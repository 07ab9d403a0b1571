package rest

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	sdk "github.com/microsoft/azure-devops-go-api/azuredevops/v7"
)

// A Request is one call of the REST interface.
type Request struct {
	Method  string  // empty means GET, or POST with a Body
	Host    Service // empty means Core
	Project string  // id; empty means the organization
	Team    string  // id, for routes below a team

	// Route is the path from "_apis" on, with placeholders that Args fill in
	// their order: "_apis/git/repositories/{repositoryId}/refs".
	Route string
	Args  []string

	Query   []string // names and values in turn; a pair with an empty value is left out
	Version string   // api-version; empty where none is asked for
	Body    []byte   // JSON; of a POST that only reads, unless Write
	Write   bool     // Body changes something: a POST is never repeated
	Hide    Secret   // in Body; what the service says never repeats it
	Content bool     // ask for the bytes of a file instead of JSON
	Most    int64    // larger answers are ErrTooLarge, in bytes; 0 means no limit of its own
	Empty   bool     // 204 is an answer
	ID      string   // the member that tells the elements of a list, or objects, apart; empty means "id"
	Is      string   // of an object: its ID; an answer about another one is ErrMalformed
	Nulls   bool     // of a list: elements may be null, in the place of what cannot be shown
	Shared  bool     // others ask for the same: a Sender may keep the answer for them
}

func (rq *Request) method() string {
	switch {
	case rq.Method != "":
		return rq.Method
	case rq.Body != nil:
		return http.MethodPost
	}
	return http.MethodGet
}

// URL is the full address, without api-version.
func (rq *Request) URL(base string) string {
	var b strings.Builder
	b.Grow(len(base) + len(rq.Route) + 160)
	b.WriteString(base)
	if rq.Project != "" {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(rq.Project))
	}
	if rq.Team != "" {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(rq.Team))
	}
	b.WriteByte('/')
	route, args := rq.Route, rq.Args
	for {
		before, rest, found := strings.Cut(route, "{")
		b.WriteString(before)
		if !found {
			break
		}
		_, route, _ = strings.Cut(rest, "}")
		b.WriteString(url.PathEscape(args[0]))
		args = args[1:]
	}
	sep := byte('?')
	for i := 0; i+1 < len(rq.Query); i += 2 {
		if rq.Query[i+1] == "" {
			continue
		}
		b.WriteByte(sep)
		b.WriteString(rq.Query[i])
		b.WriteByte('=')
		b.WriteString(queryEscape(rq.Query[i+1]))
		sep = '&'
	}
	return b.String()
}

// queryEscape writes a blank as %20: not every part of the service reads + as
// one.
func queryEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// With is a copy of rq with more query parameters.
func (rq Request) With(query ...string) *Request {
	rq.Query = append(append(make([]string, 0, len(rq.Query)+len(query)), rq.Query...), query...)
	return &rq
}

// Send is one request, versions negotiated. The caller frees the page. Errors
// are *Error, or ctx's.
func (c *Client) Send(ctx context.Context, rq *Request, by Caller) (*Page, error) {
	cl := &call{
		route: rq.method() + " " + rq.Route, kind: by.Kind, content: rq.Content, mayBeEmpty: rq.Empty,
		project: rq.Project, most: rq.Most, read: rq.Body != nil && !rq.Write, hide: rq.Hide.Reveal(), urgent: c.urgent, budget: by.Budget,
	}
	ctx = context.WithValue(ctx, callKey{}, cl)
	return c.versions.negotiate(ctx, rq, func(version string) (*Page, error) { return c.once(ctx, rq, version) })
}

// once sends rq through the SDK's client.
func (c *Client) once(ctx context.Context, rq *Request, version string) (*Page, error) {
	var body io.Reader
	mediaType, accept := "", sdk.MediaTypeApplicationJson
	if rq.Body != nil {
		body, mediaType = bytes.NewReader(rq.Body), sdk.MediaTypeApplicationJson
	}
	if rq.Content {
		accept = "application/octet-stream"
	}
	req, err := c.sdk.CreateRequestMessage(ctx, rq.method(), rq.URL(c.base[rq.Host]), version, body, mediaType, accept, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", rq.method(), rq.Route, err)
	}
	resp, err := c.sdk.SendRequest(req)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // it repeats the query
	}
	if err != nil {
		return nil, err
	}
	p, ok := resp.Body.(*Page)
	if !ok {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %w: not read by the transport", rq.method(), rq.Route, ErrMalformed)
	}
	return p, nil
}

// hopeless tells whether a failure of the network will not pass.
func hopeless(err error) bool {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok
}
