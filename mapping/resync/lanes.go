package resync

import (
	"context"
	"slices"

	"github.com/ado-port/ado-port/mapping"
)

// A listing is what is listed once for the resources that share it.
type listing struct {
	*Group
	resources []*resource
}

// plan groups the resources of the mapping by listing and by lane.
func (r *run) plan(ctx context.Context) error {
	groups, err := Groups(slices.DeleteFunc(slices.Clone(r.mapping.Resources), func(m *mapping.Resource) bool { return !r.runs(m.Kind) }))
	if err != nil {
		return err
	}
	of := map[*mapping.Resource]*resource{}
	for _, m := range r.mapping.Resources {
		if r.runs(m.Kind) {
			of[m] = newResource(m)
			r.resources = append(r.resources, of[m])
		}
	}
	for _, g := range groups {
		l := &listing{Group: g}
		for _, m := range g.Resources {
			l.resources = append(l.resources, of[m])
		}
		r.listings = append(r.listings, l)
	}
	r.lanes = r.makeLanes(ctx)
	for _, p := range r.mapping.Problems {
		why := "a block of the mapping did not run: " + p.String()
		if p.Unknown {
			r.doubtAll(why)
		}
		for _, bp := range p.Blueprints {
			r.doubtBlueprint(bp, why)
		}
	}
	return nil
}

// makeLanes joins the resources whose order matters: those that may write a
// blueprint which another one writes or searches in.
func (r *run) makeLanes(ctx context.Context) []*lane {
	touched := make([]map[string]bool, len(r.resources))
	everything := make([]bool, len(r.resources))
	parent := make([]int, len(r.resources)) // leads to the first resource of the lane
	for i, b := range r.resources {
		touched[i], everything[i] = r.touches(ctx, b)
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	for i := range r.resources {
		for j := range i {
			if everything[i] || everything[j] || overlap(touched[i], touched[j]) {
				a, b := root(i), root(j)
				parent[max(a, b)] = min(a, b)
			}
		}
	}
	byRoot := map[int]*lane{}
	var out []*lane
	for i, b := range r.resources {
		l := byRoot[root(i)]
		if l == nil {
			l = newLane(r)
			byRoot[root(i)] = l
			out = append(out, l)
		}
		b.lane = l
		l.resources = append(l.resources, b)
		l.ordered = l.ordered || b.UsesSearch()
	}
	return out
}

// touches lists the blueprints that a resource writes or searches in; everything
// means that they cannot be told beforehand.
func (r *run) touches(ctx context.Context, b *resource) (blueprints map[string]bool, everything bool) {
	id, literal := b.Blueprint()
	if !literal {
		return nil, true
	}
	out := map[string]bool{id: true}
	if len(b.SearchRelations()) == 0 {
		return out, false
	}
	bp, err := r.cfg.Port.Blueprint(ctx, id)
	if err != nil {
		return nil, true
	}
	for _, name := range b.SearchRelations() {
		if rel, ok := bp.Relations[name]; ok {
			out[rel.Target] = true
		}
	}
	return out, false
}

func overlap(a, b map[string]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}
