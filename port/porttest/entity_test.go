package porttest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestBulkRoundTrip(t *testing.T) {
	t.Parallel()
	now := newClock()
	srv := newServer(t, porttest.Options{Now: now.Now})
	a := newAPI(t, srv)
	doc := a.upsert(200, "service", true, true, `{"identifier":"a/b","icon":"Azure","blueprint":"service","title":"A & <B>","team":"core","properties":{"url":"https://x/y","raw":{"z":1,"a":[1, 2]},"stars":9007199254740993,"live":null},"relations":{"project":"p-1","uses":["u1"]}}`)
	if doc.Raw != `{"ok":true,"entities":[{"identifier":"a/b","index":0,"created":true}],"errors":[]}` {
		t.Errorf("answer = %s", doc.Raw)
	}
	want := porttest.Entity{
		Ref: port.Ref{Blueprint: "service", Identifier: "a/b"}, Title: "A & <B>", Icon: "Azure", Team: json.RawMessage(`["core"]`),
		Properties: json.RawMessage(`{"live":null,"raw":{"z":1,"a":[1,2]},"stars":9007199254740993,"url":"https://x/y"}`),
		Relations:  json.RawMessage(`{"project":"p-1","uses":["u1"]}`), Datasource: agent, Created: now.Now(), Updated: now.Now(),
	}
	got, _ := srv.Entity("service", "a/b")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Entity(a/b) (-want +got):\n%s", diff)
	}
	shown := a.want(200, "GET", "/v1/blueprints/service/entities/a%2Fb", "").Get("entity")
	if shown.Get("createdAt").Str != "2026-03-01T12:00:00.000Z" || shown.Get("properties.stars").Raw != "9007199254740993" {
		t.Errorf("entity = %s", shown.Raw)
	}
}

