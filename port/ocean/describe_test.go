package ocean_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

// Every variable of this package explains itself.
func TestDescribe(t *testing.T) {
	t.Parallel()
	type own struct {
		Application ocean.Application `envPrefix:"APPLICATION__"`
		ocean.Settings
	}
	rows, without, err := ocean.Describe[own]()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.HasSuffix(r.Meaning, ".") || strings.Contains(r.Meaning, "\n") {
			t.Errorf("%s: meaning %q is no sentence", r.Variable, r.Meaning)
		}
	}
	var help strings.Builder
	if err := ocean.WriteHelp(&help, rows, without); err != nil || !strings.Contains(help.String(), "  OCEAN__DATABASE__*\n        there is no database.") || !strings.Contains(help.String(), "  CLIENT_TIMEOUT\n        duration, default 60s.\n        Time within") {
		t.Errorf("help = %s, %v", help.String(), err)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	_, eff, err := ocean.Load[config](ocean.Sources{Environ: map[string]string{
		"OCEAN__PORT__CLIENT_SECRET": "hush-hush", "OCEAN__FOO": "1", "OCEAN__STREAMING__ENABLED": "true", "OCEAN__STRICT_EXIT": "eh",
	}})
	var text, doc strings.Builder
	if werr := eff.WriteText(&text, true, err); werr != nil {
		t.Fatal(werr)
	}
	if werr := eff.WriteJSON(&doc, err); werr != nil {
		t.Fatal(werr)
	}
	if strings.Contains(text.String()+doc.String(), "hush") {
		t.Error("the secret is shown")
	}
	squeezed := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{
		"VARIABLE VALUE ORIGIN", "OCEAN__PORT__CLIENT_SECRET [redacted] environment", "OCEAN__CLIENT_TIMEOUT 1m0s default", "OCEAN__BASE_URL - unset",
		"OCEAN__STRICT_EXIT false see the errors below", "Accepted, without effect here: OCEAN__STREAMING__ENABLED:",
		"Notes: OCEAN__FOO: unknown variable", "Errors: OCEAN__STRICT_EXIT from environment: want true or false", "OCEAN__PORT__CLIENT_ID is not set",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("text lacks %q:\n%s", want, text.String())
		}
	}
	var got struct {
		Settings []ocean.Row
		Errors   []string
		Ignored  []struct{ Variable string }
		Notices  []struct{ Level string }
	}
	if err := json.Unmarshal([]byte(doc.String()), &got); err != nil || len(got.Settings) != len(eff.Rows) || len(got.Errors) != 2 || len(got.Ignored) != 1 || got.Notices[0].Level != "warn" {
		t.Errorf("JSON = %+v, %v", got, err)
	}
}

func TestJQEnviron(t *testing.T) {
	t.Parallel()
	environ := map[string]string{
		"OCEAN__PORT__CLIENT_ID": "the-client-id", "OCEAN__PORT__CLIENT_SECRET": "the-client-secret", "ocean__integration__config__personal_access_token": "pat",
		"OCEAN__INTEGRATION": `{"identifier":"x"}`, "OCEAN__DATABASE__PASSWORD": "p", "OCEAN__INTEGRATION__IDENTIFIER": "x", "CLUSTER": "west", "COPY": "Basic the-client-secret",
		"HTTPS_PROXY": "me:pass@proxy:1", "NO_PROXY": "a@b", "AZURE_CLIENT_SECRET": "short", "EMPTY": "",
	}
	_, eff, err := ocean.Load[config](ocean.Sources{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"CLUSTER=west", "EMPTY=", "NO_PROXY=a@b", "OCEAN__INTEGRATION__IDENTIFIER=x"}
	if got := eff.JQEnviron(environ); !slices.Equal(got, want) {
		t.Errorf("JQEnviron = %q, want %q", got, want)
	}
}

func TestReadSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, err := ocean.ReadSources(dir, nil)
	if err != nil || src.DotEnv != nil || src.YAML != nil {
		t.Errorf("empty directory: %+v, %v", src, err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".env"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "config.yaml", []byte("a: b"))
	src, err = ocean.ReadSources(dir, required())
	if err != nil || src.DotEnv != nil || string(src.YAML) != "a: b" || len(src.Environ) != 2 {
		t.Errorf("sources: %+v, %v", src, err)
	}
	write(t, dir, "config.yaml", make([]byte, 2<<20))
	if _, err := ocean.ReadSources(dir, nil); err == nil {
		t.Error("a file of 2 MiB is accepted")
	}
}

func write(t *testing.T, root, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, path), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
