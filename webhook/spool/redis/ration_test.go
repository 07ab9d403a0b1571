package redis

import "testing"

func TestRation(t *testing.T) {
	t.Parallel()
	r := newRation(partitions)
	list := make([]*part, partitions)
	for n := range list {
		list[n] = &part{n: n}
	}
	want := func(what string, parts int, each int64, waits bool) {
		t.Helper()
		next, got, wait := r.share(list)
		if len(next) != parts || got != each || (wait > 0) != waits {
			t.Errorf("%s: %d of %d partitions, %v, want %d of %d", what, got, len(next), wait, each, parts)
		}
	}
	want("at first", partitions, 1, true)
	r.saw(0)
	want("nothing waits", partitions, 1, true)
	for range 20 {
		r.saw(readBytes / 2)
	}
	want("small ones", partitions, readCount, true)
	r.saw(readBytes)
	want("enough", partitions, readCount, true)
	for range 10 {
		r.saw(readBytes + 1)
	}
	want("large ones", 12, 1, false)
	asked := map[int]bool{}
	for range partitions/12 + 1 {
		next, _, _ := r.share(list)
		for _, p := range next {
			asked[p.n] = true
		}
	}
	if len(asked) != partitions {
		t.Errorf("%d partitions have had their turn", len(asked))
	}
	for range 20 {
		r.saw(readBytes + 1)
	}
	want("huge ones", 1, 1, false)
	r.saw(0)
	r.saw(0)
	list = list[:3]
	want("few partitions", 3, 1, true)
}
