package port_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const searchRoute = "POST /v1/entities/search"

func TestReferring(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ids  string
		from map[string][]string
		want string
	}{
		"all relations":         {"a b", nil, "service/both→a service/both→b service/direct→a service/declared→b service/ocean→a team/t→a"},
		"one of them":           {"a", map[string][]string{"service": {"parent"}, "team": {"service"}}, "service/direct→a service/ocean→a team/t→a"},
		"of one blueprint":      {"a b", map[string][]string{"team": {"service", "no such relation"}}, "team/t→a"},
		"of none":               {"a", map[string][]string{"team": {"other"}, "nowhere": {"service"}}, ""},
		"only over others":      {"far", nil, "service/a→far"},
		"nothing refers to":     {"t", nil, ""},
		"more than fits in one": {"a b" + strings.Repeat(" x", 99), nil, "service/both→a service/both→b service/direct→a service/declared→b service/ocean→a team/t→a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := catalog(t, porttest.Options{})
				srv.AddBlueprint(
					`{"identifier":"service","schema":{"properties":{}},"relations":{"parent":{"target":"service","many":false,"required":false},"friends":{"target":"service","many":true,"required":false},"team":{"target":"team","many":false,"required":false}}}`,
					`{"identifier":"team","schema":{"properties":{}},"relations":{"service":{"target":"service","many":false,"required":false},"other":{"target":"team","many":false,"required":false}}}`,
				)
				for _, e := range []struct{ agent, blueprint, id, relations string }{
					{documented, "service", "far", ``},
					{documented, "service", "a", `"parent":"far"`},
					{documented, "service", "b", ``},
					{documented, "service", "direct", `"parent":"a"`},
					{oceanOrder, "service", "ocean", `"parent":"a"`},
					{"port-ocean/azure-devops/mine/0.9/gitops", "service", "declared", `"parent":"b"`},
					{documented, "service", "both", `"friends":["b","a"]`},
					{documented, "team", "t", `"service":"a"`},
					{documented, "service", "member", `"team":"t"`}, // leads to a over its team
					{"browser", "team", "a", `"service":"a"`},
					{documented, "service", "namesake", `"team":"a"`}, // so does this one
					{"port-ocean/azure-devops/other/0.9/exporter", "service", "foreign", `"parent":"a"`},
					{"browser", "service", "person", `"parent":"a"`},
				} {
					srv.PutEntity(e.agent, fmt.Sprintf(`{"blueprint":%q,"identifier":%q,"relations":{%s}}`, e.blueprint, e.id, e.relations))
				}
				if got, want := referring(t, c, strings.Fields(tt.ids), tt.from), sorted(tt.want); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				for range c.Referring(t.Context(), "service", []string{"a", "b"}, nil) {
					break // an early end is none of its business
				}
			})
		})
	}
}

func sorted(s string) string {
	f := strings.Fields(s)
	slices.Sort(f)
	return strings.Join(f, " ")
}

func referring(t *testing.T, c *port.Client, ids []string, from map[string][]string) string {
	t.Helper()
	var got []string
	for r, err := range c.Referring(t.Context(), "service", ids, from) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.From.String()+"→"+r.To)
	}
	slices.Sort(got)
	return strings.Join(slices.Compact(got), " ")
}

// asks counts the entities that a search is about.
func asks(body []byte) int { return len(gjson.GetBytes(body, "rules.0.value").Array()) }

func TestReferringHalves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		var ids []string
		var want []string
		for i := range 8 {
			id := fmt.Sprint("s", i)
			put(srv, documented, id)
			srv.PutEntity(documented, fmt.Sprintf(`{"blueprint":"service","identifier":"of-%s","relations":{"parent":%q}}`, id, id))
			ids, want = append(ids, id), append(want, "service/of-"+id+"→"+id)
		}
		large := strings.Repeat("x", 17<<20)
		srv.Fault(porttest.Status(searchRoute, 200).Body(large).When(func(_ *http.Request, body []byte) bool { return asks(body) > 2 }))
		if got := referring(t, c, ids, nil); got != strings.Join(want, " ") {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if n := count(srv, searchRoute); n != 7 { // 8, 4, 2, 2, 4, 2, 2
			t.Errorf("%d searches, want 7", n)
		}
	})
}

// What cannot be read is an error: nothing may be deleted by it.
func TestReferringFaults(t *testing.T) {
	t.Parallel()
	from := map[string][]string{"service": {"parent"}}
	for name, tt := range map[string]struct {
		fault porttest.Rule
		from  map[string][]string
	}{
		"search fails":                {porttest.Status(searchRoute, 400), nil},
		"no list":                     {porttest.Status(searchRoute, 200).Body(`{"ok":true}`), nil},
		"one answer is too large":     {porttest.Status(searchRoute, 200).Body(strings.Repeat("x", 17<<20)), nil},
		"blueprint fails":             {porttest.Status("GET /v1/blueprints/{blueprint}", 400), from},
		"blueprint of an entity":      {porttest.Status("GET /v1/blueprints/{blueprint}", 400), nil},
		"the answer names no such":    {porttest.Status(searchRoute, 200).Body(`{"entities":[{"identifier":"x","blueprint":"nowhere"}]}`), nil},
		"truncated, again and again":  {porttest.Truncate(searchRoute), nil},
		"a page of a proxy, not Port": {porttest.HTML(searchRoute), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := catalog(t, porttest.Options{})
				put(srv, documented, "a")
				srv.PutEntity(documented, `{"blueprint":"service","identifier":"x","relations":{"parent":"a"}}`)
				srv.Fault(tt.fault)
				var last error
				for r, err := range c.Referring(t.Context(), "service", []string{"a"}, tt.from) {
					if err == nil {
						t.Errorf("%v of an answer that cannot be read", r)
					}
					last = err
				}
				if last == nil {
					t.Error("no error")
				}
			})
		})
	}
}
