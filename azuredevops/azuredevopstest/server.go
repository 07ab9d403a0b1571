package azuredevopstest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are the settings of a [Server]; the zero value serves an empty
// organization to everybody.
type Options struct {
	// World is what is served; nil is an empty organization "contoso".
	World *World
	// PAT is the personal access token that is let in. When it and Tokens are
	// empty, everybody is.
	PAT string
	// Tokens are access tokens that are let in as Bearer.
	Tokens []string
	// ClientID and ClientSecret let a service principal have an access token
	// from /{tenant}/oauth2/v2.0/token.
	ClientID, ClientSecret string
	// SignIn is the answer to bad credentials; the zero value decides as the
	// service does.
	SignIn SignIn
	// LatestVersion is the highest REST version that is served; empty is 7.2.
	// "6.0" imitates an older Azure DevOps Server.
	LatestVersion string
	// Links is scheme and host of the links in answers; empty is the server's
	// own address, which changes from run to run.
	Links string
	// Latency delays every answer.
	Latency time.Duration
	// Gzip compresses for clients that accept it, as the service does.
	Gzip bool
	// HookRetry is the time before a delivery is posted again to a consumer that
	// is busy or away; it doubles with every try. Zero is a second, as with the
	// service; below zero there is one try only.
	HookRetry time.Duration
	// HookTransport carries deliveries; nil is the network. Inside a synctest
	// bubble it has to do without sockets.
	HookTransport http.RoundTripper
	// Enqueue gets the events of subscriptions that put them into a queue of an Azure
	// Storage account; nil: there is no such consumer.
	Enqueue func(account, queue string, body []byte)
}

// A Server answers the REST API of Azure DevOps from a World. It is safe for
// concurrent use.
type Server struct {
	// URL is the base of all addresses: http://127.0.0.1:port once started,
	// https://dev.azure.com before.
	URL string

	world    *World
	options  Options
	versions version // the latest
	routes   map[routeKey][]*route
	hooks    *hooks

	listener net.Listener
	server   *http.Server
	done     chan struct{}

	mu     sync.Mutex // guards what follows
	pat    string
	tokens map[string]bool
	scopes []string // of the personal access token; nil is full access
	faults []*Fault
	rng    *rand.Rand
	log    requestLog
}

// New starts a server on a free port of the loopback interface. It panics when
// there is none, as httptest.NewServer does.
func New(o Options) *Server {
	s := NewUnstarted(o)
	s.Start()
	return s
}

// NewUnstarted returns a server without a listener, for use as http.Handler or
// through [Server.Transport]. Its links are those of the cloud.
func NewUnstarted(o Options) *Server {
	if o.World == nil {
		o.World = NewWorld("contoso")
	}
	s := &Server{
		URL: cloudURL, world: o.World, options: o, pat: o.PAT, tokens: map[string]bool{},
		rng: rand.New(rand.NewPCG(o.World.Seed, 1)),
	}
	if o.Links != "" {
		o.World.Edit(func() { o.World.base = o.Links })
	}
	s.versions = version{major: 7, minor: 2}
	if v, ok := parseVersion(o.LatestVersion); ok {
		s.versions = v
	}
	for _, t := range o.Tokens {
		s.tokens[t] = true
	}
	s.log.calls = map[string]int{}
	s.routes = routeTable(s.areas())
	s.hooks = newHooks(o.World, o)
	return s
}

// areas are the routes that are served, one function per area.
func (s *Server) areas() []route {
	const code, work = "Code", "Work Items"
	var all []route
	for _, area := range []struct {
		scope  string
		routes []route
	}{
		{"Project and Team", coreRoutes()},
		{code, gitRoutes()},
		{code, itemRoutes()},
		{code, pullRoutes()},
		{code, policyRoutes()},
		{"Build", buildRoutes()},
		{"Release", releaseRoutes()},
		{work, workItemRoutes()},
		{work, boardRoutes()},
		{work, classificationRoutes()},
		{"Graph", graphRoutes()},
		{"Environment", environmentRoutes()},
		{"Test Management", testRoutes()},
		{"Wiki", wikiRoutes()},
		{"Advanced Security", alertRoutes()},
		{everyScope, hookRoutes()},
	} {
		for _, r := range area.routes {
			r.scope = cmp.Or(r.scope, area.scope)
			all = append(all, r)
		}
	}
	return all
}

// Start begins to listen.
func (s *Server) Start() {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("azuredevopstest: no port to listen on: %v", err))
	}
	s.Serve(l)
}

// Serve serves on a listener of the caller's until [Server.Close]. It does not
// block.
func (s *Server) Serve(l net.Listener) {
	s.URL = "http://" + l.Addr().String()
	if s.options.Links == "" {
		s.world.Edit(func() { s.world.base = s.URL })
	}
	s.listener = l
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l) // always returns an error, after Close the expected one
	}()
}

// Close ends deliveries, stops listening, cuts the open connections and waits
// for the end.
func (s *Server) Close() {
	s.hooks.close()
	if s.server == nil {
		return
	}
	_ = s.server.Close()
	<-s.done
}

// World is what the server serves.
func (s *Server) World() *World { return s.world }

