package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// bySkip serves a list by $top and $skip, at most most objects at a time.
func bySkip(most int, objects ...string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		skip, _ := strconv.Atoi(r.URL.Query().Get("$skip"))
		top, _ := strconv.Atoi(r.URL.Query().Get("$top"))
		from := min(skip, len(objects))
		return answer(200, values(objects[from:min(from+min(top, most), len(objects))]...))
	}
}

func teamJSON(id, project string) string {
	return fmt.Sprintf(`{"id":%q,"name":"Team %s","projectId":%q,"projectName":"name of %s"}`, id, id, project, project)
}

// workService has the projects p1 and p2 and the teams t1 and t2 in p1, t3 in p2.
func workService(more map[string]func(*http.Request) *http.Response) *fakeService {
	table := map[string]func(*http.Request) *http.Response{
		"_apis/projects": always(projectsOf("A", "B")),
		"_apis/teams":    bySkip(1000, teamJSON("t1", "p1"), teamJSON("t3", "p2"), teamJSON("t2", "p1")),

		"_apis/projects/p1/teams": bySkip(1000, teamJSON("t1", "p1"), teamJSON("t2", "p1")),
		"_apis/projects/p2/teams": bySkip(1000, teamJSON("t3", "p2")),
	}
	maps.Copy(table, more)
	return &fakeService{Serve: routes(table)}
}

const (
	projectA = `{"id":"p1","name":"A"}`
	projectB = `{"id":"p2","name":"B"}`
)

func scopeIDs(recs []Record) string {
	var out []string
	for _, r := range recs {
		out = append(out, r.Scope.Project+"/"+r.Scope.ID)
	}
	return strings.Join(out, " ")
}

func TestTeamsInSeveralPages(t *testing.T) {
	f := workService(map[string]func(*http.Request) *http.Response{
		"_apis/teams": bySkip(2, teamJSON("t1", "p1"), teamJSON("t3", "p2"), teamJSON("t1", "p1"), teamJSON("t4", "p9")),
	})
	recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), "team", `{}`, ListOptions{})
	if got, want := scopeIDs(recs), "p1/t1 p2/t3 p9/t4"; got != want || errs != nil {
		t.Errorf("teams = %s, %v, want %s: each once, whatever their projects", got, errs, want)
	}
}

// What the list of the organization leaves out, or cannot say, is asked for.
func TestTeamsThatTheListHides(t *testing.T) {
	more := map[string]func(*http.Request) *http.Response{
		"_apis/projects":          always(projectsOf("A", "B", "C", "D")),
		"_apis/projects/p1/teams": bySkip(1000, teamJSON("t1", "p1"), teamJSON("t2", "p1")),
		"_apis/projects/p2/teams": bySkip(1000, teamJSON("t3", "p2")),
		"_apis/projects/p3/teams": status(403, `{"message":"TF400813"}`),
		"_apis/projects/p4/teams": bySkip(1000, teamJSON("t5", "p4")),
	}
	for _, team := range []string{"p1/t1", "p1/t2", "p2/t3", "p4/t5"} {
		more[team+"/_apis/work/teamsettings/iterations"] = always(values(`{"id":"i1"}`))
	}
	f := workService(more)
	s := newTestClient(t, f, options{}).Snapshot()
	recs, errs := collect(t, s, "team", `{}`, ListOptions{})
	if got, want := scopeIDs(recs), "p1/t1 p1/t2 p2/t3 p4/t5"; got != want || scopes(errs) != "p3//" || !errors.Is(errs[0], ErrForbidden) {
		t.Errorf("teams = %s, %v, want %s and p3 unknown", got, errs, want)
	}
	recs, errs = collect(t, s, "iteration", `{}`, ListOptions{})
	if got, want := scopeIDs(recs), "p1/t1 p1/t2 p2/t3 p4/t5"; got != want || scopes(errs) != "p3//" {
		t.Errorf("iterations = %s, %v, want those of %s and p3 unknown", got, errs, want)
	}
	for _, p := range []string{"p1", "p2", "p3", "p4"} {
		if n := f.Count("_apis/projects/" + p + "/teams"); n != 1 {
			t.Errorf("project %s asked %d times for its teams, want once: %q", p, n, f.Sent())
		}
	}

	more["_apis/teams"] = status(403, "")
	s = newTestClient(t, workService(more), options{}).Snapshot()
	recs, errs = collect(t, s, "iteration", `{}`, ListOptions{})
	if got, want := scopeIDs(recs), "p1/t1 p1/t2 p2/t3 p4/t5"; got != want || scopes(errs) != "p3//" {
		t.Errorf("without the list: iterations = %s, %v, want those of %s", got, errs, want)
	}
	if recs, errs = collect(t, s, "team", `{}`, ListOptions{}); recs != nil || scopes(errs) != "//" {
		t.Errorf("without the list: teams = %s, %v, want the organization unknown", scopeIDs(recs), errs)
	}
}

func TestPackKeeps(t *testing.T) {
	for n := range 5 {
		text := strings.Repeat("text "+strconv.Itoa(n), 700*n)
		p := pack([]byte(text), packSmallAbove)
		if got, err := p.unpack(); string(got) != text || err != nil {
			t.Errorf("%d bytes came back as %d, %v", len(text), len(got), err)
		}
		if n > 0 && p.kept() > len(text)/4 {
			t.Errorf("%d bytes take %d", len(text), p.kept())
		}
	}
}

// Two passes over more than a cache holds: what fits is fetched once.
func TestCacheOfLists(t *testing.T) {
	for _, tt := range []struct {
		lists bool
		want  int
	}{{true, 10 + 6}, {false, 10 + 10}} {
		c := &cache[int, string]{most: 4 * (cacheEntry + 1), size: func(s string) int { return len(s) }, lists: tt.lists}
		fetched := 0
		for range 2 {
			for key := range 10 {
				v, err := c.get(t.Context(), key, func(context.Context) (string, error) { fetched++; return strconv.Itoa(key), nil })
				if v != strconv.Itoa(key) || err != nil {
					t.Fatalf("get(%d) = %q, %v", key, v, err)
				}
			}
		}
		if fetched != tt.want {
			t.Errorf("lists %v: %d fetched, want %d", tt.lists, fetched, tt.want)
		}
	}
}
