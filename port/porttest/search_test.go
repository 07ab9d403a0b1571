package porttest_test

import (
	"testing"

	"github.com/ado-port/ado-port/port/porttest"
)

func TestSearchRules(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{Now: newClock().Now})
	srv.PutEntity("other/agent", `{"identifier":"p","blueprint":"project","title":"Project"}`)
	srv.PutEntity(agent, `{"identifier":"a","blueprint":"service"}`) // before b, which it refers to
	srv.PutEntity(agent, `{"identifier":"a","blueprint":"service","title":"Alpha","team":"core","properties":{"stars":1,"tags":["x","y"],"at":"2026-01-01T00:00:00Z"},"relations":{"project":"p","uses":["a","b"]}}`)
	srv.PutEntity(agent, `{"identifier":"b","blueprint":"service","title":"Beta","properties":{"stars":2.0,"state":"on","raw":{"k": 1}}}`)
	a := newAPI(t, srv)
	for _, tt := range []struct{ name, rules, want string }{
		{"identifier", `{"property":"$identifier","operator":"=","value":"a"}`, `["a"]`},
		{"identifier that is not there", `{"property":"$identifier","operator":"=","value":"z"}`, `[]`},
		{"not the identifier", `{"property":"$identifier","operator":"!=","value":"a"}`, `["p","b"]`},
		{"identifiers", `{"property":"$identifier","operator":"in","value":["b","p","z"]}`, `["p","b"]`},
		{"identifiers of a blueprint", `{"property":"$identifier","operator":"in","value":["b","p"]},{"property":"$blueprint","operator":"=","value":"service"}`, `["b"]`},
		{"not these", `{"property":"$identifier","operator":"notIn","value":["b","p"]}`, `["a"]`},
		{"blueprints", `{"property":"$blueprint","operator":"in","value":["project"]}`, `["p"]`},
		{"datasource", `{"property":"$datasource","operator":"contains","value":"port-ocean/azure-devops/"},{"property":"$datasource","operator":"contains","value":"/my-ado/exporter"}`, `["a","b"]`},
		{"contains ignores case", `{"property":"$title","operator":"contains","value":"ALPH"}`, `["a"]`},
		{"does not contain", `{"property":"$title","operator":"doesNotContains","value":"a"}`, `["p"]`},
		{"begins", `{"property":"$title","operator":"beginsWith","value":"Be"}`, `["b"]`},
		{"does not begin", `{"property":"$title","operator":"doesNotBeginsWith","value":"Be"}`, `["p","a"]`},
		{"ends", `{"property":"$title","operator":"endsWith","value":"pha"}`, `["a"]`},
		{"does not end", `{"property":"$title","operator":"doesNotEndsWith","value":"pha"}`, `["p","b"]`},
		{"number", `{"property":"stars","operator":"=","value":2}`, `["b"]`},
		{"text is no number", `{"property":"stars","operator":"=","value":"2"}`, `[]`},
		{"greater", `{"property":"stars","operator":">","value":1}`, `["b"]`},
		{"at least", `{"property":"stars","operator":">=","value":1}`, `["a","b"]`},
		{"less", `{"property":"stars","operator":"<","value":2}`, `["a"]`},
		{"time", `{"property":"at","operator":"<=","value":"2026-01-01T01:00:00+01:00"}`, `["a"]`},
		{"between", `{"property":"at","operator":"between","value":{"from":"2025-12-31T00:00:00Z","to":"2026-01-02T00:00:00Z"}}`, `["a"]`},
		{"not between", `{"property":"at","operator":"notBetween","value":{"from":"2025-12-31T00:00:00Z","to":"2026-01-02T00:00:00Z"}},{"property":"$blueprint","operator":"=","value":"service"}`, `["b"]`},
		{"created", `{"property":"$createdAt","operator":"=","value":"2026-03-01T12:00:00.000Z"}`, `["p","a","b"]`},
		{"list contains", `{"property":"tags","operator":"contains","value":"x"}`, `["a"]`},
		{"list contains any", `{"property":"tags","operator":"containsAny","value":["q","y"]}`, `["a"]`},
		{"team", `{"property":"$team","operator":"contains","value":"core"}`, `["a"]`},
		{"empty", `{"property":"state","operator":"isEmpty"},{"property":"$blueprint","operator":"=","value":"service"}`, `["a"]`},
		{"not empty", `{"property":"state","operator":"isNotEmpty"}`, `["b"]`},
		{"object", `{"property":"raw","operator":"=","value":{"k":1}}`, `["b"]`},
		{"relation", `{"property":"project","operator":"=","value":"p"}`, `["a"]`},
		{"many relation", `{"property":"uses","operator":"containsAny","value":["b"]}`, `["a"]`},
		{"nested", `{"combinator":"or","rules":[{"property":"$title","operator":"=","value":"Beta"},{"combinator":"and","rules":[{"property":"$identifier","operator":"=","value":"p"},{"property":"$blueprint","operator":"=","value":"project"}]}]}`, `["p","b"]`},
		{"nothing", ``, `["p","a","b"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := a.want(200, "POST", "/v1/entities/search?exclude_calculated_properties=true&include=blueprint&include=identifier", `{"combinator":"and","rules":[`+tt.rules+`]}`)
			if got := doc.Get("entities.#.identifier").Raw; got != tt.want {
				t.Errorf("search %s = %s, want %s", tt.rules, got, tt.want)
			}
		})
	}
	for _, body := range []string{`{}`, `{"combinator":"nor","rules":[]}`, `{"combinator":"and","rules":[{"property":"x","operator":"like","value":1}]}`, `{"combinator":"and","rules":[{"combinator":"x","rules":[]}]}`} {
		a.want(422, "POST", "/v1/entities/search", body)
	}
}

func TestSearchProjection(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	srv.PutEntity(agent, `{"identifier":"a","blueprint":"service","title":"Alpha","properties":{"stars":1,"state":"on","live":null},"relations":{"project":"p","uses":[]}}`)
	a := newAPI(t, srv)
	for query, want := range map[string]string{
		"include=blueprint&include=identifier": `{"identifier":"a","blueprint":"service","properties":{},"relations":{}}`,
		"include=title&include=team&include=properties.stars&include=properties.nope&include=relations.uses": `{"identifier":"a","title":"Alpha","team":[],"properties":{"stars":1},"relations":{"uses":[]}}`,
		"include=properties&include=relations": `{"identifier":"a","properties":{"live":null,"stars":1,"state":"on"},"relations":{"project":"p","uses":[]}}`,
	} {
		doc := a.want(200, "POST", "/v1/entities/search?"+query, `{"combinator":"and","rules":[{"property":"$identifier","operator":"=","value":"a"}]}`)
		if got := doc.Get("entities.0").Raw; got != want {
			t.Errorf("search with %s = %s, want %s", query, got, want)
		}
	}
}
