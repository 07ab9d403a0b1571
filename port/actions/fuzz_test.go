package actions

import (
	"encoding/json"
	"testing"
)

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"id":"r_1","state":"starting","began":"2026-01-02T03:04:05Z","order":{"a":1}}`))
	f.Add([]byte(`{"id":"r_1"}`))
	f.Add([]byte(`{"id":"r_1","state":"done","changed":7}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseEntry(text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(e); err != nil || e.ID == "" || e.State == "" {
			t.Errorf("%+v: %v", e, err)
		}
	})
}
