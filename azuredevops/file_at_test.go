package azuredevops_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

const (
	oneItem    = "GET /{project}/_apis/git/repositories/{repository}/items"
	repository = "GET /{project}/_apis/git/repositories/{repository}"
	listRefs   = "GET /{project}/_apis/git/repositories/{repository}/refs"
)

func hosted(t *testing.T) (*ado.Server, *ado.Repository, *azuredevops.Client) {
	t.Helper()
	w := ado.NewWorld("contoso")
	r := w.AddProject("Payments").AddRepository("checkout")
	srv := ado.NewUnstarted(ado.Options{World: w, PAT: "pat"})
	t.Cleanup(srv.Close)
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: srv.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("pat"), Transport: srv.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return srv, r, c
}

func TestFileAt(t *testing.T) {
	t.Parallel()
	srv, r, c := hosted(t)
	files := ado.Files{
		"port.yml": "a: 1\n", "docs/A b&c.md": "# Ä\n", "mark.yml": "\ufeffa: 1\n", "bytes.bin": "\xff\xfe\x00", "empty": "",
		"large.txt": strings.Repeat("x", 1<<20), "larger.txt": strings.Repeat("x", 1<<20+1),
	}
	first := r.Push("main", files)
	second := r.Push("main", ado.Files{"port.yml": "a: 2\n"})
	r.Push("other", ado.Files{"port.yml": "a: 3\n"})
	read := func(path, commit string) (string, error) {
		b, err := c.FileAt(t.Context(), r.Project().ID, r.ID, path, commit)
		return string(b), err
	}
	for path, want := range files {
		got, err := read(path, first.ID)
		if path == "larger.txt" {
			if !errors.Is(err, azuredevops.ErrTooLarge) {
				t.Errorf("%s: %v, want ErrTooLarge", path, err)
			}
			continue
		}
		if got != want || err != nil {
			t.Errorf("%s = %.20q, %v, want %.20q", path, got, err, want)
		}
	}
	for path, want := range map[string]string{"port.yml": "a: 2\n", "/port.yml": "a: 2\n", "./docs//A b&c.md": "# Ä\n"} {
		if got, err := read(path, second.ID); got != want || err != nil {
			t.Errorf("%s = %q, %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"nope.yml", "docs", "docs/nope", "Port.yml"} {
		if _, err := read(path, second.ID); !errors.Is(err, azuredevops.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", path, err)
		}
	}
	for name, commit := range map[string]string{"unknown": strings.Repeat("1", 40), "branch": "main", "none": ""} {
		_, err := read("port.yml", commit)
		if err == nil || errors.Is(err, azuredevops.ErrNotFound) {
			t.Errorf("commit %s: %v, want an error that is not ErrNotFound", name, err)
		}
	}
	if _, err := read("", second.ID); err == nil || errors.Is(err, azuredevops.ErrNotFound) {
		t.Errorf("the root: %v", err)
	}
	srv.World().Repository(r.ID).SetDisabled(true)
	for _, path := range []string{"port.yml", "nope.yml"} {
		if _, err := read(path, second.ID); err == nil || errors.Is(err, azuredevops.ErrNotFound) {
			t.Errorf("%s in a disabled repository: %v, want an error that is not ErrNotFound", path, err)
		}
	}
}

// Whatever goes wrong, a file is not taken for absent, and neither for another.
func TestFileAtFaults(t *testing.T) {
	t.Parallel()
	const absent = `{"typeKey":"GitItemNotFoundException","message":"TF401174: The item 'port.yml' could not be found"}`
	for name, tt := range map[string]struct {
		fault  *ado.Fault
		absent bool
	}{
		"item absent":      {ado.Answer(oneItem, 404, "application/json", absent), true},
		"repository":       {ado.Answer(oneItem, 404, "application/json", `{"typeKey":"GitRepositoryNotFoundException","message":"TF401019: no"}`), false},
		"project":          {ado.Answer(oneItem, 404, "application/json", `{"typeKey":"ProjectDoesNotExistException","message":"TF200016: no"}`), false},
		"no reason":        {ado.Answer(oneItem, 404, "application/json", `{}`), false},
		"a page":           {ado.Answer(oneItem, 404, "text/html", "<html>TF401174</html>"), false},
		"no route":         {ado.Answer(oneItem, 404, "application/json", `{"message":"The controller for path '/x' was not found"}`), false},
		"unavailable":      {ado.Status(oneItem, 503), false},
		"failing":          {ado.Status(oneItem, 500), false},
		"forbidden":        {ado.Status(oneItem, 403), false},
		"signed out":       {ado.SignInHTML(oneItem), false},
		"redirected":       {ado.SignInRedirected(oneItem), false},
		"empty":            {ado.Empty(oneItem), false},
		"truncated":        {ado.Truncate(oneItem), false},
		"malformed":        {ado.Malformed(oneItem), false},
		"reset":            {ado.Reset(oneItem), false},
		"not an object":    {ado.Answer(oneItem, 200, "application/json", `[]`), false},
		"without id":       {ado.Answer(oneItem, 200, "application/json", `{"gitObjectType":"blob","content":"a: 1\n"}`), false},
		"other content":    {ado.Answer(oneItem, 200, "application/json", `{"gitObjectType":"blob","objectId":"`+strings.Repeat("1", 40)+`","content":"a: 1\n"}`), false},
		"text, not object": {ado.Answer(oneItem, 200, "application/octet-stream", "a: 1\n"), false},
		"gone in between":  {ado.Answer(oneItem, 404, "application/json", absent).Query("includecontent", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, r, c := hosted(t)
				commit := r.Push("main", ado.Files{"port.yml": "\xff: 1\n"}) // takes both requests
				srv.Fault(tt.fault)
				b, err := c.FileAt(t.Context(), r.Project().ID, r.ID, "port.yml", commit.ID)
				if err == nil || errors.Is(err, azuredevops.ErrNotFound) != tt.absent {
					t.Errorf("FileAt = %q, %v, want ErrNotFound %t", b, err, tt.absent)
				}
				if strings.Contains(err.Error(), "pat") {
					t.Errorf("a secret is in: %v", err)
				}
			})
		})
	}
}

