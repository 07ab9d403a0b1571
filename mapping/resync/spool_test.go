package resync

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/port"
)

func testItems(n int) []item {
	sources := []*source{{}, {}}
	out := make([]item, n)
	for i := range out {
		out[i] = item{
			Entity:  port.Entity{Blueprint: "b", Identifier: fmt.Sprint("id", i), Body: fmt.Appendf(nil, `{"identifier":"id%d","properties":{"t":"äöü\u0000"}}`, i), Search: i%3 == 0},
			source:  sources[i%2],
			partial: i%5 == 0,
		}
	}
	return out
}

func drained(t *testing.T, s *spool) []item {
	t.Helper()
	var out []item
	if err := s.drain(func(it item) error { out = append(out, it); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSpoolKeepsOrderAndContent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		dir   string
		limit int
	}{
		{"memory", "", 1},
		{"memory with room", t.TempDir(), 1 << 20},
		{"file", t.TempDir(), 0},
		{"both", t.TempDir(), 2000},
		{"no such directory", "/nowhere/at/all", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSpool(tt.dir, tt.limit)
			want := testItems(50)
			for _, it := range want {
				_ = s.add(it) // an error says that memory is used instead
			}
			if s.len() != len(want) {
				t.Errorf("len = %d, want %d", s.len(), len(want))
			}
			got := drained(t, s)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(item{}), cmp.Comparer(func(a, b *source) bool { return a == b })); diff != "" {
				t.Errorf("drained (-want +got):\n%s", diff)
			}
			if s.len() != 0 {
				t.Errorf("len after drain = %d, want 0", s.len())
			}
		})
	}
}

func TestSpoolSaysThatNoFileCanHoldIt(t *testing.T) {
	t.Parallel()
	s := newSpool("/nowhere/at/all", 0)
	if err := s.add(testItems(1)[0]); err == nil {
		t.Error("add without a usable directory: no error, want one that says so")
	}
	if err := s.add(testItems(1)[0]); err != nil {
		t.Errorf("second add = %v, want silence", err)
	}
}

func TestSpoolDrainStopsAtAnError(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir(), 0)
	for _, it := range testItems(3) {
		if err := s.add(it); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("stop")
	n := 0
	if err := s.drain(func(item) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("drain = %v after %d items, want %v after 1", err, n, stop)
	}
}
