package rest

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	azpolicy "github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azruntime "github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// askWithSecret uses the client credentials grant. The library needs a request
// more for the same, and refuses an authority without TLS.
func (c *Entra) askWithSecret(ctx context.Context) (accessToken, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.cfg.ClientID},
		"client_secret": {c.cfg.ClientSecret.Reveal()},
		"scope":         {entraScope},
	}
	to := c.cfg.AuthorityHost + "/" + url.PathEscape(c.cfg.TenantID) + "/oauth2/v2.0/token"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: AZURE_AUTHORITY_HOST: want a URL such as %s", ErrUnauthorized, defaultAuthority)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, err := c.cfg.Transport.RoundTrip(r)
	if err != nil {
		return accessToken{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessageBytes))
	if err != nil {
		return accessToken{}, err
	}
	found := gjson.GetManyBytes(body, "access_token", "expires_in")
	switch {
	case resp.StatusCode != http.StatusOK:
		return accessToken{}, c.refusal(resp.StatusCode, body)
	case !rawjson.Valid(body) || found[0].String() == "":
		return accessToken{}, fmt.Errorf("%w: no access token in it", ErrMalformed)
	}
	return accessToken{found[0].String(), time.Now().Add(time.Duration(found[1].Int()) * time.Second)}, nil
}

// askWithCertificate proves with a signature. The file is read each time, because
// certificates are replaced while programs run.
func (c *Entra) askWithCertificate(ctx context.Context) (accessToken, error) {
	certs, key, err := c.certificate()
	if err != nil {
		return accessToken{}, err
	}
	c.watch(ctx, certs[0])
	cred, err := azidentity.NewClientCertificateCredential(c.cfg.TenantID, c.cfg.ClientID, certs, key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions: c.options(c.cfg.Transport), DisableInstanceDiscovery: true, SendCertificateChain: true,
	})
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: %sCLIENT_CERTIFICATE_PATH: %w", ErrUnauthorized, EnvPrefix, err)
	}
	return c.askLibrary(ctx, cred, "")
}

func (c *Entra) certificate() ([]*x509.Certificate, crypto.PrivateKey, error) {
	b, err := os.ReadFile(c.cfg.CertificatePath)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %sCLIENT_CERTIFICATE_PATH: %w", ErrUnauthorized, EnvPrefix, err)
	}
	certs, key, err := azidentity.ParseCertificates(b, []byte(c.cfg.CertificatePassword.Reveal()))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %sCLIENT_CERTIFICATE_PATH: %w; want PEM with certificate and private key, not encrypted, "+
			"or PKCS#12 with SHA-1 and %sCLIENT_CERTIFICATE_PASSWORD", ErrUnauthorized, EnvPrefix, err, EnvPrefix)
	}
	return certs, key, nil
}

const (
	certificateNear = 30 * 24 * time.Hour // so long before it ends people are warned,
	certificateTell = 24 * time.Hour      // and so often
)

// watch warns before the certificate ends, which Entra does not.
func (c *Entra) watch(ctx context.Context, cert *x509.Certificate) {
	now := time.Now()
	c.certificateEnd.Set(float64(cert.NotAfter.Unix()))
	if cert.NotAfter.Sub(now) < certificateNear && now.Sub(c.warned) >= certificateTell {
		c.warned = now
		c.cfg.Log.WarnContext(ctx, "the client certificate ends soon: register a new one with the application and replace the file",
			"variable", EnvPrefix+"CLIENT_CERTIFICATE_PATH", "ends", cert.NotAfter)
	}
}

// askWithAssertion proves with the token of another issuer that Entra has been
// told to trust (workload identity federation). It is read each time, because the
// other issuer replaces it every hour or so.
func (c *Entra) askWithAssertion(ctx context.Context) (accessToken, error) {
	assertion, err := os.ReadFile(c.cfg.FederatedTokenFile)
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: %sFEDERATED_TOKEN_FILE: %w", ErrUnauthorized, EnvPrefix, err)
	}
	text := strings.TrimSpace(string(assertion))
	cred, err := azidentity.NewClientAssertionCredential(c.cfg.TenantID, c.cfg.ClientID,
		func(context.Context) (string, error) { return text, nil },
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: c.options(c.cfg.Transport), DisableInstanceDiscovery: true})
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return c.askLibrary(ctx, cred, text)
}

// askMachine asks the machine that the process runs on. The claims keep the
// library from giving the token that it has given before.
func (c *Entra) askMachine(ctx context.Context) (accessToken, error) {
	opt := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: c.options(c.cfg.local)}
	if c.cfg.ClientID != "" {
		opt.ID = azidentity.ClientID(c.cfg.ClientID)
	}
	cred, err := azidentity.NewManagedIdentityCredential(opt)
	if err != nil {
		return accessToken{}, fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return c.askLibrary(ctx, cred, "")
}

