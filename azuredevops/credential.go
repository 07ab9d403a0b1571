package azuredevops

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// A Credential authorizes requests. It is used by several goroutines at once.
type Credential interface {
	// Authorize sets the Authorization header of one attempt. An error that is
	// not ErrUnauthorized may pass: the attempt is repeated.
	Authorize(ctx context.Context, r *http.Request) error

	// Invalidate is told that the service refused the header that Authorize gave
	// r. It reports whether the next Authorize may set a better one.
	Invalidate(r *http.Request) bool
}

// PersonalAccessToken is Basic authorization with an empty user name.
func PersonalAccessToken(token Secret) Credential {
	return &staticCredential{"Basic " + base64.StdEncoding.EncodeToString([]byte(":"+token.Reveal()))}
}

// A staticCredential is a header. It is used by pointer: printed as a part of
// something else it is an address.
type staticCredential struct{ header string }

func (c *staticCredential) Authorize(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", c.header)
	return nil
}

func (c *staticCredential) Invalidate(*http.Request) bool { return false }

// Format hides the token.
func (c *staticCredential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

const (
	defaultAuthority = "https://login.microsoftonline.com"
	// Azure DevOps as a resource of Entra (azure-devops-rest.md 4.2).
	entraScope = "499b84ac-1321-427f-aa17-267ca6975798/.default"
	// tokens are renewed that long before they expire.
	renewEarly = 5 * time.Minute
)

// ClientSecretConfig describes a service principal.
type ClientSecretConfig struct {
	TenantID, ClientID string
	ClientSecret       Secret
	AuthorityHost      string            // empty means https://login.microsoftonline.com
	Transport          http.RoundTripper // nil means a plain one with the proxies of the environment
	Timeout            time.Duration     // of one token request; 0 means 60 s
}

// A ClientSecret is a service principal that signs in with the client
// credentials grant. Its token is kept until five minutes before it expires;
// however many requests need one, one at a time asks for it.
type ClientSecret struct {
	cfg  ClientSecretConfig
	turn chan struct{} // held by who reads or renews the token

	token   string
	expires time.Time
}

// NewClientSecret checks cfg; it dials nothing.
func NewClientSecret(cfg ClientSecretConfig) (*ClientSecret, error) {
	if cfg.TenantID == "" || cfg.ClientID == "" || cfg.ClientSecret == "" {
		return nil, errors.New("client secret credential: want a tenant id, a client id and a secret")
	}
	if cfg.AuthorityHost == "" {
		cfg.AuthorityHost = defaultAuthority
	}
	if !strings.Contains(cfg.AuthorityHost, "://") {
		cfg.AuthorityHost = "https://" + cfg.AuthorityHost
	}
	if cfg.Transport == nil {
		cfg.Transport = newHTTPTransport(1)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	return &ClientSecret{cfg: cfg, turn: make(chan struct{}, 1)}, nil
}

// Authorize sets a bearer token, asking Entra for one when needed.
func (c *ClientSecret) Authorize(ctx context.Context, r *http.Request) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.turn }()
	if c.token == "" || time.Until(c.expires) <= renewEarly {
		if err := c.renew(ctx); err != nil {
			return err
		}
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	return nil
}

// Invalidate drops the token of r, unless it has been renewed meanwhile.
func (c *ClientSecret) Invalidate(r *http.Request) bool {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if r.Header.Get("Authorization") == "Bearer "+c.token {
		c.token = ""
	}
	return true
}

// Format hides the secret and the token.
func (c *ClientSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// renew asks for a token. A token that lives shorter than renewEarly is used
// until it expires.
func (c *ClientSecret) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.cfg.ClientID},
		"client_secret": {c.cfg.ClientSecret.Reveal()},
		"scope":         {entraScope},
	}
	to := strings.TrimRight(c.cfg.AuthorityHost, "/") + "/" + url.PathEscape(c.cfg.TenantID) + "/oauth2/v2.0/token"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("authority host: want a URL such as " + defaultAuthority)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, err := c.cfg.Transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("token request: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessageBytes))
	if err != nil {
		return fmt.Errorf("token request: %w", err)
	}
	return c.keep(resp.StatusCode, body)
}

// keep takes the token out of an answer.
func (c *ClientSecret) keep(status int, body []byte) error {
	found := gjson.GetManyBytes(body, "access_token", "expires_in", "error", "error_description")
	switch {
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return fmt.Errorf("token request: status %d", status)
	case status != http.StatusOK:
		text := strings.ReplaceAll(found[3].String(), c.cfg.ClientSecret.Reveal(), redacted)
		return fmt.Errorf("token request: %w: %s: %s", ErrUnauthorized, found[2].String(), firstLine(text))
	case !gjson.ValidBytes(body) || found[0].String() == "":
		return fmt.Errorf("token request: %w: no access token in it", ErrMalformed)
	}
	life := time.Duration(found[1].Int()) * time.Second
	c.token = found[0].String()
	c.expires = time.Now().Add(life)
	if life <= renewEarly {
		c.expires = c.expires.Add(renewEarly) // used to its end
	}
	return nil
}
