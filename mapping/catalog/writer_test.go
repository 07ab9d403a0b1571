package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestLayersOfOneEntity(t *testing.T) {
	t.Parallel()
	replace := resync()
	replace.Merge = false
	const held = `"properties":{"name":"old","size":1}`
	for name, tt := range map[string]struct {
		opt    catalog.Options
		held   string // by Port, before
		layers []string
		want   string
		counts string
		writes int
	}{
		"merged":                    {resync(), "", []string{`"properties":{"name":"a","size":1}`, `"properties":{"size":2}`}, `{"name":"a","size":2}`, "1 written, 1 merged", 1},
		"the last one wins":         {replace, "", []string{`"properties":{"name":"a","size":1}`, `"properties":{"size":2}`}, `{"size":2}`, "1 written, 1 merged", 1},
		"differs":                   {resync(), held, []string{`"properties":{"size":2}`}, `{"name":"old","size":2}`, "1 written", 1},
		"the same":                  {resync(), held, []string{`"properties":{"size":1}`}, `{"name":"old","size":1}`, "1 unchanged", 0},
		"changed and changed back":  {resync(), held, []string{`"properties":{"size":2}`, `"properties":{"size":1}`}, `{"name":"old","size":1}`, "1 unchanged, 1 merged", 0},
		"the last one is the same":  {replace, held, []string{`"properties":{"size":2}`, `"properties":{"name":"old","size":1}`}, `{"name":"old","size":1}`, "1 unchanged, 1 merged", 0},
		"together they differ":      {resync(), held, []string{`"properties":{"name":"old"}`, `"properties":{"size":3}`}, `{"name":"old","size":3}`, "1 written, 1 merged", 1},
		"the first one is refused":  {resync(), "", []string{`"properties":{"bad":1}`, `"properties":{"size":3}`}, `{"size":3}`, "1 written, 1 refused", 1},
		"a value that is not known": {resync(), held, []string{`"properties":{"tier":"tin"}`, `"properties":{"size":3}`}, `{"name":"old","size":3}`, "1 written, 1 refused", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.source.members = []string{"properties.name", "properties.size"}
				if tt.held != "" {
					b.holds(ours, tt.held, "service/a")
				}
				before := b.port.Writes()
				var layers []catalog.Layer
				for _, l := range tt.layers {
					layers = append(layers, b.layer("service/a", l))
				}
				b.put(b.knows(b.catalog.Begin(tt.opt)), layers...)
				b.has("service/a", tt.want)
				b.counts(tt.counts)
				if n := b.port.Writes() - before; n != tt.writes {
					t.Errorf("%d writes, want %d", n, tt.writes)
				}
			})
		})
	}
}

// What was compared and waits is laid over as well, and compared as a whole.
func TestLayersAfterTheComparison(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.source.members = []string{"properties.size"}
		var refs []string
		for i := range 100 {
			refs = append(refs, fmt.Sprint("service/", i))
		}
		b.holds(ours, `"properties":{"size":1}`, refs...)
		before := b.port.Writes()
		w := b.knows(b.catalog.Begin(resync())).Writer(false)
		for _, size := range []int{2, 1} {
			for _, ref := range refs {
				w.Put(b.Context(), b.layer(ref, fmt.Sprintf(`"properties":{"size":%d}`, size)))
			}
			synctest.Wait() // the comparison of a full batch has ended
		}
		w.Flush(b.Context())
		b.counts("100 unchanged, 100 merged")
		if n := b.port.Writes() - before; n != 0 {
			t.Errorf("%d entities were written and written back", n)
		}
	})
}

