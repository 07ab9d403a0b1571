package catalog_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// shown is a plan as text, a line for each entity.
func shown(p *catalog.Plan) string {
	lines, unchanged := p.Lines()
	var out []string
	for _, n := range lines {
		line := fmt.Sprintf("%s %s/%s", n.Intent, n.Blueprint, n.Identifier)
		for _, d := range slices.SortedFunc(slices.Values(n.Changes), func(a, b mapping.Difference) int { return cmp.Compare(a.Path, b.Path) }) {
			line += fmt.Sprintf(" %s:%s>%s", d.Path, d.From, d.To)
		}
		if n.Reason != "" {
			line += " (" + n.Reason + ")"
		}
		out = append(out, line)
	}
	if unchanged > 0 {
		out = append(out, fmt.Sprintf("%d unchanged", unchanged))
	}
	return strings.Join(out, "; ")
}

// contents is what Port holds, by entity.
func (b *bench) contents() map[string]string {
	out := map[string]string{}
	for _, e := range b.port.Entities("") {
		out[e.Blueprint+"/"+e.Identifier] = string(e.Properties) + string(e.Relations)
	}
	return out
}

// The words of a plan are what happens to the entities when it is carried out.
func TestPlan(t *testing.T) {
	t.Parallel()
	replace := resync()
	replace.Merge = false
	named := func(name string, size int) func(*bench) catalog.Layer {
		return func(b *bench) catalog.Layer { return b.named(name, size) }
	}
	layer := func(ref, members string) func(*bench) catalog.Layer {
		return func(b *bench) catalog.Layer { return b.layer(ref, members) }
	}
	partial := func(ref, members string) func(*bench) catalog.Layer {
		return func(b *bench) catalog.Layer { l := b.layer(ref, members); l.Partial = true; return l }
	}
	related := func(ref, relation, name string) func(*bench) catalog.Layer {
		return func(b *bench) catalog.Layer { return b.related(ref, relation, name) }
	}
	const held = `"properties":{"name":"old","size":1}`
	for name, tt := range map[string]struct {
		opt    catalog.Options
		held   []thing
		layers []func(*bench) catalog.Layer
		gone   string
		detail bool
		want   string
	}{
		"nothing": {resync(), nil, nil, "", false, ""},
		"created, changed, unchanged": {
			resync(),
			[]thing{{ours, "service/a", held}, {ours, "service/b", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":2}`), layer("service/b", held), layer("service/c", held)},
			"", false, "change service/a properties.size:1>2; create service/c; 1 unchanged",
		},
		"in detail": {
			resync(),
			[]thing{{ours, "service/b", held}},
			[]func(*bench) catalog.Layer{layer("service/b", held), layer("service/c", held)},
			"", true, "unchanged service/b; create service/c; 1 unchanged",
		},
		"somebody else's is changed too": {
			resync(),
			[]thing{{theirs, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":2}`)},
			"", false, "change service/a properties.size:1>2",
		},
		"replaced": {
			replace,
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":2}`)},
			"", false, `change service/a properties.name:"old">null properties.size:1>2`,
		},
		"replaced, with nothing that differs": {
			replace,
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":1}`)},
			"", false, "1 unchanged",
		},
		"two layers": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":2}`), layer("service/a", `"properties":{"name":"new"}`)},
			"", false, `change service/a properties.name:"old">"new" properties.size:1>2`,
		},
		"there and back": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":2}`), layer("service/a", `"properties":{"size":1}`)},
			"", false, "1 unchanged",
		},
		"not whole": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{partial("service/a", `"properties":{"size":2}`), partial("service/b", `"properties":{"size":2}`)},
			"", false, "keep service/a (not all of its record could be read); create service/b",
		},
		"refused": {
			resync(),
			[]thing{{ours, "service/a", held}, {ours, "service/e", held}, {ours, "deploy/d", `"relations":{"of":"a"}`}},
			[]func(*bench) catalog.Layer{
				layer("service/a", `"properties":{"size":"large"}`), layer("service/b", `"properties":{"size":"large"}`), layer("service/e", `"relations":{"parent":["a"]}`),
				layer("deploy/d", `"properties":{"none":1}`), layer("deploy/x", ""), layer("nowhere/n", ""),
			},
			"", true,
			`refuse deploy/d (the blueprint has no property "none"); refuse deploy/x (relation "of" is required and leads nowhere); refuse nowhere/n (Port has no such blueprint); ` +
				`refuse service/a (property "size" is "large", which is no number); refuse service/b (property "size" is "large", which is no number); ` +
				`refuse service/e (relation "parent" leads to one entity, not to a list)`,
		},
		"refused and not there": {
			resync(), nil,
			[]func(*bench) catalog.Layer{layer("service/b", `"relations":{"friends":"a"}`), layer("service/c", `"properties":{"name":{}}`), layer("service/d", `"relations":{"boss":"a"}`)},
			"", false, "",
		},
		"one of its layers is refused": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"bad":2}`), layer("service/a", `"properties":{"size":2}`)},
			"", false, "change service/a properties.size:1>2",
		},
		"values that Port converts": {
			resync(), nil,
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":"12","name":7}`), layer("service/b", `"properties":{"name":null}`)},
			"", false, "create service/a; create service/b",
		},
		"found by its name": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{named("old", 2), named("nobody", 3)},
			"", false, "change service/a properties.size:1>2",
		},
		"found by its name, and changed twice": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{named("old", 2), named("old", 3), layer("service/a", `"properties":{"tier":"gold"}`)},
			"", false, `change service/a properties.size:1>3 properties.tier:null>"gold"`,
		},
		"relations that are searches": {
			resync(),
			[]thing{{ours, "service/a", held}, {ours, "service/b", `"properties":{"name":"twin"}`}, {ours, "service/c", `"properties":{"name":"twin"},"relations":{"parent":"a"}`}},
			[]func(*bench) catalog.Layer{related("service/b", "parent", "old"), related("service/c", "parent", "nobody"), related("service/a", "friends", "twin")},
			"", false,
			`change service/a relations.friends:null>["b","c"]; change service/b relations.parent:null>"a"; change service/c relations.parent:"a">null`,
		},
		"a relation to one that is found twice": {
			resync(),
			[]thing{{ours, "service/a", held}, {ours, "service/b", `"properties":{"name":"twin"}`}, {ours, "service/c", `"properties":{"name":"twin"}`}},
			[]func(*bench) catalog.Layer{related("service/a", "parent", "twin")},
			"", false, `refuse service/a (the search of relation "parent" finds more than one entity)`,
		},
		"deleted": {
			resync(),
			[]thing{{ours, "service/a", held}, {theirs, "service/b", held}},
			nil, "service/a service/b", false, "delete service/a",
		},
		"deleted, but others refer to it": {
			resync(),
			[]thing{{ours, "service/a", held}, {ours, "service/b", `"relations":{"parent":"a"}`}},
			nil, "service/a", false, "1 unchanged",
		},
		"deleted, since the other one does not refer to it any more": {
			resync(),
			[]thing{{ours, "service/a", held}, {ours, "service/b", `"relations":{"parent":"a"}`}},
			[]func(*bench) catalog.Layer{layer("service/b", `"relations":{"parent":null}`)},
			"service/a", false, `delete service/a; change service/b relations.parent:"a">null`,
		},
		"deleted, and made by another block": {
			resync(),
			[]thing{{ours, "service/a", held}},
			[]func(*bench) catalog.Layer{layer("service/a", `"properties":{"size":2}`)},
			"service/a", false, "change service/a properties.size:1>2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.source.members = []string{"properties.name", "properties.size", "relations.parent", "relations.friends"}
				for _, h := range tt.held {
					b.holds(h.agent, h.members, h.ref)
				}
				carryOut := func(opt catalog.Options) {
					t.Helper()
					s := b.knows(b.catalog.Begin(opt))
					var layers []catalog.Layer
					made := map[string]bool{}
					for _, l := range tt.layers {
						layers = append(layers, l(b))
						made[layers[len(layers)-1].Identifier] = true
					}
					b.put(s, layers...)
					var gone []catalog.Deletion
					for _, d := range deletions(strings.Fields(tt.gone)...) {
						if !made[d.Identifier] {
							gone = append(gone, d)
						}
					}
					if _, err := s.Delete(b.Context(), gone); err != nil {
						t.Error(err)
					}
				}
				before := b.contents()
				opt := tt.opt
				opt.Plan = catalog.NewPlan(tt.detail)
				carryOut(opt)
				if got := shown(opt.Plan); got != tt.want || opt.Plan.Err() != nil {
					t.Errorf("error %v, planned\n %s\nwant\n %s", opt.Plan.Err(), got, tt.want)
				}
				if after := b.contents(); !maps.Equal(after, before) || b.port.Writes() != 0 {
					t.Errorf("a plan has changed Port: %v, before %v", after, before)
				}
				carryOut(tt.opt)
				b.happened(opt.Plan, before, b.contents())
			})
		})
	}
}

