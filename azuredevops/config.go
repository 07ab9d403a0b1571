package azuredevops

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// Account modes of Config.AccountMode.
const (
	SingleAccount    = "Single Account"
	MultipleAccounts = "Multiple Accounts"
)

// Config are the settings of the integration that belong to Azure DevOps. The
// names of the variables stand behind OCEAN__INTEGRATION__CONFIG__.
type Config struct {
	// "Single Account": one organization. "Multiple Accounts": a list of organizations of one identity.
	AccountMode string `env:"ACCOUNT_MODE" envDefault:"Single Account" oneof:"Single Account,Multiple Accounts" doc:"Single Account: one organization. Multiple Accounts: a list of organizations of one identity."`
	// How to sign in, in either account mode; see method for what auto does.
	Authentication string `env:"AUTHENTICATION" envDefault:"auto" oneof:"auto,pat,client-secret,certificate,managed-identity,workload-identity" doc:"How to sign in, in either account mode. auto takes what is set: the personal access token (in Multiple Accounts mode after the other three), the client secret, the certificate, the managed identity, the federated token, in this order."`
	// URL of the organization (https://dev.azure.com/acme) or, on Azure DevOps Server, of the collection. Needed in Single Account mode.
	OrganizationURL string `env:"ORGANIZATION_URL" form:"url" doc:"URL of the organization (https://dev.azure.com/acme) or, on Azure DevOps Server, of the collection (https://server/tfs/collection); needed in Single Account mode."`
	// Personal access token; in Multiple Accounts mode one of all accessible organizations.
	PersonalAccessToken Secret `env:"PERSONAL_ACCESS_TOKEN,unset" doc:"Personal access token; in Multiple Accounts mode one that is valid for all organizations."`
	// Application (client) id of the service principal.
	ClientID string `env:"CLIENT_ID" doc:"Application (client) id of the service principal."`
	// Client secret of the service principal.
	ClientSecret Secret `env:"CLIENT_SECRET,unset" doc:"Client secret of the service principal."`
	// Directory (tenant) id of the service principal.
	TenantID string `env:"TENANT_ID" doc:"Directory (tenant) id of the service principal."`
	// Certificate of the service principal instead of a secret: PEM or PKCS#12, with the private key.
	ClientCertificatePath string `env:"CLIENT_CERTIFICATE_PATH" doc:"Certificate of the service principal instead of a secret: a PEM or PKCS#12 file with the private key. It is read again at every sign-in."`
	// Password of the PKCS#12 file.
	ClientCertificatePassword Secret `env:"CLIENT_CERTIFICATE_PASSWORD,unset" doc:"Password of the PKCS#12 file."`
	// Client id of a managed identity. Empty is the identity of the system, which only AUTHENTICATION=managed-identity selects.
	ManagedIdentityClientID string `env:"MANAGED_IDENTITY_CLIENT_ID" doc:"Client id of the managed identity; without it AUTHENTICATION=managed-identity means the one that the system assigned."`
	// File with a token that Entra trusts for the service principal (workload identity federation).
	FederatedTokenFile string `env:"FEDERATED_TOKEN_FILE" doc:"File with a token of another issuer that Entra trusts for the service principal (workload identity federation); on Kubernetes AZURE_FEDERATED_TOKEN_FILE, with AZURE_CLIENT_ID and AZURE_TENANT_ID, is the default."`
	// URLs of the organizations, as a JSON list or separated by commas. Needed in Multiple Accounts mode.
	OrganizationURLs StringList `env:"ORGANIZATION_URLS" doc:"URLs of the organizations; needed in Multiple Accounts mode."`
	// Whether service hooks are created per project (true) or once for the organization (false). Does not limit what is exported.
	IsProjectsLimited bool `env:"IS_PROJECTS_LIMITED" envDefault:"true" doc:"Create service hooks per project (true) or once for the organization (false); what is exported does not depend on it."`
	// Project tags, as a JSON list or separated by commas: a project that carries one of them is left out.
	ExcludedTags StringList `env:"EXCLUDED_TAGS" doc:"Project tags: a project that carries one of them is left out."`
	// Most requests to one organization at the same time. Our own addition.
	MaxConcurrentRequests int `env:"MAX_CONCURRENT_REQUESTS" envDefault:"15" min:"1" max:"1000" doc:"Most requests to one organization at the same time."`
	// Ask each repository for its policies instead of each project. The same records for more calls. Our own addition.
	PoliciesPerRepository bool `env:"POLICIES_PER_REPOSITORY" envDefault:"false" doc:"Ask each repository for its policies instead of each project: the same records for more calls."`
	// Ask each repository for its pull requests instead of each project. The same records for more calls. Our own addition.
	PullRequestsPerRepository bool `env:"PULL_REQUESTS_PER_REPOSITORY" envDefault:"false" doc:"Ask each repository for its pull requests instead of each project: the same records for more calls."`

	// Public base URL for live events. Deprecated in favour of OCEAN__BASE_URL.
	AppHost string `env:"APP_HOST" form:"url" doc:"Deprecated name of OCEAN__BASE_URL."`
	// Password that service hooks send with every delivery.
	WebhookSecret Secret `env:"WEBHOOK_SECRET,unset" doc:"Password that service hooks send with every delivery."`
	// User name that service hooks send with every delivery.
	WebhookAuthUsername string `env:"WEBHOOK_AUTH_USERNAME" envDefault:"port" doc:"User name that service hooks send with every delivery."`
	// Accept deliveries without credentials although a secret is set, while hooks of an older deployment are being repaired. Our own addition.
	WebhookAuthLenient bool `env:"WEBHOOK_AUTH_LENIENT" envDefault:"false" doc:"Accept deliveries without credentials although a secret is set, while hooks of an older deployment are being repaired."`
}

