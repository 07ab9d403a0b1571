package rest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	clientSecret  = "very-secret-value"
	testAssertion = "assertion-of-the-cluster"
)

func newEntra(t *testing.T, f *fakeService, cfg EntraConfig) *Entra {
	t.Helper()
	cfg.Transport, cfg.local, cfg.AuthorityHost = f, f, "login.example.com/"
	if cfg.Method != SignInManagedIdentity {
		cfg.TenantID, cfg.ClientID = "tenant", "app"
	}
	c, err := NewEntra(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testPrincipal(t *testing.T, f *fakeService) *Entra {
	t.Helper()
	return newEntra(t, f, EntraConfig{Method: SignInClientSecret, ClientSecret: clientSecret})
}

func authorize(t *testing.T, c Credential) (*http.Request, error) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, testOrg, nil)
	return r, c.Authorize(t.Context(), r)
}

func mustAuthorize(t *testing.T, c Credential, want string) {
	t.Helper()
	if r, err := authorize(t, c); err != nil || r.Header.Get("Authorization") != want {
		t.Errorf("header = %q, %v, want %q", r.Header.Get("Authorization"), err, want)
	}
}

// tokens answers sign-ins with tok1, tok2 …, after a second, for an hour.
func tokens(n *atomic.Int32) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		_ = Sleep(r.Context(), time.Second)
		return answer(200, `{"token_type":"Bearer","expires_in":3600,"access_token":"tok`+strconv.Itoa(int(n.Add(1)))+`"}`)
	}
}

func TestClientSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			if r.URL.String() != "https://login.example.com/tenant/oauth2/v2.0/token" || form.Get("grant_type") != "client_credentials" ||
				form.Get("client_id") != "app" || form.Get("client_secret") != clientSecret || form.Get("scope") != entraScope {
				t.Errorf("request %s with %v", r.URL, form)
			}
			return tokens(&n)(r)
		}}
		c := testPrincipal(t, f)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { mustAuthorize(t, c, "Bearer tok1") })
		}
		wg.Wait()
		_ = Sleep(t.Context(), 54*time.Minute)
		mustAuthorize(t, c, "Bearer tok1")
		_ = Sleep(t.Context(), time.Minute) // five minutes before the end
		mustAuthorize(t, c, "Bearer tok2")
		r, _ := authorize(t, c)
		if !c.Invalidate(r) {
			t.Error("no other token after a refusal")
		}
		mustAuthorize(t, c, "Bearer tok3")
		c.Invalidate(r) // the old one, once more
		mustAuthorize(t, c, "Bearer tok3")
	})
}

// Those that wait for a sign-in that fails do not try one after the other.
func TestSignInFailureIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
			_ = Sleep(r.Context(), time.Hour) // it does not answer
			return nil
		}}
		c := testPrincipal(t, f)
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := authorize(t, c); err == nil || !strings.Contains(err.Error(), "no answer within 30s") || errors.Is(err, ErrUnauthorized) {
					t.Errorf("err = %v", err)
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 30*time.Second || len(f.Sent()) != 1 {
			t.Errorf("%d requests in %v, want one in 30s", len(f.Sent()), d)
		}
	})
}

// While Entra is away the old token is used to its end.
func TestOldTokenWhileRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		f := &fakeService{Serve: tokens(&n)}
		c := testPrincipal(t, f)
		mustAuthorize(t, c, "Bearer tok1")
		f.Serve = status(503, "")
		_ = Sleep(t.Context(), 56*time.Minute)
		for range 5 {
			mustAuthorize(t, c, "Bearer tok1")
		}
		if got := len(f.Sent()); got != 2 {
			t.Errorf("%d sign-ins, want one attempt in 30 s", got-1)
		}
		_ = Sleep(t.Context(), 4*time.Minute)
		if _, err := authorize(t, c); err == nil {
			t.Error("a token is used beyond its end")
		}
	})
}

