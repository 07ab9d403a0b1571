package azuredevops

import "testing"

func TestReleaseDefinitions(t *testing.T) {
	const path, other = "p1/_apis/release/definitions", "p2/_apis/release/definitions"
	serve := servers{path: tokenPages(values(`{"id":1}`), values(`{"id":2}`))}
	want := []string{`{"id":1,"__project":` + project1 + `}`, `{"id":2,"__project":` + project1 + `}`}
	runKindCases(t, []kindCase{
		{
			name: "environments by default", kind: "release-definition", serve: serve, want: want, scope: "p1//1",
			sent: []string{
				path + "?$top=1000&$expand=environments", path + "?$top=1000&$expand=environments&continuationToken=1",
				other + "?$top=1000&$expand=environments",
			},
		},
		{
			name: "null expands nothing", kind: "release-definition", selector: `{"expand":null}`, serve: serve, want: want,
			sent: []string{path + "?$top=1000", path + "?$top=1000&continuationToken=1", other + "?$top=1000"},
		},
		{
			name: "options, and a project that cannot be read", kind: "release-definition",
			selector: `{"expand":"lastRelease","tagFilter":["prod","web"]}`,
			serve:    servers{path: status(404, ""), other: always(values(`{"id":3}`))},
			want:     []string{`{"id":3,"__project":` + project2 + `}`}, unknown: "p1//",
			sent: []string{
				path + "?$top=1000&$expand=lastRelease&tagFilter=prod%2Cweb", other + "?$top=1000&$expand=lastRelease&tagFilter=prod%2Cweb",
			},
		},
	})
	testKindBasics(t, "release-definition", servers{path: always(values(`{"id":1}`, `{"id":2}`))}, map[string]string{
		`{"expand":"approvals"}`: "expand: want one of environments, artifacts, triggers, variables, tags, lastRelease",
		`{"tagFilter":7}`:        "tagFilter: want a list",
	})
}