func TestUpsertMergesOrReplaces(t *testing.T) {
	t.Parallel()
	const first = `{"identifier":"a","title":"A","icon":"Azure","team":["x"],"properties":{"state":"on","stars":1},"relations":{"uses":["a"]}}`
	for _, tt := range []struct {
		name   string
		merge  bool
		second string
		want   string
	}{
		{"merge keeps what is not sent", true, `{"identifier":"a","properties":{"stars":2}}`, `A Azure ["x"] {"stars":2,"state":"on"} {"uses":["a"]}`},
		{"merge with nulls", true, `{"identifier":"a","title":null,"team":null,"properties":{"state":null},"relations":{"uses":null}}`, ` Azure [] {"stars":1,"state":null} {"uses":[]}`},
		{"replace drops the rest", false, `{"identifier":"a","properties":{"stars":2}}`, `  [] {"stars":2} {}`},
		{"one team becomes a list", true, `{"identifier":"a","team":"y"}`, `A Azure ["y"] {"stars":1,"state":"on"} {"uses":["a"]}`},
		{"the last of equal keys wins", true, `{"identifier":"a","properties":{"stars":2,"stars":3}}`, `A Azure ["x"] {"stars":3,"state":"on"} {"uses":["a"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, porttest.Options{})
			a := newAPI(t, srv)
			a.upsert(200, "service", tt.merge, true, first)
			doc := a.upsert(200, "service", tt.merge, true, tt.second)
			if doc.Get("entities.0.created").Bool() {
				t.Error("second upsert created = true, want false")
			}
			e, _ := srv.Entity("service", "a")
			if got := fmt.Sprintf("%s %s %s %s %s", e.Title, e.Icon, e.Team, e.Properties, e.Relations); got != tt.want {
				t.Errorf("Entity(a) = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestUpsertChecksEntities(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, blueprint, entity string
		status                  int64
		code                    string
	}{
		{"unknown property", "service", `{"identifier":"a","properties":{"nope":1}}`, 422, "invalid_request"},
		{"type", "service", `{"identifier":"a","properties":{"raw":"text"}}`, 422, "invalid_request"},
		{"format url", "service", `{"identifier":"a","properties":{"url":"no url"}}`, 422, "invalid_request"},
		{"format date-time", "service", `{"identifier":"a","properties":{"at":"yesterday"}}`, 422, "invalid_request"},
		{"format email", "service", `{"identifier":"a","properties":{"mail":"x"}}`, 422, "invalid_request"},
		{"enum", "service", `{"identifier":"a","properties":{"state":"ON"}}`, 422, "invalid_request"},
		{"pattern", "service", `{"identifier":"a","properties":{"code":"abc"}}`, 422, "invalid_request"},
		{"length", "service", `{"identifier":"a","properties":{"code":"ABCD"}}`, 422, "invalid_request"},
		{"minimum", "service", `{"identifier":"a","properties":{"stars":-1}}`, 422, "invalid_request"},
		{"items", "service", `{"identifier":"a","properties":{"tags":["x",{}]}}`, 422, "invalid_request"},
		{"number of items", "service", `{"identifier":"a","properties":{"tags":["x","y","z"]}}`, 422, "invalid_request"},
		{"unknown relation", "service", `{"identifier":"a","relations":{"nope":"x"}}`, 422, "invalid_request"},
		{"one for many", "service", `{"identifier":"a","relations":{"uses":"a"}}`, 422, "invalid_request"},
		{"many for one", "service", `{"identifier":"a","relations":{"project":["a"]}}`, 422, "invalid_request"},
		{"related entity", "service", `{"identifier":"a","relations":{"project":"gone"}}`, 404, "not_found"},
		{"required property", "strict", `{"identifier":"a","relations":{"project":"p"}}`, 422, "invalid_request"},
		{"required property null", "strict", `{"identifier":"a","properties":{"name":null},"relations":{"project":"p"}}`, 422, "invalid_request"},
		{"required relation", "strict", `{"identifier":"a","properties":{"name":"x"},"relations":{"project":null}}`, 422, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, porttest.Options{})
			srv.PutEntity(agent, `{"identifier":"p","blueprint":"project"}`)
			a := newAPI(t, srv)
			good := `{"identifier":"good","properties":{"name":"x"},"relations":{"project":"p"}}`
			if tt.blueprint == "service" {
				good = `{"identifier":"good","properties":{"state":"on"}}`
			}
			doc := a.upsert(207, tt.blueprint, true, false, good, tt.entity)
			e := doc.Get("errors.0")
			if e.Get("index").Int() != 1 || e.Get("statusCode").Int() != tt.status || e.Get("error").Str != tt.code || e.Get("identifier").Str != "a" {
				t.Errorf("error = %s, want index 1, status %d, %s", e.Raw, tt.status, tt.code)
			}
			if doc.Get("entities.#").Int() != 1 || len(srv.Entities(tt.blueprint)) != 1 {
				t.Errorf("%s: %d stored, want the good one only", doc.Raw, len(srv.Entities(tt.blueprint)))
			}
			if status, single := a.do("POST", "/v1/blueprints/"+tt.blueprint+"/entities?upsert=true", tt.entity); int64(status) != tt.status || single.Get("error").Str != tt.code {
				t.Errorf("single = %d %s, want %d %s", status, single.Raw, tt.status, tt.code)
			}
		})
	}
}

func TestUpsertRefusesWholeBulk(t *testing.T) {
	t.Parallel()
	entity := func(id string) string { return fmt.Sprintf(`{"identifier":%q}`, id) }
	many := make([]string, 21)
	for i := range many {
		many[i] = entity(fmt.Sprint("e", i))
	}
	for _, tt := range []struct {
		name   string
		body   string
		status int
	}{
		{"blank in identifier", `{"entities":[` + entity("good") + `,` + entity("a b") + `]}`, 422},
		{"identifier of dots", `{"entities":[` + entity("..") + `]}`, 422},
		{"long identifier", `{"entities":[` + entity(strings.Repeat("x", 1001)) + `]}`, 422},
		{"no identifier", `{"entities":[{}]}`, 422},
		{"null identifier", `{"entities":[{"identifier":null}]}`, 422},
		{"related identifier", `{"entities":[{"identifier":"a","relations":{"project":"p q"}}]}`, 422},
		{"list of properties", `{"entities":[{"identifier":"a","properties":[]}]}`, 422},
		{"title object", `{"entities":[{"identifier":"a","title":{}}]}`, 422},
		{"no entity object", `{"entities":[1]}`, 422},
		{"none", `{"entities":[]}`, 422},
		{"21", `{"entities":[` + strings.Join(many, ",") + `]}`, 422},
		{"no JSON", `{"entities":[`, 400},
		{"list", `[]`, 422},
		{"too large", `{"entities":[{"identifier":"a","properties":{"raw":{"x":"` + strings.Repeat("y", 1<<20) + `"}}}]}`, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, porttest.Options{})
			newAPI(t, srv).want(tt.status, "POST", "/v1/blueprints/service/entities/bulk?upsert=true", tt.body)
			if n := len(srv.Entities("")); n != 0 || srv.Writes() != 0 {
				t.Errorf("%d entities and %d writes, want none", n, srv.Writes())
			}
		})
	}
}

func TestUpsertAcceptsIdentifiers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	for _, id := range []string{"a", "Ünïcödé", `a\b/c@d_e.f+g:h=i-j`, "...", strings.Repeat("ä", 1000)} {
		a.upsert(200, "service", true, true, fmt.Sprintf(`{"identifier":%q}`, id))
		if _, found := srv.Entity("service", id); !found {
			t.Errorf("Entity(%q) not found", id)
		}
	}
	a.upsert(200, "service", true, true, `{"identifier":12,"title":7}`)
	if e, _ := srv.Entity("service", "12"); e.Title != "7" {
		t.Errorf("Entity(12).Title = %q, want the number as text", e.Title)
	}
}

func TestCoercion(t *testing.T) {
	t.Parallel()
	const sent = `{"identifier":"a","properties":{"stars":"12","live":"true","tags":1,"code":true}}`
	const want = `{"code":"ABC","live":true,"stars":12,"tags":["1"]}`
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	a.upsert(200, "service", true, true, strings.Replace(sent, "true}}", `"ABC"}}`, 1))
	if e, _ := srv.Entity("service", "a"); string(e.Properties) != want {
		t.Errorf("properties = %s, want %s", e.Properties, want)
	}
	strict := newServer(t, porttest.Options{Strict: true})
	newAPI(t, strict).upsert(207, "service", true, true, sent)
	newAPI(t, strict).upsert(422, "service", true, true, `{"identifier":12}`)
}

func TestMissingRelatedEntitiesAreMade(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	a.upsert(200, "service", true, true, `{"identifier":"a","relations":{"project":"p","uses":["a","b","b"]}}`)
	p, _ := srv.Entity("project", "p")
	if !p.Stub || p.Title != "p" || p.Datasource != agent {
		t.Errorf("Entity(p) = %+v, want a stub of the writer", p)
	}
	e, _ := srv.Entity("service", "a")
	if diff := cmp.Diff([]string{"a", "b"}, e.Relation("uses")); diff != "" || srv.Writes() != 1 {
		t.Errorf("relation uses (-want +got):\n%s; %d writes, want 1", diff, srv.Writes())
	}
	a.upsert(200, "service", true, false, `{"identifier":"self","relations":{"uses":["self"]}}`)
	a.upsert(200, "project", true, true, `{"identifier":"p","title":"P"}`)
	if p, _ = srv.Entity("project", "p"); p.Stub || p.Title != "P" {
		t.Errorf("Entity(p) = %+v, want it to be written", p)
	}
}

func TestSearchIdentifiersAndRelations(t *testing.T) {
	t.Parallel()
	search := func(property, op, value string) string {
		return fmt.Sprintf(`{"combinator":"and","rules":[{"property":%q,"operator":%q,"value":%s}]}`, property, op, value)
	}
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	a.upsert(200, "service", true, true, `{"identifier":"a","title":"Alpha","properties":{"state":"on"}}`, `{"identifier":"b","title":"Beta","properties":{"state":"on"}}`)
	doc := a.upsert(207, "service", true, true,
		`{"identifier":`+search("$title", "=", `"Alpha"`)+`,"properties":{"stars":5}}`,
		`{"identifier":`+search("$title", "=", `"Gamma"`)+`}`,
		`{"identifier":`+search("state", "=", `"on"`)+`}`,
		`{"identifier":"c","relations":{"uses":`+search("state", "in", `["on"]`)+`}}`,
		`{"identifier":"d","relations":{"project":`+search("$title", "contains", `"none"`)+`}}`)
	if got := doc.Get("entities.#.identifier").Raw; got != `["a","c","d"]` {
		t.Errorf("identifiers = %s, want a c d", got)
	}
	if got := doc.Get("errors.#.identifier").Raw + doc.Get("errors.#.error").Raw; got != `["unknown","unknown"]["not_found","multiple_entities_found"]` {
		t.Errorf("errors = %s", got)
	}
	c, _ := srv.Entity("service", "c")
	d, _ := srv.Entity("service", "d")
	if e, _ := srv.Entity("service", "a"); e.Property("stars") != "5" || e.Property("state") != `"on"` || !slices.Equal(c.Relation("uses"), []string{"a", "b"}) || string(d.Relations) != `{"project":null}` {
		t.Errorf("a = %s, c = %s, d = %s", e.Properties, c.Relations, d.Relations)
	}
}

func TestSingleEntityRoutes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	a.want(201, "POST", "/v1/blueprints/service/entities?upsert=true", `{"identifier":"x/y","properties":{"stars":1}}`)
	a.want(409, "POST", "/v1/blueprints/service/entities", `{"identifier":"x/y"}`)
	a.want(200, "POST", "/v1/blueprints/service/entities?upsert=true&validation_only=true", `{"identifier":"trial"}`)
	a.want(200, "PATCH", "/v1/blueprints/service/entities/x%2Fy", `{"properties":{"state":"on"}}`)
	if got := a.want(200, "GET", "/v1/blueprints/service/entities/x%2Fy", "").Get("entity.properties").Raw; got != `{"stars":1,"state":"on"}` {
		t.Errorf("properties = %s", got)
	}
	a.want(200, "PUT", "/v1/blueprints/service/entities/x%2Fy", `{}`)
	a.want(404, "PATCH", "/v1/blueprints/service/entities/none", `{}`)
	a.want(404, "POST", "/v1/blueprints/none/entities", `{"identifier":"a"}`)
	a.want(404, "GET", "/v1/blueprints/service/entities/trial", "")
	a.want(200, "DELETE", "/v1/blueprints/service/entities/x%2Fy", "")
	if got := a.want(404, "DELETE", "/v1/blueprints/service/entities/x%2Fy", "").Get("error").Str; got != "not_found" {
		t.Errorf("error = %s, want not_found", got)
	}
	if n := len(srv.Entities("")); n != 0 {
		t.Errorf("%d entities left, want none", n)
	}
}

func TestDeleteWithDependents(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	srv.PutEntity(agent, `{"identifier":"s","blueprint":"strict","properties":{"name":"x"},"relations":{"project":"p"}}`)
	srv.PutEntity(agent, `{"identifier":"a","blueprint":"service","relations":{"project":"p","uses":["b","c"]}}`)
	a := newAPI(t, srv)
	const path = "/v1/blueprints/project/bulk/entities/delete?delete_dependents="
	before := srv.Snapshot()
	if got := a.want(403, "POST", path+"false", `{"entities":["p"]}`).Get("error").Str; got != "has_dependents" {
		t.Errorf("error = %s, want has_dependents", got)
	}
	if n := len(srv.Entities("strict")) + len(srv.Entities("service")); n != 4 {
		t.Errorf("%d entities after a refused deletion, want 4", n)
	}
	doc := a.want(200, "POST", path+"true", `{"entities":["p","unknown","p"]}`)
	e, _ := srv.Entity("service", "a")
	if got := doc.Get("deletedEntities").Raw; got != `["p"]` || len(srv.Entities("strict")) != 0 || string(e.Relations) != `{"project":null,"uses":["b","c"]}` {
		t.Errorf("deleted %s, strict %d, relations of a %s", got, len(srv.Entities("strict")), e.Relations)
	}
	a.want(200, "POST", "/v1/blueprints/service/bulk/entities/delete?delete_dependents=false", `{"entities":["b"]}`)
	if e, _ = srv.Entity("service", "a"); !slices.Equal(e.Relation("uses"), []string{"c"}) {
		t.Errorf("relation uses = %v, want [c]", e.Relation("uses"))
	}
	a.want(422, "POST", path+"true", `{"entities":[]}`)
	srv.Restore(before)
	srv.Restore(before)
	if e, _ = srv.Entity("service", "a"); len(srv.Entities("strict")) != 1 || len(e.Relation("uses")) != 2 {
		t.Error("a snapshot did not bring everything back")
	}
}

func TestDatasourceAndTimes(t *testing.T) {
	t.Parallel()
	now := newClock()
	srv := newServer(t, porttest.Options{Now: now.Now})
	a := newAPI(t, srv)
	for i := range 5 {
		a.upsert(200, "service", true, true, fmt.Sprintf(`{"identifier":"e%d"}`, i))
	}
	now.Add(time.Minute)
	start := now.Now()
	a.agent = "port-ocean/azure-devops/my-ado/2.0.0/exporter"
	a.upsert(200, "service", true, true, `{"identifier":"e4"}`)
	a.agent = agent
	a.upsert(200, "service", true, true, `{"identifier":"e3"}`)
	e, _ := srv.Entity("service", "e3")
	if !e.Created.Before(start) || !e.Updated.Equal(start) {
		t.Errorf("created %v, updated %v, want before and at %v", e.Created, e.Updated, start)
	}
	list := func(extra string) string {
		var ids []string
		for from := ""; ; {
			doc := a.want(200, "POST", "/v1/blueprints/entities/datasource-entities",
				`{"datasource_prefix":"port-ocean/azure-devops/","datasource_suffix":"/my-ado/exporter"`+extra+from+`}`)
			for _, x := range doc.Get("entities.#.identifier").Array() {
				ids = append(ids, x.Str)
			}
			if doc.Get("next").Str == "" {
				return strings.Join(ids, " ")
			}
			from = `,"from":"` + doc.Get("next").Str + `"`
		}
	}
	for extra, want := range map[string]string{
		``:           "e0 e1 e2 e3",
		`,"limit":1`: "e0 e1 e2 e3",
		`,"limit":3`: "e0 e1 e2 e3",
		`,"limit":3,"before":"2026-03-01T12:01:00.000000+00:00"`: "e0 e1 e2",
		`,"before":"2026-03-01T12:00:00Z"`:                       "",
	} {
		if got := list(extra); got != want {
			t.Errorf("owned%s = %q, want %q", extra, got, want)
		}
	}
	for _, body := range []string{`{}`, `{"datasource_prefix":"a","datasource_suffix":"b","limit":5001}`, `{"datasource_prefix":"a","datasource_suffix":"b","from":"x"}`, `{"datasource_prefix":"a","datasource_suffix":"b","before":"x"}`} {
		a.want(422, "POST", "/v1/blueprints/entities/datasource-entities", body)
	}
}

// TestPagesSurviveDeletion deletes while paging, as reconciliation may.
func TestPagesSurviveDeletion(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	a.upsert(200, "service", true, true, `{"identifier":"a"}`, `{"identifier":"b"}`, `{"identifier":"c"}`)
	const query = `"datasource_prefix":"port-ocean/","datasource_suffix":"/exporter","limit":2`
	doc := a.want(200, "POST", "/v1/blueprints/entities/datasource-entities", `{`+query+`}`)
	a.want(200, "POST", "/v1/blueprints/service/bulk/entities/delete", `{"entities":["a","b"]}`)
	doc = a.want(200, "POST", "/v1/blueprints/entities/datasource-entities", `{`+query+`,"from":"`+doc.Get("next").Str+`"}`)
	if got := doc.Get("entities.#.identifier").Raw; got != `["c"]` {
		t.Errorf("second page = %s, want c", got)
	}
}
