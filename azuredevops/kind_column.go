package azuredevops

import (
	"context"
	"fmt"
	"iter"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[ignoredDefaultTeam]{Name: "column", List: listColumns})

// listColumns lists the columns of every board, once per work item type and state
// that the column stands for: with `__board` (which has `__project`), `__stateType`
// and `__stateName`. A column without states is no record. The columns of a board
// whose details cannot be read are unknown.
func listColumns(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return each(wideRecords, l.eachProjectTeam, func(ctx context.Context, t *team) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			project := rawjson.Members{}.Raw("__project", t.Project.JSON)
			for b, err := range l.eachBoard(ctx, t) {
				if err == nil && b.lacking != nil {
					err = unknown(t.scope(), fmt.Errorf("columns of board %s: %w", rawjson.Text(b.JSON, "name"), b.lacking))
				}
				if err != nil {
					if !yield(Record{}, err) {
						return
					}
					continue
				}
				if !l.columns(t, rawjson.With(b.JSON, project), yield) {
					return
				}
			}
		}
	})
}

// columns yields what a board has.
func (l *lister) columns(t *team, board []byte, yield func(Record, error) bool) bool {
	for obj := range rawjson.Objects(board, "columns") {
		states := rawjson.Raw(obj, "stateMappings")
		if len(states) == 0 || states[0] != '{' {
			continue
		}
		more := true
		gjson.ParseBytes(states).ForEach(func(of, state gjson.Result) bool {
			added := rawjson.Members{}.Raw("__board", board).Raw("__stateType", []byte(of.Raw)).Raw("__stateName", []byte(state.Raw))
			more = yield(l.record(obj, t.scope(), t.ID, added), nil)
			return more
		})
		if !more {
			return false
		}
	}
	return true
}
