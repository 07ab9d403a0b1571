package azuredevops

import (
	"errors"
	"net/http"
	"testing"
)

func TestUsersOfTheGraph(t *testing.T) {
	f := graphService(map[string]func(*http.Request) *http.Response{
		"_apis/graph/users": func(r *http.Request) *http.Response {
			if r.URL.Query().Get("subjectTypes") != "aad,svc" {
				return answer(400, "")
			}
			if r.URL.Query().Has("continuationToken") {
				return answer(200, values(userJSON("w")))
			}
			return answer(200, values(userJSON("u"), userJSON("v")), "X-MS-ContinuationToken", "2")
		},
		"_apis/graph/memberships/aad.u": links("containerDescriptor", "vssgp.z", "vssgp.a", "vssgp.z"),
		"_apis/graph/memberships/aad.v": status(404, ""),
		"_apis/graph/memberships/aad.w": links("containerDescriptor", "vssgp.gone"),
	})
	c := newTestClient(t, f, options{})
	recs, errs := collect(t, c.Snapshot(), "user", `{"source":"graph","subjectTypes":["aad","svc"]}`, ListOptions{})
	want := plus(userJSON("u"), "") + "\n" + plus(userJSON("v"), "") + "\n" + plus(userJSON("w"), "")
	if texts(recs) != want || errs != nil || recs[0].Scope.ID != "aad.u" {
		t.Errorf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
	}
	recs, errs = collect(t, c.Snapshot(), "user", `{"source":"graph","subjectTypes":["aad","svc"],"includeGroupMemberships":true}`, ListOptions{})
	groups := `,"__groups":[` + groupJSON("z") + `,` + groupJSON("a") + `,` + groupJSON("z") + `],"__projects":["A","Z"]`
	want = plus(userJSON("u"), groups) + "\n" + plus(userJSON("v"), "") + "\n" + plus(userJSON("w"), "")
	if texts(recs) != want || errs != nil {
		t.Fatalf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
	}
	if len(recs[0].Missing) != 0 || len(recs[1].Missing) != 1 || len(recs[2].Missing) != 1 || errors.Is(recs[1].Missing[0], ErrNotFound) {
		t.Errorf("missing = %v, %v, %v", recs[0].Missing, recs[1].Missing, recs[2].Missing)
	}
	if n := f.Count("subjectlookup"); n != 1 {
		t.Errorf("%d lookups, want one", n)
	}
}

// entitled serves entitlements like a version of the service.
func entitled(serve func(*http.Request) *http.Response) *fakeService {
	return &fakeService{Serve: func(r *http.Request) *http.Response {
		if r.URL.Host != "vsaex.dev.azure.com" || r.URL.Path != "/acme/_apis/userentitlements" {
			return answer(404, "")
		}
		return serve(r)
	}}
}

func TestEntitlements(t *testing.T) {
	tokens := func(key string) *fakeService {
		return entitled(func(r *http.Request) *http.Response {
			if r.URL.Query().Get("continuationToken") == "a=b" {
				return answer(200, `{"`+key+`":[{"id":"u3"}],"continuationToken":null,"totalCount":3}`)
			}
			return answer(200, `{"`+key+`":[{"id":"u1"},{"id":"u2"}],"continuationToken":"a=b","totalCount":3}`)
		})
	}
	offsets := entitled(func(r *http.Request) *http.Response {
		q := r.URL.Query()
		switch q.Get("skip") {
		case "0":
			return answer(200, `{"members":[{"id":"u1"},{"id":"u2"}],"value":[{"id":"u1"},{"id":"u2"}],"continuationToken":"x"}`)
		case "2":
			return answer(200, `{"value":[{"id":"u3"}]}`)
		}
		return answer(200, `{"value":[]}`)
	})
	for _, tt := range []struct {
		name, selector, query string
		f                     *fakeService
		calls                 int
	}{
		{"latest", `{}`, "", tokens("items"), 2},
		{"members", `{"apiVersion":"7.1-preview.4","includeFields":["license","groupRules"]}`, "select=license%2CgroupRules", tokens("members"), 2},
		{"no number", `{"apiVersion":"latest"}`, "", tokens("items"), 2},
		{"6.0", `{"apiVersion":"6.0-preview.3","includeFields":["license"]}`, "select=license", tokens("value"), 2},
		{"before", `{"apiVersion":"5.1-preview.2","includeFields":["license"]}`, "?top=1000&skip=2", offsets, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recs, errs := collect(t, newTestClient(t, tt.f, options{}).Snapshot(), "user", tt.selector, ListOptions{})
			want := plus(`{"id":"u1"}`, "") + "\n" + plus(`{"id":"u2"}`, "") + "\n" + plus(`{"id":"u3"}`, "")
			if texts(recs) != want || errs != nil || scopeIDs(recs) != "/u1 /u2 /u3" {
				t.Errorf("records =\n%s, %v, want\n%s", texts(recs), errs, want)
			}
			if len(tt.f.Sent()) != tt.calls || tt.f.Count(tt.query) == 0 {
				t.Errorf("requests %q, want %d with %q", tt.f.Sent(), tt.calls, tt.query)
			}
		})
	}
}

func TestEntitlementsThatAreNone(t *testing.T) {
	for _, serve := range []func(*http.Request) *http.Response{
		always(`{"value":[{"id":"u1"}],"totalCount":500}`), always(`{"items":null}`), status(403, ""), status(404, ""),
	} {
		recs, errs := collect(t, newTestClient(t, entitled(serve), options{}).Snapshot(), "user", `{}`, ListOptions{})
		if recs != nil || scopes(errs) != "//" || errors.Is(errs[0], ErrNotFound) {
			t.Errorf("records %s, errors %v, want the organization unknown", texts(recs), errs)
		}
	}
}

func TestUserSelector(t *testing.T) {
	for _, tt := range []struct{ selector, want string }{
		{`{"includeFields":["license"],"subjectTypes":["aad"],"includeGroupMemberships":true}`, `user {"source":"entitlements","subjectTypes":null,"includeGroupMemberships":false,"includeFields":["license"],"apiVersion":""}`},
		{`{"source":"graph","includeFields":["license"],"apiVersion":"7.1"}`, `user {"source":"graph","subjectTypes":null,"includeGroupMemberships":false,"includeFields":null,"apiVersion":""}`},
		{`{"source":"ldap"}`, "source: want one of graph, entitlements"},
		{`{"includeFields":"license"}`, "includeFields: want a list"},
		{`{"includeFields":["license","names"]}`, "includeFields[1]: want one of license, extensions, projects, groupRules"},
		{`{"subjectTypes":[{}]}`, "subjectTypes[0]: want a string"},
		{`{"includeGroupMemberships":"perhaps"}`, "includeGroupMemberships: want true or false"},
	} {
		l, _, err := Bind("user", []byte(tt.selector))
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = l.Key
		}
		if got != tt.want {
			t.Errorf("Bind(%s) = %s, want %s", tt.selector, got, tt.want)
		}
	}
}

func TestProjectOfGroup(t *testing.T) {
	for principal, want := range map[string]string{`[Fab rikam]\Readers`: "Fab rikam", `[]\x`: "", `x [Fab]`: "", `[Fab`: "", ``: ""} {
		if got := projectOfGroup(principal); got != want {
			t.Errorf("projectOfGroup(%q) = %q, want %q", principal, got, want)
		}
	}
}
