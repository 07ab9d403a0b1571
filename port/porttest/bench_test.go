package porttest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port/porttest"
)

// bulkOf20 is a bulk of entities of 6 kB each.
func bulkOf20() string {
	entities := make([]string, 20)
	for i := range entities {
		var raw strings.Builder
		for k := range 100 {
			fmt.Fprintf(&raw, `"field%03d":"some text of a work item, with \"quotes\" %d",`, k, i)
		}
		entities[i] = fmt.Sprintf(`{"identifier":"e%d","blueprint":"service","title":"Entity %d","properties":{"url":"https://example.com/%d","state":"on","stars":%d,"raw":{%s"end":1}},"relations":{"project":"p","uses":["e1"]}}`, i, i, i, i, raw.String())
	}
	return `{"entities":[` + strings.Join(entities, ",") + `]}`
}

func BenchmarkBulk(b *testing.B) {
	srv := newServer(b, porttest.Options{})
	a := newAPI(b, srv)
	body := bulkOf20()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		res, err := a.try("POST", "/v1/blueprints/service/entities/bulk?upsert=true&merge=true&create_missing_related_entities=true", body)
		if err != nil || res.status != 200 {
			b.Fatal(res, err)
		}
	}
}

// BenchmarkSearch is the search of a diff: 50 identifiers among 20,000 entities.
func BenchmarkSearch(b *testing.B) {
	srv := newServer(b, porttest.Options{})
	for i := range 20000 {
		srv.PutEntity(agent, fmt.Sprintf(`{"identifier":"e%d","blueprint":"service","properties":{"stars":%d}}`, i, i))
	}
	a := newAPI(b, srv)
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"e%d"`, i*100)
	}
	body := `{"combinator":"and","rules":[{"property":"$identifier","operator":"in","value":[` + strings.Join(ids, ",") + `]},{"property":"$blueprint","operator":"=","value":"service"}]}`
	b.ReportAllocs()
	for b.Loop() {
		if n := a.want(200, "POST", "/v1/entities/search?include=identifier&include=properties.stars", body).Get("entities.#").Int(); n != 50 {
			b.Fatal(n)
		}
	}
}

// FuzzUpsert looks for bodies that break the server or that it stores as something else than JSON.
func FuzzUpsert(f *testing.F) {
	for _, s := range []string{
		`{"entities":[{"identifier":"a","title":"A","team":["x"],"properties":{"url":"https://x","tags":["a"],"raw":{"x":[1,{}]}},"relations":{"project":"p","uses":["b"]}}]}`,
		`{"entities":[{"identifier":{"combinator":"and","rules":[{"property":"$title","operator":"=","value":"A"}]}}]}`,
		`{"entities":[{"identifier":12,"properties":{"\u0061":1,"a":null},"relations":{"uses":{"combinator":"or","rules":[]}}}]}`,
		`{"entities":[{"identifier":"a","identifier":"b","title":"\ud800","icon":null}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		srv := newServer(t, porttest.Options{})
		a := newAPI(t, srv)
		status, doc := a.do("POST", "/v1/blueprints/service/entities/bulk?upsert=true&merge=true&create_missing_related_entities=true", body)
		if status >= 500 {
			t.Errorf("upsert = %d %s", status, doc.Raw)
		}
		for _, e := range srv.Entities("") {
			if !gjson.ValidBytes(e.Properties) || !gjson.ValidBytes(e.Relations) || !gjson.ValidBytes(e.Team) {
				t.Errorf("stored %s %s %s", e.Properties, e.Relations, e.Team)
			}
		}
		a.do("POST", "/v1/entities/search", body)
	})
}
