package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func TestCheckList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body, key, id string
		nulls, bad    bool
	}{
		{body: `{"count":1,"value":[{"id":1}]}`, key: "value"},
		{body: ` { "value" : [ { "id" : "a" } ] , "count" : "1" } `, key: "value"},
		{body: `{"count":0,"value":[{"id":1}]}`, key: "value"}, // more than it says is not less than there is
		{body: `{"count":1,"value":[{"id":1}],"x":{"count":2,"message":"m"}}`, key: "value"},
		{body: `{"count":2,"value":[{"id":1},null]}`, key: "value", nulls: true},
		{body: `{"count":2,"value":[{"id":1},"a"]}`, key: "value", nulls: true, bad: true},
		{body: `{"value":[{"identity":{"id":1}}]}`, key: "value", id: "identity.id"},
		{body: `{"value":[{"identity":null}]}`, key: "value", id: "identity.id", bad: true},
		{body: `{"value":[{"identity":"x"}]}`, key: "value", id: "identity.id", bad: true},
		{body: `{"members":[{"id":1}],"items":[{"id":1}]}`, key: "items|members"},
		{body: `{"members":[{"id":1}],"items":null}`, key: "items|members"},
		{body: `{"members":[{"id":1}],"items":[]}`, key: "items|members", bad: true},
		{body: `{"members":[],"members":[]}`, key: "items|members", bad: true},
		{body: `null`, key: "value", bad: true},
		{body: ``, key: "value", bad: true},
	} {
		p := &Page{Body: []byte(tt.body)}
		if err := p.ReadList(tt.key, tt.id, tt.nulls); (err != nil) != tt.bad || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("ReadList(%s) = %v, want an error: %v", tt.body, err, tt.bad)
		}
	}
}

// A list that is believed has as many objects with an id as a decoder finds.
func FuzzCheckList(f *testing.F) {
	f.Add([]byte(`{"count":1,"value":[{"id":1}]}`))
	f.Add([]byte(`{"value":[{"id":"a","value":[]},{"id":[]}],"count":2}`))
	f.Add([]byte(`{"value":[],"value":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &Page{Body: b}
		if !json.Valid(b) || bytes.Contains(b, []byte(`\u`)) || p.ReadList("value", "id", false) != nil {
			return
		}
		var answer map[string]json.RawMessage
		var list []map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal(b, &answer), json.Unmarshal(answer["value"], &list)); err != nil {
			t.Errorf("ReadList(%s) = nil, a decoder says %v", b, err)
		}
		got := slices.Collect(p.Objects())
		if len(got) != len(list) || p.Count() != len(list) {
			t.Fatalf("Objects(%s) are %d, a decoder finds %d", b, len(got), len(list))
		}
		for i, obj := range got {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(obj, &m); err != nil || !reflect.DeepEqual(m, list[i]) {
				t.Errorf("object %d of %s is %s", i, b, obj)
			}
		}
	})
}