// related is a layer that searches by name what its relation leads to.
func (b *bench) related(ref, relation, name string) catalog.Layer {
	l := b.layer(ref, fmt.Sprintf(`"relations":{%q:{"combinator":"and","rules":[{"property":"name","operator":"=","value":%q}]}}`, relation, name))
	l.Search, l.Relations = true, nil
	return l
}

// happened compares a plan with what has become of Port's entities.
func (b *bench) happened(p *catalog.Plan, before, after map[string]string) {
	b.Helper()
	intents := map[string]catalog.Intent{}
	lines, _ := p.Lines()
	for _, n := range lines {
		intents[n.Blueprint+"/"+n.Identifier] = n.Intent
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for ref := range all {
		was, held := before[ref]
		is, holds := after[ref]
		var want []catalog.Intent
		switch {
		case !held:
			want = []catalog.Intent{catalog.ToCreate}
		case !holds:
			want = []catalog.Intent{catalog.ToDelete}
		case was != is:
			want = []catalog.Intent{catalog.ToChange}
		default:
			want = []catalog.Intent{"", catalog.AsItIs, catalog.ToKeep, catalog.ToRefuse}
		}
		if !slices.Contains(want, intents[ref]) {
			b.Errorf("%s was planned to be %q, and became %q (before %q): want %q", ref, intents[ref], is, was, want)
		}
	}
}

// Where Port does not say what it holds, the plan says that it does not know.
func TestPlanWithoutAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		layer func(b *bench) catalog.Layer
		times int // that the search is answered before it fails
		want  string
	}{
		"the entity":        {func(b *bench) catalog.Layer { return b.layer("service/a", `"properties":{"size":2}`) }, 0, "what Port holds of service: "},
		"its search":        {func(b *bench) catalog.Layer { return b.named("old", 2) }, 0, "400"},
		"after its search":  {func(b *bench) catalog.Layer { return b.named("old", 2) }, 1, "what Port holds of service: "},
		"that of relations": {func(b *bench) catalog.Layer { return b.related("service/a", "parent", "old") }, 0, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.holds(ours, `"properties":{"name":"old","size":1}`, "service/a")
				opt := resync()
				opt.Plan = catalog.NewPlan(false)
				b.port.Fault(porttest.Status(search, 400).After(tt.times))
				b.put(b.catalog.Begin(opt), tt.layer(b))
				if err := opt.Plan.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if got := shown(opt.Plan); got != "" {
					t.Errorf("planned %s although nothing is known", got)
				}
			})
		})
	}
}

// What is kept by a brake or because others refer to it is said with the reason.
func TestPlanKeeps(t *testing.T) {
	t.Parallel()
	var none *catalog.Plan
	none.Keep(port.Ref{}, "nothing happens")
	p := catalog.NewPlan(false)
	p.Keep(ref("service/b"), "too many at once")
	p.Keep(ref("service/a"), "not read")
	if got := shown(p); got != "keep service/a (not read); keep service/b (too many at once)" {
		t.Error(got)
	}
	inBubble(t, func(b *bench) {
		b.holds(ours, "", "service/a")
		b.holds(ours, `"relations":{"parent":"a"}`, "service/b")
		opt := resync()
		opt.Plan = catalog.NewPlan(false)
		d := deletions("service/a")
		d[0].Made = true
		if _, err := b.catalog.Begin(opt).Delete(b.Context(), d); err != nil {
			t.Error(err)
		}
		if got := shown(opt.Plan); got != "keep service/a (another entity refers to it, so Port would make it again)" {
			t.Error(got)
		}
	})
}
