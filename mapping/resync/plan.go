package resync

import (
	"context"
	"fmt"
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
)

// A fetch is one listing for all blocks that need the same records.
type fetch struct {
	listing *azuredevops.Listing
	blocks  []*block
	files   []string // union of the blocks' file:// paths
}

// plan groups the blocks of the mapping by listing and by lane.
func (r *run) plan(ctx context.Context) error {
	byKey := map[string]*fetch{}
	for _, res := range r.mapping.Resources {
		if !r.mode.runs(res.Kind) {
			continue
		}
		l, _, err := azuredevops.Bind(res.Kind, res.Selector)
		if err != nil { // the mapping was checked with the same function
			return fmt.Errorf("%s: %w", res.KindIndex(), err)
		}
		b := newBlock(res)
		r.blocks = append(r.blocks, b)
		f := byKey[l.Key]
		if f == nil {
			f = &fetch{listing: l}
			byKey[l.Key] = f
			r.fetches = append(r.fetches, f)
		}
		f.blocks = append(f.blocks, b)
		for _, p := range res.Files() {
			if !slices.Contains(f.files, p) {
				f.files = append(f.files, p)
			}
		}
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

// makeLanes joins the blocks whose order matters: those that may write a
// blueprint which another block writes or searches in.
func (r *run) makeLanes(ctx context.Context) []*lane {
	touched := make([]map[string]bool, len(r.blocks))
	everything := make([]bool, len(r.blocks))
	parent := make([]int, len(r.blocks)) // leads to the first block of the lane
	for i, b := range r.blocks {
		touched[i], everything[i] = r.touches(ctx, b)
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	for i := range r.blocks {
		for j := range i {
			if everything[i] || everything[j] || overlap(touched[i], touched[j]) {
				a, b := root(i), root(j)
				parent[max(a, b)] = min(a, b)
			}
		}
	}
	byRoot := map[int]*lane{}
	var out []*lane
	for i, b := range r.blocks {
		l := byRoot[root(i)]
		if l == nil {
			l = newLane(r)
			byRoot[root(i)] = l
			out = append(out, l)
		}
		b.lane = l
		l.blocks = append(l.blocks, b)
		l.ordered = l.ordered || b.UsesSearch()
	}
	return out
}

// touches lists the blueprints that a block writes or searches in; everything
// means that they cannot be told beforehand.
func (r *run) touches(ctx context.Context, b *block) (blueprints map[string]bool, everything bool) {
	id, literal := b.Blueprint()
	if !literal {
		return nil, true
	}
	out := map[string]bool{id: true}
	if len(b.SearchRelations()) == 0 {
		return out, false
	}
	bp, err := r.catalog.Blueprint(ctx, id)
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
