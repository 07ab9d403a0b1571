package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[ignoredDefaultTeam]{Name: "board", List: listBoards})

// listBoards lists the boards of every team of every project, with columns, rows and
// fields, and with `__project`. A board whose details cannot be read is listed as it
// stands in the list, incomplete.
func listBoards(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return each(wideRecords, l.eachProjectTeam, func(ctx context.Context, t *team) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			added := rawjson.Members{}.Raw("__project", t.Project.JSON)
			for b, err := range l.eachBoard(ctx, t) {
				var rec Record
				if err == nil {
					rec = l.record(b.JSON, t.scope(), t.ID, added)
					rec.Missing = b.missing()
				}
				if !yield(rec, err) {
					return
				}
			}
		}
	})
}
