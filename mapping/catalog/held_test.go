package catalog_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port/porttest"
)

const heldRoute = "POST /v1/blueprints/{blueprint}/entities/search"

// wholly is a session that compares services as a whole, from so many on.
func (b *bench) wholly(from int) *catalog.Session {
	b.Helper()
	b.source.members = []string{"properties.name", "properties.size", "relations.parent"}
	b.catalog.CompareWhole(from)
	opt := resync()
	opt.Members = map[string][]string{"service": b.source.members}
	s := b.knows(b.catalog.Begin(opt))
	b.Cleanup(s.ReadHeld(b.Context()))
	return s
}

// asked says how often Port was asked for a whole blueprint, and for some entities.
func (b *bench) asked(whole, some int) {
	b.Helper()
	if w, s := len(b.port.Requests(heldRoute)), len(b.port.Requests(search)); w != whole || s != some {
		b.Errorf("a blueprint was asked for %d times and entities %d times, want %d and %d", w, s, whole, some)
	}
}

func services(n int) (refs []string) {
	for i := range n {
		refs = append(refs, fmt.Sprint("service/", i))
	}
	return refs
}

// A large blueprint is read once, and only what differs is asked for.
func TestWholeBlueprint(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		all := services(1200)
		b.holds(ours, `"properties":{"name":"a","size":1}`, all...)
		var layers []catalog.Layer
		for i, ref := range all {
			size := 1
			if i == 700 {
				size = 2
			}
			layers = append(layers, b.layer(ref, fmt.Sprintf(`"properties":{"size":%d,"name":"a"},"relations":{"parent":null}`, size)))
		}
		before := b.port.Writes()
		b.put(b.wholly(2), append(layers, b.layer("team/t", ""))...)
		b.counts("2 written, 1199 unchanged")
		b.has("service/700", `{"name":"a","size":2} {"parent":null}`)
		if n := b.port.Writes() - before; n != 2 {
			b.Errorf("%d writes, want 2", n)
		}
		b.asked(3, 1)
	})
}

// While a blueprint is read one batch waits for it, and not all that a writer could have
// under way.
func TestWholeBlueprintIsAwaited(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		all := services(500)
		b.holds(ours, `"properties":{"size":1}`, all...)
		read := make(chan struct{})
		b.port.Fault(porttest.Gate(heldRoute, read))
		w := b.wholly(2).Writer(false)
		put := 0
		var writing sync.WaitGroup
		writing.Go(func() {
			for _, ref := range all {
				w.Put(b.Context(), b.layer(ref, `"properties":{"size":1}`))
				put++
			}
			w.Flush(b.Context())
		})
		synctest.Wait()
		if put != 99 { // the next one fills a batch
			b.Errorf("%d entities were taken, want 99", put)
		}
		close(read)
		writing.Wait()
		b.counts("500 unchanged")
	})
}

// What a digest says of an entity holds until somebody writes it.
func TestWholeBlueprintIsOld(t *testing.T) {
	t.Parallel()
	const one, two = `"properties":{"name":"a","size":1}`, `"properties":{"size":2}`
	for name, f := range map[string]func(b *bench, s *catalog.Session, w *catalog.Writer){
		"a live event has written it": func(b *bench, _ *catalog.Session, w *catalog.Writer) {
			b.flush(b.catalog.Begin(live()), b.layer("service/1", two))
			w.Put(b.Context(), b.layer("service/1", one))
		},
		"this session has written it": func(b *bench, _ *catalog.Session, w *catalog.Writer) {
			w.Put(b.Context(), b.layer("service/1", two))
			w.Flush(b.Context())
			b.has("service/1", `{"name":"a","size":2}`)
			w.Put(b.Context(), b.layer("service/1", one))
		},
		"this session has found and written it": func(b *bench, _ *catalog.Session, w *catalog.Writer) {
			w.Put(b.Context(), b.named("only", 2))
			w.Flush(b.Context())
			b.has("service/2", `{"name":"only","size":2}`)
			w.Put(b.Context(), b.layer("service/2", `"properties":{"name":"only","size":1}`))
		},
		"this session has withdrawn a member": func(b *bench, s *catalog.Session, w *catalog.Writer) {
			if err := s.Withdraw(b.Context(), ref("service/1"), []string{"properties.size"}); err != nil {
				b.Error(err)
			}
			w.Put(b.Context(), b.layer("service/1", one))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(ours, `"properties":{"name":"a","size":1}`, services(2)...)
				b.holds(ours, `"properties":{"name":"only","size":1}`, "service/2")
				defer b.catalog.Watch(b.Context())()
				s := b.wholly(2)
				w := s.Writer(false)
				w.Put(b.Context(), b.layer("service/0", one))
				w.Flush(b.Context()) // the blueprint has been read
				b.asked(1, 0)
				f(b, s, w)
				w.Flush(b.Context())
				b.has("service/1", `{"name":"a","size":1}`)
				b.has("service/2", `{"name":"only","size":1}`)
			})
		})
	}
}

// An entity that is written while its blueprint is read may have been read before.
func TestWholeBlueprintIsRewritten(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.holds(ours, `"properties":{"name":"only","size":1}`, "service/first")
		b.holds(ours, `"properties":{"name":"a","size":1}`, services(1000)...)
		b.port.Fault(porttest.Slow(heldRoute, 10*time.Second).After(1)) // the second page
		w := b.wholly(2).Writer(false)
		synctest.Wait()
		w.Put(b.Context(), b.named("only", 2))
		w.Flush(b.Context())
		b.has("service/first", `{"name":"only","size":2}`)
		w.Put(b.Context(), b.layer("service/first", `"properties":{"name":"only","size":1}`))
		w.Flush(b.Context())
		b.has("service/first", `{"name":"only","size":1}`)
		b.asked(2, 1)
	})
}

// Without the whole blueprint entities are compared some at a time, with the same end.
func TestWholeBlueprintCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]porttest.Rule{
		"no such route": porttest.Status(heldRoute, 404), "forbidden": porttest.Status(heldRoute, 403), "malformed": porttest.Malformed(heldRoute),
		"without identifiers": porttest.Status(heldRoute, 200).Body(`{"ok":true,"entities":[{"properties":{"size":2}},5,null,{"identifier":7}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(ours, `"properties":{"size":1}`, services(3)...)
				b.port.Fault(fault)
				s := b.wholly(2)
				b.put(s, b.layer("service/0", `"properties":{"size":1}`), b.layer("service/1", `"properties":{"size":2}`), b.layer("service/2", `"properties":{"size":1}`))
				b.counts("1 written, 2 unchanged")
				b.has("service/1", `{"size":2}`)
				if said := strings.Contains(b.log.String(), "could not be read as a whole"); said != (name != "without identifiers") {
					t.Errorf("the log says so: %v", said)
				}
			})
		})
	}
}

// A small blueprint, one of which the mapping does not tell what it sets, and a live
// event are not worth it.
func TestNotTheWholeBlueprint(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.holds(ours, `"properties":{"size":1}`, services(3)...)
		s := b.wholly(4)
		b.put(s, b.layer("service/0", `"properties":{"size":1}`))
		b.asked(0, 1)
		b.catalog.CompareWhole(2)
		s = b.knows(b.catalog.Begin(resync()))
		s.ReadHeld(b.Context())()
		b.put(s, b.layer("service/0", `"properties":{"size":1}`))
		b.asked(0, 2)
		b.counts("2 unchanged")
	})
}
