package azuredevops

import "testing"

func TestReleaseDeployments(t *testing.T) {
	const path = "p1/_apis/release/deployments"
	runKindCases(t, []kindCase{
		{
			name: "as they are, page by page", kind: "release-deployment",
			serve: servers{path: tokenPages(values(`{"id":2}`), values(`{"id":1}`))},
			want:  []string{`{"id":2}`, `{"id":1}`}, scope: "p1//2",
			sent: []string{path + "?$top=1000", path + "?$top=1000&continuationToken=1", "p2/_apis/release/deployments?$top=1000"},
		},
		{
			name: "a project that cannot be read", kind: "release-deployment",
			serve: servers{path: status(404, ""), "p2/_apis/release/deployments": always(values(`{"id":1}`))},
			want:  []string{`{"id":1}`}, unknown: "p1//",
		},
	})
	testKindBasics(t, "release-deployment", servers{path: always(values(`{"id":1}`, `{"id":2}`))},
		map[string]string{`{"defaultTeam":"x"}`: "defaultTeam: want true or false"})
}
