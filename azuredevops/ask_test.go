package azuredevops_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

const projectsRoute = "GET /_apis/projects"

// asked is an organization without sockets, and a client of it.
func asked(t *testing.T) (*azuredevopstest.Server, *azuredevops.Client) {
	t.Helper()
	w := azuredevopstest.NewWorld("contoso")
	w.AddProject("Payments").AddRepository("checkout").Push("main", azuredevopstest.Files{"README.md": "# Checkout"})
	w.AddProject("Search")
	srv := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w, PAT: "good"})
	t.Cleanup(srv.Close)
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: srv.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("good"), Transport: srv.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return srv, c
}

func projects(t *testing.T, c *azuredevops.Client) {
	t.Helper()
	n := 0
	for _, err := range c.Projects(t.Context(), azuredevops.Reading{}) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d projects, want 2", n)
	}
}

// The list that was asked for serves what begins within a minute, but not live
// events, which may be about a project that is newer.
func TestAskedListIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := asked(t)
		calls := func(want int) {
			t.Helper()
			if got := srv.Calls(projectsRoute); got != want {
				t.Errorf("%d lists of projects, want %d", got, want)
			}
		}
		if err := azuredevops.Ask(t.Context(), []*azuredevops.Client{c}); err != nil {
			t.Fatal(err)
		}
		projects(t, c)
		calls(1)
		projects(t, c.Urgent())
		calls(2)
		time.Sleep(time.Minute)
		projects(t, c)
		calls(3)
	})
}

func TestAsk(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault *azuredevopstest.Fault
		want  string // in the error; empty: none
	}{
		{"refused", azuredevopstest.Answer(projectsRoute, http.StatusUnauthorized, "", ""), "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN"},
		{"sign-in page", azuredevopstest.SignInHTML(projectsRoute), "sign-in page"},
		{"forbidden", azuredevopstest.Status(projectsRoute, http.StatusForbidden), "no permission"},
		{"no such organization", azuredevopstest.Answer("", http.StatusNotFound, "text/html", "<html>"), "404"},
		{"trouble", azuredevopstest.Status(projectsRoute, http.StatusServiceUnavailable), ""},
		{"away", azuredevopstest.Reset(projectsRoute), ""},
		{"slow", azuredevopstest.Slow(projectsRoute, time.Minute), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, c := asked(t)
				_, other := asked(t)
				srv.Fault(tt.fault)
				begun := time.Now()
				err := azuredevops.Ask(t.Context(), []*azuredevops.Client{c})
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Ask = %v, want %q", err, tt.want)
				}
				if took := time.Since(begun); took > 5*time.Second { // of a fake clock
					t.Errorf("it took %s", took)
				}
				if err := azuredevops.Ask(t.Context(), []*azuredevops.Client{c, other}); err != nil {
					t.Errorf("Ask = %v although another organization answers", err)
				}
				srv.ClearFaults()
				projects(t, c) // a failure is not kept
			})
		})
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	srv, c := asked(t)
	p, err := c.Probe(t.Context())
	if err != nil || p.Total != 2 || len(p.Projects) != 2 {
		t.Fatalf("Probe = %+v, %v", p, err)
	}
	l, _, err := azuredevops.Bind("branch", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	seen := p.Look(t.Context(), l, nil)
	if len(seen.Records) != 1 || len(seen.Errors) != 0 {
		t.Errorf("Look = %d records, %v", len(seen.Records), seen.Errors)
	}
	srv.SetScopes("Project and Team")
	seen = p.Look(t.Context(), l, nil)
	if len(seen.Errors) != 2 || azuredevops.ScopeFor(seen.Errors[0]) != "Code (Read)" {
		t.Errorf("Look = %v", seen.Errors)
	}
	if name, err := c.Identity(t.Context()); err != nil || name == "" {
		t.Errorf("Identity = %q, %v", name, err)
	}
	srv.SetPAT("another")
	if _, err := c.Identity(t.Context()); err == nil {
		t.Error("a token that is refused has an identity")
	}
	if azuredevops.ScopeFor(nil) != "" {
		t.Error("no error needs a scope")
	}
}

// However large a project is, a look at it is a matter of a few requests.
func TestProbeIsBounded(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.NewWorld("contoso")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		p := w.AddProject(name)
		for range 100 {
			p.AddRepository("r" + name + string(rune('a'+len(p.Repositories)%26)) + string(rune('a'+len(p.Repositories)/26)))
		}
	}
	srv := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	defer srv.Close()
	c, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: srv.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("x"), Transport: srv.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Probe(t.Context())
	if err != nil || p.Total != 5 {
		t.Fatalf("Probe = %+v, %v", p, err)
	}
	srv.ClearRequests()
	l, _, err := azuredevops.Bind("branch", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if seen := p.Look(t.Context(), l, nil); len(seen.Errors) > 0 {
		t.Errorf("Look = %v", seen.Errors)
	}
	if n := srv.Calls(""); n > 40 {
		t.Errorf("%d requests", n)
	}
}