// options make the library use our connections and leave repeating to us.
func (c *Entra) options(t http.RoundTripper) azpolicy.ClientOptions {
	return azpolicy.ClientOptions{
		Cloud: azcloud.Configuration{ActiveDirectoryAuthorityHost: c.cfg.AuthorityHost, Services: map[azcloud.ServiceName]azcloud.ServiceConfiguration{}},
		Retry: azpolicy.RetryOptions{MaxRetries: -1},
		Transport: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// askLibrary gets a token. hidden is what must not be shown of the request.
func (c *Entra) askLibrary(ctx context.Context, cred azcore.TokenCredential, hidden string) (accessToken, error) {
	opt := azpolicy.TokenRequestOptions{Scopes: []string{entraScope}}
	if c.cfg.Method == SignInManagedIdentity {
		opt.Claims = "{}"
	}
	t, err := cred.GetToken(ctx, opt)
	if err == nil {
		return accessToken{t.Token, t.ExpiresOn}, nil
	}
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	switch {
	case !ok: // the machine has no such identity
		return accessToken{}, fmt.Errorf("%w: %s%s", ErrUnauthorized, FirstLine(err.Error()), c.hint(""))
	case failed.RawResponse == nil:
		text := FirstLine(err.Error())
		if hidden != "" {
			text = strings.ReplaceAll(text, hidden, redacted)
		}
		return accessToken{}, errors.New(text + c.hint(""))
	}
	body, _ := azruntime.Payload(failed.RawResponse)
	if hidden != "" {
		body = []byte(strings.ReplaceAll(string(body), hidden, redacted))
	}
	return accessToken{}, c.refusal(failed.RawResponse.StatusCode, body)
}

// refusal describes the answer to a sign-in that failed. It is ErrUnauthorized
// unless it may pass by itself.
func (c *Entra) refusal(status int, body []byte) error {
	passes := status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	if c.cfg.Method == SignInManagedIdentity { // the endpoint begins to answer while the machine starts
		passes = passes || status == http.StatusNotFound || status == http.StatusGone
	}
	if passes {
		return fmt.Errorf("status %d", status)
	}
	found := gjson.GetManyBytes(body, "error", "error_description", "message")
	text := cmp.Or(found[1].String(), found[2].String(), http.StatusText(status))
	for _, s := range []Secret{c.cfg.ClientSecret, c.cfg.CertificatePassword} {
		if s != "" {
			text = strings.ReplaceAll(text, s.Reveal(), redacted)
		}
	}
	text = FirstLine(text)
	return fmt.Errorf("%w: %s: %s%s", ErrUnauthorized, cmp.Or(found[0].String(), "status "+strconv.Itoa(status)), text, c.hint(text))
}

// hint says what to do about an error text, where that is known.
//
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func (c *Entra) hint(text string) string {
	if c.cfg.Method == SignInManagedIdentity {
		return " (assign the identity to this machine, pod or app, check " + EnvPrefix + "MANAGED_IDENTITY_CLIENT_ID, or choose another " + EnvPrefix + "AUTHENTICATION)"
	}
	for _, h := range []struct{ code, do string }{
		{"AADSTS7000222", "the client secret has expired: create a new one and set " + EnvPrefix + "CLIENT_SECRET"},
		{"AADSTS7000215", "set " + EnvPrefix + "CLIENT_SECRET to the value of a client secret, not to its id"},
		{"AADSTS700016", "check " + EnvPrefix + "CLIENT_ID and " + EnvPrefix + "TENANT_ID: the tenant has no such application"},
		{"AADSTS90002", "check " + EnvPrefix + "TENANT_ID: there is no such tenant"},
		{"AADSTS700027", "register the certificate of " + EnvPrefix + "CLIENT_CERTIFICATE_PATH with the application, or replace it when it has ended"},
		{"AADSTS70021", "add a federated credential to the application that has issuer, subject and audience of the token in " + EnvPrefix + "FEDERATED_TOKEN_FILE"},
		{"AADSTS700024", "the token in " + EnvPrefix + "FEDERATED_TOKEN_FILE has expired: whoever writes the file has to replace it"},
	} {
		// A code is not the beginning of a longer one, but 700213 is a 70021 that
		// says more.
		if at := strings.Index(text, h.code); at >= 0 && (h.code == "AADSTS70021" || !digitAt(text, at+len(h.code))) {
			return " (" + h.do + ")"
		}
	}
	return ""
}

func digitAt(s string, i int) bool { return i < len(s) && s[i] >= '0' && s[i] <= '9' }
