package azuredevops

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
)

func TestMembers(t *testing.T) {
	f := teamService()
	s := newTestClient(t, f, options{}).Snapshot()
	recs, errs := collect(t, s, "member", `{}`, ListOptions{})
	want := `{"isTeamAdmin":true,"identity":{"id":"u1"},"__teamId":"t1"` + orgKeys + "}\n" + `{"identity":{"id":"u2"},"__teamId":"t1"` + orgKeys + "}"
	if texts(recs) != want || scopes(errs) != "p2//t3" || errors.Is(errs[0], ErrNotFound) {
		t.Errorf("records =\n%s, %v, want\n%s and team t3 unknown", texts(recs), errs, want)
	}
	if got := scopeIDs(recs); got != "p1/t1 p1/t1" {
		t.Errorf("scopes = %s", got)
	}
	before := f.Count("members")
	collect(t, s, "team", `{"includeMembers":true}`, ListOptions{})
	if n := f.Count("members") - before; n != 0 {
		t.Errorf("%d more requests for the same members", n)
	}
}

// The service may give fewer than it is asked for, but not fewer than 100.
func TestMembersInSeveralPages(t *testing.T) {
	var people []string
	for i := range 230 {
		people = append(people, fmt.Sprintf(`{"identity":{"id":"u%d"}}`, i))
	}
	f := workService(map[string]func(*http.Request) *http.Response{
		"_apis/projects/p1/teams/t1/members": bySkip(100, people...),
		"_apis/projects/p1/teams/t2/members": bySkip(115, people...),
		"_apis/projects/p2/teams/t3/members": func(r *http.Request) *http.Response {
			if r.URL.Query().Get("$skip") != "0" {
				return answer(404, "")
			}
			return answer(200, values(people[:100]...))
		},
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "member", `{}`, ListOptions{})
	if len(recs) != 460 || scopes(errs) != "p2//t3" {
		t.Errorf("%d members, %v, want 230 of each readable team and t3 unknown", len(recs), errs)
	}
	if f.Count("t1/members") != 3 || f.Count("t2/members") != 3 {
		t.Errorf("requests %q", f.Sent())
	}
}
