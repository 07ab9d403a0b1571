package azuredevopstest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// An answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

func do(t *testing.T, s *azuredevopstest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.OrganizationURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tr := s.Transport()
	if strings.HasPrefix(s.URL, "http://") {
		c := &http.Transport{DisableKeepAlives: true}
		defer c.CloseIdleConnections()
		tr = c
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

func get(t *testing.T, s *azuredevopstest.Server, path string, header ...string) answer {
	t.Helper()
	return do(t, s, http.MethodGet, path, "", header...)
}

// list reads every page of a collection by continuation token.
func list(t *testing.T, s *azuredevopstest.Server, path string) (values []map[string]any, pages int) {
	t.Helper()
	sep, token := "?", ""
	if strings.Contains(path, "?") {
		sep = "&"
	}
	for {
		next := path
		if token != "" {
			next += sep + "continuationToken=" + url.QueryEscape(token)
		}
		a := get(t, s, next)
		var page struct {
			Count int
			Value []map[string]any
		}
		a.into(t, &page)
		if page.Count != len(page.Value) {
			t.Fatalf("count %d of %d values", page.Count, len(page.Value))
		}
		values = append(values, page.Value...)
		pages++
		if token = a.header.Get("x-ms-continuationtoken"); token == "" {
			return values, pages
		}
	}
}

func typeKey(t *testing.T, a answer) string {
	t.Helper()
	var e struct{ TypeKey string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(a.body, "\ufeff")), &e); err != nil {
		t.Fatalf("no error object: %s", a.body)
	}
	return e.TypeKey
}

// small is an organization with one project and one repository.
func small() (*azuredevopstest.World, *azuredevopstest.Project, *azuredevopstest.Repository) {
	w := azuredevopstest.NewWorld("contoso")
	w.Now = fixedClock
	p := w.AddProject("Web & API's")
	r := p.AddRepository("front end")
	r.Push("main", azuredevopstest.Files{"README.md": "# Front end\n", "src/a/one.txt": "1", "src/two.txt": "2"})
	return w, p, r
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	basic := func(pat string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+pat)) }
	for _, c := range []struct {
		name   string
		header []string
		want   int
	}{
		{"right", []string{"Authorization", basic("secret")}, 200},
		{"nobody", nil, 203},
		{"browser", []string{"Accept", "text/html"}, 302},
		{"suppressed", []string{"X-TFS-FedAuthRedirect", "Suppress"}, 401},
		{"unknown", []string{"Authorization", basic("wrong")}, 203},
		{"bearer", []string{"Authorization", "Bearer good"}, 200},
		{"bad bearer", []string{"Authorization", "Bearer bad"}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := azuredevopstest.NewUnstarted(azuredevopstest.Options{PAT: "secret", Tokens: []string{"good"}})
			a := get(t, s, "/_apis/projects", c.header...)
			if a.status != c.want {
				t.Errorf("status %d, want %d", a.status, c.want)
			}
			if c.name == "bad bearer" && typeKey(t, a) != "InvalidIdentityException" {
				t.Error(a.body)
			}
		})
	}
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{PAT: "secret"})
	s.SetPAT("next")
	if a := get(t, s, "/_apis/projects", "Authorization", basic("secret")); a.status != 401 || a.body != "" || a.header.Get("Content-Type") != "" {
		t.Errorf("revoked token: %d %q", a.status, a.body)
	}
}

func TestServicePrincipal(t *testing.T) {
	t.Parallel()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{ClientID: "app", ClientSecret: "s3cret"})
	ask := func(secret string) (string, int) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {secret}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.microsoftonline.com/tenant/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out.AccessToken, resp.StatusCode
	}
	if _, status := ask("wrong"); status != 401 {
		t.Errorf("wrong secret: status %d", status)
	}
	token, _ := ask("s3cret")
	if a := get(t, s, "/_apis/projects", "Authorization", "Bearer "+token); a.status != 200 {
		t.Errorf("token: status %d", a.status)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, path, accept, want string }{
		{"GET", "/_apis/projects", "", ""},
		{"GET", "/_apis/projects?api-version=7.1", "", ""},
		{"GET", "/_apis/projects", "application/json; api-version=7.1-preview.4", ""},
		{"POST", "/_apis/wit/wiql", "", "VssVersionNotSpecifiedException"},
		{"GET", "/_apis/projects?api-version=9.9", "", "VssVersionOutOfRangeException"},
		{"GET", "/_apis/teams?api-version=7.1", "", "VssInvalidPreviewVersionException"},
		{"GET", "/_apis/teams?api-version=7.1-preview.3", "", ""},
		{"GET", "/_apis/projects?api-version=latest", "", "VssInvalidApiVersionException"},
	} {
		s := azuredevopstest.NewUnstarted(azuredevopstest.Options{})
		a := do(t, s, c.method, c.path, "", "Accept", c.accept)
		if c.want == "" && a.status != 200 || c.want != "" && (a.status != 400 || typeKey(t, a) != c.want) {
			t.Errorf("%s %s: %d %s, want %q", c.method, c.path, a.status, a.body, c.want)
		}
	}
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{LatestVersion: "6.0"})
	if a := get(t, s, "/_apis/projects?api-version=7.1"); !strings.Contains(a.body, "supports is 6.0.") {
		t.Error(a.body)
	}
}

