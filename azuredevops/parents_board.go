package azuredevops

import (
	"context"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// teamBoards are the boards of a team: an array, and by position why a board is
// only as the list has it.
type teamBoards struct {
	packed  *packed
	lacking map[int]error
}

func (b *teamBoards) size() int {
	if b == nil {
		return 0
	}
	return b.packed.kept()
}

// A board is an entry of teamBoards.
type board struct {
	JSON    []byte // valid while the board is being worked on
	lacking error  // the details could not be read
}

// eachBoard streams the boards of a team. For a team without an iteration the
// service answers 500, so its boards are unknown.
func (l *lister) eachBoard(ctx context.Context, t *team) iter.Seq2[board, error] {
	return within(t.scope(), func(yield func(board, error) bool) {
		kept, err := l.work.boards.get(ctx, t.ID, func(ctx context.Context) (*teamBoards, error) { return l.fetchBoards(ctx, t) })
		var b []byte
		if err == nil {
			b, err = kept.packed.unpack()
		}
		if err != nil {
			yield(board{}, fmt.Errorf("boards of team %s: %w", rawjson.Text(t.JSON, "name"), err))
			return
		}
		n := 0
		for obj := range rawjson.Elements(b) {
			if !yield(board{obj, kept.lacking[n]}, nil) {
				return
			}
			n++
		}
	})
}

// fetchBoards lists the boards of a team and reads each one: the list has only the
// names.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/boards/list
func (l *lister) fetchBoards(ctx context.Context, t *team) (*teamBoards, error) {
	b, err := l.gather(l.pages(ctx, &request{Project: t.Project.ID, Team: t.ID, Route: "_apis/work/boards"}, "value"), 0)
	if err != nil {
		return nil, err
	}
	boards := each(widePages, streamOf(rawjson.Elements(b)), one(func(ctx context.Context, obj []byte) (board, error) {
		detail, err := l.boardDetail(ctx, t, rawjson.Text(obj, "id"))
		if err != nil {
			return board{obj, listed(err)}, nil
		}
		return board{rawjson.With(obj, rawjson.MembersOf(detail)), nil}, nil
	}))
	out := &teamBoards{lacking: map[int]error{}}
	var array []byte
	n := 0
	for bd, err := range boards(ctx) {
		if err != nil {
			return nil, err
		}
		array = appendElement(array, bd.JSON)
		if bd.lacking != nil {
			out.lacking[n] = bd.lacking
		}
		n++
	}
	out.packed = pack(closeArray(array), packSmallAbove)
	return out, ctx.Err()
}

// boardDetail is a board with columns, rows and fields.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/boards/get
func (l *lister) boardDetail(ctx context.Context, t *team, id string) ([]byte, error) {
	b, err := l.object(ctx, &request{Project: t.Project.ID, Team: t.ID, Route: "_apis/work/boards/{board}", Args: []string{id}, Is: id})
	if err != nil {
		return nil, err
	}
	return b, rest.CheckList(b, "columns", "id") // kind column makes records of them
}

// streamOf makes a stream of what is there already.
func streamOf[T any](seq iter.Seq[T]) stream[T] {
	return func(ctx context.Context) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			for v := range seq {
				if ctx.Err() != nil || !yield(v, nil) {
					return
				}
			}
		}
	}
}

// missing names what a record lacks.
func (b board) missing() []error {
	if b.lacking == nil {
		return nil
	}
	return []error{fmt.Errorf("details: %w", b.lacking)}
}
