package azuredevops

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func groupJSON(d string) string {
	return fmt.Sprintf(`{"subjectKind":"group","principalName":"[%s]\\All","descriptor":%q}`, strings.ToUpper(d), "vssgp."+d)
}

func userJSON(d string) string {
	return fmt.Sprintf(`{"subjectKind":"user","descriptor":%q}`, "aad."+d)
}

// links answers a call for memberships.
func links(key string, ids ...string) func(*http.Request) *http.Response {
	var out []string
	for _, id := range ids {
		out = append(out, fmt.Sprintf(`{%q:%q}`, key, id))
	}
	return always(values(out...))
}

// lookup knows every subject but those called gone, and takes 500 at a time.
func lookup(r *http.Request) *http.Response {
	var body struct{ LookupKeys []struct{ Descriptor string } }
	b, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(b, &body); err != nil || len(body.LookupKeys) == 0 || len(body.LookupKeys) > 500 || r.Method != http.MethodPost {
		return answer(400, `{"message":"lookupKeys"}`)
	}
	var out []string
	for _, k := range body.LookupKeys {
		kind, name, _ := strings.Cut(k.Descriptor, ".")
		switch {
		case name == "gone":
		case name == "null":
			out = append(out, fmt.Sprintf(`%q:null`, k.Descriptor))
		case kind == "aad":
			out = append(out, fmt.Sprintf(`%q:%s`, k.Descriptor, userJSON(name)))
		default:
			out = append(out, fmt.Sprintf(`%q:%s`, k.Descriptor, groupJSON(name)))
		}
	}
	return answer(200, `{"value":{`+strings.Join(out, ",")+`}}`)
}

// graphService has the groups a, b and c in two pages that overlap.
func graphService(more map[string]func(*http.Request) *http.Response) *fakeService {
	table := map[string]func(*http.Request) *http.Response{
		"_apis/graph/groups": func(r *http.Request) *http.Response {
			if r.URL.Query().Get("continuationToken") == "2&" {
				return answer(200, values(groupJSON("b"), groupJSON("c")))
			}
			return answer(200, values(groupJSON("a"), groupJSON("b")), "X-MS-ContinuationToken", "2&")
		},
		"_apis/graph/subjectlookup": lookup,
	}
	maps.Copy(table, more)
	serve := routes(table)
	return &fakeService{Serve: func(r *http.Request) *http.Response {
		if r.URL.Host != "vssps.dev.azure.com" {
			return answer(404, "")
		}
		return serve(r)
	}}
}

func plus(obj, more string) string { return obj[:len(obj)-1] + more + orgKeys + "}" }

func TestGroups(t *testing.T) {
	f := graphService(nil)
	s := newTestClient(t, f, options{}).Snapshot()
	for range 2 {
		recs, errs := collect(t, s, "group", `{}`, ListOptions{})
		want := plus(groupJSON("a"), "") + "\n" + plus(groupJSON("b"), "") + "\n" + plus(groupJSON("c"), "")
		if texts(recs) != want || errs != nil || scopeIDs(recs) != "/vssgp.a /vssgp.b /vssgp.c" {
			t.Errorf("records =\n%s (%s), %v, want\n%s", texts(recs), scopeIDs(recs), errs, want)
		}
	}
	if n := len(f.Sent()); n != 2 {
		t.Errorf("%d requests, want the list once: %q", n, f.Sent())
	}
}

func TestGroupsPageTwoFails(t *testing.T) {
	for _, kind := range []string{"group", "group-member"} {
		f := graphService(map[string]func(*http.Request) *http.Response{
			"_apis/graph/groups": func(r *http.Request) *http.Response {
				if r.URL.Query().Has("continuationToken") {
					return answer(404, "")
				}
				return answer(200, values(groupJSON("a")), "X-MS-ContinuationToken", "2")
			},
			"_apis/graph/memberships/vssgp.a": links("memberDescriptor", "aad.u"),
		})
		recs, errs := collect(t, newTestClient(t, f, options{}).Snapshot(), kind, `{}`, ListOptions{})
		if len(recs) != 1 || scopes(errs) != "//" {
			t.Errorf("%s: records %s, errors %v, want one and the organization unknown", kind, texts(recs), errs)
		}
	}
}

func TestGraphWithoutServer(t *testing.T) {
	f := &fakeService{Serve: status(404, `{"message":"no controller"}`)}
	s := newTestClient(t, f, options{}).Snapshot()
	for _, kind := range []string{"group", "group-member", "user"} {
		if recs, errs := collect(t, s, kind, `{}`, ListOptions{}); recs != nil || scopes(errs) != "//" {
			t.Errorf("%s: records %s, errors %v, want unknown, not empty", kind, texts(recs), errs)
		}
	}
	if got := f.Sent(); len(got) != 2 || !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "userentitlements") }) {
		t.Errorf("requests %q, want the area asked once", got)
	}
}
