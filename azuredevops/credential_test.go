package azuredevops

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const clientSecret = "very-secret-value"

func testPrincipal(t *testing.T, f *fakeService) *ClientSecret {
	t.Helper()
	c, err := NewClientSecret(ClientSecretConfig{TenantID: "ten ant", ClientID: "app", ClientSecret: clientSecret, AuthorityHost: "login.example.com/", Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authorize(t *testing.T, c Credential) (*http.Request, error) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, testOrg, nil)
	return r, c.Authorize(t.Context(), r)
}

func TestClientSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n int
		f := &fakeService{serve: func(r *http.Request) *http.Response {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			if r.URL.String() != "https://login.example.com/ten%20ant/oauth2/v2.0/token" || form.Get("grant_type") != "client_credentials" ||
				form.Get("client_id") != "app" || form.Get("client_secret") != clientSecret || form.Get("scope") != entraScope {
				t.Errorf("request %s with %v", r.URL, form)
			}
			n++
			_ = sleep(r.Context(), time.Second)
			return answer(200, `{"token_type":"Bearer","expires_in":3600,"access_token":"tok`+strconv.Itoa(n)+`"}`)
		}}
		c := testPrincipal(t, f)
		header := func() string {
			t.Helper()
			r, err := authorize(t, c)
			if err != nil {
				t.Error(err)
			}
			return r.Header.Get("Authorization")
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if h := header(); h != "Bearer tok1" {
					t.Errorf("header = %s", h)
				}
			})
		}
		wg.Wait()
		_ = sleep(t.Context(), 54*time.Minute)
		if h := header(); h != "Bearer tok1" {
			t.Errorf("after 54 min: %s", h)
		}
		_ = sleep(t.Context(), time.Minute)
		if h := header(); h != "Bearer tok2" {
			t.Errorf("five minutes before the end: %s", h)
		}
		r, _ := authorize(t, c)
		if !c.Invalidate(r) || header() != "Bearer tok3" {
			t.Error("an invalidated token is used again")
		}
		c.Invalidate(r) // the old one, once more
		if h := header(); h != "Bearer tok3" {
			t.Errorf("a late refusal dropped the new token: %s", h)
		}
	})
}

func TestClientSecretRefused(t *testing.T) {
	f := &fakeService{serve: status(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret `+clientSecret+` provided.\nTrace"}`)}
	c := newTestClient(t, f, options{cred: testPrincipal(t, f)})
	_, err := c.send(t.Context(), &request{Route: "_apis/x"}, caller{})
	if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "AADSTS7000215") || len(f.sent()) != 1 {
		t.Errorf("err = %v after %d requests", err, len(f.sent()))
	}
	mustNotShow(t, clientSecret, err.Error())
}

// A token service in trouble is asked again, like Azure DevOps itself.
func TestClientSecretRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		f := &fakeService{serve: func(r *http.Request) *http.Response {
			n++
			switch {
			case r.URL.Host != "login.example.com":
				return answer(200, "{}")
			case n == 1:
				return answer(503, "")
			case n == 2:
				return nil
			case n == 3:
				return answer(200, "<html>")
			}
			return answer(200, `{"expires_in":"60","access_token":"t"}`)
		}}
		c := newTestClient(t, f, options{cred: testPrincipal(t, f)})
		if _, err := c.send(t.Context(), &request{Route: "_apis/x"}, caller{}); err != nil || n != 5 {
			t.Errorf("err = %v after %d requests", err, n)
		}
	})
}
