package resync

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
)

// A Group is one listing for all resources of the mapping that need the same
// records.
type Group struct {
	Listing   *azuredevops.Listing
	Resources []*mapping.Resource
	Files     []string // union of the resources' file:// paths
}

// Groups groups resources by what has to be listed for them, in their order.
func Groups(resources []*mapping.Resource) ([]*Group, error) {
	byKey := map[string]*Group{}
	var out []*Group
	for _, r := range resources {
		l, _, err := azuredevops.Bind(r.Kind, r.Selector)
		if err != nil { // the mapping was checked with the same function
			return nil, fmt.Errorf("%s: %w", r.Name(), err)
		}
		g := byKey[l.Key]
		if g == nil {
			g = &Group{Listing: l}
			byKey[l.Key] = g
			out = append(out, g)
		}
		g.Resources = append(g.Resources, r)
		for _, p := range r.Files() {
			if !slices.Contains(g.Files, p) {
				g.Files = append(g.Files, p)
			}
		}
	}
	return out, nil
}

// SessionOptions are the options of the mapping for a session on the catalog.
func SessionOptions(m *mapping.Mapping, cause catalog.Cause) catalog.Options {
	return catalog.Options{
		Cause: cause, Merge: m.EnableMergeEntity, CreateMissing: m.CreateMissingRelatedEntities, DeleteDependents: m.DeleteDependentEntities,
		Relations: relations(m),
	}
}

// members are those that the mapping sets, by blueprint, where the blueprint does not
// depend on the record.
func members(m *mapping.Mapping) map[string][]string {
	out := map[string][]string{}
	for _, r := range m.Resources {
		if id, literal := r.Blueprint(); literal {
			out[id] = append(out[id], r.Keys()...)
		}
	}
	return out
}

// relations are those that the mapping sets, by blueprint; nil when a resource
// may write any blueprint.
func relations(m *mapping.Mapping) map[string][]string {
	out := map[string][]string{}
	for _, r := range m.Resources {
		id, literal := r.Blueprint()
		if !literal {
			return nil
		}
		for _, key := range r.Keys() {
			if name, ok := strings.CutPrefix(key, "relations."); ok && !slices.Contains(out[id], name) {
				out[id] = append(out[id], name)
			}
		}
	}
	return out
}
