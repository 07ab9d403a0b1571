package azuredevopstest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// client is the real client, on the server without sockets.
func client(t *testing.T, s *azuredevopstest.Server, pat string, excluded ...string) *azuredevops.Client {
	t.Helper()
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: s.OrganizationURL(), Credential: azuredevops.PersonalAccessToken(azuredevops.Secret(pat)),
		ExcludedTags: excluded, Transport: s.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// records lists a kind. Errors are the scopes that could not be read.
func records(t *testing.T, c *azuredevops.Client, kind, selector string, files ...string) (list []azuredevops.Record, failed []error) {
	t.Helper()
	l, warnings, err := azuredevops.Bind(kind, json.RawMessage(selector))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	for r, err := range l.Records(t.Context(), c.Snapshot(), azuredevops.ListOptions{Files: files}) {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if !gjson.ValidBytes(r.JSON) || r.Scope.Organization != c.Organization() {
			t.Fatalf("record of %s: %s", r.Scope, r.JSON)
		}
		r.JSON = bytes.Clone(r.JSON)
		list = append(list, r)
	}
	return list, failed
}

func complete(t *testing.T, c *azuredevops.Client, kind, selector string) []azuredevops.Record {
	t.Helper()
	list, failed := records(t, c, kind, selector)
	if len(failed) > 0 {
		t.Fatalf("%s: %v", kind, failed)
	}
	return list
}

const openItems = `{"query":"true","expand":"All","wiql":"[System.State] NOT IN ('Closed','Done','Removed') OR [System.ChangedDate] >= @today - 7"}`

func TestClientListsTheDemo(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(1, fixedClock)
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w, PAT: "secret"})
	c := client(t, s, "secret")
	pipelines, open := 0, 0
	for _, p := range w.Projects {
		pipelines += len(p.Pipelines)
		for _, wi := range p.WorkItems {
			week := wi.Changed.After(fixedClock().Truncate(24*time.Hour).AddDate(0, 0, -7))
			if week || wi.State != "Closed" && wi.State != "Done" && wi.State != "Removed" {
				open++
			}
		}
	}
	for _, k := range []struct {
		kind, selector string
		want           int
		check          string // a path that every record has
	}{
		{"project", `{"query":"true","defaultTeam":"true"}`, 6, "defaultTeam.name"},
		{"repository", `{"query":"true"}`, 40, "project.id"},
		{"pipeline", `{"query":"true","includeRepo":true}`, pipelines, "__repository.project.id"},
		{"work-item", `{"query":"true"}`, 600, "__project.name"},
		{"work-item", openItems, open, "fields.System\\.Title"},
	} {
		t.Run(k.kind, func(t *testing.T) {
			list := complete(t, c, k.kind, k.selector)
			if len(list) != k.want {
				t.Errorf("%d records, want %d", len(list), k.want)
			}
			for _, r := range list {
				if !gjson.GetBytes(r.JSON, k.check).Exists() || !gjson.GetBytes(r.JSON, "__organizationName").Exists() {
					t.Fatalf("no %s in %s", k.check, r.JSON)
				}
			}
		})
	}
	for _, r := range s.Requests() {
		if r.Status != 200 {
			t.Errorf("%s %s: status %d", r.Route, r.Path, r.Status)
		}
	}
}

func TestClientReadsFiles(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.DemoWorldAt(1, fixedClock)
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w, PAT: "secret"})
	list := complete(t, client(t, s, "secret"), "repository", `{"query":"true","includedFiles":["README.md","CODEOWNERS"]}`)
	readmes := 0
	for _, r := range list {
		text := gjson.GetBytes(r.JSON, `__includedFiles.README\.md`).String()
		if text != "" {
			readmes++
		}
		if name := gjson.GetBytes(r.JSON, "name").String(); text != "" && !strings.HasPrefix(text, "# "+name+"\n") {
			t.Errorf("README of %s: %q", name, text)
		}
	}
	if readmes != 37 { // all but the empty, the disabled and the one without
		t.Errorf("%d READMEs", readmes)
	}
}