// A StringList is a list in an environment variable: a JSON list of strings or
// values between commas. Blanks around values and empty values are dropped; an
// empty text is no list.
type StringList []string

// UnmarshalText reads either form. The error does not repeat the text.
func (l *StringList) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	var values []string
	if strings.HasPrefix(s, "[") {
		if err := json.Unmarshal([]byte(s), &values); err != nil {
			return errors.New(`want a JSON list of strings, such as ["a","b"], or values between commas`)
		}
	} else {
		values = strings.Split(s, ",")
	}
	*l = nil
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			*l = append(*l, v)
		}
	}
	return nil
}

const envPrefix = rest.EnvPrefix

// Ambient is what the workload identity webhook of Kubernetes puts into a pod's
// environment, by the names of our own variables: defaults for settings that
// nobody made. It is empty where there is no such identity.
//
// https://learn.microsoft.com/azure/aks/workload-identity-overview
func Ambient(environ map[string]string) map[string]string {
	out := map[string]string{}
	if environ["AZURE_FEDERATED_TOKEN_FILE"] == "" {
		return out
	}
	for from, to := range map[string]string{
		"AZURE_FEDERATED_TOKEN_FILE": "FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID": "CLIENT_ID", "AZURE_TENANT_ID": "TENANT_ID",
	} {
		if v := environ[from]; v != "" {
			out[envPrefix+to] = v
		}
	}
	return out
}

// Shared is what all clients of a configuration have in common. Zero fields
// mean what they mean in ClientConfig and rest.EntraConfig.
type Shared struct {
	Timeout       time.Duration
	Transport     http.RoundTripper
	UserAgent     string
	AuthorityHost string // of Entra tokens; empty means https://login.microsoftonline.com
	Log           *slog.Logger
	Store         Store
	Registry      prometheus.Registerer
}