// OrganizationURL is the address of the organization without a trailing slash.
func (s *Server) OrganizationURL() string { return s.URL + "/" + url.PathEscape(s.world.Organization) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := s.answer(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the way to reset a connection
	}
	h := w.Header()
	maps.Copy(h, resp.header)
	h.Set("Content-Length", strconv.Itoa(len(resp.body)+resp.cut))
	w.WriteHeader(resp.status)
	flush := http.NewResponseController(w).Flush
	if r.Method != http.MethodHead {
		err = resp.write(r.Context(), w, flush)
	}
	if err != nil || resp.cut > 0 {
		_ = flush() // an error means that the client is gone
		panic(http.ErrAbortHandler)
	}
}

// Transport returns a RoundTripper that answers requests to any host on the
// caller's goroutine: no sockets, so that it works inside a synctest bubble,
// and the real host names of the services can be used.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	resp, err := t.s.answer(in)
	if err != nil {
		return nil, err
	}
	body := io.Reader(bytes.NewReader(resp.body))
	if half := len(resp.body) / 2; resp.pause > 0 {
		body = io.MultiReader(bytes.NewReader(resp.body[:half]), pauseReader{r.Context(), resp.pause}, bytes.NewReader(resp.body[half:]))
	}
	if resp.cut > 0 {
		body = io.MultiReader(body, brokenReader{})
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", resp.status, http.StatusText(resp.status)),
		StatusCode:    resp.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        resp.header,
		Body:          io.NopCloser(body),
		ContentLength: int64(len(resp.body) + resp.cut),
		Request:       r,
	}, nil
}

// brokenReader is the rest of a body that never came.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// pauseReader is empty, after a while.
type pauseReader struct {
	ctx context.Context
	d   time.Duration
}

func (p pauseReader) Read([]byte) (int, error) {
	if err := wait(p.ctx, p.d); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// errReset is the answer that is none.
var errReset = errors.New("azuredevopstest: connection reset by peer")

// answer handles one request: log, faults, credentials, route. The error is
// errReset, or the context's when the client went away.
func (s *Server) answer(r *http.Request) (*response, error) {
	q := s.parse(r)
	s.began()
	resp, fault, err := s.dispatch(q)
	entry := Request{Method: r.Method, Route: q.pattern, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone()}
	if q.project != nil {
		entry.Project = q.projectName
	}
	if resp != nil {
		entry.Status = resp.status
	}
	if fault != nil {
		entry.Fault = fault.name
	}
	s.ended(entry)
	return resp, err
}

func (s *Server) dispatch(q *request) (*response, *Fault, error) {
	if err := wait(q.Context(), s.options.Latency); err != nil {
		return nil, nil, err
	}
	f := s.fault(q)
	if f != nil {
		if err := wait(q.Context(), f.delay); err != nil {
			return nil, f, err
		}
		if f.prepare != nil {
			f.prepare()
		}
		if f.before != nil {
			resp, err := f.before(q)
			return finish(resp, f), f, err
		}
	}
	resp := s.handle(q)
	if s.options.Gzip && strings.Contains(q.Header.Get("Accept-Encoding"), "gzip") {
		resp.compress()
	}
	if f != nil && f.after != nil {
		if err := f.after(resp); err != nil {
			return nil, f, err
		}
	}
	return finish(resp, f), f, nil
}

// finish adds the headers that every answer, or a fault, has.
func finish(resp *response, f *Fault) *response {
	if resp == nil {
		return nil
	}
	resp.header.Set("X-TFS-ProcessId", "5e7a7e62-6a64-4d5e-a61b-3c1f2e7c9a10")
	if f != nil {
		maps.Copy(resp.header, f.header)
	}
	return resp
}

// handle answers a request without faults.
func (s *Server) handle(q *request) *response {
	if strings.HasSuffix(strings.ToLower(q.URL.Path), "/oauth2/v2.0/token") {
		return s.token(q)
	}
	if !strings.EqualFold(q.organization, s.world.Organization) {
		return page(http.StatusNotFound, "Azure DevOps Services | 404 - Page not found")
	}
	if resp := s.authorize(q); resp != nil {
		return resp
	}
	if q.route == nil {
		return noController(q)
	}
	if !s.inScope(q) {
		return refuse(q, SignInRefused, false)
	}
	if resp := s.checkVersion(q); resp != nil {
		return resp
	}
	if q.Body != nil {
		body, err := io.ReadAll(io.LimitReader(q.Body, 32<<20))
		if err != nil {
			return failure(http.StatusBadRequest, errBadRequest, "The request body could not be read.")
		}
		q.body = body
	}
	if !q.route.writes {
		s.world.mu.RLock()
		defer s.world.mu.RUnlock()
	}
	if resp := s.resolve(q); resp != nil {
		return resp
	}
	resp := q.route.handler(q)
	if v := q.version; v.text != "" && strings.HasPrefix(resp.header.Get("Content-Type"), "application/json") {
		resp.header.Set("Content-Type", "application/json; charset=utf-8; api-version="+v.text)
	}
	return resp
}

// wait returns early, with the context's error, when ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
