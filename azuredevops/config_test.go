package azuredevops_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
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
			environ: map[string]string{"ACCOUNT_MODE": "Multiple Accounts"},
			errors:  []string{"CLIENT_ID is not set", "CLIENT_SECRET is not set", "TENANT_ID is not set", "ORGANIZATION_URLS is not set"},
		},
		{
			name: "multiple, the same one twice",
			environ: map[string]string{
				"ACCOUNT_MODE": "Multiple Accounts", "PERSONAL_ACCESS_TOKEN": secret,
				"ORGANIZATION_URLS": "https://dev.azure.com/Acme,https://DEV.azure.com/acme/,http://acme.visualstudio.com/DefaultCollection,https://server/tfs/One,https://SERVER:443/tfs/one/",
			},
			want: []string{"https://dev.azure.com/Acme", "https://server/tfs/One"},
		},
		{
			name:    "host without organization",
			environ: map[string]string{"ORGANIZATION_URL": "https://dev.azure.com/", "PERSONAL_ACCESS_TOKEN": secret},
			errors:  []string{"ORGANIZATION_URL: want the name of the organization"},
		},
		{
			name:    "unknown sign-in",
			environ: map[string]string{"ORGANIZATION_URL": "https://x", "AUTHENTICATION": "kerberos"},
			errors:  []string{`AUTHENTICATION is "kerberos": want auto, pat, client-secret`},
		},
		{
			name:    "certificate, nothing else set",
			environ: map[string]string{"ORGANIZATION_URL": "https://x", "AUTHENTICATION": "certificate", "PERSONAL_ACCESS_TOKEN": secret},
			errors:  []string{"CLIENT_ID is not set", "CLIENT_CERTIFICATE_PATH is not set", "TENANT_ID is not set"},
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

// Which credential both account modes choose, and that none of them needs the
// settings of another.
func TestAuthentication(t *testing.T) {
	type settings = map[string]string
	token := settings{"PERSONAL_ACCESS_TOKEN": secret}
	app := settings{"CLIENT_ID": "c", "TENANT_ID": "t"}
	key := settings{"CLIENT_SECRET": secret}
	cert := settings{"CLIENT_CERTIFICATE_PATH": "/none.pem", "CLIENT_CERTIFICATE_PASSWORD": secret}
	managed := settings{"MANAGED_IDENTITY_CLIENT_ID": "m"}
	federated := settings{"FEDERATED_TOKEN_FILE": "/none"}
	for _, tt := range []struct {
		set              []settings
		single, multiple string
	}{
		{[]settings{token}, "pat", "pat"},
		{[]settings{app, key}, "client-secret", "client-secret"},
		{[]settings{app, cert}, "certificate", "certificate"},
		{[]settings{managed}, "managed-identity", "managed-identity"},
		{[]settings{app, federated}, "workload-identity", "workload-identity"},
		{[]settings{token, app, key, cert, managed, federated}, "pat", "client-secret"},
		{[]settings{token, app, cert, managed, federated}, "pat", "certificate"},
		{[]settings{token, app, managed, federated}, "pat", "managed-identity"},
		{[]settings{token, app, federated}, "pat", "pat"},
		{[]settings{app, key, cert, managed}, "client-secret", "client-secret"},
		{[]settings{{"AUTHENTICATION": "managed-identity"}}, "managed-identity", "managed-identity"},
		{[]settings{token, app, key, {"AUTHENTICATION": "workload-identity"}, federated}, "workload-identity", "workload-identity"},
		{[]settings{app, key, token, {"AUTHENTICATION": "pat"}}, "pat", "pat"},
	} {
		for mode, want := range map[string]string{"Single Account": tt.single, "Multiple Accounts": tt.multiple} {
			environ := settings{"ACCOUNT_MODE": mode, "ORGANIZATION_URL": "https://dev.azure.com/a", "ORGANIZATION_URLS": "https://dev.azure.com/a"}
			for _, s := range tt.set {
				maps.Copy(environ, s)
			}
			cfg, err := parse(t, environ)
			if err != nil {
				t.Fatal(err)
			}
			var log strings.Builder
			clients, err := azuredevops.Clients(cfg, azuredevops.Shared{Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil || len(clients) != 1 || cfg.SignIn() != want {
				t.Errorf("%s with %v: %v, %s, want %s", mode, tt.set, err, cfg.SignIn(), want)
			}
			if cfg.Validate() != nil || strings.Contains(log.String(), secret) {
				t.Errorf("%s with %v: %v, %s", mode, tt.set, cfg.Validate(), log.String())
			}
		}
	}
}

func TestAmbient(t *testing.T) {
	pod := map[string]string{"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_AUTHORITY_HOST": "h"}
	if got := azuredevops.Ambient(pod); len(got) != 0 {
		t.Errorf("Ambient = %v without a token", got)
	}
	pod["AZURE_FEDERATED_TOKEN_FILE"] = "/var/token"
	want := map[string]string{
		"OCEAN__INTEGRATION__CONFIG__CLIENT_ID": "c", "OCEAN__INTEGRATION__CONFIG__TENANT_ID": "t",
		"OCEAN__INTEGRATION__CONFIG__FEDERATED_TOKEN_FILE": "/var/token",
	}
	if got := azuredevops.Ambient(pod); !maps.Equal(got, want) {
		t.Errorf("Ambient = %v, want %v", got, want)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := azuredevops.Secret(secret)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "cfg", azuredevops.Config{ClientSecret: s, PersonalAccessToken: s})
	cred, err := rest.NewEntra(rest.EntraConfig{Method: rest.SignInClientSecret, TenantID: "t", ClientID: "c", ClientSecret: s})
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
