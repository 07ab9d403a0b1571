package records

import (
	"iter"
	"math/bits"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// A slot says where a value lies, and when it was last of use.
type slot struct {
	at   uint32 // in units of statefile.Alignment
	size uint32 // of the record, without padding; 0 is an empty slot
	used uint32 // resync
}

func (s slot) offset() int64 { return int64(s.at) * statefile.Alignment }

// A table finds slots by the short form of a name. It is a hash table with linear
// probing because a map takes twice the store and ten times as long to fill: here
// an entry takes 25 to 38 bytes.
type table struct {
	shorts         []uint64
	at, size, used []uint32
	count          int // slots taken, those of dropped entries included
	dropped        int // their at is 0, where the file has its header
}

// The table grows by half when four fifths are taken.
const (
	tableMin  = 64
	fullShare = 5
)

// newTable makes a table with room for n entries.
func newTable(n int) *table {
	t := &table{}
	t.alloc(max(tableMin, n+n/2))
	return t
}

func (t *table) alloc(slots int) {
	t.shorts = make([]uint64, slots)
	t.at, t.size, t.used = make([]uint32, slots), make([]uint32, slots), make([]uint32, slots)
	t.count, t.dropped = 0, 0
}

func (t *table) len() int { return t.count - t.dropped }

// find returns the place of an entry, or the empty slot where it would be. Short
// names are evenly spread: they are parts of a hash.
func (t *table) find(short uint64) (i int, taken bool) {
	hi, _ := bits.Mul64(short, uint64(len(t.shorts)))
	for i = int(hi); t.size[i] != 0; {
		if t.shorts[i] == short {
			return i, true
		}
		if i++; i == len(t.shorts) {
			i = 0
		}
	}
	return i, false
}

func (t *table) get(short uint64) (slot, bool) {
	i, taken := t.find(short)
	if !taken || t.at[i] == 0 {
		return slot{}, false
	}
	return slot{t.at[i], t.size[i], t.used[i]}, true
}

// put adds or replaces an entry.
func (t *table) put(short uint64, s slot) {
	i, taken := t.find(short)
	if !taken {
		if (t.count+1)*fullShare > len(t.shorts)*(fullShare-1) {
			t.grow()
			i, _ = t.find(short)
		}
		t.count++
	} else if t.at[i] == 0 {
		t.dropped--
	}
	t.shorts[i], t.at[i], t.size[i], t.used[i] = short, s.at, s.size, s.used
}

// drop removes an entry; its slot stays taken until the table grows.
func (t *table) drop(short uint64) {
	if i, taken := t.find(short); taken && t.at[i] != 0 {
		t.at[i] = 0
		t.dropped++
	}
}

func (t *table) grow() {
	old := *t
	t.alloc(len(old.shorts) + len(old.shorts)/2)
	for short, s := range old.all() {
		t.put(short, s)
	}
}

// all yields the entries in no order.
func (t *table) all() iter.Seq2[uint64, slot] {
	return func(yield func(uint64, slot) bool) {
		for i, size := range t.size {
			if size != 0 && t.at[i] != 0 && !yield(t.shorts[i], slot{t.at[i], size, t.used[i]}) {
				return
			}
		}
	}
}