func TestClientLeavesTaggedProjectsOut(t *testing.T) {
	t.Parallel()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: azuredevopstest.DemoWorldAt(1, fixedClock), PAT: "secret"})
	if list := complete(t, client(t, s, "secret", "pci"), "project", `{"query":"true"}`); len(list) != 5 {
		t.Errorf("%d projects", len(list))
	}
}

// One project that cannot be read hides no other, and is named.
func TestClientSurvivesFaults(t *testing.T) {
	t.Parallel()
	const repositories = "GET /Payments/_apis/git/repositories"
	for _, c := range []struct {
		name  string
		fault *azuredevopstest.Fault
		heals bool
		is    error
	}{
		{"500 once", azuredevopstest.Status(repositories, 500).Times(1), true, nil},
		{"503 with a header", azuredevopstest.Status(repositories, 503).Header("Retry-After", "7").Times(2), true, nil},
		{"429", azuredevopstest.RateLimited(repositories, 30*time.Second).Times(2), true, nil},
		{"200 with Retry-After", azuredevopstest.Headers("GET /_apis/projects").Delayed(20 * time.Second), true, nil},
		{"reset", azuredevopstest.Reset(repositories).Times(1), true, nil},
		{"truncated", azuredevopstest.Truncate(repositories).Times(1), true, nil},
		{"slow", azuredevopstest.Slow(repositories, 10*time.Second), true, nil},
		{"403", azuredevopstest.Status(repositories, 403), false, nil},
		{"404", azuredevopstest.Status(repositories, 404), false, nil}, // of a project just listed: unknown, not absent
		{"sign-in page", azuredevopstest.SignInHTML(repositories), false, azuredevops.ErrUnauthorized},
		{"sign-in redirect", azuredevopstest.SignInRedirected(repositories), false, azuredevops.ErrUnauthorized},
		{"malformed", azuredevopstest.Malformed(repositories), false, nil},
		{"empty", azuredevopstest.Empty(repositories), false, nil},
		{"500 for ever", azuredevopstest.Status(repositories, 500), false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := azuredevopstest.DemoWorldAt(1, fixedClock)
			s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w, PAT: "secret"})
			s.Fault(c.fault)
			synctest.Test(t, func(t *testing.T) {
				list, failed := records(t, client(t, s, "secret"), "repository", `{"query":"true"}`)
				if c.heals {
					if len(list) != 40 || len(failed) > 0 || s.Hits(c.fault) == 0 {
						t.Errorf("%d repositories, %v, %d hits", len(list), failed, s.Hits(c.fault))
					}
					return
				}
				var scope *azuredevops.ScopeError
				if len(list) != 34 || len(failed) != 1 || !errors.As(failed[0], &scope) || scope.Scope.ProjectName != "Payments" {
					t.Fatalf("%d repositories, %v", len(list), failed)
				}
				if c.is != nil && !errors.Is(failed[0], c.is) {
					t.Errorf("%v is no %v", failed[0], c.is)
				}
				if strings.Contains(fmt.Sprint(failed), "secret") {
					t.Errorf("a secret in %v", failed)
				}
			})
		})
	}
}

func TestClientWithWrongToken(t *testing.T) {
	t.Parallel()
	for _, how := range []azuredevopstest.SignIn{azuredevopstest.SignInAuto, azuredevopstest.SignInPage, azuredevopstest.SignInRedirect, azuredevopstest.SignInRefused} {
		s := azuredevopstest.NewUnstarted(azuredevopstest.Options{PAT: "secret", SignIn: how})
		synctest.Test(t, func(t *testing.T) {
			list, failed := records(t, client(t, s, "wrong"), "project", `{"query":"true"}`)
			if len(list) != 0 || len(failed) != 1 || !errors.Is(failed[0], azuredevops.ErrUnauthorized) {
				t.Errorf("sign-in %d: %d projects, %v", how, len(list), failed)
			}
		})
	}
}