func TestProjectsArePagedByToken(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.NewWorld("contoso")
	for i := range 7 {
		w.AddProject(fmt.Sprint("Project ", i))
	}
	w.Projects[3].State = "deleting"
	s := azuredevopstest.New(azuredevopstest.Options{World: w})
	defer s.Close()
	values, pages := list(t, s, "/_apis/projects?$top=2")
	if len(values) != 6 || pages != 3 {
		t.Errorf("%d projects on %d pages", len(values), pages)
	}
	if a := get(t, s, "/_apis/projects?continuationToken=2"); a.status != 400 {
		t.Errorf("made-up token: status %d", a.status)
	}
	var one struct {
		DefaultTeam struct{ Name string }
	}
	get(t, s, "/_APIS/Projects/project%200").into(t, &one)
	if one.DefaultTeam.Name != "Project 0 Team" {
		t.Errorf("default team %q", one.DefaultTeam.Name)
	}
	if a := get(t, s, "/Nowhere/_apis/git/repositories"); a.status != 404 || typeKey(t, a) != "ProjectDoesNotExistWithNameException" {
		t.Error(a.status, a.body)
	}
	if a := get(t, s, "/_apis/nothing/here"); a.status != 404 {
		t.Error(a.status)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	w, p, _ := small()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	ask := func(addr string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, addr, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for addr, want := range map[string]int{
		"https://vsrm.dev.azure.com/contoso/" + p.ID + "/_apis/release/releases":    200,
		"https://dev.azure.com/contoso/" + p.ID + "/_apis/release/releases":         404,
		"https://contoso.vsrm.visualstudio.com/" + p.ID + "/_apis/release/releases": 200,
		"https://contoso.visualstudio.com/" + p.ID + "/_apis/git/repositories":      200,
		"https://vsrm.dev.azure.com/contoso/" + p.ID + "/_apis/git/repositories":    404,
		"https://dev.azure.com/other/_apis/projects":                                404,
	} {
		if got := ask(addr); got != want {
			t.Errorf("%s: status %d, want %d", addr, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const route = "GET /{project}/_apis/git/repositories"
	const path = "/Web%20&%20API's/_apis/git/repositories"
	broken := func(a answer) bool { return errors.Is(a.err, io.ErrUnexpectedEOF) }
	for _, c := range []struct {
		name  string
		fault *azuredevopstest.Fault
		ok    func(answer) bool
	}{
		{"status", azuredevopstest.Status(route, 500), func(a answer) bool { return a.status == 500 }},
		{"any route", azuredevopstest.Status("", 503).Header("Retry-After", "3"), func(a answer) bool { return a.status == 503 && a.header.Get("Retry-After") == "3" }},
		{"429", azuredevopstest.RateLimited(route, 5*time.Second), func(a answer) bool { return a.status == 429 && a.header.Get("Retry-After") == "5" }},
		{"headers", azuredevopstest.Headers(route).Delayed(2 * time.Second), func(a answer) bool {
			return a.status == 200 && a.header.Get("Retry-After") == "2" && a.header.Get("X-RateLimit-Remaining") == "0"
		}},
		{"203", azuredevopstest.SignInHTML(route), func(a answer) bool { return a.status == 203 && strings.Contains(a.body, "<html") }},
		{"302", azuredevopstest.SignInRedirected(route), func(a answer) bool { return a.status == 302 }},
		{"empty", azuredevopstest.Empty(route), func(a answer) bool { return a.status == 200 && a.body == "" }},
		{"malformed", azuredevopstest.Malformed(route), func(a answer) bool { return a.status == 200 && !json.Valid([]byte(a.body)) }},
		{"truncate", azuredevopstest.Truncate(route), broken},
		{"reset", azuredevopstest.Reset(route), func(a answer) bool { return a.err != nil && a.status == 0 }},
		{"lost answer", azuredevopstest.LostAnswer(route), func(a answer) bool { return a.err != nil && a.status == 0 }},
		{"slow", azuredevopstest.Slow(route, time.Millisecond), func(a answer) bool { return a.status == 200 }},
		{"slow body", azuredevopstest.SlowBody(route, time.Millisecond), func(a answer) bool { return a.status == 200 && json.Valid([]byte(a.body)) }},
		{"other method", azuredevopstest.Status("POST /{project}/_apis/git/repositories", 500), func(a answer) bool { return a.status == 200 }},
		{"other project", azuredevopstest.Status(route, 500).In("Elsewhere"), func(a answer) bool { return a.status == 200 }},
		{"this project", azuredevopstest.Status("GET /Web & API's/_apis/git/...", 500), func(a answer) bool { return a.status == 500 }},
		{"query", azuredevopstest.Status(route, 500).Query("$top", "*"), func(a answer) bool { return a.status == 200 }},
		{"no query", azuredevopstest.Status(route, 500).Query("$top", ""), func(a answer) bool { return a.status == 500 }},
		{"never", azuredevopstest.Status(route, 500).Rate(0), func(a answer) bool { return a.status == 200 }},
	} {
		for _, started := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " ", started), func(t *testing.T) {
				w, _, _ := small()
				s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
				if started {
					s.Start()
					defer s.Close()
				}
				s.Fault(c.fault)
				if a := get(t, s, path); !c.ok(a) {
					t.Errorf("%d %v %v %.100s", a.status, a.header, a.err, a.body)
				}
			})
		}
	}
}

func TestFaultCounts(t *testing.T) {
	t.Parallel()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{})
	f := azuredevopstest.Status("GET /_apis/projects", 500).Skip(1).Times(2)
	s.Fault(f)
	var got []int
	for range 5 {
		got = append(got, get(t, s, "/_apis/projects").status)
	}
	if fmt.Sprint(got) != "[200 500 500 200 200]" || s.Hits(f) != 2 {
		t.Errorf("statuses %v, %d hits", got, s.Hits(f))
	}
	s.Fault(azuredevopstest.Reset(""))
	s.ClearFaults()
	if a := get(t, s, "/_apis/projects"); a.status != 200 {
		t.Error("faults were not cleared")
	}
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	w, p, r := small()
	s := azuredevopstest.New(azuredevopstest.Options{World: w, Latency: 5 * time.Millisecond})
	defer s.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { get(t, s, "/"+p.ID+"/_apis/git/repositories/"+r.ID+"/refs?filter=heads/") })
	}
	wg.Wait()
	if n := s.Calls("GET /{p}/_APIS/git/repositories/{r}/refs"); n != 8 || s.Calls("") != 8 {
		t.Errorf("%d calls of %d", n, s.Calls(""))
	}
	if most := s.MaxInFlight(); most < 2 || most > 8 {
		t.Errorf("%d in flight", most)
	}
	last := s.Requests()[7]
	if last.Project != "Web & API's" || last.Status != 200 || last.Route != "GET /{project}/_apis/git/repositories/{repository}/refs" || last.Query.Get("filter") != "heads/" {
		t.Errorf("%+v", last)
	}
	s.ClearRequests()
	if s.Calls("") != 0 || len(s.Requests()) != 0 {
		t.Error("the log was not cleared")
	}
}

func TestChangeBetweenPages(t *testing.T) {
	t.Parallel()
	w := azuredevopstest.NewWorld("contoso")
	for i := range 4 {
		w.AddProject(fmt.Sprint("Project ", i))
	}
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	s.Fault(azuredevopstest.Do("GET /_apis/projects", w.Projects[0].Delete).Query("continuationToken", "*"))
	if values, _ := list(t, s, "/_apis/projects?$top=2"); len(values) != 3 {
		t.Errorf("%d projects, want one lost", len(values))
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	s := azuredevopstest.New(azuredevopstest.Options{World: azuredevopstest.DemoWorldAt(1, fixedClock), Gzip: true})
	defer s.Close()
	if a := get(t, s, "/_apis/git/repositories"); !json.Valid([]byte(a.body)) || a.header.Get("Content-Length") != "" {
		t.Errorf("%v %.40s", a.header, a.body)
	}
	if a := get(t, s, "/_apis/git/repositories", "Accept-Encoding", "gzip"); a.header.Get("Content-Encoding") != "gzip" || len(a.body) > 20_000 {
		t.Errorf("%v", a.header)
	}
}