// Clients makes one client per organization of cfg, each with a budget of its
// own; they share the credential. It dials nothing. The error joins everything
// that is wrong; each line names the variable and says what to do.
func Clients(cfg Config, shared Shared) ([]*Client, error) {
	urls, errs := cfg.organizations()
	errs = append(errs, cfg.lacks(cfg.SignIn())...)
	if cfg.MaxConcurrentRequests < 0 {
		errs = append(errs, fmt.Errorf("%sMAX_CONCURRENT_REQUESTS is %d: want a number above 0", envPrefix, cfg.MaxConcurrentRequests))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	cred, err := cfg.credential(shared)
	if err != nil {
		return nil, err
	}
	clients, bodies := make([]*Client, 0, len(urls)), &rest.Bodies{}
	for _, u := range urls {
		c, err := New(ClientConfig{
			OrganizationURL: u,
			Credential:      cred,
			ExcludedTags:    cfg.ExcludedTags,
			Timeout:         shared.Timeout,
			Bodies:          bodies,
			Transport:       shared.Transport,
			MaxInFlight:     cfg.MaxConcurrentRequests,
			UserAgent:       shared.UserAgent,
			Log:             shared.Log,
			Store:           shared.Store,
			Identity:        cfg.identity(),
			Registry:        shared.Registry,

			PoliciesPerRepository:     cfg.PoliciesPerRepository,
			PullRequestsPerRepository: cfg.PullRequestsPerRepository,
		})
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// Validate checks what the account mode needs, with the messages of Clients.
func (cfg *Config) Validate() error {
	_, err := Clients(*cfg, Shared{})
	return err
}

// multiple tells the account modes apart.
func (cfg *Config) multiple() bool { return strings.TrimSpace(cfg.AccountMode) == MultipleAccounts }

// organizations are the URLs of the account mode, each once.
func (cfg *Config) organizations() (urls []string, errs []error) {
	switch mode := strings.TrimSpace(cfg.AccountMode); mode {
	case SingleAccount, "":
		if cfg.OrganizationURL == "" {
			return nil, []error{missing("ORGANIZATION_URL", "set it to the URL of the organization, such as https://dev.azure.com/acme")}
		}
		if _, err := rest.ParseOrganization(cfg.OrganizationURL); err != nil {
			return nil, []error{fmt.Errorf("%sORGANIZATION_URL: %w", envPrefix, err)}
		}
		return []string{cfg.OrganizationURL}, nil
	case MultipleAccounts:
	default:
		return nil, []error{fmt.Errorf("%sACCOUNT_MODE is %q: want %q or %q", envPrefix, mode, SingleAccount, MultipleAccounts)}
	}
	if len(cfg.OrganizationURLs) == 0 {
		return nil, []error{missing("ORGANIZATION_URLS", `list at least one organization, such as ["https://dev.azure.com/acme"]`)}
	}
	seen := map[string]bool{}
	for i, raw := range cfg.OrganizationURLs {
		u, err := rest.ParseOrganization(raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("%sORGANIZATION_URLS[%d]: %w", envPrefix, i, err))
			continue
		}
		if key := rest.OrganizationKey(u); !seen[key] {
			seen[key] = true
			urls = append(urls, u.String())
		}
	}
	return urls, errs
}

// SignIn is the way of signing in, as OCEAN__INTEGRATION__CONFIG__AUTHENTICATION names
// it. auto is the first of these that is set: the
// personal access token, in Single Account mode only; the client secret, the
// certificate, the managed identity; the personal access token; the federated
// token, which comes last because a cluster hands it to every pod. With nothing
// set it is what the account mode needs in the Python integration.
func (cfg *Config) SignIn() string {
	switch {
	case cfg.Authentication != "" && cfg.Authentication != rest.SignInAuto:
		return cfg.Authentication
	case cfg.PersonalAccessToken != "" && !cfg.multiple():
		return rest.SignInPAT
	case cfg.ClientSecret != "":
		return rest.SignInClientSecret
	case cfg.ClientCertificatePath != "":
		return rest.SignInCertificate
	case cfg.ManagedIdentityClientID != "":
		return rest.SignInManagedIdentity
	case cfg.PersonalAccessToken != "":
		return rest.SignInPAT
	case cfg.FederatedTokenFile != "":
		return rest.SignInWorkloadIdentity
	case cfg.multiple():
		return rest.SignInClientSecret
	}
	return rest.SignInPAT
}

// credential makes the credential of the account; nothing that it needs is
// missing.
func (cfg *Config) credential(shared Shared) (Credential, error) {
	method := cfg.SignIn()
	if method == rest.SignInPAT {
		return PersonalAccessToken(Secret(strings.TrimSpace(cfg.PersonalAccessToken.Reveal()))), nil
	}
	ec := rest.EntraConfig{
		Method: method, TenantID: cfg.TenantID, ClientID: cfg.ClientID,
		ClientSecret:    Secret(strings.TrimSpace(cfg.ClientSecret.Reveal())),
		CertificatePath: cfg.ClientCertificatePath, CertificatePassword: cfg.ClientCertificatePassword,
		FederatedTokenFile: cfg.FederatedTokenFile, AuthorityHost: shared.AuthorityHost,
		Transport: shared.Transport, Timeout: shared.Timeout / 2, Log: shared.Log, Registry: shared.Registry,
	}
	if method == rest.SignInManagedIdentity {
		ec.ClientID = cfg.ManagedIdentityClientID
	}
	return rest.NewEntra(ec)
}

// lacks names the settings that a way of signing in needs and that are not set.
func (cfg *Config) lacks(method string) (errs []error) {
	type setting struct{ name, value, do string }
	app := setting{"CLIENT_ID", cfg.ClientID, "set it to the application id of the service principal"}
	tenant := setting{"TENANT_ID", cfg.TenantID, "set it to the id of the Entra tenant"}
	var needs []setting
	switch method {
	case rest.SignInPAT:
		needs = []setting{{
			"PERSONAL_ACCESS_TOKEN", strings.TrimSpace(cfg.PersonalAccessToken.Reveal()),
			"set it to a personal access token that may read the organization, or choose another " + envPrefix + "AUTHENTICATION",
		}}
	case rest.SignInClientSecret:
		needs = []setting{app, {
			"CLIENT_SECRET", strings.TrimSpace(cfg.ClientSecret.Reveal()),
			"set it to a client secret of the service principal, or choose another " + envPrefix + "AUTHENTICATION",
		}, tenant}
	case rest.SignInCertificate:
		needs = []setting{app, {
			"CLIENT_CERTIFICATE_PATH", cfg.ClientCertificatePath,
			"set it to a file with the certificate of the service principal and its private key",
		}, tenant}
	case rest.SignInWorkloadIdentity:
		needs = []setting{app, {
			"FEDERATED_TOKEN_FILE", cfg.FederatedTokenFile,
			"set it to a file with a token that Entra trusts, or let Kubernetes set AZURE_FEDERATED_TOKEN_FILE",
		}, tenant}
	case rest.SignInManagedIdentity:
	default:
		return []error{fmt.Errorf("%sAUTHENTICATION is %q: want %s, %s, %s, %s, %s or %s", envPrefix, method, rest.SignInAuto, rest.SignInPAT,
			rest.SignInClientSecret, rest.SignInCertificate, rest.SignInManagedIdentity, rest.SignInWorkloadIdentity)}
	}
	for _, s := range needs {
		if s.value == "" {
			errs = append(errs, missing(s.name, s.do))
		}
	}
	return errs
}

func missing(name, do string) error {
	return fmt.Errorf("%s%s is not set: %s", envPrefix, name, do)
}

// identity tells accounts apart: what one may not see another may.
func (cfg *Config) identity() string {
	method := cfg.SignIn()
	if method == rest.SignInPAT {
		return hexDigest(method, cfg.PersonalAccessToken.Reveal())
	}
	return hexDigest(method, cfg.TenantID, cfg.ClientID, cfg.ManagedIdentityClientID)
}
