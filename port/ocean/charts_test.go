package ocean_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/network"
	"github.com/ado-port/ado-port/port/ocean"
)

// TestCharts parses what the public chart starts its containers with: every
// environment is accepted, and nothing that the chart sets is called unknown.
func TestCharts(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..", "shared", "golden-charts")
	files, err := filepath.Glob(filepath.Join(root, "port-ocean", "*", "*", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the recorded charts are not here")
	}
	for _, file := range files {
		rel, _ := filepath.Rel(root, file)
		t.Run(filepath.ToSlash(filepath.Dir(rel)), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var chart struct {
				Workloads []struct {
					Role         string
					ServiceLinks map[string]string
					Containers   []struct {
						Own         bool
						Environment map[string]string
					}
				}
			}
			if err := json.Unmarshal(text, &chart); err != nil {
				t.Fatal(err)
			}
			for _, w := range chart.Workloads {
				for _, c := range w.Containers {
					if !c.Own {
						continue
					}
					environ := map[string]string{"PATH": "/bin", "HOSTNAME": "pod", "HOME": "/"}
					maps.Copy(environ, w.ServiceLinks)
					maps.Copy(environ, c.Environment)
					checkContainer(t, w.Role, environ)
				}
			}
		})
	}
}

func checkContainer(t *testing.T, role string, environ map[string]string) {
	t.Helper()
	_, eff, err := ocean.Load[config](ocean.Sources{Environ: environ})
	if err != nil {
		t.Errorf("%s: %v", role, err)
	}
	for _, n := range eff.Notices {
		// These are accepted with a warning: quoted badly by the chart, or deprecated.
		switch n.Variable {
		case "OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN", "OCEAN__INTEGRATION__CONFIG__APP_HOST":
			continue
		}
		if strings.HasPrefix(n.Variable, "OCEAN__INTEGRATION__CONFIG__UNKNOWN_") {
			continue // made up by the recording
		}
		if n.Level >= slog.LevelWarn {
			t.Errorf("%s: warning %s", role, n)
		}
	}
	if _, err := network.New(network.Config{Environ: environ}); err != nil {
		t.Errorf("%s: %v", role, err)
	}
}
