package azuredevops

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Azure tells nowhere when a token ends: people are told at the first refusal,
// with the likely reasons, and once.
func TestTokenRefused(t *testing.T) {
	var log lockedBuffer
	f := &fakeService{serve: status(401, "")}
	c := newTestClient(t, f, options{log: &log})
	send := func(want string) {
		t.Helper()
		_, err := c.send(t.Context(), &request{Route: "_apis/x"}, caller{})
		if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
	send("has expired, was revoked")
	send("has expired, was revoked")
	f.serve = always("{}")
	if _, err := c.send(t.Context(), &request{Route: "_apis/x"}, caller{}); err != nil {
		t.Fatal(err)
	}
	f.serve = status(401, "")
	send("taken for other requests")
	send("taken for other requests")
	if got := strings.Count(log.String(), "refuses the credential"); got != 2 {
		t.Errorf("warned %d times, want once for each reason: %s", got, log.String())
	}
	if got := strings.Count(log.String(), envPrefix+"PERSONAL_ACCESS_TOKEN"); got < 2 {
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

// twoOrganizations are clients of one identity; serve answers for both.
func twoOrganizations(t *testing.T, f *fakeService, cfg Config) (bad, good *Client) {
	t.Helper()
	cfg.AccountMode, cfg.OrganizationURLs = MultipleAccounts, StringList{"https://dev.azure.com/bad", "https://dev.azure.com/good"}
	clients, err := Clients(cfg, Shared{Transport: f, AuthorityHost: "login.example.com", Log: slog.New(slog.DiscardHandler)})
	if err != nil || len(clients) != 2 {
		t.Fatal(clients, err)
	}
	return clients[0], clients[1]
}

// An organization that does not know the identity costs it one more token, not
// one for each request, and does not keep the others from working.
func TestTokensOfARefusingOrganization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signIns atomic.Int32
		f := &fakeService{serve: func(r *http.Request) *http.Response {
			switch {
			case r.URL.Host == "login.example.com":
				return tokens(&signIns)(r)
			case strings.HasPrefix(r.URL.Path, "/bad/"):
				return answer(401, `{"message":"TF400813: not authorized"}`)
			}
			return answer(200, projectsOf("One"))
		}}
		bad, good := twoOrganizations(t, f, Config{TenantID: "t", ClientID: "app", ClientSecret: clientSecret + "\n"})
		for range 20 {
			if _, err := bad.send(t.Context(), &request{Route: "_apis/x"}, caller{}); !errors.Is(err, ErrUnauthorized) {
				t.Error(err)
			}
			if _, err := good.send(t.Context(), &request{Route: "_apis/x"}, caller{}); err != nil {
				t.Error(err)
			}
		}
		if got := signIns.Load(); got != 2 {
			t.Errorf("%d sign-ins, want 2", got)
		}
		_ = sleep(t.Context(), insist)
		_, _ = bad.send(t.Context(), &request{Route: "_apis/x"}, caller{})
		if got := signIns.Load(); got != 3 {
			t.Errorf("%d sign-ins after some minutes, want 3", got)
		}
	})
}

// One organization fails in one way or another, and holds its requests back. The
// other one is listed completely and at once; what is unknown is named with the
// organization that it belongs to.
func TestOrganizationsFailAlone(t *testing.T) {
	for name, fault := range map[string]func(*http.Request) *http.Response{
		"refused":   status(401, ""),
		"away":      func(*http.Request) *http.Response { return nil },
		"broken":    status(503, ""),
		"throttled": status(429, "", "Retry-After", "300"),
		"sign-in":   status(203, "<html>", "Content-Type", "text/html"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeService{serve: func(r *http.Request) *http.Response {
					if strings.HasPrefix(r.URL.Path, "/bad/") {
						return fault(r)
					}
					return answer(200, projectsOf("One", "Two"))
				}}
				bad, good := twoOrganizations(t, f, Config{PersonalAccessToken: testToken})
				if bad.transport.limit == good.transport.limit {
					t.Fatal("the organizations share a limiter")
				}
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					for _, err := range listingErrors(ctx, t, bad) {
						if se, ok := errors.AsType[*ScopeError](err); ctx.Err() == nil && (!ok || se.Scope != (Scope{Organization: "https://dev.azure.com/bad"})) {
							t.Errorf("err = %v, want the organization", err)
						}
					}
				})
				start := time.Now()
				recs, errs := collect(t, good.Snapshot(), "project", `{}`, ListOptions{})
				if len(recs) != 2 || errs != nil || time.Since(start) != 0 {
					t.Errorf("%d records, %v after %v", len(recs), errs, time.Since(start))
				}
				for _, r := range recs {
					if r.Scope.Organization != "https://dev.azure.com/good" {
						t.Errorf("scope = %+v", r.Scope)
					}
				}
				_ = sleep(ctx, time.Minute)
				cancel()
				wg.Wait()
			})
		})
	}
}

// listingErrors are the errors of a listing.
func listingErrors(ctx context.Context, t *testing.T, c *Client) (errs []error) {
	t.Helper()
	l, _, err := Bind("project", []byte(`{}`))
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, err := range l.Records(ctx, c.Snapshot(), ListOptions{}) {
		errs = append(errs, err)
	}
	return errs
}
