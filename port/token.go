package port

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// fetchToken asks for an access token. A refusal is final at once: repeating
// wrong credentials only delays the message.
func (c *Client) fetchToken(ctx context.Context) (string, time.Duration, error) {
	body, err := json.Marshal(map[string]string{
		"clientId": c.cfg.ClientID.Reveal(), "clientSecret": c.cfg.ClientSecret.Reveal(),
	})
	if err != nil {
		return "", 0, fmt.Errorf("port: token: %w", err)
	}
	// Quiet, because the shipping of logs needs a token too.
	a, err := c.do(ctx, &call{method: http.MethodPost, path: "/auth/access_token", body: body, repeatable: true, anonymous: true, quiet: true})
	if err != nil {
		return "", 0, c.refusalOf(err)
	}
	defer a.free()
	var t struct {
		AccessToken string  `json:"accessToken"`
		ExpiresIn   float64 `json:"expiresIn"`
		TokenType   string  `json:"tokenType"`
	}
	c.metrics.barred.Store(false)
	if err := json.Unmarshal(a.body, &t); err != nil || t.AccessToken == "" {
		// The error is not repeated: it may quote the token.
		return "", 0, fmt.Errorf("port: token: %w", errAnswer)
	}
	t.TokenType = cmp.Or(t.TokenType, "Bearer")
	t.ExpiresIn = cmp.Or(t.ExpiresIn, float64(time.Hour/time.Second))
	return t.TokenType + " " + t.AccessToken, time.Duration(min(t.ExpiresIn, maxSeconds) * float64(time.Second)), nil
}

// refusalOf makes a refused credential an ErrUnauthorized that says what to do.
func (c *Client) refusalOf(err error) error {
	name := c.cfg.Variables
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity:
		c.metrics.barred.Store(true)
		e, _ := errors.AsType[*Error](err)
		return fmt.Errorf("port: %w: Port at %s refuses the credentials (%d %s): check %s and %s, "+
			"and that %s is the region of this account", ErrUnauthorized, c.base, e.StatusCode, e.Message, name.ClientID, name.ClientSecret, name.BaseURL)
	case http.StatusNotFound:
		return fmt.Errorf("port: %s does not serve the API of Port: check %s: %w", c.base, name.BaseURL, err)
	}
	return err
}

// tokenSource holds the access token. One call at a time fetches a new one; the
// others wait for it.
type tokenSource struct {
	mu      sync.Mutex
	value   string // "Bearer …"
	renewAt time.Time
	fetch   singleflight.Group
}

// renewEarly keeps a token from expiring on its way.
const renewEarly = time.Minute

func (t *tokenSource) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !time.Now().Before(t.renewAt) {
		return ""
	}
	return t.value
}

// get returns the token, fetched if need be. A fetch goes on when the call that
// began it ends: others may wait for it.
func (t *tokenSource) get(ctx context.Context, fetch func(context.Context) (string, time.Duration, error)) (string, error) {
	if value := t.current(); value != "" {
		return value, nil
	}
	fetched := t.fetch.DoChan("", func() (any, error) {
		if value := t.current(); value != "" {
			return value, nil // the fetch before has just ended
		}
		value, life, err := fetch(context.WithoutCancel(ctx))
		if err != nil {
			return "", err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.value, t.renewAt = value, time.Now().Add(max(life-renewEarly, life/2))
		return value, nil
	})
	select {
	case r := <-fetched:
		value, _ := r.Val.(string)
		return value, r.Err
	case <-ctx.Done():
		return "", fmt.Errorf("port: %w", context.Cause(ctx))
	}
}

// discard forgets a token that Port refused, unless it has been replaced.
func (t *tokenSource) discard(value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == value {
		t.value = ""
	}
}