func TestSignInRefused(t *testing.T) {
	for _, tt := range []struct{ text, hint string }{
		{"AADSTS7000215: Invalid client secret " + clientSecret + " provided.\nTrace", "CLIENT_SECRET to the value"},
		{"AADSTS7000222: The provided client secret keys for app are expired.", "client secret has expired"},
		{"AADSTS700016: Application was not found in the directory.", "no such application"},
		{"AADSTS90002: Tenant not found.", "no such tenant"},
	} {
		f := &fakeService{Serve: status(401, `{"error":"invalid_client","error_description":`+strconv.Quote(tt.text)+`}`)}
		c := newTestClient(t, f, options{cred: testPrincipal(t, f)})
		_, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		if !errors.Is(err, ErrUnauthorized) || len(f.Sent()) != 1 {
			t.Fatalf("err = %v after %d requests", err, len(f.Sent()))
		}
		for _, want := range []string{tt.text[:12], tt.hint, "service principal app"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("err = %v, want %q in it", err, want)
			}
		}
		mustNotShow(t, clientSecret, err.Error())
		mustNotShow(t, "Trace", err.Error())
	}
}

// A token service in trouble is asked again, like Azure DevOps itself.
func TestSignInRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		f := &fakeService{Serve: func(r *http.Request) *http.Response {
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
		if _, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{}); err != nil || n != 5 {
			t.Errorf("err = %v after %d requests", err, n)
		}
	})
}

// authority is a fake Entra for the library; check sees the forms.
func authority(n *atomic.Int32, check func(form url.Values)) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
			at := "https://login.example.com/tenant"
			return answer(200, `{"authorization_endpoint":"`+at+`/authorize","token_endpoint":"`+at+`/token","issuer":"`+at+`"}`)
		}
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		check(form)
		return answer(200, `{"token_type":"Bearer","expires_in":3600,"access_token":"tok`+strconv.Itoa(int(n.Add(1)))+`"}`)
	}
}

// certificateFile writes a certificate with its key.
func certificateFile(t *testing.T, ends time.Time) (path string, der []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotAfter: ends}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	return textFile(t, string(b)), der
}

func textFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificate(t *testing.T) {
	path, der := certificateFile(t, time.Now().Add(29*24*time.Hour))
	var n atomic.Int32
	var log bytes.Buffer
	f := &fakeService{Serve: authority(&n, func(form url.Values) {
		header, _, _ := strings.Cut(form.Get("client_assertion"), ".")
		head, _ := base64.RawURLEncoding.DecodeString(header)
		if form.Get("grant_type") != "client_credentials" || form.Get("client_id") != "app" || !strings.Contains(form.Get("scope"), entraScope) ||
			!strings.Contains(string(head), base64.StdEncoding.EncodeToString(der)) {
			t.Errorf("form = %v, header = %s", form, head)
		}
	})}
	c := newEntra(t, f, EntraConfig{Method: SignInCertificate, CertificatePath: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if len(f.Sent()) != 0 {
		t.Errorf("sent %q before the first request", f.Sent())
	}
	mustAuthorize(t, c, "Bearer tok1")
	r, _ := authorize(t, c)
	c.Invalidate(r)
	mustAuthorize(t, c, "Bearer tok2")
	if got := strings.Count(log.String(), "certificate ends soon"); got != 1 {
		t.Errorf("warned %d times: %s", got, log.String())
	}
	for _, s := range f.Sent() {
		if !strings.Contains(s, "/tenant/") {
			t.Errorf("sent %s: no discovery elsewhere", s)
		}
	}
}

func TestCertificateUnusable(t *testing.T) {
	f := &fakeService{Serve: always("{}")}
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(t.TempDir(), "none"), "no such file"},
		{textFile(t, clientSecret), "want PEM"},
	} {
		c := newTestClient(t, f, options{cred: newEntra(t, f, EntraConfig{Method: SignInCertificate, CertificatePath: tt.path, CertificatePassword: clientSecret})})
		_, err := c.Send(t.Context(), &Request{Route: "_apis/x"}, Caller{})
		if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), EnvPrefix+"CLIENT_CERTIFICATE_PATH") {
			t.Errorf("err = %v, want %q", err, tt.want)
		}
		mustNotShow(t, clientSecret, err.Error())
	}
	if len(f.Sent()) != 0 {
		t.Errorf("sent %q", f.Sent())
	}
}

