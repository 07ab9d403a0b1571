package azuredevops

import (
	"errors"
	"net/http"
	"testing"
)

func TestIterations(t *testing.T) {
	f := workService(map[string]func(*http.Request) *http.Response{
		"p1/t1/_apis/work/teamsettings/iterations": always(values(`{"id":"i1","attributes":{"startDate":null}}`, `{"id":"i2"}`)),
		"p1/t2/_apis/work/teamsettings/iterations": status(404, ""),
		"p2/t3/_apis/work/teamsettings/iterations": always(values(`{"id":"i1"}`)),
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "iteration", `{}`, ListOptions{})
	of1 := `,"__project":` + projectA + `,"__team":` + teamJSON("t1", "p1") + orgKeys + "}\n"
	want := `{"id":"i1","attributes":{"startDate":null}` + of1 + `{"id":"i2"` + of1 +
		`{"id":"i1","__project":` + projectB + `,"__team":` + teamJSON("t3", "p2") + orgKeys + `}`
	if texts(recs) != want || scopes(errs) != "p1//t2" || errors.Is(errs[0], ErrNotFound) {
		t.Errorf("records =\n%s, %v, want\n%s and team t2 unknown", texts(recs), errs, want)
	}
	if n := len(f.Sent()); n != 6 {
		t.Errorf("%d requests, want projects, teams (two pages) and one per team: %q", n, f.Sent())
	}
}
