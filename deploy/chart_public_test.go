package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goldenCharts is a folder with what Port's charts start their containers with, that
// of GOLDEN_CHARTS or beside the project. It is not needed to work on the project:
// testdata/charts holds some of it.
func goldenCharts() string {
	if dir := os.Getenv("GOLDEN_CHARTS"); dir != "" {
		return dir
	}
	return filepath.Join(root, "..", "shared", "golden-charts")
}

// A golden is one rendering of one of Port's charts.
type golden struct {
	name, dir string // port-ocean/0.21.0/kafka, and the folder of all
	Workloads []goldenWorkload
	Services  []struct{ Selects []string }
}

type goldenWorkload struct {
	Role, Kind   string
	Replicas     int
	Pod          goldenPod
	ServiceLinks map[string]string
	Containers   []goldenContainer
}

type goldenPod struct {
	SecurityContext               struct{ RunAsUser, RunAsGroup *uint32 }
	TerminationGracePeriodSeconds int
}

type goldenContainer struct {
	Own                    bool
	Environment            map[string]string
	Probes                 map[string]goldenProbe
	Files                  map[string]string
	WritablePaths          []string
	ReadOnlyRootFilesystem bool
}

type goldenProbe struct {
	Path              string
	Port              int
	FailsAfterSeconds int
}

// goldens are the renderings whose names match a pattern.
func goldens(t *testing.T, dir, pattern string) []*golden {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern), "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*golden
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, filepath.Dir(file))
		g := &golden{name: filepath.ToSlash(name), dir: dir}
		if err := json.Unmarshal(text, g); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, g)
	}
	return out
}

// values are those of the rendering as a user writes them, and the Secrets outside
// of the chart that they name.
func (g *golden) values(t *testing.T) (values string, secrets map[string]map[string]string) {
	t.Helper()
	parts := strings.Split(g.name, "/")
	base := filepath.Join(g.dir, "values", parts[0], parts[2])
	text, err := os.ReadFile(base + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	outside, err := os.ReadFile(base + ".outside.json")
	if err == nil {
		var o struct {
			Secrets map[string]map[string]string `json:"secrets"`
		}
		if err := json.Unmarshal(outside, &o); err != nil {
			t.Fatal(err)
		}
		secrets = o.Secrets
	}
	return string(text), secrets
}

// Whoever changes nothing but the name of the chart gets the same environment in
// every container, apart from what Port's chart does wrong.
func TestChartEnvironmentIsThatOfPublicCharts(t *testing.T) {
	t.Parallel()
	all := goldens(t, goldenCharts(), "port-*/*/*")
	all = slices.DeleteFunc(all, func(g *golden) bool {
		return !strings.Contains(g.name, "/0.21.0/") && !strings.Contains(g.name, "/0.8.15/")
	})
	if len(all) == 0 {
		t.Skip("the recorded charts are not here; name their folder in GOLDEN_CHARTS")
	}
	for _, g := range all {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			values, outside := g.values(t)
			if strings.HasPrefix(g.name, "port-agent/") {
				values = "mode: agent\n" + values
			}
			// Two replicas are refused, which is a test of its own.
			values = strings.ReplaceAll(values, "replicaCount: 2", "replicaCount: 1")
			r := render(t, values)
			for _, w := range g.Workloads {
				if w.Role == "hook" {
					continue // creates a job that this chart makes itself
				}
				role := w.Role
				if strings.HasPrefix(g.name, "port-agent/") {
					role = "agent"
				}
				for _, c := range w.Containers {
					if c.Own {
						sameEnvironment(t, role, path.Base(g.name), c.Environment, r.environment(t, role, outside))
					}
				}
			}
		})
	}
}

// mended are the differences on purpose: by set of values, what a variable is here.
// "-" stands for one that is not set.
var mended = map[string]map[string]string{
	// false is false, numbers stay whole.
	"typed-config": {
		"OCEAN__SEND_RAW_DATA_EXAMPLES": "false", "OCEAN__LAKEHOUSE_ENABLED": "false",
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "1234567", "OCEAN__UPSERT_ENTITIES_BATCH_MAX_SIZE_IN_BYTES": "1000000",
	},
	"split-workers": {"OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS": `["archived","do-not-sync"]`},
	// extraConfig of the integration is for every pod, that of live events for theirs.
	"split-workers live-events": {"APPLICATION__LOG_LEVEL": "DEBUG"},
	"split-workers actions":     {"APPLICATION__LOG_LEVEL": "DEBUG", "OCEAN__EVENT_WORKERS_COUNT": "-", "OCEAN__MAX_EVENT_PROCESSING_SECONDS": "-"},
	// The pod for actions runs them, and no other.
	"split-workers main": {"OCEAN__EVENT_LISTENER__SHOULD_RUN_ACTIONS": "false"},
}

func sameEnvironment(t *testing.T, role, set string, public, got map[string]string) {
	t.Helper()
	want := maps.Clone(public)
	for _, key := range []string{set, set + " " + role} {
		for name, value := range mended[key] {
			want[name] = value
			if value == "-" {
				delete(want, name)
			}
		}
	}
	if role == "agent" { // an empty value hides what a Secret holds
		maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-public +ours):\n%s", role, d)
	}
}