func TestCompareFrom(t *testing.T) {
	t.Parallel()
	for n, tt := range map[int]struct {
		from   int
		counts string
	}{2: {3, "2 written"}, 3: {3, "3 unchanged"}, 4: {0, "4 written"}} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				opt := live()
				opt.CompareFrom = tt.from
				var layers []catalog.Layer
				for i := range n {
					ref := fmt.Sprint("service/", i)
					b.holds(ours, `"properties":{"size":1}`, ref)
					layers = append(layers, b.layer(ref, `"properties":{"size":1}`))
				}
				b.source.members = []string{"properties.size"}
				b.put(b.catalog.Begin(opt), layers...)
				b.counts(tt.counts)
			})
		})
	}
}

func TestNothingIsComparedWhere(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(b *bench, s *catalog.Session){
		"the names are too long for an address": func(b *bench, s *catalog.Session) {
			for i := range 100 {
				b.source.members = append(b.source.members, fmt.Sprint("properties.", i, strings.Repeat("n", 60)))
			}
			b.knows(s)
		},
		"Port does not answer": func(b *bench, s *catalog.Session) {
			b.knows(s)
			b.port.Fault(porttest.Status(search, 400))
		},
		"Port does not say what is ours": func(b *bench, s *catalog.Session) {
			b.port.Fault(porttest.Status(owned, 400).Times(1))
			if err := s.LoadOwned(b.Context(), time.Now()); err == nil || s.OwnedCount() != 0 {
				b.Errorf("LoadOwned = %v with %d entities, want an error and none", err, s.OwnedCount())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.source.members = []string{"properties.size"}
				b.holds(ours, `"properties":{"size":1}`, "service/a")
				s := b.catalog.Begin(resync())
				prepare(b, s)
				b.put(s, b.layer("service/a", `"properties":{"size":1}`))
				b.counts("1 written")
			})
		})
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.holds(ours, `"properties":{"name":"x"}`, "service/a", "service/x")
		opt := resync()
		opt.ReadOnly = true
		s := b.knows(b.catalog.Begin(opt))
		w := s.Writer(false)
		related := b.layer("service/b", "")
		related.Search = true // because of a relation
		for _, l := range []catalog.Layer{b.layer("service/a", `"properties":{"size":5}`), related, b.named("x", 1)} {
			w.Put(b.Context(), l)
		}
		w.Flush(b.Context())
		b.counts("3 kept")
		b.has("service/a", `{"name":"x"}`)
		if !w.Made(catalog.EntityKey(ref("service/b"))) || w.MadeOf() != 1 || !s.Owned(catalog.EntityKey(ref("service/x"))) {
			t.Errorf("b made %v, %d of ours made", w.Made(catalog.EntityKey(ref("service/b"))), w.MadeOf())
		}
		if got := strings.Join(s.Unsure(), " "); got != "service" {
			t.Errorf("unsure %q: a search may have meant any service", got)
		}
	})
}

// A layer that comes while the earlier one is on its way is sent after it.
func TestOrderOfEpochs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.port.Fault(porttest.Slow(bulk, 10*time.Second).When(func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte(`"size":0}`)) }))
		s := b.catalog.Begin(resync())
		w := s.Writer(false)
		for i := range 40 { // full batches leave
			w.Put(b.Context(), b.layer(fmt.Sprint("service/", i%20), fmt.Sprintf(`"properties":{"size":%d}`, i)))
		}
		w.Flush(b.Context())
		b.has("service/0", `{"size":20}`)
		b.counts("40 written")
	})
}

