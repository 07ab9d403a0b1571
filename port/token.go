package port

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
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
	if err := json.Unmarshal(a.body, &t); err != nil || t.AccessToken == "" {
		// The error is not repeated: it may quote the token.
		return "", 0, fmt.Errorf("port: token: %w", errAnswer)
	}
	orElse(&t.TokenType, "Bearer")
	orElse(&t.ExpiresIn, float64(time.Hour/time.Second))
	return t.TokenType + " " + t.AccessToken, time.Duration(min(t.ExpiresIn, maxSeconds) * float64(time.Second)), nil
}

// refusalOf makes a refused credential an ErrUnauthorized that says what to do.
func (c *Client) refusalOf(err error) error {
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity:
		e, _ := errors.AsType[*Error](err)
		return fmt.Errorf("port: %w: Port at %s refuses the credentials (%d %s): check OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET, "+
			"and that OCEAN__PORT__BASE_URL is the region of this account", ErrUnauthorized, c.base, e.StatusCode, e.Message)
	case http.StatusNotFound:
		return fmt.Errorf("port: %s does not serve the API of Port: check OCEAN__PORT__BASE_URL: %w", c.base, err)
	}
	return err
}
