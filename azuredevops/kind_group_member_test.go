package azuredevops

import (
	"fmt"
	"net/http"
	"testing"
)

func TestGroupMembers(t *testing.T) {
	f := graphService(map[string]func(*http.Request) *http.Response{
		"_apis/graph/memberships/vssgp.a": links("memberDescriptor", "aad.u", "vssgp.b", "aad.gone", "aad.null"),
		"_apis/graph/memberships/vssgp.b": status(404, ""),
		"_apis/graph/memberships/vssgp.c": links("memberDescriptor", "aad.v", "aad.u"),
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "group-member", `{}`, ListOptions{})
	of := func(d string) string { return `,"__group":` + groupJSON(d) }
	want := plus(userJSON("u"), of("a")) + "\n" + plus(groupJSON("b"), of("a")) + "\n" + plus(userJSON("v"), of("c")) + "\n" + plus(userJSON("u"), of("c"))
	if texts(recs) != want {
		t.Errorf("records =\n%s, want\n%s", texts(recs), want)
	}
	if got, want := scopes(errs), "/vssgp.a/aad.gone /vssgp.a/aad.null /vssgp.b/"; got != want {
		t.Errorf("unknown %s (%v), want %s", got, errs, want)
	}
	if got := recs[3].Scope; got != (Scope{Organization: testOrg, Repository: "vssgp.c", ID: "aad.u"}) {
		t.Errorf("scope = %+v", got)
	}
	if f.Count("subjectlookup") != 1 || f.Count("direction=Down") != 3 {
		t.Errorf("want one lookup for all groups: %q", f.Sent())
	}
}

// A group with more members than a lookup takes, and members known already.
func TestGroupMembersInSeveralLookups(t *testing.T) {
	var ids []string
	for i := range 1100 {
		ids = append(ids, fmt.Sprintf("aad.u%d", i))
	}
	f := graphService(map[string]func(*http.Request) *http.Response{
		"_apis/graph/memberships/vssgp.a": links("memberDescriptor", ids...),
		"_apis/graph/memberships/vssgp.b": links("memberDescriptor"),
		"_apis/graph/memberships/vssgp.c": links("memberDescriptor", ids...),
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "group-member", `{}`, ListOptions{})
	if len(recs) != 2200 || errs != nil || recs[1099].Scope.ID != "aad.u1099" || recs[2199].Scope.Repository != "vssgp.c" {
		t.Errorf("%d members, %v, want 2200 in order", len(recs), errs)
	}
	if n := f.Count("subjectlookup"); n != 3 {
		t.Errorf("%d lookups, want 3", n)
	}
}

func TestGroupMembersLookupFails(t *testing.T) {
	for _, serve := range []func(*http.Request) *http.Response{status(403, ""), always(`{"value":[]}`), status(404, "")} {
		f := graphService(map[string]func(*http.Request) *http.Response{
			"_apis/graph/subjectlookup":       serve,
			"_apis/graph/memberships/vssgp.a": links("memberDescriptor", "aad.u"),
			"_apis/graph/memberships/vssgp.b": links("memberDescriptor"),
			"_apis/graph/memberships/vssgp.c": links("memberDescriptor", "aad.v"),
		})
		recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "group-member", `{}`, ListOptions{})
		if recs != nil || scopes(errs) != "/vssgp.a/aad.u /vssgp.c/aad.v" {
			t.Errorf("records %s, errors %v", texts(recs), errs)
		}
	}
}

func TestGroupMembersEarlyBreak(t *testing.T) {
	f := graphService(map[string]func(*http.Request) *http.Response{
		"_apis/graph/memberships/": links("memberDescriptor", "aad.u", "aad.v"),
	})
	l, _, err := Bind("group-member", nil)
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range l.Records(t.Context(), newTestClient(t, f, options{}).Snapshot(), ListOptions{}) {
		if err != nil || rec.Scope.ID != "aad.u" {
			t.Errorf("first record %+v, %v", rec.Scope, err)
		}
		break
	}
}
