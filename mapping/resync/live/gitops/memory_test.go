package gitops

import (
	"bytes"
	"maps"
	"testing"

	"github.com/ado-port/ado-port/port"
)

// Whatever a file holds: it is read as it was written, or not at all.
func FuzzMemory(f *testing.F) {
	whole := formatMemory(map[repository]refs{
		{"https://dev.azure.com/contoso", "r1"}: {port.Ref{Blueprint: "b", Identifier: "<ä>"}: {}, port.Ref{Blueprint: "b", Identifier: "x"}: {}},
		{"https://dev.azure.com/contoso", "r2"}: {port.Ref{Blueprint: "c", Identifier: "x"}: {}},
	})
	for i := range whole {
		f.Add(whole[:i])
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		f.Add(damaged)
	}
	f.Add(whole)
	f.Add(formatMemory(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := parseMemory(b)
		if err != nil {
			return
		}
		again, err := parseMemory(formatMemory(read))
		if err != nil || !maps.EqualFunc(read, again, maps.Equal[refs, refs]) {
			t.Errorf("%q is read as %v, then as %v, %v", b, read, again, err)
		}
	})
}

// Every byte counts.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	whole := formatMemory(map[repository]refs{{"o", "r"}: {port.Ref{Blueprint: "b", Identifier: "x"}: {}}})
	if _, err := parseMemory(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		for _, b := range [][]byte{whole[:i], damaged} {
			if got, err := parseMemory(b); err == nil {
				t.Errorf("%q is read as %v", b, got)
			}
		}
	}
}
