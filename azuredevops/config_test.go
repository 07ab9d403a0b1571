package azuredevops_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/ado-port/ado-port/azuredevops"
)

const secret = "s3cr3t-0123456789"

func parse(t *testing.T, environ map[string]string) (azuredevops.Config, error) {
	t.Helper()
	prefixed := map[string]string{}
	for k, v := range environ {
		prefixed["OCEAN__INTEGRATION__CONFIG__"+k] = v
	}
	return env.ParseAsWithOptions[azuredevops.Config](env.Options{Environment: prefixed, Prefix: "OCEAN__INTEGRATION__CONFIG__"})
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := parse(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.AccountMode != azuredevops.SingleAccount || !cfg.IsProjectsLimited || cfg.MaxConcurrentRequests != 15 || cfg.WebhookAuthUsername != "port" {
		t.Errorf("defaults = %+v", cfg)
	}
}

func TestStringList(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" [] ", nil},
		{`["a", " b ", ""]`, []string{"a", "b"}},
		{"a, b,,c d ", []string{"a", "b", "c d"}},
	} {
		cfg, err := parse(t, map[string]string{"EXCLUDED_TAGS": tt.text})
		if err != nil || !slices.Equal(cfg.ExcludedTags, tt.want) {
			t.Errorf("%q = %q, %v, want %q", tt.text, cfg.ExcludedTags, err, tt.want)
		}
	}
	var l azuredevops.StringList
	if err := l.UnmarshalText([]byte(`[1,2]`)); err == nil || !strings.Contains(err.Error(), `["a","b"]`) {
		t.Errorf("error = %v, want one that shows the form", err)
	}
}

type clientCase struct {
	name    string
	environ map[string]string
	want    []string // organizations
	errors  []string // texts of the error
}

func clientCases() []clientCase {
	return []clientCase{
		{
			name:    "single",
			environ: map[string]string{"ORGANIZATION_URL": " https://me:" + secret + "@dev.azure.com/Acme// ", "PERSONAL_ACCESS_TOKEN": secret},
			want:    []string{"https://dev.azure.com/Acme"},
		},
		{
			name:   "nothing set",
			errors: []string{"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL is not set", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN is not set"},
		},
		{
			name:    "not a URL",
			environ: map[string]string{"ORGANIZATION_URL": secret + ".example.com", "PERSONAL_ACCESS_TOKEN": secret},
			errors:  []string{"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL: want a URL"},
		},
		{
			name:    "mode",
			environ: map[string]string{"ACCOUNT_MODE": "Many"},
			errors:  []string{`ACCOUNT_MODE is "Many": want "Single Account" or "Multiple Accounts"`},
		},
		{
			name: "multiple",
			environ: map[string]string{
				"ACCOUNT_MODE": "Multiple Accounts", "CLIENT_ID": "c", "CLIENT_SECRET": secret, "TENANT_ID": "t",
				"ORGANIZATION_URLS": "https://dev.azure.com/a/, https://b.visualstudio.com,https://dev.azure.com/a",
			},
			want: []string{"https://dev.azure.com/a", "https://b.visualstudio.com"},
		},
		{
			name:    "multiple, nothing set",
			environ: map[string]string{"ACCOUNT_MODE": "Multiple Accounts", "PERSONAL_ACCESS_TOKEN": secret},
			errors:  []string{"CLIENT_ID is not set", "CLIENT_SECRET is not set", "TENANT_ID is not set", "ORGANIZATION_URLS is not set"},
		},
		{
			name:    "multiple, bad URL",
			environ: map[string]string{"ACCOUNT_MODE": "Multiple Accounts", "CLIENT_ID": "c", "CLIENT_SECRET": secret, "TENANT_ID": "t", "ORGANIZATION_URLS": "a,https://b"},
			errors:  []string{"ORGANIZATION_URLS[0]: want a URL"},
		},
		{
			name:    "negative limit",
			environ: map[string]string{"ORGANIZATION_URL": "https://x", "PERSONAL_ACCESS_TOKEN": secret, "MAX_CONCURRENT_REQUESTS": "-1"},
			errors:  []string{"MAX_CONCURRENT_REQUESTS is -1"},
		},
	}
}

func TestClients(t *testing.T) {
	for _, tt := range clientCases() {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := parse(t, tt.environ)
			if err != nil {
				t.Fatal(err)
			}
			clients, err := azuredevops.Clients(cfg, azuredevops.Shared{})
			var got []string
			for _, c := range clients {
				got = append(got, c.Organization())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("organizations = %q, want %q", got, tt.want)
			}
			if (err != nil) != (tt.errors != nil) {
				t.Fatalf("err = %v", err)
			}
			for _, text := range tt.errors {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("err = %v, want %q in it", err, text)
				}
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("err = %v shows a secret", err)
			}
		})
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := azuredevops.Secret(secret)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "cfg", azuredevops.Config{ClientSecret: s, PersonalAccessToken: s})
	cred, err := azuredevops.NewClientSecret(azuredevops.ClientSecretConfig{TenantID: "t", ClientID: "c", ClientSecret: s})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{s, &s, []azuredevops.Secret{s}, azuredevops.Config{PersonalAccessToken: s}, azuredevops.PersonalAccessToken(s), cred} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T shows it: %s", verb, v, out)
			}
		}
	}
	if strings.Contains(log.String(), secret) || s.Reveal() != secret {
		t.Errorf("log = %s", log.String())
	}
}
