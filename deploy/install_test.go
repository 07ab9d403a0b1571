package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// parsed reads a YAML file of this folder.
func parsed[T any](t *testing.T, path string) T {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// bash runs a script with a PATH of its own and returns what it printed.
func bash(t *testing.T, script string, environ ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Env = environ
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pipeline is what the tests look at in azure-pipelines/ado-port.yml.
type pipeline struct {
	Parameters []struct{ Name, Default string }
	Jobs       []struct {
		Job       string
		DependsOn string `yaml:"dependsOn"`
		Steps     []map[string]yaml.Node
	}
}

// resyncs are the scripts of the job by the form of the parameter.
func (p pipeline) resyncs(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, step := range p.Jobs[0].Steps {
		for key, node := range step {
			var steps []struct{ Script, Name string }
			if !strings.HasPrefix(key, "${{ if eq(parameters.form, '") || node.Decode(&steps) != nil {
				continue
			}
			form := strings.Split(key, "'")[1]
			if len(steps) != 1 || steps[0].Name != "run" {
				t.Fatalf("%s: %+v", form, steps)
			}
			out[form] = steps[0].Script
		}
	}
	if len(out) != 2 {
		t.Fatalf("forms: %v", out)
	}
	return out
}

// The job hands the region on, saves its cache whatever happens, and leaves it to the
// next one to fail.
func TestPipelineRuns(t *testing.T) {
	t.Parallel()
	p := parsed[pipeline](t, "azure-pipelines/ado-port.yml")
	if last := p.Jobs[len(p.Jobs)-1]; last.Job != "result" || last.DependsOn != p.Jobs[0].Job {
		t.Errorf("the last job is %+v", last)
	}
	const fake = `sudo() { :; }
docker() { for a; do [[ $a != OCEAN__PORT__BASE_URL ]] || echo "region ${!a}"; done; return 7; }
curl() { printf '#!/bin/sh\necho "region $OCEAN__PORT__BASE_URL"\nexit 7\n' >ado-port; }
`
	for form, script := range p.resyncs(t) {
		for _, tt := range []struct{ region, set string }{
			{"https://api.getport.io", ""}, {"https://api.us.getport.io", "OCEAN__PORT__BASE_URL=https://api.us.getport.io"},
		} {
			dir := t.TempDir()
			environ := []string{"PATH=" + os.Getenv("PATH"), "REGION=https://api.getport.io", "STATE_DIRECTORY=" + dir, "IMAGE=x", "PROGRAM=y"}
			out, err := bash(t, "cd "+dir+"\n"+fake+script, append(environ, tt.set)...)
			if err != nil || !strings.Contains(out, "region "+tt.region+"\n") || !strings.Contains(out, "variable=code;isOutput=true]7\n") {
				t.Errorf("%s: %v\n%s", form, err, out)
			}
		}
	}
}

func TestJobsKeepTheirMemoryAfterFailures(t *testing.T) {
	t.Parallel()
	type step struct{ Uses, If string }
	github := parsed[struct {
		Jobs map[string]struct{ Steps []step }
	}](t, "github-actions/ado-port.yml")
	if !slices.ContainsFunc(github.Jobs["resync"].Steps, func(s step) bool {
		return strings.HasPrefix(s.Uses, "actions/cache/save@") && s.If == "always()"
	}) {
		t.Errorf("GitHub Actions: %+v", github)
	}
	gitlab := parsed[map[string]struct {
		Cache struct{ When string }
	}](t, "gitlab/ado-port.yml")
	if gitlab["ado-port"].Cache.When != "always" {
		t.Errorf("GitLab CI: %+v", gitlab)
	}
}

func TestApplications(t *testing.T) {
	t.Parallel()
	type source struct {
		RepoURL, Chart, Path, Ref string
		TargetRevision            string `yaml:"targetRevision"`
		Helm                      struct {
			ValueFiles   []string       `yaml:"valueFiles"`
			ValuesObject map[string]any `yaml:"valuesObject"`
		}
	}
	type application struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Spec       struct {
			Destination struct{ Namespace string }
			Source      *source
			Sources     []source
		}
	}
	read := func(path string) application {
		v := parsed[application](t, path)
		if v.APIVersion != "argoproj.io/v1alpha1" || v.Kind != "Application" || v.Spec.Destination.Namespace == "" {
			t.Errorf("%s: %+v", path, v)
		}
		return v
	}
	if s := read("argocd/application.yaml").Spec.Source; s == nil || s.Path == "" || s.TargetRevision == "" || s.Helm.ValuesObject["integration"] == nil {
		t.Errorf("one source: %+v", s)
	}
	s := read("argocd/application-two-sources.yaml").Spec.Sources
	if len(s) != 2 || s[0].Chart != "port-ocean" || s[1].Ref != "values" || !strings.HasPrefix(s[0].Helm.ValueFiles[0], "$"+s[1].Ref+"/") {
		t.Errorf("two sources: %+v", s)
	}
}

// What a page tells to type is understood by a shell, and so are the scripts.
func TestShellParses(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{}
	for _, pattern := range []string{"../.ci/*", "release"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(text), "#!/usr/bin/env bash") {
				scripts[path] = string(text)
			}
		}
	}
	if len(scripts) < 3 {
		t.Errorf("%d scripts", len(scripts))
	}
	indented := regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```$")
	for name, doc := range documents(t) {
		for _, m := range indented.FindAllStringSubmatch(doc, -1) {
			scripts[name+": "+m[2]] = strings.TrimPrefix(strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n"), "\n")
		}
	}
	for name, script := range scripts {
		if out, err := bash(t, "bash -n <<<\"$SCRIPT\"", "PATH="+os.Getenv("PATH"), "SCRIPT="+script); err != nil || out != "" {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

// The unit and its settings name variables that exist.
func TestEnvironmentFiles(t *testing.T) {
	t.Parallel()
	settings := documents(t)["deploy/CONFIGURATION.md"]
	name := regexp.MustCompile(`(?m)^(?:#|Environment=|.* -e |\s+)?((?:OCEAN|APPLICATION)__[A-Z0-9_]+)`)
	for _, path := range []string{"systemd/ado-port.env", "systemd/ado-port.service"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := name.FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names no setting", path)
		}
		for _, m := range found {
			if !strings.Contains(settings, "| `"+m[1]+"` |") {
				t.Errorf("%s: there is no variable %s", path, m[1])
			}
		}
	}
}
