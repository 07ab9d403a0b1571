package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[ignoredDefaultTeam]{Name: "member", List: listMembers, Live: live{OverTags: true}})

// listMembers lists the members of every team with `__teamId`: a person appears once
// per team.
func listMembers(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return each(wideRecords, l.eachTeam, func(ctx context.Context, t *team) iter.Seq2[Record, error] {
		return within(t.scope(), func(yield func(Record, error) bool) {
			list, err := l.teamMembers(ctx, t)
			if err != nil {
				yield(Record{}, err)
				return
			}
			added := rawjson.Members{}.Text("__teamId", t.ID)
			for obj := range rawjson.Elements(list) {
				if !yield(l.record(obj, t.scope(), t.ID, added), nil) {
					return
				}
			}
		})
	})
}
