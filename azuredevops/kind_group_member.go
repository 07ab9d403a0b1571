package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[groupSelector]{Name: "group-member", List: listGroupMembers, Live: live{OverTags: true}})

// listGroupMembers lists the direct members of every group, users and groups, with
// `__group`. A member that is not found is unknown.
func listGroupMembers(l *lister, _ groupSelector) stream[Record] {
	owners := each(wideRecords, l.eachGroup, func(ctx context.Context, g *group) iter.Seq2[owner, error] {
		return within(l.groupScope(g), func(yield func(owner, error) bool) {
			ids, err := l.memberships(ctx, g.Descriptor, "Down", "memberDescriptor")
			if err != nil {
				yield(owner{}, fmt.Errorf("group %s: %w", rawjson.Text(g.JSON, "principalName"), err))
				return
			}
			for part := range slices.Chunk(ids, lookupTop) {
				if !yield(owner{JSON: g.JSON, scope: l.groupScope(g), ids: part}, nil) {
					return
				}
			}
		})
	})
	return l.lookedUp(owners, func(o owner, s *subjects, yield func(Record, error) bool) bool {
		added := rawjson.Members{}.Raw("__group", o.JSON)
		for _, id := range o.ids {
			obj, err := s.get(id)
			if err != nil {
				scope := o.scope
				scope.ID = id
				if !yield(Record{}, unknown(scope, err)) {
					return false
				}
				continue
			}
			if !yield(l.record(obj, o.scope, id, added), nil) {
				return false
			}
		}
		return true
	})
}
