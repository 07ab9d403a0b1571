package azuredevops

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
				f := &fakeService{Serve: func(r *http.Request) *http.Response {
					if strings.HasPrefix(r.URL.Path, "/bad/") {
						return fault(r)
					}
					return answer(200, projectsOf("One", "Two"))
				}}
				bad, good := twoOrganizations(t, f, Config{PersonalAccessToken: testToken})
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
				time.Sleep(time.Minute)
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

// What a server lacks is unknown, not empty, for every kind that needs it.
func TestServerLacksGraph(t *testing.T) {
	const serverURL = "https://ado.example.com/tfs/Main"
	f := &fakeService{Serve: func(r *http.Request) *http.Response {
		if strings.Contains(r.URL.Path, "/_apis/graph/") || strings.Contains(r.URL.Path, "/_apis/userentitlements") {
			return answer(404, "<html><title>Page not found. - Azure DevOps Server</title>", "Content-Type", "text/html; charset=utf-8")
		}
		return answer(200, values())
	}}
	c := newTestClient(t, f, options{org: serverURL})
	for _, kind := range []string{"user", "group", "group-member"} {
		for _, selector := range []string{`{}`, `{"source":"graph"}`} {
			recs, errs := collect(t, c.Snapshot(), kind, selector, ListOptions{})
			if len(recs) != 0 || len(errs) != 1 || !errors.Is(errs[0], ErrNotOffered) || errors.Is(errs[0], ErrNotFound) {
				t.Errorf("%s %s: %d records, errors %v", kind, selector, len(recs), errs)
				continue
			}
			if se, ok := errors.AsType[*ScopeError](errs[0]); !ok || se.Scope != (Scope{Organization: strings.ToLower(serverURL)}) {
				t.Errorf("%s: scope of %v", kind, errs[0])
			}
		}
	}
	if got := len(f.Sent()); got != 3 {
		t.Errorf("sent %q, want each route once", f.Sent())
	}
}
