package azuredevops

import "testing"

func TestPipelineDeployments(t *testing.T) {
	const envs = "p1/_apis/distributedtask/environments"
	runKindCases(t, []kindCase{
		{
			name: "the stub of the environment, and pages by top", kind: "pipeline-deployment",
			serve: servers{
				envs:                                     always(values(`{"id":1,"project":{"id":"p1","name":null}}`, `{"id":2}`)),
				envs + "/1/environmentdeploymentrecords": tokenPages(values(`{"id":11}`), values(`{"id":10}`)),
				envs + "/2/environmentdeploymentrecords": always(values(`{"id":12}`)),
			},
			want: []string{
				`{"id":11,"__project":{"id":"p1","name":null}}`, `{"id":10,"__project":{"id":"p1","name":null}}`, `{"id":12,"__project":null}`,
			},
			scope: "p1//1",
			sent: []string{
				envs + "?$top=1000", "p2/_apis/distributedtask/environments?$top=1000",
				envs + "/1/environmentdeploymentrecords?top=1000", envs + "/1/environmentdeploymentrecords?top=1000&continuationToken=1",
				envs + "/2/environmentdeploymentrecords?top=1000",
			},
		},
		{
			name: "an environment and a project that cannot be read", kind: "pipeline-deployment",
			serve: servers{
				envs:                                     always(values(`{"id":1}`, `{"id":2}`)),
				envs + "/1/environmentdeploymentrecords": status(404, ""),
				envs + "/2/environmentdeploymentrecords": always(values(`{"id":12}`)),
				"p2/":                                    status(403, ""),
			},
			want: []string{`{"id":12,"__project":null}`}, unknown: "p1//1 p2//",
		},
	})
	testKindBasics(t, "pipeline-deployment", servers{envs: always(values(`{"id":1}`)), envs + "/1/environmentdeploymentrecords": always(values(`{"id":1}`, `{"id":2}`))},
		map[string]string{`{"defaultTeam":[]}`: "defaultTeam: want true or false"})
}
