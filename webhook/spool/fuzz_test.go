package spool_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

// Whatever lies in the file, reading it neither panics nor takes much memory.
func FuzzReadRecord(f *testing.F) {
	for _, d := range []spool.Delivery{{Key: "k"}, delivery("key", 1), {Key: "k", Redriven: true, Body: bytes.Repeat([]byte("x"), 10_000)}} {
		d.Received = time.Unix(1700000000, 5)
		f.Add(spool.AppendRecord(&d))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = spool.ReadDeadLetter(b)
		d, err := spool.ReadRecord(b)
		if err != nil {
			return
		}
		again, err := spool.ReadRecord(spool.AppendRecord(&d))
		if err != nil || again.Key != d.Key || !bytes.Equal(again.Body, d.Body) || !again.Received.Equal(d.Received) {
			t.Errorf("%+v became %+v, %v", d, again, err)
		}
	})
}
