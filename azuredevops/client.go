package azuredevops

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/microsoft/azure-devops-go-api/azuredevops/v7"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	defaultTimeout  = 60 * time.Second
	defaultInFlight = 15
)

// ClientConfig describes one organization and how to reach it.
type ClientConfig struct {
	OrganizationURL string     // or that of a collection on Server
	Credential      Credential // shared by the clients of an identity
	ExcludedTags    []string   // projects that carry one of them are left out

	Timeout     time.Duration     // without any progress, per request; 0 means 60 s
	Transport   http.RoundTripper // below authorization and retries; nil means a plain one with the proxies of the environment
	MaxInFlight int               // requests at the same time; 0 means 15
	UserAgent   string            // added to the library's own
	Log         *slog.Logger      // nil means none
	Memory      Memory            // of what cannot have changed; nil means none

	// Lists of a project that save calls, not used: each repository is asked. The
	// records are the same.
	PoliciesPerRepository     bool
	PullRequestsPerRepository bool
}

// A Client is one organization seen with one credential. It is safe for
// concurrent use, and everything that uses it shares one budget of requests.
type Client struct {
	org      *url.URL
	name     string
	base     map[service]string
	excluded []string
	log      *slog.Logger
	urgent   bool
	memory   Memory

	perRepository struct{ policies, pullRequests bool } // see ClientConfig

	sdk       *sdk.Client
	transport *transport
	versions  *versions
	live      *liveCache
	suffix    rawjson.Members // __organizationUrl, __organizationName
}

// New makes a client. It dials nothing.
func New(cfg ClientConfig) (*Client, error) {
	org, err := parseOrganization(cfg.OrganizationURL)
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
	if cfg.Memory != nil && cfg.Memory.Off() {
		cfg.Memory = nil
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		org: org, name: organizationName(org), base: map[service]string{},
		excluded: cfg.ExcludedTags, log: cfg.Log.With("organization", org.String()), memory: cfg.Memory,
	}
	c.versions = newVersions(onServer(org), c.log)
	c.live = newLiveCache()
	c.perRepository.policies, c.perRepository.pullRequests = cfg.PoliciesPerRepository, cfg.PullRequestsPerRepository
	for _, s := range services() {
		c.base[s] = serviceURL(org, s)
	}
	c.suffix = rawjson.Members{}.Text("__organizationUrl", org.String()).Text("__organizationName", c.name)
	c.transport = &transport{
		base: cfg.Transport, cred: &account{Credential: cfg.Credential, server: onServer(org), log: c.log}, limit: newLimiter(cfg.MaxInFlight, c.log),
		count: &counters{}, memory: &buffers{}, timeout: cfg.Timeout, log: c.log,
	}
	c.sdk = sdk.NewClientWithOptions(
		&sdk.Connection{BaseUrl: c.base[core], UserAgent: cfg.UserAgent}, c.base[core],
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

// OrganizationName is the value of __organizationName.
func (c *Client) OrganizationName() string { return c.name }

// Urgent is the same client, budget included, whose requests go before those of
// c: for live events and actions.
func (c *Client) Urgent() *Client {
	u := *c
	u.urgent = true
	return &u
}

// Stats are counts since New. They are shared with Urgent.
func (c *Client) Stats() Stats {
	var s Stats
	c.transport.count.into(&s)
	c.transport.limit.into(&s)
	return s
}

// caller says for whom a request is made.
type caller struct {
	kind   string
	budget *budget
}
