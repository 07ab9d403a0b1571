package azuredevops

import (
	"net/http"
	"testing"
)

func teamService() *fakeService {
	return workService(map[string]func(*http.Request) *http.Response{
		"_apis/projects/p1/teams/t1/members":            bySkip(1000, `{"isTeamAdmin":true,"identity":{"id":"u1"}}`, `{"identity":{"id":"u2"}}`),
		"_apis/projects/p1/teams/t2/members":            bySkip(1000),
		"_apis/projects/p2/teams/t3/members":            status(404, ""),
		"p1/t1/_apis/work/teamsettings/teamfieldvalues": always(`{"field":{"referenceName":"System.AreaPath"},"values":[]}`),
		"p1/t2/_apis/work/teamsettings/teamfieldvalues": status(403, ""),
		"p2/t3/_apis/work/teamsettings/teamfieldvalues": always(`[]`),
	})
}

func TestTeams(t *testing.T) {
	f := teamService()
	s := newTestClient(t, f, options{}).Snapshot()
	recs, errs := collect(t, s, "team", `{"includeMembers":"true","includeAreaPaths":true}`, ListOptions{})
	want := teamJSON("t1", "p1")[:len(teamJSON("t1", "p1"))-1] + `,"__members":[{"isTeamAdmin":true,"identity":{"id":"u1"}},{"identity":{"id":"u2"}}],"__areaPaths":{"field":{"referenceName":"System.AreaPath"},"values":[]}` + orgKeys + "}\n" +
		teamJSON("t2", "p1")[:len(teamJSON("t2", "p1"))-1] + `,"__members":[]` + orgKeys + "}\n" +
		teamJSON("t3", "p2")[:len(teamJSON("t3", "p2"))-1] + orgKeys + "}"
	if texts(recs) != want || errs != nil {
		t.Fatalf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
	}
	if len(recs[0].Missing) != 0 || len(recs[1].Missing) != 1 || len(recs[2].Missing) != 2 {
		t.Errorf("missing = %v, %v, %v", recs[0].Missing, recs[1].Missing, recs[2].Missing)
	}
	if got := recs[0].Scope; got != (Scope{Organization: testOrg, Project: "p1", ProjectName: "name of p1", ID: "t1"}) {
		t.Errorf("scope = %+v", got)
	}
	if f.Count("t1/members") != 1 {
		t.Errorf("want a short page of members to be the last one: %q", f.Sent())
	}
	before := len(f.Sent())
	recs, _ = collect(t, s, "team", `{}`, ListOptions{})
	if len(recs) != 3 || len(f.Sent()) != before {
		t.Errorf("%d teams, %d more requests, want the list shared", len(recs), len(f.Sent())-before)
	}
	for _, option := range []string{"includeMembers", "includeAreaPaths"} {
		if _, _, err := Bind("team", []byte(`{"`+option+`":[]}`)); err == nil || err.Error() != option+": want true or false" {
			t.Errorf("err = %v", err)
		}
	}
}
