package azuredevopstest

import "net/http"

func boardRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{project}/[{team}/]_apis/work/boards", handler: listBoards},
		{method: "GET", pattern: "/{project}/[{team}/]_apis/work/boards/{board}", handler: getBoard},
		{method: "GET", pattern: "/{project}/[{team}/]_apis/work/boards/{board}/columns", handler: listColumns},
	}
}

// boards finds the team; the project's default team when the path has none.
func (q *request) boards() (*Team, *response) {
	t := q.team
	if t == nil {
		t = q.project.Teams[0]
	}
	if t.NoIteration {
		return nil, failure(http.StatusInternalServerError, "Microsoft.TeamFoundation.Agile.Web.TeamIterationNotSetException",
			"VS402488: The team '"+t.Name+"' has no backlog iteration selected.")
	}
	return t, nil
}

// listBoards lists references; only a single board has its columns.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/boards/list
func listBoards(q *request) *response {
	t, resp := q.boards()
	if resp != nil {
		return resp
	}
	return collection(t.Boards, t.boardRef)
}

func (q *request) board() (*Team, *Board, *response) {
	t, resp := q.boards()
	if resp != nil {
		return nil, nil, resp
	}
	if b := t.board(q.param("board")); b != nil {
		return t, b, nil
	}
	return nil, nil, notFound("Microsoft.TeamFoundation.Agile.Server.BoardDoesNotExistException",
		"VS403420: The board '"+q.param("board")+"' does not exist or you do not have permissions to view it.")
}

func getBoard(q *request) *response {
	t, b, resp := q.board()
	if resp != nil {
		return resp
	}
	return ok(t.boardJSON(b))
}

func listColumns(q *request) *response {
	_, b, resp := q.board()
	if resp != nil {
		return resp
	}
	return collection(b.Columns, (*Column).json)
}
