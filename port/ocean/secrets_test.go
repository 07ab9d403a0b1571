package ocean_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

// Secrets are known wherever they were typed, and not shown from there.
func TestSecretsInWrongPlaces(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("aB3d", 13)
	_, eff, err := load(ocean.Sources{
		Environ: map[string]string{
			"OCEAN__INTEGRATION__CONFIG__WEBHOOK_PASSWORD": "geheim77",
			"OCEAN__INTEGRATION__CONFIG__CLIENT_SECRETS":   "no-secret",
			"OCEAN__INTEGRATION__IDENTIFIER":               "the-client-secret",
			"OCEAN__INTEGRATION__CONFIG__TENANT_ID":        token,
			"OCEAN__METRICS__WEBHOOK_URL":                  "a-refused-secret",
			"OCEAN__BASE_URL":                              token + "x",
			"OCEAN__NOWHERE":                               `{"inner":{"apiToken":"inner-token"}}`,
			"GITHUB_TOKEN":                                 "foreign-1", "FEATURE_TOKEN": "disabled", "HTTPS_PROXY": "u:proxy-word@proxy:3128",
			"ACCESS_TOKEN_FILE": "/run/secrets/1",
		},
		YAML: []byte("integration: {config: {patToken: yaml-secret}}"),
	})
	got := eff.Secrets()
	for _, want := range []string{
		"the-client-id", "the-client-secret", "geheim77", token, "a-refused-secret", "foreign-1", "proxy-word", "yaml-secret",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("Secrets() lacks %s: %q", want, got)
		}
	}
	for _, no := range []string{"no-secret", "disabled", "/run/secrets/1"} {
		if slices.Contains(got, no) {
			t.Errorf("Secrets() has %s", no)
		}
	}
	var out strings.Builder
	if werr := eff.WriteText(&out, true, err); werr != nil {
		t.Fatal(werr)
	}
	if err := eff.WriteJSON(&out, err); err != nil {
		t.Fatal(err)
	}
	for _, s := range append(got, "inner-token") {
		if strings.Contains(out.String(), s) {
			t.Errorf("%s is shown", s)
		}
	}
	for _, pair := range eff.JQEnviron(map[string]string{"A": "geheim77", "B": "foreign-1"}) {
		if pair != "B=foreign-1" {
			t.Errorf("mappings see %s", pair)
		}
	}
}