// However many writers there are, what is on its way to Port takes a bounded memory.
func TestBatchesUnderWay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		answered := make(chan struct{})
		var under atomic.Int64 // bytes
		b.port.Fault(porttest.Gate(bulk, answered).When(func(_ *http.Request, body []byte) bool {
			under.Add(int64(len(body)))
			return true
		}))
		s := b.catalog.Begin(resync())
		var writers sync.WaitGroup
		for i := range 6 {
			writers.Go(func() {
				w := s.Writer(false)
				for j := range 4 {
					w.Put(b.Context(), b.layer(fmt.Sprintf("service/%d-%d", i, j), `"properties":{"name":"`+strings.Repeat("n", 900<<10)+`"}`))
				}
				w.Flush(b.Context())
			})
		}
		synctest.Wait()
		if n := under.Load() >> 20; n < 3 || n > 4 {
			b.Errorf("%d MiB are under way, want nearly 4", n)
		}
		close(answered)
		writers.Wait()
		b.counts("24 written")
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		n, bytes int
		want     string // entities of each request
	}{
		"by count": {45, 1, "20 20 5"},
		"by bytes": {5, 400 << 10, "2 2 1"},
		"alone":    {2, 900 << 10, "1 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				s := b.catalog.Begin(resync())
				w := s.Writer(true)
				for i := range tt.n {
					w.Put(b.Context(), b.layer(fmt.Sprint("service/", i), fmt.Sprintf(`"properties":{"name":%q}`, strings.Repeat("x", tt.bytes))))
				}
				w.Flush(b.Context())
				var got []string
				for _, r := range b.port.Requests(bulk) {
					got = append(got, gjson.GetBytes(r.Body, "entities.#").Raw)
				}
				if g := strings.Join(got, " "); g != tt.want {
					t.Errorf("requests of %s entities, want %s", g, tt.want)
				}
			})
		})
	}
}

// Changed entities are held back for merging as long as they fit into memory.
func TestPendingOverflows(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		var refs []string
		for i := range 100 {
			refs = append(refs, fmt.Sprint("service/", i))
		}
		b.holds(ours, "", append(refs, "service/more")...)
		w := b.knows(b.catalog.Begin(resync())).Writer(false)
		before := b.port.Writes()
		large := fmt.Sprintf(`"properties":{"name":%q}`, strings.Repeat("x", 100<<10))
		for i, ref := range refs {
			w.Put(b.Context(), b.layer(ref, large))
			if i == 79 {
				synctest.Wait()
				if n := b.port.Writes() - before; n != 0 {
					t.Errorf("%d entities were written at once, want them held back", n)
				}
			}
		}
		synctest.Wait()
		w.Put(b.Context(), b.layer("service/more", large))
		synctest.Wait()
		if n := b.port.Writes() - before; n == 0 || n > 30 {
			t.Errorf("%d entities were written to make room, want the oldest few", n)
		}
		w.Flush(b.Context())
		b.counts("101 written")
	})
}

func TestPartialLayersReplaceNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		agent string // of the entity before; empty: there is none
		knows bool
		fault int
		first bool // a whole layer comes first
		want  string
		count string
	}{
		"new":                      {"", true, 0, false, `{"size":9}`, "1 written"},
		"ours":                     {ours, true, 0, false, `{"size":1}`, "1 kept"},
		"ours, not asked for":      {ours, false, 0, false, `{"size":1}`, "1 kept"},
		"somebody else's":          {theirs, true, 0, false, `{"size":1}`, "1 kept"},
		"nobody can tell":          {theirs, true, 400, false, `{"size":1}`, "1 kept"},
		"after one that was whole": {"", true, 0, true, `{"size":2}`, "1 written, 1 kept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				if tt.agent != "" {
					b.holds(tt.agent, `"properties":{"size":1}`, "service/a")
				}
				s := b.catalog.Begin(resync())
				if tt.knows {
					b.knows(s)
				}
				if tt.fault != 0 {
					b.port.Fault(porttest.Status(search, tt.fault))
				}
				var layers []catalog.Layer
				if tt.first {
					layers = append(layers, b.layer("service/a", `"properties":{"size":2}`))
				}
				partial := b.layer("service/a", `"properties":{"size":9}`)
				partial.Partial = true
				b.put(s, append(layers, partial)...)
				b.has("service/a", tt.want)
				b.counts(tt.count)
			})
		})
	}
}

func TestPartialSearchReplacesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.holds(ours, `"properties":{"name":"x"}`, "service/x")
		l := b.named("x", 9)
		l.Partial = true
		s := b.catalog.Begin(resync())
		b.put(s, l)
		b.has("service/x", `{"name":"x"}`)
		b.counts("1 kept")
		if len(s.Unsure()) != 1 {
			t.Errorf("unsure %q, want service: it is not known which one it would have been", s.Unsure())
		}
	})
}

