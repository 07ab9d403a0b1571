package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Ways of signing in, values of Config.Authentication.
const (
	SignInAuto             = "auto"
	SignInPAT              = "pat"
	SignInClientSecret     = "client-secret"
	SignInCertificate      = "certificate"
	SignInManagedIdentity  = "managed-identity"
	SignInWorkloadIdentity = "workload-identity"
)

const (
	defaultAuthority = "https://login.microsoftonline.com"
	// Azure DevOps as a resource of Entra:
	// https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/service-principal-managed-identity
	entraScope = "499b84ac-1321-427f-aa17-267ca6975798/.default"
	// Tokens are renewed that long before they expire. While that fails, the old
	// one is used and a new one asked for now and then.
	renewEarly, renewAgain = 5 * time.Minute, 30 * time.Second
)

// EntraConfig describes an identity of Entra.
type EntraConfig struct {
	Method              string // one of the SignIn… constants but SignInAuto and SignInPAT
	TenantID            string // not of a managed identity
	ClientID            string // of a managed identity: empty for the one that the system assigned
	ClientSecret        Secret
	CertificatePath     string // PEM or PKCS#12, with the private key; read at every sign-in
	CertificatePassword Secret // of the PKCS#12 file
	FederatedTokenFile  string // token of another issuer, such as Kubernetes; read at every sign-in

	AuthorityHost string            // empty means https://login.microsoftonline.com
	Transport     http.RoundTripper // to Entra; nil means a plain one with the proxies of the environment
	local         http.RoundTripper // to the endpoint of managed identities, which no proxy can reach; nil means a plain one without
	Timeout       time.Duration     // of one sign-in; 0 means 30 s
	Log           *slog.Logger      // nil means none

	Registry prometheus.Registerer // gets the metric of a certificate; nil: it is not shown
}

// An Entra is an identity of Entra: a service principal or a managed identity. Its
// token is kept until five minutes before it expires. However many requests need
// one, one at a time asks for it, and those that waited share what came of it.
type Entra struct {
	cfg  EntraConfig
	ask  func(ctx context.Context) (accessToken, error)
	turn chan struct{} // held by who reads or renews the token

	token    accessToken
	renew    time.Time // when to ask for the next one
	failure  error     // of the last sign-in
	failures atomic.Int64
	warned   time.Time // about the end of the certificate

	certificateEnd prometheus.Gauge
}

// An accessToken is what Entra gives.
type accessToken struct {
	text string
	ends time.Time
}

// NewEntra checks cfg; it dials nothing and reads no file.
func NewEntra(cfg EntraConfig) (*Entra, error) {
	if cfg.AuthorityHost == "" {
		cfg.AuthorityHost = defaultAuthority
	}
	if !strings.Contains(cfg.AuthorityHost, "://") {
		cfg.AuthorityHost = "https://" + cfg.AuthorityHost
	}
	cfg.AuthorityHost = strings.TrimRight(cfg.AuthorityHost, "/")
	if cfg.Transport == nil {
		cfg.Transport = newHTTPTransport(1)
	}
	if cfg.local == nil {
		cfg.local = &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, MaxIdleConns: 1, IdleConnTimeout: time.Minute}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout / 2
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Entra{cfg: cfg, turn: make(chan struct{}, 1), certificateEnd: prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "client_certificate_not_after_timestamp_seconds",
		Help: "End of the certificate with which the service principal signs in, as a Unix time; 0 before the first sign-in. Only there where one is used.",
	})}
	var needs []string
	switch cfg.Method {
	case SignInClientSecret:
		c.ask, needs = c.askWithSecret, []string{cfg.TenantID, cfg.ClientID, cfg.ClientSecret.Reveal()}
	case SignInCertificate:
		c.ask, needs = c.askWithCertificate, []string{cfg.TenantID, cfg.ClientID, cfg.CertificatePath}
	case SignInWorkloadIdentity:
		c.ask, needs = c.askWithAssertion, []string{cfg.TenantID, cfg.ClientID, cfg.FederatedTokenFile}
	case SignInManagedIdentity:
		c.ask = c.askMachine
	default:
		return nil, fmt.Errorf("sign-in %q: want one of %s, %s, %s, %s", cfg.Method,
			SignInClientSecret, SignInCertificate, SignInManagedIdentity, SignInWorkloadIdentity)
	}
	if slices.Contains(needs, "") {
		return nil, fmt.Errorf("sign-in %s: want a tenant id, a client id and the proof of the client", cfg.Method)
	}
	if len(needs) > 0 && cfg.Method != SignInClientSecret && !strings.HasPrefix(cfg.AuthorityHost, "https://") {
		return nil, fmt.Errorf("sign-in %s: want an authority host that begins with https://", cfg.Method)
	}
	if cfg.Method == SignInCertificate && cfg.Registry != nil {
		if err := cfg.Registry.Register(c.certificateEnd); err != nil {
			return nil, fmt.Errorf("metrics of the certificate: %w", err)
		}
	}
	return c, nil
}

// Authorize sets a bearer token, asking for one when needed.
func (c *Entra) Authorize(ctx context.Context, r *http.Request) error {
	seen := c.failures.Load()
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.turn }()
	if !time.Now().Before(c.renew) {
		if err := c.signIn(ctx, seen); err != nil {
			return err
		}
	}
	r.Header.Set("Authorization", "Bearer "+c.token.text)
	return nil
}

// Invalidate drops the token of r, unless it has been renewed meanwhile.
func (c *Entra) Invalidate(r *http.Request) bool {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if r.Header.Get("Authorization") == "Bearer "+c.token.text {
		c.token, c.renew = accessToken{}, time.Time{}
	}
	return true
}

// Format hides what is secret.
func (c *Entra) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// signIn gets a token. seen is the number of failures when the caller began to
// wait: when there are more now, it has waited for the last one.
func (c *Entra) signIn(ctx context.Context, seen int64) error {
	if c.failures.Load() != seen {
		return c.failure
	}
	asking, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	token, err := c.ask(asking)
	now := time.Now()
	switch {
	case err == nil:
		c.token, c.renew = token, token.ends.Add(-renewEarly)
		if !c.renew.After(now) {
			c.renew = token.ends // so short-lived that it is used to its end
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // of this caller only
	case errors.Is(asking.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %s", c.cfg.Timeout)
	}
	err = fmt.Errorf("sign-in of the %s: %w", c.what(), err)
	if now.Before(c.token.ends) {
		c.renew = now.Add(min(renewAgain, c.token.ends.Sub(now)))
		c.cfg.Log.WarnContext(ctx, "the token could not be renewed; the old one is used as long as it lasts", "ends", c.token.ends, "err", err)
		return nil
	}
	c.failure = err
	c.failures.Add(1)
	return err
}

// what names the identity for people.
func (c *Entra) what() string {
	switch {
	case c.cfg.Method != SignInManagedIdentity:
		return "service principal " + c.cfg.ClientID
	case c.cfg.ClientID == "":
		return "managed identity of the system"
	}
	return "managed identity " + c.cfg.ClientID
}

func (c *Entra) advice(before, server bool) string {
	switch {
	case server:
		return "Azure DevOps Server does not know identities of Entra: set " + EnvPrefix + "AUTHENTICATION to pat and " + EnvPrefix + "PERSONAL_ACCESS_TOKEN"
	case before:
		return "the " + c.what() + " was let in for other requests: it lacks the permission for this one, or has been removed meanwhile"
	}
	return "Entra knows the " + c.what() + ", the organization does not: add it to the users of the organization (Organization settings, Users) " +
		"with access level Basic; both have to belong to the same Entra tenant"
}
