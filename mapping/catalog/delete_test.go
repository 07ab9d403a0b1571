package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

func deletions(refs ...string) []catalog.Deletion {
	var out []catalog.Deletion
	for _, r := range refs {
		out = append(out, catalog.Deletion{Ref: ref(r), Proof: "a test"})
	}
	return out
}

func texts(refs []port.Ref) string {
	var out []string
	for _, r := range refs {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// A thing is an entity that Port holds.
type thing struct{ agent, ref, members string }

func TestDelete(t *testing.T) {
	t.Parallel()
	const (
		parentB = `"relations":{"parent":"b"}`
		parentC = `"relations":{"parent":"c"}`
	)
	ab := []thing{{ours, "service/b", ""}, {ours, "service/a", parentB}}
	notCreating := live()
	notCreating.CreateMissing = false
	noParent := live()
	noParent.Relations = map[string][]string{"service": {"team"}, "team": {"flagship"}}
	for name, tt := range map[string]struct {
		opt    catalog.Options
		held   []thing
		layers []string // parents that the session's layers of service/z name
		gone   string   // what is to go
		want   catalog.Deleted
	}{
		"ours": {live(), ab, nil, "service/a service/b", catalog.Deleted{Gone: refs("service/a service/b")}},
		"somebody else's, and nobody's": {
			live(),
			[]thing{{theirs, "service/b", ""}, {ours, "service/a", ""}},
			nil, "service/a service/b service/c",
			catalog.Deleted{Gone: refs("service/a")},
		},
		"referred to":                      {live(), ab, nil, "service/b", catalog.Deleted{Referred: refs("service/b")}},
		"referred to, but not made anew":   {notCreating, ab, nil, "service/b", catalog.Deleted{Gone: refs("service/b")}},
		"referred to by a foreign entity":  {live(), []thing{{ours, "service/b", ""}, {theirs, "service/a", parentB}}, nil, "service/b", catalog.Deleted{Gone: refs("service/b")}},
		"by a relation that nothing sets":  {noParent, ab, nil, "service/b", catalog.Deleted{Gone: refs("service/b")}},
		"referred to by what is made":      {live(), []thing{{ours, "service/b", ""}}, []string{"b"}, "service/b", catalog.Deleted{Referred: refs("service/b")}},
		"something else is referred to":    {live(), []thing{{ours, "service/b", ""}}, []string{"y"}, "service/b", catalog.Deleted{Gone: refs("service/b")}},
		"made, but Port makes none anew":   {notCreating, []thing{{ours, "service/b", ""}, {ours, "service/y", ""}}, []string{"b"}, "service/b", catalog.Deleted{Gone: refs("service/b")}},
		"a cycle":                          {live(), []thing{{ours, "service/b", ""}, {ours, "service/a", parentB}, {ours, "service/b", `"relations":{"parent":"a"}`}}, nil, "service/a service/b", catalog.Deleted{Gone: refs("service/a service/b")}},
		"a chain, of which the end stays":  {live(), append(ab, thing{ours, "service/b", parentC}, thing{ours, "service/z", `"relations":{"parent":"a"}`}), nil, "service/a service/b service/c", catalog.Deleted{Referred: refs("service/a service/b service/c")}},
		"a chain that goes":                {live(), append(ab, thing{ours, "service/b", parentC}), nil, "service/a service/b service/c", catalog.Deleted{Gone: refs("service/a service/b service/c")}},
		"what stays keeps other kinds too": {live(), []thing{{ours, "team/t", ""}, {ours, "service/a", `"relations":{"team":"t"}`}, {ours, "service/z", `"relations":{"parent":"a"}`}}, nil, "service/a team/t", catalog.Deleted{Referred: refs("service/a team/t")}},
		"dependents go first":              {live(), []thing{{ours, "service/a", ""}, {ours, "deploy/d", `"relations":{"of":"a"}`}}, nil, "service/a deploy/d", catalog.Deleted{Gone: refs("deploy/d service/a")}},
		"many of a relation":               {live(), []thing{{ours, "service/a", ""}, {ours, "service/b", ""}, {ours, "service/z", `"relations":{"friends":["a","b"]}`}}, nil, "service/a service/b", catalog.Deleted{Referred: refs("service/a service/b")}},
	} {
		for _, knows := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", LoadOwned before"}[knows], func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(b *bench) {
					for _, h := range tt.held {
						b.holds(h.agent, h.members, h.ref)
					}
					s := b.catalog.Begin(tt.opt)
					if knows {
						b.knows(s)
					}
					for _, parent := range tt.layers {
						b.put(s, b.layer("service/z", `"relations":{"parent":"`+parent+`"}`))
					}
					done, err := s.Delete(b.Context(), deletions(strings.Fields(tt.gone)...))
					if err != nil || len(done.Failed)+len(done.Refusals) > 0 {
						t.Errorf("error %v, failed %s, refusals %v", err, texts(done.Failed), done.Refusals)
					}
					if got, want := texts(done.Gone), texts(tt.want.Gone); got != want {
						t.Errorf("gone %s, want %s", got, want)
					}
					if got, want := texts(done.Referred), texts(tt.want.Referred); got != want {
						t.Errorf("referred to %s, want %s", got, want)
					}
					for _, r := range tt.want.Gone {
						b.has(r.String(), "")
						if line := fmt.Sprintf("action=deleted blueprint=%s identifier=%s cause=2 event_type=git.push proof=\"a test\"", r.Blueprint, r.Identifier); !strings.Contains(b.log.String(), line) {
							t.Errorf("the log lacks %s", line)
						}
					}
				})
			})
		}
	}
}

