package port_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	type config struct {
		port.Config `envPrefix:"OCEAN__"`
	}
	parse := func(environ map[string]string) (*config, error) {
		named := map[string]string{}
		for name, text := range environ {
			named["OCEAN__"+name] = text
		}
		cfg, _, err := ocean.Load[config](ocean.Sources{Environ: named})
		return cfg, err
	}
	cfg, err := parse(map[string]string{"CLIENT_ID": "id", "CLIENT_SECRET": testSecret, "BLUEPRINT_CACHE_TTL_SECONDS": "0.5"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.BaseURL != "https://api.getport.io" || cfg.UserAgentLayout != port.LayoutAuto || cfg.MappingTTL.Duration() != time.Minute ||
		cfg.BlueprintTTL.Duration() != 500*time.Millisecond || cfg.ClientSecret.Reveal() != testSecret {
		t.Errorf("config = %+v", cfg)
	}
	if got := cfg.ClientConfig(); got.FlagsTTL != 5*time.Minute || got.ClientID.Reveal() != "id" {
		t.Errorf("client config = %+v", got)
	}
	for name, environ := range map[string]map[string]string{
		"CLIENT_SECRET":               {"CLIENT_ID": "id"},
		"USER_AGENT_LAYOUT":           {"CLIENT_ID": "id", "CLIENT_SECRET": testSecret, "USER_AGENT_LAYOUT": "other"},
		"a number of seconds such as": {"CLIENT_ID": "id", "CLIENT_SECRET": testSecret, "FEATURE_FLAGS_CACHE_TTL_SECONDS": "soon"},
	} {
		_, err := parse(environ)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want one that names %s", err, name)
		}
	}
}
