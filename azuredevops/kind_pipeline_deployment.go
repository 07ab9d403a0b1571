package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineDeploymentSelector]{
	Name: "pipeline-deployment", List: listPipelineDeployments, Within: withinPipelineDeployment,
	Events: []string{stageStateChanged},
})

type pipelineDeploymentSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listPipelineDeployments lists the deployment records of every environment with
// `__project`: the environment's own stub of a project, whose name is usually
// null (export.md 4.13).
//
// https://learn.microsoft.com/rest/api/azure/devops/environments/environmentdeployment-records/list
func listPipelineDeployments(l *lister, _ pipelineDeploymentSelector) stream[Record] {
	return l.eachBelow(l.eachOf(widePages, environmentsOf), func(ctx context.Context, env *parent) iter.Seq2[batch, error] {
		return l.batches(ctx, &request{
			Project: env.Project.ID, Route: "_apis/distributedtask/environments/{environmentId}/environmentdeploymentrecords",
			Args: []string{env.ID}, Query: []string{"top", listTop}, // not $top, which is not known here
		}, batch{scope: env.scope(), added: rawjson.Members{}.Raw("__project", orNull(rawjson.Raw(env.JSON, "project")))})
	})
}
