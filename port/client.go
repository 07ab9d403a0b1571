// Package port is the client of Port's API: the integration object and its
// default resources, entities in bulk, ownership queries, blueprints, reports
// about a resync, and the shipping of logs.
//
// A [Client] stands for one installation (type and identifier). Everything it
// writes carries the installation's User-Agent, which Port keeps as the data
// source of an entity; that is how entities are found again as ours.
//
// The client retries, refreshes its token and keeps to Port's rate limit by
// itself. It does not map records and does not decide what to delete.
package port

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ClientConfig says whom the client stands for. Zero fields mean the default
// named with them.
type ClientConfig struct {
	ClientID     Secret // required
	ClientSecret Secret // required
	BaseURL      string // https://api.getport.io
	// IntegrationType and Identifier name the installation, Version is ours and
	// CoreVersion the one of the Ocean contract that we keep to. All required
	// but CoreVersion.
	IntegrationType, Identifier, Version, CoreVersion string
	UserAgentLayout                                   Layout // auto

	Limits       Limits
	Timeout      time.Duration // of one attempt with its answer: 60 s
	FlagsTTL     time.Duration // 300 s
	BlueprintTTL time.Duration // 120 s

	// UserAgent names a client that stands for no installation: IntegrationType,
	// Identifier and Version are not used then.
	UserAgent string
	// Variables are what messages call the settings; those of the integration by default.
	Variables Variables

	// Transport carries the requests: proxies and certificates are its concern.
	// http.DefaultTransport by default.
	Transport http.RoundTripper
	// MetricsWebhook gets the reports about a resync too, through MetricsTransport
	// (default: http.DefaultTransport); empty: nobody does.
	MetricsWebhook   Secret
	MetricsTransport http.RoundTripper
	// Masker removes secrets from what is sent as an example and from errors.
	// The client's own secret is added to it.
	Masker *Masker
	// Log gets retries and throttling. Nothing is logged by default.
	Log *slog.Logger
	// Registry gets the metrics. They are not shown by default.
	Registry prometheus.Registerer
}

// Variables are the names of the settings of a client.
type Variables struct{ ClientID, ClientSecret, BaseURL string }

// Client talks to Port. It is safe for concurrent use.
type Client struct {
	cfg  ClientConfig
	base string // scheme, host and path, without /v1
	log  *slog.Logger

	token   tokenSource
	pace    pacer
	metrics *metrics
	budget  budget
	reached atomic.Bool // Port has answered once
	bulks   chan struct{}
	buffers sync.Pool

	layout layoutState

	installed     atomic.Pointer[Integration] // as Port has shown it last
	resources     atomic.Pointer[string]      // that Setup has used
	organizations cache[*organization]
	blueprints    cache[*Blueprint]
	calls         atomic.Int64
}

// New checks the configuration. It does not dial.
func New(cfg ClientConfig) (*Client, error) {
	cfg.Variables = cmp.Or(cfg.Variables, Variables{"OCEAN__PORT__CLIENT_ID", "OCEAN__PORT__CLIENT_SECRET", "OCEAN__PORT__BASE_URL"})
	base, err := checkBaseURL(cfg.BaseURL, cfg.Variables.BaseURL)
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.ClientID == "":
		return nil, errors.New(cfg.Variables.ClientID + " is empty")
	case cfg.ClientSecret == "":
		return nil, errors.New(cfg.Variables.ClientSecret + " is empty")
	case cfg.UserAgent == "" && (cfg.IntegrationType == "" || cfg.Identifier == "" || cfg.Version == ""):
		return nil, errors.New("port: integration type, identifier and version are required")
	}
	cfg.UserAgentLayout = cmp.Or(cfg.UserAgentLayout, LayoutAuto)
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Minute)
	cfg.FlagsTTL = cmp.Or(cfg.FlagsTTL, 5*time.Minute)
	cfg.BlueprintTTL = cmp.Or(cfg.BlueprintTTL, 2*time.Minute)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Transport = cmp.Or(cfg.Transport, http.DefaultTransport)
	cfg.Masker = cmp.Or(cfg.Masker, NewMasker())
	cfg.Masker.Add(cfg.ClientSecret.Reveal())
	cfg.Limits = cfg.Limits.clamped()
	c := &Client{
		cfg: cfg, base: base, log: cfg.Log.With("component", "port"), budget: budget{failures: map[string]int{}},
		bulks: make(chan struct{}, maxBulks),
	}
	if c.metrics, err = newMetrics(cfg.Registry, &c.pace); err != nil {
		return nil, fmt.Errorf("port: metrics: %w", err)
	}
	c.layout.ocean.Store(cfg.UserAgentLayout == LayoutOcean)
	c.layout.decided = cfg.UserAgentLayout != LayoutAuto
	return c, nil
}

// maxBulks is how many bulk requests are in flight at once.
const maxBulks = 6

// checkBaseURL accepts the address of a region with or without a final slash.
func checkBaseURL(s, variable string) (string, error) {
	if s == "" {
		s = "https://api.getport.io"
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		// The value is not repeated: it may hold a password.
		return "", errors.New(variable + ": expected an address such as https://api.getport.io")
	}
	return strings.TrimRight(s, "/"), nil
}

// Calls is how many requests were sent, repeated ones included.
func (c *Client) Calls() int64 { return c.calls.Load() }

// sleep waits, or returns why ctx ended before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("port: %w", context.Cause(ctx))
	}
}
