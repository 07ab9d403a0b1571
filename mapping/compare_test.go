package mapping_test

import (
	"encoding/json"
	"testing"

	"github.com/ado-port/ado-port/mapping"
)

func TestEqual(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body, held string
		want             bool
	}{
		{"same", `{"identifier":"i","title":"a","properties":{"x":1}}`, `{"identifier":"i","title":"a","properties":{"x":1},"icon":null}`, true},
		{"title", `{"title":"a"}`, `{"title":"b"}`, false},
		{"title null", `{"title":null}`, `{}`, true},
		{"icon", `{"icon":"A"}`, `{"icon":"B"}`, false},
		{"icon not set", `{"title":"a"}`, `{"title":"a","icon":"B"}`, true},
		{"team order", `{"team":["a","b"]}`, `{"team":["b","a"]}`, true},
		{"team string", `{"team":"a"}`, `{"team":["a"]}`, true},
		{"team none", `{"team":null}`, `{"team":[]}`, true},
		{"team more", `{"team":["a"]}`, `{"team":["a","b"]}`, false},
		{"null is absent", `{"properties":{"x":null}}`, `{"properties":{}}`, true},
		{"null is not a value", `{"properties":{"x":null}}`, `{"properties":{"x":1}}`, false},
		{"value is not absent", `{"properties":{"x":1}}`, `{"properties":{}}`, false},
		{"other properties", `{"properties":{"x":1}}`, `{"properties":{"x":1,"y":2}}`, true},
		{"numbers", `{"properties":{"x":[1.0,1e2,-0,10]}}`, `{"properties":{"x":[1,100,0,1e1]}}`, true},
		{"big numbers", `{"properties":{"x":9007199254740993}}`, `{"properties":{"x":9007199254740992}}`, false},
		{"no coercion", `{"properties":{"x":"1"}}`, `{"properties":{"x":1}}`, false},
		{"bool", `{"properties":{"x":true}}`, `{"properties":{"x":false}}`, false},
		{"object order", `{"properties":{"x":{"a":1,"b":{"c":"é"}}}}`, `{"properties":{"x":{"b":{"c":"\u00e9"},"a":1}}}`, true},
		{"object more", `{"properties":{"x":{"a":1}}}`, `{"properties":{"x":{"a":1,"b":null}}}`, false},
		{"list order", `{"properties":{"x":[1,2]}}`, `{"properties":{"x":[2,1]}}`, false},
		{"relation order", `{"relations":{"r":["a","b"]}}`, `{"relations":{"r":["b","a"]}}`, true},
		{"relation repeated", `{"relations":{"r":["a","a"]}}`, `{"relations":{"r":["a"]}}`, true},
		{"relation", `{"relations":{"r":"a"}}`, `{"relations":{"r":"b"}}`, false},
		{"relation null", `{"relations":{"r":null}}`, `{"relations":{}}`, true},
		{"no groups held", `{"properties":{"x":null},"relations":{}}`, `{}`, true},
		{"spaces", `{"properties": { "x" : [ 1 , 2 ] } }`, `{"properties":{"x":[1,2]}}`, true},
		{"escaped key", `{"properties":{"\u0078":1}}`, `{"properties":{"x":1}}`, true},
		{"not an object", `{}`, `[]`, false},
		{"broken", `{"title":`, `{}`, false},
	}
	for _, tt := range tests {
		if got := mapping.Equal([]byte(tt.body), []byte(tt.held)); got != tt.want {
			t.Errorf("%s: Equal(%s, %s) = %v", tt.name, tt.body, tt.held, got)
		}
		if got := mapping.Differences([]byte(tt.body), []byte(tt.held)); tt.want && len(got) > 0 {
			t.Errorf("%s: Differences(%s, %s) = %v", tt.name, tt.body, tt.held, got)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	const (
		body = `{"identifier":"i","blueprint":"b","title":"a","icon":null,"team":["x"],"properties":{"n":1,"s":"t","a.b":[1],"o":{"x":1}},"relations":{"r":"one","q":["a","b"]}}`
		held = `{"identifier":"i","title":"b","team":["y"],"properties":{"n":1.0,"s":null,"o":{"x":2},"z":1},"relations":{"r":"two","q":["b","a"]}}`
		want = `[{"path":"title","from":"b","to":"a"},{"path":"team","from":["y"],"to":["x"]},{"path":"properties.s","from":null,"to":"t"},` +
			`{"path":"properties.a.b","from":null,"to":[1]},{"path":"properties.o","from":{"x":2},"to":{"x":1}},{"path":"relations.r","from":"two","to":"one"}]`
	)
	got, err := json.Marshal(mapping.Differences([]byte(body), []byte(held)))
	if err != nil || string(got) != want {
		t.Errorf("Differences = %s, %v, want %s", got, err, want)
	}
}

func TestMergeBodies(t *testing.T) {
	t.Parallel()
	tests := []struct{ earlier, later, want string }{
		{`{"identifier":"i","blueprint":"b"}`, `{"identifier":"i","blueprint":"b"}`, `{"identifier":"i","blueprint":"b"}`},
		{
			`{"identifier":"i","blueprint":"b","title":"a","properties":{"x":1,"y":2},"relations":{"r":"a"}}`,
			`{"identifier":"i","icon":"I","blueprint":"b","properties":{"y":null,"z":3},"relations":{"s":["b"]}}`,
			`{"identifier":"i","icon":"I","blueprint":"b","title":"a","properties":{"x":1,"y":null,"z":3},"relations":{"r":"a","s":["b"]}}`,
		},
		{`{"identifier":"i","properties":{"x":1}}`, `{"identifier":"i","title":"t"}`, `{"identifier":"i","title":"t","properties":{"x":1}}`},
		{`{"identifier":"i"}`, `{"identifier":"i","properties":{}}`, `{"identifier":"i","properties":{}}`},
	}
	for _, tt := range tests {
		got, err := mapping.MergeBodies([]byte(tt.earlier), []byte(tt.later))
		if err != nil || string(got) != tt.want {
			t.Errorf("MergeBodies(%s, %s) = %s, %v, want %s", tt.earlier, tt.later, got, err, tt.want)
		}
	}
	if _, err := mapping.MergeBodies([]byte(`[]`), []byte(`{}`)); err == nil {
		t.Error("MergeBodies of a list did not fail")
	}
}
