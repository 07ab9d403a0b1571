package ocean_test

import (
	"testing"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
)

// config is composed as package main does it.
type config struct {
	Application ocean.Application `envPrefix:"APPLICATION__"`
	Ocean       struct {
		ocean.Settings
		port.Limits
		Port  port.Config `envPrefix:"PORT__"`
		Azure azure       `envPrefix:"INTEGRATION__CONFIG__"`
	} `envPrefix:"OCEAN__"`
}

// azure stands for the integration's own settings.
type azure struct {
	AccountMode       string      `env:"ACCOUNT_MODE" envDefault:"Single Account" oneof:"Single Account,Multiple Accounts"`
	OrganizationURL   port.Secret `env:"ORGANIZATION_URL" form:"url"`
	Token             port.Secret `env:"PERSONAL_ACCESS_TOKEN"`
	ClientID          string      `env:"CLIENT_ID"`
	ClientSecret      port.Secret `env:"CLIENT_SECRET"`
	TenantID          string      `env:"TENANT_ID"`
	OrganizationURLs  []string    `env:"ORGANIZATION_URLS"`
	IsProjectsLimited bool        `env:"IS_PROJECTS_LIMITED" envDefault:"true"`
	WebhookSecret     port.Secret `env:"WEBHOOK_SECRET"`
	WebhookUsername   string      `env:"WEBHOOK_AUTH_USERNAME" envDefault:"port"`
	ExcludedTags      []string    `env:"EXCLUDED_TAGS"`
}

// required are the variables without which nothing starts.
func required() map[string]string {
	return map[string]string{"OCEAN__PORT__CLIENT_ID": "the-client-id", "OCEAN__PORT__CLIENT_SECRET": "the-client-secret"}
}

// load parses the environment on top of the required variables.
func load(t *testing.T, environ map[string]string) (*config, *ocean.Effective, error) {
	t.Helper()
	all := required()
	for k, v := range environ {
		all[k] = v
	}
	return ocean.Load[config](ocean.Sources{Environ: all})
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, eff, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Ocean.Integration.Identifier; got != "my-azure-devops-integration" {
		t.Errorf("identifier = %q", got)
	}
	for _, r := range eff.Rows {
		t.Log(r)
	}
}
