package azuredevops

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// What this package says of package rest.
type (
	// A Credential signs requests in.
	Credential = rest.Credential
	// A Secret is text that must not be shown.
	Secret = rest.Secret

	request = rest.Request
	page    = rest.Page
)

// What errors of this package mean. Ask with errors.Is.
var (
	ErrUnauthorized = rest.ErrUnauthorized
	ErrForbidden    = rest.ErrForbidden
	ErrNotFound     = rest.ErrNotFound
	ErrNotOffered   = rest.ErrNotOffered
	ErrMalformed    = rest.ErrMalformed
	ErrTooLarge     = rest.ErrTooLarge
	// ErrUnknownKind is returned by Bind.
	ErrUnknownKind = errors.New("unknown kind")
)

// PersonalAccessToken is the credential of a personal access token.
func PersonalAccessToken(token Secret) Credential { return rest.PersonalAccessToken(token) }

// OrganizationKey is the same for all addresses of an organization; what is no address
// stays as it is.
func OrganizationKey(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return rest.OrganizationKey(u)
}

func listed(err error) error { return rest.Listed(err) }

// ClientConfig describes one organization and how to reach it. Zero fields mean
// what they mean in rest.Config.
type ClientConfig struct {
	OrganizationURL string     // or that of a collection on Server
	Credential      Credential // shared by the clients of an identity
	ExcludedTags    []string   // projects that carry one of them are left out

	Timeout     time.Duration
	Bodies      *rest.Bodies
	Transport   http.RoundTripper
	MaxInFlight int
	UserAgent   string
	Log         *slog.Logger
	Store       Store  // of what was read before; nil means none
	Identity    string // tells accounts with different permissions apart, and is no secret: what one has read is nothing for another
	Registry    prometheus.Registerer

	// Lists of a project that save calls, not used: each repository is asked. The
	// records are the same.
	PoliciesPerRepository     bool
	PullRequestsPerRepository bool
}

// A Client is one organization and what is in it. It is safe for concurrent use.
type Client struct {
	*rest.Client

	excluded []string
	log      *slog.Logger
	store    Store
	reader   string // of the answers: organization and identity

	perRepository struct{ policies, pullRequests bool } // see ClientConfig

	touches *touches
	live    *liveCache
	asked   *atomic.Pointer[memo[*projectList]] // by ask; nil for live events, which may be about newer projects
	suffix  rawjson.Members                     // __organizationUrl, __organizationName
}

// New makes a client. It dials nothing.
func New(cfg ClientConfig) (*Client, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	asks, err := rest.New(rest.Config{
		OrganizationURL: cfg.OrganizationURL, Credential: cfg.Credential,
		Timeout: cfg.Timeout, Bodies: cfg.Bodies, Transport: cfg.Transport, MaxInFlight: cfg.MaxInFlight, UserAgent: cfg.UserAgent, Log: cfg.Log, Registry: cfg.Registry,
	})
	if err != nil {
		return nil, err
	}
	if cfg.Store != nil && cfg.Store.Off() {
		cfg.Store = nil
	}
	c := &Client{
		Client: asks, excluded: cfg.ExcludedTags, log: cfg.Log.With("organization", asks.Organization()), store: cfg.Store, reader: asks.Organization() + "\x00" + cfg.Identity, touches: &touches{}, live: newLiveCache(), asked: &atomic.Pointer[memo[*projectList]]{},
		suffix: rawjson.Members{}.Text("__organizationUrl", asks.Organization()).Text("__organizationName", asks.OrganizationName()),
	}
	c.perRepository.policies, c.perRepository.pullRequests = cfg.PoliciesPerRepository, cfg.PullRequestsPerRepository
	return c, nil
}

// Urgent is the same client, budget included, whose requests go before those of
// c: for live events and actions.
func (c *Client) Urgent() *Client {
	u := *c
	u.Client, u.asked = c.Client.Urgent(), nil
	return &u
}

// Addresses are those of organizations, by client.
func Addresses(clients []*Client) []string {
	out := make([]string, len(clients))
	for i, c := range clients {
		out[i] = c.Organization()
	}
	return out
}

// HealthOf is how organizations answer, by client.
func HealthOf(clients []*Client) []rest.Health {
	out := make([]rest.Health, len(clients))
	for i, c := range clients {
		out[i] = c.Health()
	}
	return out
}

// Projects lists the projects as a resync would now: those without an excluded
// tag. A *ScopeError stands for a project whose tags could not be read, or, at the
// end, for the rest of the organization.
func (c *Client) Projects(ctx context.Context, reading Reading) iter.Seq2[Scope, error] {
	return func(yield func(Scope, error) bool) {
		for p, err := range (&lister{Snapshot: c.SnapshotOf(reading)}).eachProject(ctx) {
			var s Scope
			if err == nil {
				s = p.scope
			}
			if !yield(s, err) {
				return
			}
		}
	}
}
