package azuredevops

import (
	"net/http"
	"strings"
	"testing"
)

func TestAreaPaths(t *testing.T) {
	f := workService(map[string]func(*http.Request) *http.Response{
		"p1/_apis/wit/classificationnodes/Areas": always(` {"id":1,"identifier":"r","structureType":"area","children":[
			{"id":2,"identifier":"a","structureType":"area","path":"\\A\\Area\\Web\\Area","children":[{"identifier":"b","structureType":"area","path":"\\A\\Area\\Web\\Area\\UI","children":null}]},
			{"identifier":"x","structureType":"iteration","children":[{"identifier":"y","structureType":"area"}]}],"path":"\\A\\Area","hasChildren":true}`),
		"p2/_apis/wit/classificationnodes/Areas": status(404, ""),
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "area-path", `{"depth":"10"}`, ListOptions{})
	keys := func(parent, path string) string {
		return `,"__project":` + projectA + `,"__parentIdentifier":` + parent + `,"__normalizedPath":"` + path + `"` + orgKeys + "}"
	}
	want := strings.Join([]string{
		`{"id":1,"identifier":"r","structureType":"area","path":"\\A\\Area","hasChildren":true` + keys(`null`, `A`),
		`{"id":2,"identifier":"a","structureType":"area","path":"\\A\\Area\\Web\\Area"` + keys(`"r"`, `A\\Web\\Area`),
		`{"identifier":"b","structureType":"area","path":"\\A\\Area\\Web\\Area\\UI"` + keys(`"a"`, `A\\Web\\Area\\UI`),
		`{"identifier":"y","structureType":"area"` + keys(`"x"`, ``),
	}, "\n")
	if texts(recs) != want || scopes(errs) != "p2//" {
		t.Errorf("records =\n%s, %v, want\n%s and p2 unknown", texts(recs), errs, want)
	}
	if got := scopeIDs(recs); got != "p1/r p1/a p1/b p1/y" || f.Count("depth=10") != 2 {
		t.Errorf("scopes %s, requests %q", got, f.Sent())
	}
	collect(t, newTestClient(t, f, options{}).Snapshot(), "area-path", `{}`, ListOptions{})
	if f.Count("depth") != 2 {
		t.Errorf("asked for a depth without one: %q", f.Sent())
	}
	if _, _, err := Bind("area-path", []byte(`{"depth":"deep"}`)); err == nil || err.Error() != "depth: want an integer" {
		t.Errorf("err = %v", err)
	}
}

func TestAreaPathsOddAnswers(t *testing.T) {
	for _, body := range []string{
		`[]`, `null`, `"x"`, `{}`, `{"identifier":"r","structureType":"area","children":[null]}`, `{"identifier":"r","structureType":"area","children":[{}]}`,
		`{"identifier":"r","structureType":"area","children":{}}`, `{"identifier":"r","structureType":"area","children":[{"identifier":"a","children":[{}]}]}`,
	} {
		f := workService(map[string]func(*http.Request) *http.Response{
			"p1/_apis/wit/classificationnodes/Areas": always(body),
			"p2/_apis/wit/classificationnodes/Areas": always(`{"identifier":"r","structureType":"iteration"}`),
		})
		recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "area-path", `{}`, ListOptions{})
		if recs != nil || scopes(errs) != "p1//" {
			t.Errorf("%s: records %s, errors %v", body, texts(recs), errs)
		}
	}
}

func TestNormalizedPath(t *testing.T) {
	for path, want := range map[string]string{
		``: ``, `\Fab`: `Fab`, `\Fab\Area`: `Fab`, `\Fab\Area\Web`: `Fab\Web`, `Fab\Area\Area`: `Fab\Area`, `\Fab\Web\Area`: `Fab\Web\Area`, `\Area\Area`: `Area`,
	} {
		if got := normalizedPath(path); got != want {
			t.Errorf("normalizedPath(%q) = %q, want %q", path, got, want)
		}
	}
}