func refs(list string) []port.Ref {
	var out []port.Ref
	for r := range strings.FieldsSeq(list) {
		out = append(out, ref(r))
	}
	return out
}

// Port refuses to delete what others need: for ever, and that fails nothing else.
func TestDeletionsThatPortRefuses(t *testing.T) {
	t.Parallel()
	for _, dependents := range []bool{false, true} {
		inBubble(t, func(b *bench) {
			b.holds(ours, "", "service/a", "service/b", "team/t")
			b.holds(theirs, `"relations":{"of":"a"}`, "deploy/d")
			opt := live()
			opt.DeleteDependents = dependents
			done, err := b.catalog.Begin(opt).Delete(b.Context(), deletions("service/a", "service/b", "team/t"))
			gone, failed, refusals, left := "service/b team/t", "service/a", 1, "d"
			if dependents {
				gone, failed, refusals, left = "service/a service/b team/t", "", 0, ""
			}
			if err != nil || texts(done.Gone) != gone || texts(done.Failed) != failed || len(done.Refusals) != refusals || b.left("deploy") != left {
				t.Errorf("dependents %v: %v, gone %s, failed %s, %v, deploys %s", dependents, err, texts(done.Gone), texts(done.Failed), done.Refusals, b.left("deploy"))
			}
			for _, err := range done.Refusals {
				if !strings.Contains(err.Error(), "has_dependents") {
					t.Error(err)
				}
			}
		})
	}
}

func TestDeletionsThatFail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault    porttest.Rule
		gone     string
		refusals int
		again    bool // worth another try
	}{
		"Port is down":                  {porttest.Status(bulkDelete, 502), "", 0, true},
		"Port is down for services":     {porttest.Status(bulkDelete, 502).Times(8), "team/t", 0, true},
		"nobody says what is ours":      {porttest.Status(search, 502), "", 0, true},
		"nobody says what refers":       {porttest.Status(search, 502).After(1).Times(8), "team/t", 0, true},
		"what is ours is not for us":    {porttest.Status(search, 403).Times(1), "team/t", 1, false},
		"a blueprint cannot be read":    {porttest.Status(blueprint, 400), "", 3, false},
		"the answer of a deletion lost": {porttest.LostAnswer(bulkDelete).Times(1), "team/t", 0, false},
		"credentials":                   {porttest.Status(bulkDelete, 401), "", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(ours, "", "service/a", "service/b", "team/t")
				b.port.Fault(tt.fault)
				opt := live()
				opt.Relations = map[string][]string{"service": {"parent", "team"}}
				done, err := b.catalog.Begin(opt).Delete(b.Context(), deletions("service/a", "service/b", "team/t"))
				if texts(done.Gone) != tt.gone || (err != nil) != tt.again || len(done.Refusals) != min(tt.refusals, 2) {
					t.Errorf("gone %s, refusals %v, %v", texts(done.Gone), done.Refusals, err)
				}
				for _, r := range refs("service/a service/b team/t") {
					_, there := b.port.Entity(r.Blueprint, r.Identifier)
					if there != slices.Contains(done.Failed, r) {
						t.Errorf("%s is there: %v; failed %s", r, there, texts(done.Failed))
					}
				}
			})
		})
	}
}

// What this session's layers refer to stays, and where that cannot be told
// everything does.
func TestTargetsOfLayers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault porttest.Rule
		gone  string
		again bool
	}{
		"a blueprint that Port does not know": {porttest.Status(blueprint, 404), "service/b", false},
		"a blueprint that nobody can read":    {porttest.Status(blueprint, 502), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(ours, "", "service/b")
				s := b.catalog.Begin(live())
				l := b.layer("nowhere/x", `"relations":{"parent":"b"}`)
				s.Refer(&l)
				b.port.Fault(tt.fault)
				done, err := s.Delete(b.Context(), deletions("service/b"))
				if texts(done.Gone) != tt.gone || (err != nil) != tt.again {
					t.Errorf("gone %s, %v", texts(done.Gone), err)
				}
			})
		})
	}
}

