package ocean_test

import (
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

// FuzzLoad feeds every source at once: nothing may panic, every error has words,
// and a secret of the environment never shows up in rows, notices or errors.
func FuzzLoad(f *testing.F) {
	f.Add("OCEAN__EVENT_LISTENER", `{"type":"ONCE"}`, "OCEAN__CLIENT_TIMEOUT=5", "clientTimeout: 5")
	f.Add("OCEAN__INTEGRATION", `{"config":{"excludedTags":["a"]}}`, "A='b'", "integration: {config: {a: {b: c}}}")
	f.Add("ocean__port__base_url", "https://x", "export X=1", "<<: {a: b}")
	f.Add("OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS", "[a b]", "# no", "a: &a [*a]")
	f.Add("OCEAN__SCHEDULED_RESYNC_INTERVAL", "CRON_TZ=UTC", "", `port: "{{ from env OCEAN__X }}"`)
	f.Add("OCEAN____", "map[a:b]", "=", "- a")
	f.Add("OCEAN__RESYNC_CRON", "1-0/0 * * * *", "", "")
	f.Fuzz(func(t *testing.T, name, text, dotEnv, yaml string) {
		const secret = "s3cr3t-0f-th3-pr0c3ss"
		environ := map[string]string{"OCEAN__PORT__CLIENT_ID": "the-client-id", "OCEAN__PORT__CLIENT_SECRET": secret, name: text}
		_, eff, err := ocean.Load[config](ocean.Sources{Environ: environ, DotEnv: []byte(dotEnv), YAML: []byte(yaml)})
		var b strings.Builder
		if werr := eff.WriteText(&b, true, err); werr != nil {
			t.Fatal(werr)
		}
		if werr := eff.WriteJSON(&b, err); werr != nil {
			t.Fatal(werr)
		}
		if strings.Contains(b.String(), secret) {
			t.Errorf("the secret is shown: %s", b.String())
		}
		for _, p := range ocean.Problems(err) {
			if p == "" {
				t.Error("an error without words")
			}
		}
		for _, pair := range eff.JQEnviron(environ) {
			if strings.Contains(pair, secret) {
				t.Errorf("mappings see %q", pair)
			}
		}
	})
}
