package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultTimeout  = 60 * time.Second
	defaultInFlight = 15
)

// Config describes one organization and how to reach it.
type Config struct {
	OrganizationURL string     // or that of a collection on Server
	Credential      Credential // shared by the clients of an identity

	Timeout     time.Duration     // without any progress, per request; 0 means 60 s
	Transport   http.RoundTripper // below authorization and retries; nil means a plain one with the proxies of the environment
	MaxInFlight int               // requests at the same time; 0 means 15
	Bodies      *Bodies           // shared by the clients of a process; nil means one of its own
	UserAgent   string            // added to the library's own
	Log         *slog.Logger      // nil means none

	Registry prometheus.Registerer // gets the metrics; nil: they are not shown
}

// A Client is one organization seen with one credential. It is safe for
// concurrent use, and everything that uses it shares one budget of requests.
type Client struct {
	org    *url.URL
	key    string
	base   map[Service]string
	urgent bool

	sdk       *sdk.Client
	transport *transport
	versions  *versions
}

// New makes a client. It dials nothing.
func New(cfg Config) (*Client, error) {
	org, err := ParseOrganization(cfg.OrganizationURL)
	if err != nil {
		return nil, errors.Join(errors.New("organization URL"), err)
	}
	if cfg.Credential == nil {
		return nil, errors.New("organization " + org.String() + ": want a credential")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultInFlight
	}
	if cfg.Transport == nil {
		cfg.Transport = newHTTPTransport(cfg.MaxInFlight)
	}
	if cfg.Bodies == nil {
		cfg.Bodies = &Bodies{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	log := cfg.Log.With("organization", org.String())
	c := &Client{org: org, key: OrganizationKey(org), base: map[Service]string{}, versions: newVersions(onServer(org), log)}
	for _, s := range Services() {
		c.base[s] = serviceURL(org, s)
	}
	limit := newLimiter(cfg.MaxInFlight, log)
	m, err := newMetrics(cfg.Registry, c.OrganizationName(), limit)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", org, err)
	}
	c.transport = &transport{
		base: cfg.Transport, cred: &account{Credential: cfg.Credential, server: onServer(org), log: log}, limit: limit, metrics: m,
		count: &counters{}, memory: &buffers{}, bodies: cfg.Bodies, timeout: cfg.Timeout, log: log,
	}
	c.sdk = sdk.NewClientWithOptions(
		&sdk.Connection{BaseUrl: c.base[Core], UserAgent: cfg.UserAgent}, c.base[Core],
		sdk.WithHTTPClient(&http.Client{
			Transport:     c.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
	)
	return c, nil
}

// newHTTPTransport is what a client uses when it is given nothing.
func newHTTPTransport(inFlight int) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   inFlight,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   30 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// Organization is the URL of the organization without a trailing slash.
func (c *Client) Organization() string { return c.org.String() }

// Key is the OrganizationKey of the organization: two clients are of one organization
// when they have the same.
func (c *Client) Key() string { return c.key }

// OrganizationName is how the organization is called: the first segment of the
// path, the label of a visualstudio.com host in lower case, or the whole URL of a
// Server.
func (c *Client) OrganizationName() string { return organizationName(c.org) }

// OnServer tells whether it is a collection of Azure DevOps Server.
func (c *Client) OnServer() bool { return onServer(c.org) }

// SameHost tells whether two services of the organization share a host.
func (c *Client) SameHost(a, b Service) bool { return c.base[a] == c.base[b] }

// Share divides the budget of requests between so many processes.
func (c *Client) Share(processes int) { c.transport.limit.share(processes) }

// Urgent is the same client, budget included, whose requests go before those of
// c: for live events and actions.
func (c *Client) Urgent() *Client {
	u := *c
	u.urgent = true
	return &u
}

// A Caller is for whom a request is made.
type Caller struct {
	Kind   string  // what it counts for in Calls; may be empty
	Budget *Budget // of retries; nil is without bound
}
