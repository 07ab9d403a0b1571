package azuredevops

import "testing"

func TestEnvironments(t *testing.T) {
	runKindCases(t, []kindCase{
		{
			name: "as they are, page by page", kind: "environment",
			serve: servers{
				"p1/_apis/distributedtask/environments": tokenPages(values(`{"id":1,"project":{"id":"p1","name":null}}`), values(`{"id":2}`)),
			},
			want: []string{`{"id":1,"project":{"id":"p1","name":null}}`, `{"id":2}`}, scope: "p1//1",
			sent: []string{
				"p1/_apis/distributedtask/environments?$top=1000", "p1/_apis/distributedtask/environments?$top=1000&continuationToken=1",
				"p2/_apis/distributedtask/environments?$top=1000",
			},
		},
		{
			name: "404 of a listed project", kind: "environment",
			serve: servers{
				"p1/_apis/distributedtask/environments": status(404, ""),
				"p2/_apis/distributedtask/environments": always(values(`{"id":2}`)),
			},
			want: []string{`{"id":2}`}, unknown: "p1//",
		},
	})
	testKindBasics(t, "environment", servers{"p1/_apis/distributedtask/environments": always(values(`{"id":1}`, `{"id":2}`))},
		map[string]string{`{"defaultTeam":7}`: "defaultTeam: want true or false"})
}
