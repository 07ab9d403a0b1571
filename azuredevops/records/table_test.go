package records

import (
	"math/rand/v2"
	"testing"
)

// The table does what a map does.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tab, want := newTable(0), map[uint64]slot{}
	for i := range 50000 {
		short := r.Uint64N(3000) * (1 << 52) // evenly spread, with many of each
		if i%7 == 0 {
			short = r.Uint64N(50) + 1<<63 // and some in one place
		}
		switch r.IntN(4) {
		case 0:
			tab.drop(short)
			delete(want, short)
		default:
			s := slot{at: 1 + r.Uint32N(1000), size: 1 + r.Uint32N(1000), used: r.Uint32()}
			tab.put(short, s)
			want[short] = s
		}
		got, ok := tab.get(short)
		if s, there := want[short]; ok != there || got != s {
			t.Fatalf("get = %v, %v, want %v, %v", got, ok, s, there)
		}
		if tab.len() != len(want) {
			t.Fatalf("%d entries, want %d", tab.len(), len(want))
		}
	}
	n := 0
	for short, s := range tab.all() {
		if n++; want[short] != s {
			t.Errorf("entry %x = %v, want %v", short, s, want[short])
		}
	}
	if n != len(want) {
		t.Errorf("%d entries, want %d", n, len(want))
	}
}

// An entry takes at most 40 bytes, however many there are.
func TestTableSize(t *testing.T) {
	tab := newTable(0)
	for i := range 100000 {
		tab.put(uint64(i)*0x9e3779b97f4a7c15, slot{at: 1, size: 1})
		if n := i + 1; n > 1000 && len(tab.shorts)*20 > n*40 {
			t.Fatalf("%d bytes for %d entries", len(tab.shorts)*20, n)
		}
	}
}