func TestSearchedEntities(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		wanted, counts, unsure string
	}{
		"found":     {"x", "1 written", ""},
		"unmatched": {"nobody", "1 kept", ""},
		"refused":   {"bad", "1 refused", "service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(ours, `"properties":{"name":"x"}`, "service/x")
				s := b.knows(b.catalog.Begin(resync()))
				w := s.Writer(true)
				if tt.wanted == "bad" {
					b.port.Fault(porttest.Status(bulk, 422))
				}
				w.Put(b.Context(), b.named(tt.wanted, 7))
				w.Flush(b.Context())
				b.counts(tt.counts)
				if got := w.Made(catalog.EntityKey(ref("service/x"))); got != (tt.wanted == "x") {
					t.Errorf("x was made: %v", got)
				}
				if got := strings.Join(s.Unsure(), " "); got != tt.unsure {
					t.Errorf("unsure %q, want %q", got, tt.unsure)
				}
			})
		})
	}
}

func TestValuesThatTheBlueprintDoesNotListAreNotSent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		opt := resync()
		opt.CreateMissing = false // refused entities are tried again
		s := b.catalog.Begin(opt)
		b.put(s, b.layer("service/a", `"properties":{"tier":"tin"}`), b.layer("service/b", `"properties":{"tier":"gold"}`),
			b.layer("service/c", `"properties":{"tier":null}`), b.layer("service/d", `"properties":{"tier":"tin"}`))
		b.counts("2 written, 2 refused")
		if got, want := refusals(s), `service 2× property "tier" is "tin", which the blueprint does not list among its values (a)`; got != want {
			t.Errorf("refusals\n%s\nwant\n%s", got, want)
		}
		if n := len(b.port.Requests(bulk)); n != 1 {
			t.Errorf("%d requests, want one without what is refused", n)
		}
		if s.Err() != nil {
			t.Errorf("%v is worth another try", s.Err())
		}
	})
}

func TestRefusalsAreGroupedByReason(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.source.members = []string{"properties.x", "properties.y"}
		s := b.catalog.Begin(resync())
		b.put(s, b.layer("service/a", `"properties":{"x":1}`), b.layer("service/b", `"properties":{"x":1}`), b.layer("service/c", `"properties":{"y":1}`), b.layer("nowhere/d", ""))
		got := refusals(s)
		for _, want := range []string{`nowhere 1× 404 not_found:`, `service 2× 422`, `service 1× 422`, `(a)`, `(c)`} {
			if !strings.Contains(got, want) {
				t.Errorf("refusals\n%s\nlack %s", got, want)
			}
		}
		if len(s.Refusals()) != 3 || s.Err() != nil {
			t.Errorf("%d reasons, another try for %v; want 3 and none", len(s.Refusals()), s.Err())
		}
	})
}

// Entities whose related ones come later are tried again as long as that helps.
func TestRefusedEntitiesAreTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		opt := resync()
		opt.CreateMissing = false
		s := b.catalog.Begin(opt)
		b.put(s,
			b.layer("service/a", `"relations":{"parent":"b","team":"t"}`), b.layer("service/b", `"relations":{"parent":"c"}`), b.layer("service/c", ""),
			b.layer("service/d", `"relations":{"parent":"nobody"}`), b.layer("team/t", `"relations":{"flagship":"a2"}`), b.layer("service/a2", ""))
		if got := b.left("service"); got != "a a2 b c" {
			t.Errorf("services %s", got)
		}
		b.has("service/a", `{} {"parent":"b","team":"t"}`)
		b.counts("5 written, 1 refused")
		if got := refusals(s); !strings.HasPrefix(got, "service 1× 404 not_found") || !strings.HasSuffix(got, "(d)") {
			t.Errorf("refusals %s", got)
		}
	})
}