func TestWorkloadIdentity(t *testing.T) {
	path := textFile(t, testAssertion+"1\n")
	var n atomic.Int32
	var got []string
	f := &fakeService{Serve: authority(&n, func(form url.Values) { got = append(got, form.Get("client_assertion")) })}
	c := newEntra(t, f, EntraConfig{Method: SignInWorkloadIdentity, FederatedTokenFile: path})
	mustAuthorize(t, c, "Bearer tok1")
	if err := os.WriteFile(path, []byte(testAssertion+"2"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := authorize(t, c)
	c.Invalidate(r)
	mustAuthorize(t, c, "Bearer tok2")
	if strings.Join(got, " ") != testAssertion+"1 "+testAssertion+"2" {
		t.Errorf("assertions = %q, want the file read again", got)
	}

	answers := f.Serve
	f.Serve = func(r *http.Request) *http.Response {
		if r.Method == http.MethodGet {
			return answers(r)
		}
		return answer(401, `{"error":"invalid_client","error_description":"AADSTS700213: No matching federated identity record found for `+testAssertion+`2"}`)
	}
	_, err := authorize(t, newEntra(t, f, EntraConfig{Method: SignInWorkloadIdentity, FederatedTokenFile: path}))
	if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "add a federated credential") {
		t.Errorf("err = %v", err)
	}
	mustNotShow(t, testAssertion, err.Error())
	_, err = authorize(t, newEntra(t, f, EntraConfig{Method: SignInWorkloadIdentity, FederatedTokenFile: path + "x"}))
	if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "FEDERATED_TOKEN_FILE") {
		t.Errorf("err = %v", err)
	}
}

func TestManagedIdentity(t *testing.T) {
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT"} {
		t.Setenv(name, "")
	}
	n := 0
	f := &fakeService{Serve: func(r *http.Request) *http.Response {
		n++
		if r.URL.Host != "169.254.169.254" || r.Header.Get("Metadata") != "true" || r.URL.Query().Get("resource") != strings.TrimSuffix(entraScope, "/.default") {
			t.Errorf("request %s", r.URL)
		}
		return answer(200, `{"token_type":"Bearer","expires_in":"3600","access_token":"`+r.URL.Query().Get("client_id")+strconv.Itoa(n)+`"}`)
	}}
	system := newEntra(t, f, EntraConfig{Method: SignInManagedIdentity})
	mustAuthorize(t, system, "Bearer 1")
	r, _ := authorize(t, system)
	system.Invalidate(r)
	mustAuthorize(t, system, "Bearer 2") // and not the one that the library keeps
	mustAuthorize(t, newEntra(t, f, EntraConfig{Method: SignInManagedIdentity, ClientID: "mine"}), "Bearer mine3")

	for _, tt := range []struct {
		name   string
		answer func(*http.Request) *http.Response
		final  bool
	}{
		{"no such identity", status(400, `{"error":"invalid_request","error_description":"Identity not found"}`), true},
		{"starting", status(404, "{}"), false},
		{"busy", status(429, "{}"), false},
		{"no endpoint", func(*http.Request) *http.Response { return nil }, false},
	} {
		for _, id := range []string{"", "mine"} {
			f.Serve = tt.answer
			_, err := authorize(t, newEntra(t, f, EntraConfig{Method: SignInManagedIdentity, ClientID: id}))
			if err == nil || errors.Is(err, ErrUnauthorized) != tt.final {
				t.Errorf("%s: err = %v, want final %v", tt.name, err, tt.final)
			}
		}
	}
}

func TestNewEntra(t *testing.T) {
	for _, cfg := range []EntraConfig{
		{Method: "pat"},
		{Method: SignInClientSecret, TenantID: "t", ClientID: "c"},
		{Method: SignInCertificate, TenantID: "t", ClientID: "c"},
		{Method: SignInWorkloadIdentity, TenantID: "t", ClientID: "c"},
		{Method: SignInWorkloadIdentity, TenantID: "t", ClientID: "c", FederatedTokenFile: "f", AuthorityHost: "http://login.example.com"},
	} {
		if _, err := NewEntra(cfg); err == nil {
			t.Errorf("NewEntra(%s) = nil", cfg.Method)
		}
	}
}
