package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[groupSelector]{Name: "group", List: listGroups, Live: live{OverTags: true}})

// groupSelector has no options.
type groupSelector struct{}

// listGroups lists the groups of the organization as they are.
func listGroups(l *lister, _ groupSelector) stream[Record] {
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			org := Scope{Organization: l.c.Key()}
			for g, err := range l.eachGroup(ctx) {
				var rec Record
				if err == nil {
					rec = l.record(g.JSON, org, g.Descriptor, rawjson.Members{})
				}
				if !yield(rec, err) {
					return
				}
			}
		}
	}
}
