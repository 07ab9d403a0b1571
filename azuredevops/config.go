package azuredevops

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Account modes of Config.AccountMode.
const (
	SingleAccount    = "Single Account"
	MultipleAccounts = "Multiple Accounts"
)

// Config are the settings of the integration that belong to Azure DevOps. The
// names of the variables stand behind OCEAN__INTEGRATION__CONFIG__
// (export.md 1.1).
type Config struct {
	// "Single Account": a personal access token and one organization. "Multiple Accounts": a service principal and a list of organizations.
	AccountMode string `env:"ACCOUNT_MODE" envDefault:"Single Account" oneof:"Single Account,Multiple Accounts" doc:"Single Account: a personal access token and one organization. Multiple Accounts: a service principal and a list of organizations."`
	// URL of the organization (https://dev.azure.com/acme) or, on Azure DevOps Server, of the collection. Needed in Single Account mode.
	OrganizationURL string `env:"ORGANIZATION_URL" form:"url" doc:"URL of the organization (https://dev.azure.com/acme) or, on Azure DevOps Server, of the collection; needed in Single Account mode."`
	// Personal access token. Needed in Single Account mode.
	PersonalAccessToken Secret `env:"PERSONAL_ACCESS_TOKEN,unset" doc:"Personal access token; needed in Single Account mode."`
	// Application (client) id of the service principal. Needed in Multiple Accounts mode.
	ClientID string `env:"CLIENT_ID" doc:"Application (client) id of the service principal; needed in Multiple Accounts mode."`
	// Client secret of the service principal. Needed in Multiple Accounts mode.
	ClientSecret Secret `env:"CLIENT_SECRET,unset" doc:"Client secret of the service principal; needed in Multiple Accounts mode."`
	// Directory (tenant) id of the service principal. Needed in Multiple Accounts mode.
	TenantID string `env:"TENANT_ID" doc:"Directory (tenant) id of the service principal; needed in Multiple Accounts mode."`
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

const envPrefix = "OCEAN__INTEGRATION__CONFIG__"

// Shared is what all clients of a configuration have in common. Zero fields
// mean what they mean in ClientConfig.
type Shared struct {
	Timeout       time.Duration
	Transport     http.RoundTripper
	UserAgent     string
	AuthorityHost string // of Entra tokens; empty means https://login.microsoftonline.com
	Log           *slog.Logger
	Memory        Memory
}

// Clients makes one client per organization of cfg; they share the credential.
// It dials nothing. The error joins everything that is wrong; each line names
// the variable and says what to do.
func Clients(cfg Config, shared Shared) ([]*Client, error) {
	var urls []string
	var cred Credential
	var err error
	switch mode := strings.TrimSpace(cfg.AccountMode); mode {
	case SingleAccount, "":
		urls, cred, err = cfg.single()
	case MultipleAccounts:
		urls, cred, err = cfg.multiple(shared)
	default:
		err = fmt.Errorf("%sACCOUNT_MODE is %q: want %q or %q", envPrefix, mode, SingleAccount, MultipleAccounts)
	}
	if cfg.MaxConcurrentRequests < 0 {
		err = errors.Join(err, fmt.Errorf("%sMAX_CONCURRENT_REQUESTS is %d: want a number above 0", envPrefix, cfg.MaxConcurrentRequests))
	}
	if err != nil {
		return nil, err
	}
	clients := make([]*Client, 0, len(urls))
	for _, u := range urls {
		c, err := New(ClientConfig{
			OrganizationURL: u,
			Credential:      cred,
			ExcludedTags:    cfg.ExcludedTags,
			Timeout:         shared.Timeout,
			Transport:       shared.Transport,
			MaxInFlight:     cfg.MaxConcurrentRequests,
			UserAgent:       shared.UserAgent,
			Log:             shared.Log,
			Memory:          shared.Memory,

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

// single checks what Single Account mode needs.
func (cfg Config) single() ([]string, Credential, error) {
	var errs []error
	if cfg.OrganizationURL == "" {
		errs = append(errs, missing("ORGANIZATION_URL", "set it to the URL of the organization, such as https://dev.azure.com/acme"))
	} else if _, err := parseOrganization(cfg.OrganizationURL); err != nil {
		errs = append(errs, fmt.Errorf("%sORGANIZATION_URL: %w", envPrefix, err))
	}
	if cfg.PersonalAccessToken == "" {
		errs = append(errs, missing("PERSONAL_ACCESS_TOKEN", "set it to a personal access token that may read the organization"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	return []string{cfg.OrganizationURL}, PersonalAccessToken(cfg.PersonalAccessToken), nil
}

// multiple checks what Multiple Accounts mode needs.
func (cfg Config) multiple(shared Shared) ([]string, Credential, error) {
	var errs []error
	for _, v := range []struct{ name, value, do string }{
		{"CLIENT_ID", cfg.ClientID, "set it to the application id of the service principal"},
		{"CLIENT_SECRET", cfg.ClientSecret.Reveal(), "set it to a client secret of the service principal"},
		{"TENANT_ID", cfg.TenantID, "set it to the id of the Entra tenant"},
	} {
		if v.value == "" {
			errs = append(errs, missing(v.name, v.do))
		}
	}
	urls := make([]string, 0, len(cfg.OrganizationURLs))
	seen := map[string]bool{}
	for i, raw := range cfg.OrganizationURLs {
		u, err := parseOrganization(raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("%sORGANIZATION_URLS[%d]: %w", envPrefix, i, err))
			continue
		}
		if !seen[u.String()] {
			seen[u.String()] = true
			urls = append(urls, u.String())
		}
	}
	if len(cfg.OrganizationURLs) == 0 {
		errs = append(errs, missing("ORGANIZATION_URLS", `list at least one organization, such as ["https://dev.azure.com/acme"]`))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	cred, err := NewClientSecret(ClientSecretConfig{
		TenantID:      cfg.TenantID,
		ClientID:      cfg.ClientID,
		ClientSecret:  cfg.ClientSecret,
		AuthorityHost: shared.AuthorityHost,
		Transport:     shared.Transport,
		Timeout:       shared.Timeout,
	})
	return urls, cred, err
}

func missing(name, do string) error {
	return fmt.Errorf("%s%s is not set: %s", envPrefix, name, do)
}

// parseOrganization checks and normalizes the URL of an organization: no
// trailing slash, no user name, no query. The error does not repeat the text,
// which people paste with credentials in it.
func parseOrganization(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("want a URL that begins with https:// or http://, such as https://dev.azure.com/acme")
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}