// A partial layer that had to wait does not replace what came meanwhile.
func TestRefusedPartialLayer(t *testing.T) {
	t.Parallel()
	for meanwhile, want := range map[string]string{"": `{"size":9} {"team":"t"}`, `"properties":{"size":1}`: `{"size":1}`} {
		inBubble(t, func(b *bench) {
			opt := resync()
			opt.CreateMissing = false
			s := b.catalog.Begin(opt)
			partial := b.layer("service/a", `"properties":{"size":9},"relations":{"team":"t"}`)
			partial.Partial = true
			b.flush(s, partial)
			b.counts("1 refused")
			if meanwhile != "" {
				b.flush(s, b.layer("service/a", meanwhile))
			}
			b.put(s, b.layer("team/t", ""))
			b.has("service/a", want)
		})
	}
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]porttest.Rule{
		"answer 500":       porttest.LostAnswer(bulk).Times(1),
		"connection reset": porttest.LostConnection(bulk).Times(1),
		"truncated":        porttest.Truncate(bulk).Times(1),
		"503":              porttest.Status(bulk, 503).Times(2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.port.Fault(fault)
				s := b.catalog.Begin(live())
				b.put(s, b.layer("service/a", `"properties":{"size":1}`), b.layer("service/b", ""))
				b.has("service/a", `{"size":1}`)
				b.counts("2 written")
				if s.Err() != nil {
					t.Error(s.Err())
				}
			})
		})
	}
}

func TestPortGoesDown(t *testing.T) {
	t.Parallel()
	for _, missing := range []bool{true, false} {
		inBubble(t, func(b *bench) {
			b.port.Fault(porttest.Status(bulk, 502).After(1))
			opt := live()
			opt.CreateMissing = missing
			s := b.catalog.Begin(opt)
			var layers []catalog.Layer
			for i := range 25 {
				layers = append(layers, b.layer(fmt.Sprint("service/", i), ""))
			}
			w := s.Writer(true)
			for _, l := range layers {
				w.Put(b.Context(), l)
			}
			w.Flush(b.Context())
			s.RetryRefused(b.Context())
			b.counts("20 written, 5 refused")
			if s.Err() == nil || s.Lost() != nil || len(s.Refusals()) != 1 || s.Refusals()[0].Entities != 5 {
				t.Errorf("Err %v, Lost %v, refusals\n%s", s.Err(), s.Lost(), refusals(s))
			}
		})
	}
}

func TestEndedContext(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		s := b.catalog.Begin(live())
		ctx, cancel := context.WithCancel(b.Context())
		b.port.Fault(porttest.Hang(bulk))
		w := s.Writer(false)
		w.Put(ctx, b.layer("service/a", ""))
		time.AfterFunc(time.Second, cancel)
		w.Flush(ctx)
		s.RetryRefused(ctx)
		b.counts("1 refused")
		if s.Err() == nil {
			t.Error("nothing says that the entity was not written")
		}
		if list := s.Refusals(); len(list) != 1 || !strings.Contains(list[0].Reason, "context canceled") {
			t.Errorf("refusals\n%s\nwant one that says why", refusals(s))
		}
	})
}

// Entities that nobody can hold on disk wait in memory, and it is said.
func TestNoRoomForWaitingEntities(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		c := catalog.New(catalog.Config{Port: b.client, TempDirectory: "/nowhere/at/all"})
		opt := resync()
		opt.CreateMissing = false
		s := c.Begin(opt)
		large := fmt.Sprintf(`"properties":{"name":%q},"relations":{"team":"t"}`, strings.Repeat("x", 300<<10))
		b.flush(s, b.layer("service/a", large), b.layer("service/b", large), b.layer("service/c", large))
		b.put(s, b.layer("team/t", ""))
		b.counts("4 written")
		if s.Lost() == nil {
			t.Error("nothing says that the directory cannot be used")
		}
	})
}
