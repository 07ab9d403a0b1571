package rest

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
)

// A Credential authorizes requests. It is used by several goroutines at once,
// and shared by the clients of one identity.
type Credential interface {
	// Authorize sets the Authorization header of one attempt. An error that is
	// not ErrUnauthorized may pass: the attempt is repeated.
	Authorize(ctx context.Context, r *http.Request) error

	// Invalidate is told that the service refused the header that Authorize gave
	// r. It reports whether the next Authorize may set a better one.
	Invalidate(r *http.Request) bool
}

// EnvPrefix begins the names of the settings that advice is about.
const EnvPrefix = "OCEAN__INTEGRATION__CONFIG__"

// An advisor is a Credential that knows what people can do about a refusal.
type advisor interface {
	// advice is one sentence for people. before tells that the organization took
	// the credential for other requests, server that it is on Azure DevOps Server.
	advice(before, server bool) string
}

// PersonalAccessToken is Basic authorization with an empty user name.
//
// No answer says when a token expires: there is no such header, and the interface
// that lists tokens takes neither a token nor a service principal, only a person
// signed in to Entra. Nor does a refusal tell expired from revoked from lacking a
// scope. So people are warned at the first refusal and not before.
//
// https://learn.microsoft.com/azure/devops/organizations/accounts/manage-personal-access-tokens-via-api
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

func (c *staticCredential) advice(before, _ bool) string {
	if before {
		return "the personal access token was taken for other requests: most likely it has expired or been revoked meanwhile, else it lacks the scope that this one needs; " +
			"create a new one, with more scopes, and set " + EnvPrefix + "PERSONAL_ACCESS_TOKEN"
	}
	return "most likely the personal access token has expired or was revoked; else it is of another organization, lacks the scope or is mistyped (Azure DevOps does not say which); " +
		"create one that may read the organization and set " + EnvPrefix + "PERSONAL_ACCESS_TOKEN"
}