func TestBranchTip(t *testing.T) {
	t.Parallel()
	srv, r, c := hosted(t)
	main := r.Push("main", ado.Files{"a": "1"})
	for i := range 5 {
		r.Push("main-"+strconv.Itoa(i), ado.Files{"a": strconv.Itoa(i)})
	}
	tip := func(branch string) (string, error) {
		return c.BranchTip(t.Context(), r.Project().ID, r.ID, branch)
	}
	if got, err := tip("main"); got != main.ID || err != nil {
		t.Errorf("BranchTip = %s, %v, want %s", got, err, main.ID)
	}
	for _, branch := range []string{"mai", "main-", "Main", "x/main"} {
		if _, err := tip(branch); !errors.Is(err, azuredevops.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", branch, err)
		}
	}
	srv.Fault(ado.Status(listRefs, http.StatusNotFound))
	if _, err := tip("main"); err == nil || errors.Is(err, azuredevops.ErrNotFound) {
		t.Errorf("refs that cannot be read: %v", err)
	}
}

// The default branch is what Azure DevOps says now, or what was read since the time
// that is asked for; only a complete list makes a repository absent.
func TestDefaultBranch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, r, c := hosted(t)
		r.Push("main", ado.Files{"a": "1"})
		in := func(project, id string, since time.Time) (string, error) {
			return c.DefaultBranch(t.Context(), project, id, since)
		}
		now := func() (string, error) {
			time.Sleep(time.Minute)
			return in(r.Project().ID, r.ID, time.Now())
		}
		begun := time.Now()
		if got, err := now(); got != "main" || err != nil {
			t.Errorf("DefaultBranch = %q, %v", got, err)
		}
		r.DefaultBranch = "refs/heads/dev"
		if got, err := in(r.Project().ID, r.ID, begun); got != "main" || err != nil {
			t.Errorf("what was read since: %q, %v", got, err)
		}
		if got, err := now(); got != "dev" || err != nil {
			t.Errorf("changed: %q, %v", got, err)
		}
		for name, fault := range map[string]*ado.Fault{
			"repository 500": ado.Status(repository, 500), "repositories 404": ado.Status("GET /{project}/_apis/git/repositories", 404),
			"repositories truncated": ado.Truncate("GET /{project}/_apis/git/repositories"), "projects 403": ado.Status("GET /_apis/projects", 403),
		} {
			srv.Fault(fault)
			if !strings.HasPrefix(name, "repository ") {
				srv.Fault(ado.Status(repository, 404)) // so that the list decides
			}
			if got, err := now(); err == nil || errors.Is(err, azuredevops.ErrNotFound) {
				t.Errorf("%s: %q, %v, want an error that is not ErrNotFound", name, got, err)
			}
			srv.ClearFaults()
		}
		for name, of := range map[string][2]string{
			"no project":    {"11111111-1111-1111-1111-111111111111", r.ID},
			"no repository": {r.Project().ID, "11111111-1111-1111-1111-111111111111"},
		} {
			if got, err := in(of[0], of[1], time.Now()); !errors.Is(err, azuredevops.ErrNotFound) {
				t.Errorf("%s: %q, %v, want ErrNotFound", name, got, err)
			}
		}
		srv.World().Repository(r.ID).SetDisabled(true)
		if got, err := now(); !errors.Is(err, azuredevops.ErrNotFound) {
			t.Errorf("disabled: %q, %v, want ErrNotFound", got, err)
		}
		srv.World().Repository(r.ID).SetDisabled(false)
		r.Delete()
		if got, err := now(); !errors.Is(err, azuredevops.ErrNotFound) {
			t.Errorf("deleted: %q, %v, want ErrNotFound", got, err)
		}
	})
}
