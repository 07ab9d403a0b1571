package ocean_test

import (
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

// What docker --env-file makes of an env file with quotes is understood, and said.
func TestQuotesAroundValues(t *testing.T) {
	t.Parallel()
	cfg, eff, err := load(ocean.Sources{
		Environ: map[string]string{
			"OCEAN__PORT__CLIENT_ID":                            `"the-client"`,
			"OCEAN__EVENT_LISTENER":                             `'{"type":"ONCE"}'`,
			"OCEAN__SSL":                                        `"{\"port\":{\"verify\":false}}"`,
			"OCEAN__CLIENT_TIMEOUT":                             ` "90" `,
			"OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS":         `"a","b"`,
			"OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET":        `"quoted-secret"`,
			"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": `'`,
			"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      `""`,
			"OCEAN__INTEGRATION__CONFIG__WEBHOOK_AUTH_USERNAME": `it's`,
			"OCEAN__INTEGRATION__CONFIG__IS_PROJECTS_LIMITED":   "false",
		},
		DotEnv: []byte("OCEAN__INTEGRATION__CONFIG__CLIENT_ID=\"from the file\"\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := cfg.Ocean.Azure
	if cfg.Ocean.Port.ClientID != "the-client" || cfg.Ocean.EventListener.Type != ocean.ListenOnce || cfg.Ocean.SSL.Port.Verify || cfg.Ocean.ClientTimeout.Seconds() != 90 ||
		strings.Join(a.ExcludedTags, "|") != `"a"|"b"` || a.WebhookSecret.Reveal() != `"quoted-secret"` || a.Token.Reveal() != "'" || a.OrganizationURL != "" || a.ClientID != "from the file" || a.WebhookUsername != "it's" {
		t.Errorf("got %+v, %+v", cfg.Ocean.Port, a)
	}
	var notes []string
	for _, n := range eff.Notices {
		notes = append(notes, n.String())
		if strings.Contains(n.String(), "quoted-secret") {
			t.Errorf("shows a secret: %s", n)
		}
	}
	all := strings.Join(notes, "\n")
	for _, want := range []string{
		"OCEAN__PORT__CLIENT_ID: has quotes", "OCEAN__EVENT_LISTENER: has quotes", "OCEAN__SSL: has quotes", "OCEAN__CLIENT_TIMEOUT: has quotes",
		"OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET: begins and ends with a quote", "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL: has quotes",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no notice %q in:\n%s", want, all)
		}
	}
	if strings.Count(all, "quote") != 6+1 { // one has the word twice
		t.Errorf("more notices than that:\n%s", all)
	}
}
