package porttest

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options of a server. The zero value is a working server.
type Options struct {
	// ClientID names the organization that is embedded in the Server; empty means "client-id".
	ClientID string
	// ClientSecret is the only accepted secret; empty accepts every secret.
	ClientSecret string
	// TokenTTL is the life of an access token; zero means 3 hours.
	TokenTTL time.Duration
	// Now is the clock of tokens, timestamps and rate windows; nil means time.Now.
	Now func() time.Time
	// FeatureFlags are those of every organization.
	FeatureFlags []string
	// Provision lists the integration types that Port sets up itself.
	Provision []string
	// ProvisionedMapping is the config that appears at an integration created
	// with integration_modes; empty means one without resources.
	ProvisionedMapping string
	// ProvisionPolls is how many reads of the integration pass before that; zero means 1.
	ProvisionPolls int
	// RateLimit is the number of requests an organization may send per
	// RateWindow before it gets 429; zero never refuses. The headers are sent either way.
	RateLimit int
	// RateWindow is the length of a rate window; zero means 5 minutes.
	RateWindow time.Duration
	// Strict turns off the coercion of scalars ("12" for a number) that Port's validator does.
	Strict bool
	// KeepBodies keeps header and body of every request in the log.
	KeepBodies bool
	// PublicURL is the root of the ingest URLs that integrations get; empty
	// means the address that the request came to.
	PublicURL string
	// Changed is told of every entity that a request writes or deletes, in order. The
	// server waits for it, so it must not call the server; nil: nobody is told.
	Changed func(Change)
	// Kafka is what /v1/kafka-credentials answers; the zero value is made up.
	Kafka Kafka
}

// Kafka holds the credentials of the KAFKA listener.
type Kafka struct {
	Username, Password string
	Brokers            []string
}

// unlimited is the limit in the rate headers of a server without one: far
// beyond what any client paces on.
const unlimited = 1_000_000

func (o Options) withDefaults() Options {
	if o.ClientID == "" {
		o.ClientID = "client-id"
	}
	if o.TokenTTL == 0 {
		o.TokenTTL = 3 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ProvisionedMapping == "" {
		o.ProvisionedMapping = `{"resources":[]}`
	}
	o.ProvisionPolls = max(o.ProvisionPolls, 1)
	if o.RateWindow == 0 {
		o.RateWindow = 5 * time.Minute
	}
	return o
}

// A Server imitates the Port API.
type Server struct {
	*Organization

	// URL is the base URL of the listener, without a path; empty for NewUnstarted.
	URL string

	opt    Options
	key    []byte // signs tokens
	mux    *http.ServeMux
	routes map[string]bool // normalised patterns
	stop   chan struct{}   // closed by Close: ends delays
	http   *http.Server
	served sync.WaitGroup

	mu         sync.Mutex
	idle       sync.Cond // active fell to zero
	active     int
	changed    chan struct{} // closed after the next request, see Until; nil: nobody waits
	closed     bool
	orgs       map[string]*Organization
	rules      []*activeRule
	log        []Request
	generation int  // of tokens; ExpireTokens starts a new one
	refuse     bool // every credential
}

// New returns a server that listens on a free port of the loopback interface.
// Like httptest.NewServer it panics when there is none. The caller closes it.
func New(opt Options) *Server {
	s := NewUnstarted(opt)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("porttest: " + err.Error())
	}
	s.URL = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.served.Go(func() { _ = s.http.Serve(l) })
	return s
}

// NewUnstarted returns a server without a listener, to be used as an
// http.Handler or through Transport. The caller closes it.
func NewUnstarted(opt Options) *Server {
	s := &Server{
		opt: opt.withDefaults(), key: make([]byte, 32), mux: http.NewServeMux(), routes: map[string]bool{},
		stop: make(chan struct{}), orgs: map[string]*Organization{},
	}
	s.idle.L = &s.mu
	_, _ = rand.Read(s.key) // never fails
	s.Organization = s.For(s.opt.ClientID)
	s.register()
	return s
}

// Close ends all delays, cuts the connections and waits until no request is
// being handled. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	if s.http != nil {
		_ = s.http.Close()
	}
	s.served.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active > 0 {
		s.idle.Wait()
	}
}

// ServeHTTP answers one request. A server that is closed answers 503.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	open := !s.closed
	if open {
		s.active++
	}
	s.mu.Unlock()
	if !open {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active--; s.active == 0 {
			s.idle.Broadcast()
		}
		if s.changed != nil {
			close(s.changed)
			s.changed = nil
		}
	}()
	s.mux.ServeHTTP(w, r)
}

// Until waits until something is true, and looks after every request. It returns the
// error of ctx when that ends first.
func (s *Server) Until(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// For returns the organization of a client id; it is made when new.
func (s *Server) For(clientID string) *Organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orgs[clientID]
	if o == nil {
		o = newOrganization(s, clientID)
		s.orgs[clientID] = o
	}
	return o
}

// RejectCredentials makes the token endpoint answer 401 to everybody, or ends that.
// Tokens already given stay valid; see ExpireTokens.
func (s *Server) RejectCredentials(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = on
}

// ExpireTokens makes every token given so far answer 401.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
}
