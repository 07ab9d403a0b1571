package azuredevops

import (
	"context"
	"fmt"
	"iter"

	"github.com/tidwall/gjson"
)

var _ = register(row[ignoredDefaultTeam]{Name: "column", List: listColumns})

// listColumns lists the columns of every board, once per work item type and state
// that the column stands for: with `__board` (which has `__project`),
// `__stateType` and `__stateName` (export.md 4.20). A column without states is no
// record. The columns of a board whose details cannot be read are unknown.
func listColumns(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return each(wideRecords, l.eachProjectTeam, func(ctx context.Context, t *team) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			project := newMembers(1+len(t.Project.JSON)/64).raw("__project", t.Project.JSON)
			for b, err := range l.eachBoard(ctx, t) {
				if err == nil && b.lacking != nil {
					err = unknown(t.scope(), fmt.Errorf("columns of board %s: %w", textAt(b.JSON, "name"), b.lacking))
				}
				if err != nil {
					if !yield(Record{}, err) {
						return
					}
					continue
				}
				if !l.columns(t, object(b.JSON, project), yield) {
					return
				}
			}
		}
	})
}

// columns yields what a board has.
func (l *lister) columns(t *team, board []byte, yield func(Record, error) bool) bool {
	columns, ok := list(board, "columns")
	if !ok {
		return true
	}
	for obj := range columns {
		states := rawAt(obj, "stateMappings")
		if len(states) == 0 || states[0] != '{' {
			continue
		}
		more := true
		gjson.ParseBytes(states).ForEach(func(of, state gjson.Result) bool {
			added := newMembers(2+len(board)/64).raw("__board", board).raw("__stateType", []byte(of.Raw)).raw("__stateName", []byte(state.Raw))
			more = yield(l.record(obj, t.scope(), t.ID, added), nil)
			return more
		})
		if !more {
			return false
		}
	}
	return true
}
