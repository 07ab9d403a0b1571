package mapping_test

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/jq"
)

// membersOf names what an entity sets, as a mapping would.
func membersOf(entity string) []string {
	var out []string
	gjson.Parse(entity).ForEach(func(key, val gjson.Result) bool {
		switch key.Str {
		case "identifier", "blueprint":
		case "properties", "relations":
			val.ForEach(func(name, _ gjson.Result) bool { out = append(out, key.Str+"."+name.Str); return true })
		default:
			out = append(out, key.Str)
		}
		return true
	})
	return out
}

// digests are those of what a mapping makes and of what Port holds; ok is false where
// there is none.
func digests(body, held string, members ...string) (mine, theirs uint64, ok bool) {
	d := mapping.NewDigester(append(membersOf(body), members...))
	mine, ok1 := d.Body([]byte(body))
	theirs, ok2 := d.Held([]byte(held))
	return mine, theirs, ok1 && ok2
}

func TestDigest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, held string
		members          []string // that other blocks set
		same             bool
	}{
		{"the same", `{"identifier":"i","title":"a","team":"t","properties":{"x":1,"y":"z"},"relations":{"r":"e"}}`, `{"identifier":"i","createdAt":"2026","relations":{"r":"e"},"properties":{"y":"z","mine":5,"x":1},"team":["t"],"title":"a"}`, nil, true},
		{"a value of another property", `{"properties":{"x":1,"y":2}}`, `{"properties":{"x":2,"y":1}}`, nil, false},
		{"a property and a relation of one name", `{"properties":{"x":"a"},"relations":{"x":"b"}}`, `{"properties":{"x":"b"},"relations":{"x":"a"}}`, nil, false},
		{"a text and a number", `{"properties":{"x":"1"}}`, `{"properties":{"x":1}}`, nil, false},
		{"a list and what is in it", `{"properties":{"x":["a"]}}`, `{"properties":{"x":"a"}}`, nil, false},
		{"lists that end elsewhere", `{"properties":{"x":[["a"],"b"]}}`, `{"properties":{"x":[["a","b"]]}}`, nil, false},
		{"a list of none", `{"properties":{"x":[]}}`, `{"properties":{"x":null}}`, nil, false},
		{"an empty text", `{"properties":{"x":""}}`, `{"properties":{}}`, nil, false},
		{"members of other members", `{"properties":{"x":{"a":{"b":1},"c":2}}}`, `{"properties":{"x":{"a":{"b":2},"c":1}}}`, nil, false},
		{"what another block sets, and has not", `{"title":"a"}`, `{"title":"a","properties":{"x":null}}`, []string{"properties.x", "icon"}, true},
		{"what another block has set", `{"title":"a"}`, `{"title":"a","properties":{"x":1}}`, []string{"properties.x"}, false},
		{"no relations", `{"relations":{"r":[]}}`, `{"relations":{"r":null}}`, nil, true},
		{"relations without order", `{"relations":{"r":["a","b"]}}`, `{"relations":{"r":["b","a"]}}`, nil, true},
		{"a number written otherwise is asked for", `{"properties":{"x":1.0}}`, `{"properties":{"x":1}}`, nil, false},
	} {
		mine, theirs, ok := digests(tt.body, tt.held, tt.members...)
		if !ok || (mine == theirs) != tt.same {
			t.Errorf("%s: the same %v, %v", tt.name, mine == theirs, ok)
		}
	}
	d := mapping.NewDigester([]string{"title"})
	for _, text := range []string{`{"title":"a","properties":{"x":null}}`, `{"icon":"A"}`, `{"title":`, `[]`, ``} {
		if _, ok := d.Body([]byte(text)); ok {
			t.Errorf("%s has a digest", text)
		}
	}
	for _, text := range []string{`{"title":`, `[]`, ``} {
		if _, ok := d.Held([]byte(text)); ok {
			t.Errorf("%s has a digest", text)
		}
	}
}

// Where digests are the same, a comparison of the entities finds no difference.
func FuzzDigest(f *testing.F) {
	f.Add(`{"title":"a","team":["x"],"properties":{"n":1,"o":{"x":[1,null,"é"]}},"relations":{"r":["a","b"]}}`, `{"team":"x","properties":{"o":{"x":[1,null,"\u00e9"]},"n":1},"relations":{"r":["b","a"]},"title":"a"}`)
	f.Add(`{"properties":{"\u0061":1},"relations":{}}`, `{"properties":{"a":1},"relations":5}`)
	f.Add(`{}`, `5`)
	f.Fuzz(func(t *testing.T, body, held string) {
		body, held = once(body), once(held)
		mine, theirs, ok := digests(body, held)
		if !ok || mine != theirs {
			return
		}
		if !mapping.Equal([]byte(body), []byte(held)) {
			t.Errorf("%s and %s have the same digest and differ: %v", body, held, mapping.Differences([]byte(body), []byte(held)))
		}
	})
}

// once is a document in which no object names a member twice, as those of services;
// empty where it is none.
func once(text string) string {
	v, err := jq.Decode([]byte(text))
	if err != nil {
		return ""
	}
	return string(jq.AppendJSON(nil, v))
}
