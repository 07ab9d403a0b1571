package port_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/ado-port/ado-port/port"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	parse := func(environ map[string]string) (port.Config, error) {
		return env.ParseAsWithOptions[port.Config](env.Options{Environment: environ})
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
		"UserAgentLayout":             {"CLIENT_ID": "id", "CLIENT_SECRET": testSecret, "USER_AGENT_LAYOUT": "other"},
		"a number of seconds such as": {"CLIENT_ID": "id", "CLIENT_SECRET": testSecret, "FEATURE_FLAGS_CACHE_TTL_SECONDS": "soon"},
	} {
		_, err := parse(environ)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want one that names %s", err, name)
		}
	}
}
