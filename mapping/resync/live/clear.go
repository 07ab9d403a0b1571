package live

import (
	"context"
	"slices"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// clear takes out of entities what only records that are gone have set: the
// entities go on, because other records make them.
func (u *update) clear(ctx context.Context) {
	lost := map[port.Ref]map[string]bool{} // kinds whose records are gone
	for _, o := range u.gone {
		if lost[o.Ref] == nil {
			lost[o.Ref] = map[string]bool{}
		}
		lost[o.Ref][o.Kind] = true
	}
	for ref, kinds := range lost {
		if u.orphan(ref) {
			continue
		}
		members := u.onlySetBy(ref, kinds)
		if len(members) == 0 {
			continue
		}
		if err := u.session.Withdraw(ctx, ref, members); err != nil {
			u.stay(ref)
			u.errs = append(u.errs, err)
		}
	}
}

// onlySetBy lists the members of an entity that resources of lost kinds set and
// those of the kinds that still make it do not.
func (u *update) onlySetBy(ref port.Ref, lost map[string]bool) []string {
	known, err := u.book.OfEntity(catalog.EntityKey(ref))
	if err != nil {
		return nil
	}
	still := map[string]bool{}
	for _, o := range known {
		if !u.isGone(o) {
			still[o.Kind] = true
		}
	}
	kept := map[string]bool{}
	var members []string
	for _, g := range u.groups {
		for _, r := range g.Resources {
			if id, literal := r.Blueprint(); literal && id != ref.Blueprint {
				continue
			}
			for _, m := range r.Keys() {
				if still[r.Kind] {
					kept[m] = true
				} else if lost[r.Kind] {
					members = append(members, m)
				}
			}
		}
	}
	return slices.DeleteFunc(members, func(m string) bool { return kept[m] })
}
