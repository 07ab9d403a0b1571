package catalog

import (
	"encoding/json"
	"testing"

	"github.com/tidwall/gjson"
)

func FuzzWithout(f *testing.F) {
	f.Add([]byte(`{"identifier":"a","title":"T","team":[],"properties":{"p":1,"q":2},"relations":{"r":"x"},"createdAt":"now"}`), "properties.p")
	f.Add([]byte(`{"identifier":"a","properties":null}`), "title")
	f.Add([]byte(`{"properties":[]}`), "relations.r")
	f.Add([]byte(`{`), "")
	f.Fuzz(func(t *testing.T, held []byte, member string) {
		body, err := without(held, []string{member, "title", "properties.p"})
		if err != nil {
			return
		}
		if !json.Valid(body) || gjson.GetBytes(body, "title").Exists() || gjson.GetBytes(body, "properties.p").Exists() || gjson.GetBytes(body, "createdAt").Exists() {
			t.Errorf("%s became %s", held, body)
		}
	})
}
