package azuredevops_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// What export has written is what the listings had, records, files of `file://` and
// what was unread.
func TestExport(t *testing.T) {
	t.Parallel()
	w, srv := world(t)
	srv.Fault(azuredevopstest.Status("GET /{project}/_apis/wit/classificationnodes/Areas", 403).In(w.Projects[0].Name))
	c := storingClient(t, srv, newStore(t, t.TempDir()))
	began := time.Now()
	type listing struct {
		*azuredevops.Listing
		files []string
	}
	all := []listing{
		{bind(t, "repository", `{"includedFiles":["README.md"]}`), []string{"README.md", "none.md"}},
		{bind(t, "repository", `{}`), nil},
		{bind(t, "area-path", `{"depth":3}`), nil},
		{bind(t, "work-item", `{}`), nil},
		{bind(t, "pull-request", `{}`), nil},
	}
	// show is a record as text, or an error.
	show := func(rec azuredevops.Record, err error) string {
		if err != nil {
			se, _ := errors.AsType[*azuredevops.ScopeError](err)
			return fmt.Sprintf("%+v %v", se.Scope, se.Err)
		}
		files := ""
		for _, path := range []string{"README.md", "none.md"} {
			if text, ok := rec.Files[path]; ok && text != nil {
				files += path + "=" + *text
			} else if ok {
				files += path + " absent"
			}
		}
		return fmt.Sprintf("%+v %s %v %s", rec.Scope, bytes.TrimSpace(rec.JSON), rec.Missing, files)
	}
	stored, want := map[string]time.Time{}, make([][]string, len(all))
	for i, l := range all {
		stored[l.StoredAs(l.files)] = began
		for rec, err := range l.Records(t.Context(), c.Snapshot(), azuredevops.ListOptions{Files: l.files, Now: began}) {
			want[i] = append(want[i], show(rec, err))
		}
	}
	if err := azuredevops.Export(t.Context(), []*azuredevops.Client{c}, nil, &bytes.Buffer{}); !errors.Is(err, azuredevops.ErrNothingStored) {
		t.Errorf("nothing is stored: %v", err)
	}
	stored["gone {}"] = began // a kind of another version
	c.SetStored(stored)
	path := filepath.Join(t.TempDir(), "records.jsonl")
	export := func(kinds ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := azuredevops.Export(t.Context(), []*azuredevops.Client{c}, kinds, &out); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	export()
	x, err := azuredevops.OpenExport(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range all {
		var got []string
		for rec, err := range x.Records(c, l.Listing, l.files) {
			got = append(got, show(rec, err))
		}
		if !x.Has(c, l.Listing, l.files) || l.Kind != "area-path" && !reflect.DeepEqual(want[i], got) {
			t.Errorf("%s: %d records, want %d\n got %.300s\nwant %.300s", l.Key, len(got), len(want[i]), got, want[i])
		}
		if l.Kind == "area-path" && (len(got) != len(want[i]) || !strings.Contains(strings.Join(got, " "), "not in the record store")) {
			t.Errorf("%s: what is unread is not told: %q", l.Key, got)
		}
	}
	if x.Has(c, all[0].Listing, nil) || x.Has(c, bind(t, "branch", `{}`), nil) {
		t.Error("it has a listing that was not written")
	}
	export("work-item")
	if x, err = azuredevops.OpenExport(path); err != nil || x.Has(c, all[1].Listing, nil) || !x.Has(c, all[3].Listing, nil) {
		t.Errorf("export work-item has the wrong listings, %v", err)
	}
}

// A file that is no export, or damaged, never ends the program, and what cannot be
// read is unknown.
func FuzzOpenExport(f *testing.F) {
	const head = `{"listing":"project {\"defaultTeam\":false}","organization":"dev.azure.com/contoso","readAt":"2026-01-01T00:00:00Z"}` + "\n"
	for _, text := range []string{
		head + `{"record":{"id":1},"scope":{"project":"p"}}` + "\n" + `{"scope":{"project":"q"},"unread":"no permission"}`,
		head + "{}\n", head + `{"record":[]}`, head + `{"record":{"id":1},"files":{"a":null,"b":"c"},"missing":["x"]}` + "\n" + head, head + "\xff\n\n", `{"listing":5}`, "", "[]",
	} {
		f.Add([]byte(text))
	}
	c, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: "https://dev.azure.com/contoso", Credential: azuredevops.PersonalAccessToken("x")})
	if err != nil {
		f.Fatal(err)
	}
	l, _, err := azuredevops.Bind("project", nil)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "records.jsonl")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := azuredevops.OpenExport(path)
		if err != nil {
			return
		}
		for rec, err := range x.Records(c, l, nil) {
			if err == nil && (len(rec.JSON) == 0 || rec.JSON[0] != '{') {
				t.Errorf("a record is %q", rec.JSON)
			}
		}
	})
}
