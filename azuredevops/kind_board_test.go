package azuredevops

import (
	"errors"
	"net/http"
	"testing"
)

func boardService() *fakeService {
	return workService(map[string]func(*http.Request) *http.Response{
		"p1/t1/_apis/work/boards":    always(values(`{"id":"b1","name":"Stories","only":"list"}`, `{"id":"b2","name":"Epics"}`)),
		"p1/t1/_apis/work/boards/b1": always(`{"id":"b1","name":"Stories","revision":18446744073709551615,"columns":[{"id":"c1","name":"New","stateMappings":{"User Story":"New","Bug":"\u004eew"}},{"id":"c2"},{"id":"c3","stateMappings":null},{"id":"c4","stateMappings":{"Bug":"Done"}}]}`),
		"p1/t1/_apis/work/boards/b2": status(404, `{"message":"VS403420"}`),
		"p1/t2/_apis/work/boards":    status(403, ""),
		"p2/t3/_apis/work/boards":    always(values(`{"id":"b3"}`)),
		"p2/t3/_apis/work/boards/b3": always(` {"id":"b3","columns":[]} `),
	})
}

func TestBoards(t *testing.T) {
	f := boardService()
	s := newTestClient(t, f, options{}).Snapshot()
	recs, errs := collect(t, s, "board", `{"defaultTeam":"yes"}`, ListOptions{})
	want := `{"only":"list","id":"b1","name":"Stories","revision":18446744073709551615,"columns":[{"id":"c1","name":"New","stateMappings":{"User Story":"New","Bug":"\u004eew"}},{"id":"c2"},{"id":"c3","stateMappings":null},{"id":"c4","stateMappings":{"Bug":"Done"}}],"__project":` + projectA + orgKeys + "}\n" +
		`{"id":"b2","name":"Epics","__project":` + projectA + orgKeys + "}\n" +
		`{"id":"b3","columns":[],"__project":` + projectB + orgKeys + `}`
	if texts(recs) != want || scopes(errs) != "p1//t2" {
		t.Fatalf("records =\n%s, %v, want\n%s and team t2 unknown", texts(recs), errs, want)
	}
	if len(recs[0].Missing) != 0 || len(recs[1].Missing) != 1 || errors.Is(recs[1].Missing[0], ErrNotFound) {
		t.Errorf("missing = %v, %v: the details of a listed board are unknown", recs[0].Missing, recs[1].Missing)
	}
	if got := scopeIDs(recs); got != "p1/t1 p1/t1 p2/t3" {
		t.Errorf("scopes = %s, want those of the teams", got)
	}
	before := len(f.Sent())
	collect(t, s, "board", `{}`, ListOptions{})
	if n := len(f.Sent()) - before; n != 0 {
		t.Errorf("%d more requests for the same boards", n)
	}
}

func TestBoardsOfAProjectWithoutTeams(t *testing.T) {
	f := workService(map[string]func(*http.Request) *http.Response{
		"_apis/teams":             bySkip(1000),
		"_apis/projects/p1/teams": status(404, ""),
		"_apis/projects/p2/teams": bySkip(1000),
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "board", `{}`, ListOptions{})
	if recs != nil || scopes(errs) != "p1//" || errors.Is(errs[0], ErrNotFound) {
		t.Errorf("records %s, errors %v, want p1 unknown and p2 empty", texts(recs), errs)
	}
}

func TestBoardSelector(t *testing.T) {
	for _, kind := range []string{"board", "column", "iteration", "member"} {
		if _, _, err := Bind(kind, []byte(`{"defaultTeam":"maybe"}`)); err == nil || err.Error() != "defaultTeam: want true or false" {
			t.Errorf("%s: err = %v", kind, err)
		}
		if _, warnings, err := Bind(kind, []byte(`{"default_team":true}`)); err != nil || len(warnings) != 1 {
			t.Errorf("%s: warnings = %q, %v", kind, warnings, err)
		}
	}
}
