package deploy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/porttest"
)

// stand-ins for what the examples call: docker gives the program the variables that
// are handed on and nothing else, and what is fetched is the program.
const standIns = `set -eu
docker() {
  [ "$1" = run ] || return 64
  shift
  local environ=() volume=:
  while [ "${1#-}" != "$1" ]; do
    case $1 in
    -e) if [ "${2#*=}" != "$2" ]; then environ+=("$2"); elif [ -n "${!2+x}" ]; then environ+=("$2=${!2}"); fi; shift ;;
    -v) volume=$2; shift ;;
    --user) shift ;;
    -i | --rm | --platform=linux/amd64) ;;
    *) return 64 ;;
    esac
    shift
  done
  shift # the image
  environ=("${environ[@]/#OCEAN__STATE_DIRECTORY=${volume#*:}/OCEAN__STATE_DIRECTORY=${volume%%:*}}")
  env -i "OCEAN__PORT__BASE_URL=$PORT" "${environ[@]}" "$BIN" "$@"
}
sudo() { :; }
curl() { cp "$BIN" ado-port; }
wget() { cp "$BIN" ado-port; }
`

// settings are what the examples are given, as a user sets it.
func settings(t *testing.T) map[string]string {
	t.Helper()
	world := azuredevopstest.NewWorld("acme")
	world.AddProject("Payments").AddRepository("checkout").Push("main", azuredevopstest.Files{"README.md": ""})
	ado := azuredevopstest.New(azuredevopstest.Options{World: world, PAT: "token"})
	t.Cleanup(ado.Close)
	catalog := porttest.New(porttest.Options{ClientID: "id", ClientSecret: "secret"})
	t.Cleanup(catalog.Close)
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"PATH": os.Getenv("PATH"), "BIN": bin, "PORT": catalog.URL, "ORGANIZATION": ado.OrganizationURL(),
		"OCEAN__PORT__CLIENT_ID": "id", "OCEAN__PORT__CLIENT_SECRET": "secret", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "token",
	}
}

// runs runs a script among stand-ins; nothing in it leaves the machine.
func runs(t *testing.T, script string, environ map[string]string) {
	t.Helper()
	script = strings.NewReplacer("https://dev.azure.com/acme", environ["ORGANIZATION"], "https://api.getport.io", environ["PORT"]).Replace(script)
	list := []string{"HOME=" + t.TempDir()}
	for name, value := range environ {
		list = append(list, name+"="+value)
	}
	out, err := bash(t, "cd \"$HOME\"\n"+standIns+script, list...)
	want := "resync completed"
	if regexp.MustCompile(` check\n`).MatchString(script) {
		want = "ok       azure devops"
	}
	if err != nil || !strings.Contains(out, want) || strings.Contains(script, "task.setvariable") && !strings.Contains(out, "isOutput=true]0\n") {
		t.Errorf("%v, want %q\n%s\n%s", err, want, script, out)
	}
}

// What the pages tell to type for Docker does what they say.
func TestDockerRuns(t *testing.T) {
	t.Parallel()
	found := 0
	for name, doc := range documents(t) {
		for _, m := range fencedDeeper.FindAllStringSubmatch(doc, -1) {
			if m[1] == "sh" && strings.Contains(m[2], "docker run") {
				found++
				t.Run(fmt.Sprint(name, found), func(t *testing.T) {
					t.Parallel()
					runs(t, m[2], settings(t))
				})
			}
		}
	}
	if found < 3 {
		t.Errorf("%d examples", found)
	}
}

// The variables of Compose are those of a shell.
func TestComposeRuns(t *testing.T) {
	t.Parallel()
	file := parsed[struct {
		Services map[string]struct{ Environment map[string]string }
	}](t, "docker/compose.yaml")
	var script strings.Builder
	script.WriteString("docker run")
	for name, value := range file.Services["ado-port"].Environment {
		value = strings.ReplaceAll(strings.ReplaceAll(value, `"`, `\"`), "/tmp/ocean/ado-port", "$HOME")
		fmt.Fprintf(&script, " -e \"%s=%s\"", name, value)
	}
	environ := settings(t)
	maps.Copy(environ, map[string]string{
		"PORT_CLIENT_ID": "id", "PORT_CLIENT_SECRET": "secret", "AZURE_DEVOPS_URL": environ["ORGANIZATION"], "AZURE_DEVOPS_TOKEN": "token",
	})
	runs(t, script.String()+" ado-port check\n", environ)
}

// The jobs of every example end with a resync that completed, and leave their memory
// where the next one finds it.
func TestJobsRun(t *testing.T) {
	t.Parallel()
	scripts := parsed[pipeline](t, "azure-pipelines/ado-port.yml").resyncs(t)
	github := parsed[struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}](t, "github-actions/ado-port.yml")
	for _, step := range github.Jobs["resync"].Steps {
		scripts["github"] += step.Run
	}
	gitlab := parsed[map[string]struct {
		Script    []string
		Variables map[string]string
	}](t, "gitlab/ado-port.yml")["ado-port"]
	scripts["gitlab"] = strings.Join(gitlab.Script, "\n")
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := settings(t)
			text, err := os.ReadFile(environ["BIN"])
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(text)
			dir := t.TempDir()
			maps.Copy(environ, map[string]string{
				"REGION": environ["PORT"], "STATE_DIRECTORY": dir, "IMAGE": "image", "PROGRAM": "https://artifacts.example.com/ado-port",
				"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL": environ["ORGANIZATION"], "ADO_PORT_PROGRAM": "https://artifacts.example.com/ado-port",
				"ADO_PORT_SHA256": hex.EncodeToString(sum[:]), "OCEAN__STATE_RECORDS_BYTES": "67108864",
			})
			switch name {
			case "gitlab":
				for key, value := range gitlab.Variables {
					environ[key] = strings.ReplaceAll(value, "$CI_PROJECT_DIR/.ado-port-state", dir)
				}
				environ["OCEAN__PORT__BASE_URL"] = environ["PORT"]
			case "github":
				script += "\ncp -r state/. " + dir
			case "program":
				environ["OCEAN__STATE_DIRECTORY"], environ["OCEAN__STRICT_EXIT"] = dir, "true"
			}
			runs(t, script, environ)
			if left, err := os.ReadDir(dir); err != nil || !slices.ContainsFunc(left, func(e os.DirEntry) bool { return e.Name() == "origins" }) {
				t.Errorf("the memory holds %v: %v", left, err)
			}
		})
	}
}
