package spool

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The index does what a map of lists does, whatever the order of calls.
func TestIndexAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		modelRun(t, rand.New(rand.NewPCG(seed, 1)), 3000)
	}
}

func modelRun(t *testing.T, r *rand.Rand, steps int) {
	t.Helper()
	x := newIndex()
	model := map[uint64][]uint64{} // ids by key
	busy := map[*slot]bool{}
	next, now := uint64(0), time.Unix(1700000000, 0)
	for range steps {
		switch r.IntN(4) {
		case 0, 1:
			next++
			key := uint64(r.IntN(20))
			x.add(key, node{id: next, at: uint32(now.Unix()), raw: 10, stored: 5}, key%3 == 0 && r.IntN(10) > 0)
			model[key] = append(model[key], next)
		case 2:
			l := &x.known
			if r.IntN(2) == 0 {
				l = &x.strangers
			}
			if s := x.pop(l); s != nil {
				busy[s] = true
			}
		case 3:
			for s := range busy {
				key := s.hash
				list := s.peek(1+r.IntN(5), 1000)
				if len(list) == 0 || list[0].id != model[key][0] {
					t.Fatalf("peek of %d = %v, want %v first", key, list, model[key])
				}
				var gone []uint64
				for _, n := range list {
					if r.IntN(3) > 0 {
						gone = append(gone, n.id)
					}
				}
				x.remove(s, gone)
				model[key] = slices.DeleteFunc(model[key], func(id uint64) bool { return slices.Contains(gone, id) })
				if len(model[key]) == 0 {
					delete(model, key)
				}
				due := time.Time{}
				if r.IntN(2) == 0 {
					due = now.Add(time.Duration(r.IntN(100)) * time.Second)
				}
				x.release(s, due)
				delete(busy, s)
				break
			}
		}
		now = now.Add(time.Second)
		x.promote(now)
		checkModel(t, x, model, len(busy))
	}
}

func checkModel(t *testing.T, x *index, model map[uint64][]uint64, busy int) {
	t.Helper()
	total := 0
	for key, ids := range model {
		total += len(ids)
		var got []uint64
		for _, n := range x.slots[key].peek(len(ids)+1, 1<<40) {
			got = append(got, n.id)
		}
		if !slices.Equal(got, ids) {
			t.Fatalf("key %d: %v, want %v", key, got, ids)
		}
	}
	strangers, ready := 0, 0
	for key, s := range x.slots {
		if s.stranger {
			strangers += len(model[key])
		}
	}
	for _, l := range []*lane{&x.known, &x.strangers} {
		for _, s := range l.ready {
			if x.lane(s) != l || s.state != 0 {
				t.Fatalf("slot %d is not where it belongs", s.hash)
			}
		}
		if l.bytes != int64(5*l.count) {
			t.Fatalf("%d bytes of %d deliveries", l.bytes, l.count)
		}
		ready += len(l.ready)
	}
	if x.count() != total || x.strangers.count != strangers || len(x.slots) != len(model) || x.known.busy+x.strangers.busy != busy ||
		ready+busy+len(x.delayed) != len(model) {
		t.Fatalf("count %d, strangers %d, slots %d, ready %d, delayed %d; want %d deliveries of %d keys, %d of strangers, %d busy",
			x.count(), x.strangers.count, len(x.slots), ready, len(x.delayed), total, len(model), strangers, busy)
	}
}

// Two keys of one hash are handled apart.
func TestHashCollision(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Held: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key, id string) {
		d := Delivery{Key: key, EventID: id, Received: time.Now()}
		b := newBatch()
		rec, _ := encode(nil, &d)
		p := s.putOf(&d, rec)
		p.hash = 7
		b.puts = []put{p}
		s.commit(t.Context(), &work{batch: b})
	}
	for _, k := range []string{"a", "b", "a", "b", "b"} {
		put(k, k)
	}
	s.Start()
	for _, want := range []struct {
		key string
		n   int
	}{{"a", 2}, {"b", 3}} {
		c, err := s.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.Key != want.key || len(c.Deliveries) != want.n {
			t.Errorf("got %d of %s, want %d of %s", len(c.Deliveries), c.Key, want.n, want.key)
		}
		s.Finish(c, nil)
	}
	if n := s.Stats().Depth; n != 0 {
		t.Errorf("depth %d", n)
	}
}

// A long queue costs some dozens of bytes per delivery.
func BenchmarkIndex(b *testing.B) {
	b.ReportAllocs()
	x := newIndex()
	for i := 0; b.Loop(); i++ {
		x.add(uint64(i), node{id: uint64(i)}, false)
	}
}
