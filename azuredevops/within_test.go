package azuredevops_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// withinSelectors are, for every kind, selectors that change what is fetched.
func withinSelectors() map[string][]string {
	return map[string][]string{
		"project":                 {`{}`, `{"defaultTeam":true}`},
		"repository":              {`{}`, `{"includedFiles":["README.md","CODEOWNERS"]}`},
		"repository-policy":       {`{}`},
		"branch":                  {`{}`},
		"pull-request":            {`{}`, `{"minTimeInDays":36500,"maxResults":1000}`, `{"minTimeInDays":36500,"maxResults":1}`},
		"file":                    {`{"files":{"path":["README.md","**/*.yaml","**/*.json"]}}`, `{"files":{"path":"README.md","repos":["ledger","ios-app"]},"includedFiles":["CODEOWNERS"]}`},
		"folder":                  {`{"folders":[{"path":"*"}]}`, `{"projectName":"Payments","folders":[{"path":"/*"}]}`},
		"wiki":                    {`{}`, `{"includeContent":true}`, `{"wikiType":"codeWiki"}`},
		"pipeline":                {`{}`, `{"includeRepo":true}`},
		"pipeline-run":            {`{}`},
		"pipeline-stage":          {`{}`},
		"pipeline-deployment":     {`{}`},
		"build":                   {`{}`, `{"enrichWithFirstCommit":true}`},
		"environment":             {`{}`},
		"release":                 {`{}`, `{"expand":"environments"}`, `{"statusFilter":"abandoned"}`, `{"tagFilter":["hotfix"]}`},
		"release-definition":      {`{}`, `{"expand":null}`},
		"release-deployment":      {`{}`},
		"test-run":                {`{}`, `{"includeResults":false,"codeCoverage":{}}`},
		"work-item":               {`{}`, `{"wiql":"[System.State] <> 'Closed' ORDER BY [System.ChangedDate]","expand":"Fields"}`},
		"board":                   {`{}`},
		"column":                  {`{}`},
		"iteration":               {`{}`},
		"area-path":               {`{"depth":3}`},
		"team":                    {`{}`, `{"includeMembers":true}`},
		"member":                  {`{}`},
		"user":                    {`{}`, `{"source":"graph"}`},
		"group":                   {`{}`},
		"group-member":            {`{}`},
		"advanced-security-alert": {`{}`, `{"criteria":{"states":["active"]}}`},
	}
}

// world is a small organization with something of every kind.
func world(t *testing.T) (*azuredevopstest.World, *azuredevopstest.Server) {
	t.Helper()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	w := azuredevopstest.DemoWorldAt(1, func() time.Time { return at })
	return w, azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w, PAT: "secret"})
}

func newClient(t *testing.T, s *azuredevopstest.Server, excluded ...string) *azuredevops.Client {
	t.Helper()
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: s.OrganizationURL(), Credential: azuredevops.PersonalAccessToken("secret"),
		ExcludedTags: excluded, Transport: s.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bind(t *testing.T, kind, selector string) *azuredevops.Listing {
	t.Helper()
	l, _, err := azuredevops.Bind(kind, json.RawMessage(selector))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A seen record is what has to be equal.
type seen struct {
	Scope azuredevops.Scope
	JSON  any
}

func see(t *testing.T, rec azuredevops.Record) seen {
	t.Helper()
	var doc any
	dec := json.NewDecoder(strings.NewReader(string(rec.JSON)))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if len(rec.Missing) > 0 {
		t.Errorf("%s: missing %v", rec.Scope, rec.Missing)
	}
	return seen{rec.Scope, doc}
}

func listAll(t *testing.T, c *azuredevops.Client, l *azuredevops.Listing) []seen {
	t.Helper()
	var out []seen
	for rec, err := range l.Records(t.Context(), c.Snapshot(), azuredevops.ListOptions{}) {
		if err != nil {
			t.Fatal(l.Key, err)
		}
		out = append(out, see(t, rec))
	}
	return out
}

func listWithin(t *testing.T, c *azuredevops.Client, l *azuredevops.Listing, at azuredevops.Change) ([]seen, []error) {
	t.Helper()
	var out []seen
	var errs []error
	for rec, err := range l.Within(t.Context(), c.Snapshot(), at.Scope, azuredevops.ListOptions{Change: at}) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, see(t, rec))
	}
	return out, errs
}

// inside tells whether a scope holds another.
func inside(s, of azuredevops.Scope) bool {
	return (s.Project == "" || s.Project == of.Project) && (s.Repository == "" || s.Repository == of.Repository) && (s.ID == "" || s.ID == of.ID)
}

// some are a few of many, the first and the last among them.
func some[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	var out []T
	for i := range n {
		out = append(out, list[i*(len(list)-1)/(n-1)])
	}
	return out
}

// Whatever part of a kind is listed again, it is what a resync lists there.
func TestWithinIsWhatAResyncLists(t *testing.T) {
	t.Parallel()
	_, srv := world(t)
	selectors := withinSelectors()
	for _, kind := range azuredevops.Kinds() {
		if selectors[kind] == nil {
			t.Errorf("no selector to test %s with", kind)
		}
		for _, sel := range selectors[kind] {
			t.Run(kind+" "+sel, func(t *testing.T) {
				t.Parallel()
				c := newClient(t, srv)
				l := bind(t, kind, sel)
				all := listAll(t, c, l)
				if len(all) == 0 && !strings.Contains(sel, "codeWiki") && !strings.Contains(sel, "abandoned") && !strings.Contains(sel, "hotfix") {
					t.Fatal("nothing to compare")
				}
				var scopes []azuredevops.Scope
				add := func(s azuredevops.Scope) {
					if !slices.Contains(scopes, s) {
						scopes = append(scopes, s)
					}
				}
				for _, rec := range some(all, 12) {
					add(rec.Scope)
				}
				for _, rec := range some(all, 3) {
					add(azuredevops.Scope{Project: rec.Scope.Project})
					add(azuredevops.Scope{Project: rec.Scope.Project, Repository: rec.Scope.Repository})
				}
				for _, s := range scopes {
					var want []seen
					for _, rec := range all {
						if inside(s, rec.Scope) {
							want = append(want, rec)
						}
					}
					got, errs := listWithin(t, c, l, azuredevops.Change{Scope: s})
					if len(errs) > 0 {
						t.Fatalf("%+v: %v", s, errs)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("%+v: %d records, want %d:\n%.3000s", s, len(got), len(want), diff)
					}
				}
			})
		}
	}
}
