package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

// Commands that use stored records do so beside a running service, and ask Azure
// DevOps nothing; what export has written is enough for another machine.
func TestStoredRecords(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	missing := maps.Clone(b.environ)
	if code, _, errs := start(t, t.Context(), []string{"plan", "--stored"}, missing); code != ocean.ExitFailed || !strings.Contains(errs, "record store") {
		t.Errorf("plan --stored without a store: exit code %d, %s", code, errs)
	}
	b.service(t)
	b.ready(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	edited := write("mapping.json", `{"resources":[`+resource("repository", ".name", `.name + "!"`, ".id")+`]}`)
	elsewhere := maps.Clone(b.environ)
	elsewhere["OCEAN__STATE_DIRECTORY"] = t.TempDir()
	code, exported, errs := start(t, t.Context(), []string{"export"}, maps.Clone(b.environ))
	if code != ocean.ExitGood || !strings.Contains(exported, `"name":"checkout"`) {
		t.Fatalf("export: exit code %d, %s%s", code, exported, errs)
	}
	file := write("records.jsonl", exported)
	const lists = "GET /{project}/_apis/git/repositories"
	asked := b.ado.Calls(lists)
	for _, tt := range []struct {
		args    []string
		environ map[string]string
		code    int
		want    string
	}{
		{[]string{"plan", "--stored"}, b.environ, 0, "Plan: 0 to create, 0 to change, 0 to delete"},
		{[]string{"plan", "--stored", "--kind", "repository", "--mapping", edited}, b.environ, 2, "2 to change, 0 to delete"},
		{[]string{"plan", "--stored=" + file, "--kind", "repository", "--mapping", edited}, elsewhere, 2, "2 to change, 0 to delete"},
		{[]string{"map", "repository", "--stored", "--mapping", edited}, b.environ, 0, "checkout!"},
		{[]string{"map", "repository", "--stored=" + file, "--mapping", edited}, elsewhere, 0, "checkout!"},
		{[]string{"map", "repository", "--stored", "--from", file}, b.environ, 1, "use one of them"},
		{[]string{"plan", "--stored=" + edited}, elsewhere, 1, "want the output of ado-port export"},
		{[]string{"export", "repository"}, b.environ, 0, `"name":"other"`},
		{[]string{"export", "group"}, b.environ, 1, "has nothing of that"},
	} {
		code, out, errs := start(t, t.Context(), tt.args, maps.Clone(tt.environ))
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", strings.Join(tt.args, " "), code, tt.code, tt.want, out, errs)
		}
	}
	if n := b.ado.Calls(lists) - asked; n != 0 {
		t.Errorf("Azure DevOps was asked %d times", n)
	}
	if !strings.HasPrefix(b.entity("repository", "checkout"), "checkout:") {
		t.Errorf("a plan has written %s", b.entity("repository", "checkout"))
	}
}
