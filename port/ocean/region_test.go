package ocean_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

func TestRegionUnderAnotherName(t *testing.T) {
	t.Parallel()
	const us = "https://api.us.getport.io"
	for _, name := range []string{"port.baseUrl", "PORT_BASEURL", "baseUrl", "BASEURL", "portBaseUrl", "port_base_url", "PORT_BASE_URL", "port_region", "PORT_REGION"} {
		for _, src := range []ocean.Sources{{Environ: map[string]string{name: us}}, {DotEnv: []byte(name + "=" + us + "\n")}} {
			if src.DotEnv != nil && strings.Contains(name, ".") {
				continue // no name in a shell
			}
			_, eff, err := load(src)
			warned := slices.ContainsFunc(eff.Warnings(), func(w string) bool {
				return strings.HasPrefix(w, name+": has no effect; set OCEAN__PORT__BASE_URL: ") && strings.Contains(w, us)
			})
			if err != nil || !warned {
				t.Errorf("%s: %v, warnings %q", name, err, eff.Warnings())
			}
		}
	}
	// Neither a name of something else nor one that was handed on to the right place.
	for _, environ := range []map[string]string{
		{"BASE_URL": us}, {"PORT_API_BASE_URL": us}, {"PORT_REGION": " "}, {"PORT_BASE_URL": us, "OCEAN__PORT__BASE_URL": us}, {"PORT_BASE_URL": us, "OCEAN__PORT": `{"base_url":"` + us + `"}`},
	} {
		if _, eff, err := load(ocean.Sources{Environ: environ}); err != nil || len(eff.Warnings()) > 0 {
			t.Errorf("%v: %v, warnings %q", environ, err, eff.Warnings())
		}
	}
	if _, eff, _ := load(ocean.Sources{Environ: map[string]string{"OCEAN__PORT__REGION": "us"}}); !strings.Contains(strings.Join(eff.Warnings(), "\n"), "OCEAN__PORT__REGION: unknown") {
		t.Errorf("warnings %q", eff.Warnings())
	}
}
