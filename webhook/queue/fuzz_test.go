package queue_test

import (
	"testing"
	"testing/synctest"
)

// FuzzMessage: whatever text somebody puts into the queue is stored, thrown away as a
// message of check, or a dead letter, and is gone from the queue then.
func FuzzMessage(f *testing.F) {
	for _, text := range []string{"", "{", `{"a":1}`, "eyJhIjoxfQ==", "%%%", "77u/e30=", `{"adoPortCheck":""}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.server.Put(path, text, 0)
			if err := b.queue.Drain(t.Context()); err != nil {
				t.Skip("no text that XML can carry") // the service would not have taken it
			}
			if n := b.server.Len(path); n != 0 {
				t.Errorf("%d messages are left", n)
			}
		})
	})
}
