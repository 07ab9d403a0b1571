package listener

import (
	"encoding/json"
	"testing"
)

func FuzzAsksForResync(f *testing.F) {
	f.Add([]byte(`{"action":"RESYNC","context":{"integrationId":"mine"}}`))
	f.Add([]byte(`{"diff":{"after":{"identifier":"mine","updatedAt":"3","resyncState":{"updatedAt":"2"},"changelogDestination":{"type":"KAFKA"}}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, requests := range []bool{false, true} {
			if asksForResync(message, requests, "mine") && !json.Valid(message) {
				t.Errorf("%q asks for a resync", message)
			}
		}
	})
}