// What live events write while a resync runs is not stale for it.
func TestStale(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.holds(ours, "", "service/gone", "service/made", "service/live", "service/later", "service/referred")
		b.holds(theirs, "", "service/foreign")
		stop := b.catalog.Watch(b.Context())
		s := b.knows(b.catalog.Begin(resync()))
		w := s.Writer(false)
		w.Put(b.Context(), b.layer("service/made", ""))
		w.Flush(b.Context())
		stale := func() string {
			b.Helper()
			list, err := s.Stale(b.Context(), time.Now().Add(time.Hour), w.Made)
			if err != nil {
				t.Fatal(err)
			}
			return texts(list)
		}
		if got := stale(); got != "service/gone service/later service/live service/referred" {
			t.Errorf("stale %s", got)
		}
		other := b.catalog.Begin(live())
		b.port.Fault(porttest.Hang(bulk).Times(1))
		other.Writer(false).Put(b.Context(), b.layer("service/live", "")) // not sent yet
		if got := stale(); got != "service/gone service/later service/referred" {
			t.Errorf("stale beside a live event %s", got)
		}
		other.Writer(false).Put(b.Context(), b.layer("service/later", ""))
		done, err := s.Delete(b.Context(), deletions("service/gone", "service/later"))
		if err != nil || texts(done.Gone) != "service/gone" {
			t.Errorf("gone %s, %v: a live event has written later", texts(done.Gone), err)
		}
		stop()
		if got := stale(); got != "service/later service/live service/referred" {
			t.Errorf("stale after the resync %s", got)
		}
		b.port.Fault(porttest.Status(owned, 400))
		if list, err := s.Stale(b.Context(), time.Now().Add(time.Hour), w.Made); err == nil || len(list) > 0 {
			t.Errorf("stale %s of a list that cannot be read: %v", texts(list), err)
		}
	})
}

// What a search finds for a live event is not stale either.
func TestTouchedBySearch(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.holds(ours, `"properties":{"name":"x"}`, "service/x")
		defer b.catalog.Watch(b.Context())()
		s := b.knows(b.catalog.Begin(resync()))
		b.put(b.catalog.Begin(live()), b.named("x", 1))
		s2 := b.catalog.Begin(resync())
		time.Sleep(time.Second)
		b.knows(s2)
		done, err := s.Delete(b.Context(), deletions("service/x"))
		if list, err2 := s2.Stale(b.Context(), time.Now().Add(time.Hour), func(catalog.Key) bool { return false }); err2 != nil || len(list)+len(done.Gone) > 0 {
			t.Errorf("stale %s, gone %s, %v, %v", texts(list), texts(done.Gone), err, err2)
		}
	})
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	const held = `"title":"T","properties":{"name":"x","size":1},"relations":{"parent":"p","team":"t"}`
	members := []string{"title", "properties.size", "relations.team"}
	const all = `{"name":"x","size":1} {"parent":"p","team":"t"}`
	for name, tt := range map[string]struct {
		agent string
		fault *porttest.Rule
		want  string
		fails bool
	}{
		"ours":              {ours, nil, `{"name":"x"} {"parent":"p"}`, false},
		"somebody else's":   {theirs, nil, all, false},
		"gone by now":       {ours, new(porttest.Status("GET /v1/blueprints/{blueprint}/entities/{entity}", 404)), all, false},
		"cannot be read":    {ours, new(porttest.Status("GET /v1/blueprints/{blueprint}/entities/{entity}", 400)), all, true},
		"not said whose":    {ours, new(porttest.Status(search, 400)), all, true},
		"refused":           {ours, new(porttest.Status(bulk, 422)), all, true},
		"answered in words": {ours, new(porttest.Status("GET /v1/blueprints/{blueprint}/entities/{entity}", 200).Body(`{"entity":{"identifier":"a","properties":"none"}}`)), all, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(tt.agent, held, "service/a")
				if tt.fault != nil {
					b.port.Fault(*tt.fault)
				}
				err := b.catalog.Begin(live()).Withdraw(b.Context(), ref("service/a"), members)
				if (err != nil) != tt.fails {
					t.Errorf("Withdraw = %v", err)
				}
				b.has("service/a", tt.want)
				if e, _ := b.port.Entity("service", "a"); (e.Title == "") != (name == "ours") {
					t.Errorf("title %q", e.Title)
				}
			})
		})
	}
}
