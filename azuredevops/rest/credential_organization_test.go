package rest

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Azure tells nowhere when a token ends: people are told at the first refusal,
// with the likely reasons, and once.
func TestTokenRefused(t *testing.T) {
	var log lockedBuffer
	f := &fakeService{Serve: status(401, "")}
	c := newTestClient(t, f, options{log: &log})
	send := func(want string) {
		t.Helper()
		_, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
	send("has expired or was revoked")
	send("has expired or was revoked")
	f.Serve = always("{}")
	if _, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{}); err != nil {
		t.Fatal(err)
	}
	f.Serve = status(401, "")
	send("taken for other requests")
	send("taken for other requests")
	if got := strings.Count(log.String(), "refuses the credential"); got != 2 {
		t.Errorf("warned %d times, want once for each reason: %s", got, log.String())
	}
	if got := strings.Count(log.String(), EnvPrefix+"PERSONAL_ACCESS_TOKEN"); got < 2 {
		t.Errorf("the variable is named %d times", got)
	}
	mustNotShow(t, testToken, log.String())
}

func TestEntraAdvice(t *testing.T) {
	c, err := NewEntra(EntraConfig{Method: SignInManagedIdentity, ClientID: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		before, server bool
		want           string
	}{
		{false, false, "add it to the users of the organization"},
		{true, false, "lacks the permission"},
		{false, true, "AUTHENTICATION to pat"},
	} {
		if got := c.advice(tt.before, tt.server); !strings.Contains(got, tt.want) {
			t.Errorf("advice(%v, %v) = %s", tt.before, tt.server, got)
		}
	}
}

// An organization that does not know the identity costs it one more token, not
// one for each request, and does not keep the others from working.
func TestTokensOfARefusingOrganization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signIns atomic.Int32
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			switch {
			case r.URL.Host == "login.example.com":
				return tokens(&signIns)(r)
			case strings.HasPrefix(r.URL.Path, "/bad/"):
				return answer(401, `{"message":"TF400813: not authorized"}`)
			}
			return answer(200, "{}")
		}}
		cred := testPrincipal(t, f)
		bad := newTestClient(t, f, options{org: "https://dev.azure.com/bad", cred: cred})
		good := newTestClient(t, f, options{org: "https://dev.azure.com/good", cred: cred})
		for range 20 {
			if _, err := bad.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{}); !errors.Is(err, ErrUnauthorized) {
				t.Error(err)
			}
			if _, err := good.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{}); err != nil {
				t.Error(err)
			}
		}
		if got := signIns.Load(); got != 2 {
			t.Errorf("%d sign-ins, want 2", got)
		}
		_ = Sleep(t.Context(), refusalTTL)
		_, _ = bad.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		if got := signIns.Load(); got != 3 {
			t.Errorf("%d sign-ins after some minutes, want 3", got)
		}
	})
}
