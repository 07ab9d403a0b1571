package azuredevops

import (
	"context"
	"iter"
)

var _ = register(row[releaseDeploymentSelector]{
	Name: "release-deployment", List: listReleaseDeployments, Within: withinReleaseDeployment, Incremental: true,
	Events: []string{
		"ms.vss-release.deployment-started-event", "ms.vss-release.deployment-completed-event",
		"ms.vss-release.deployment-approval-pending-event", "ms.vss-release.deployment-approval-completed-event",
	},
})

type releaseDeploymentSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listReleaseDeployments lists the deployments of classic releases of every
// project as they are (export.md 4.16).
//
// https://learn.microsoft.com/rest/api/azure/devops/release/deployments/list
func listReleaseDeployments(l *lister, _ releaseDeploymentSelector) stream[Record] {
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.batches(ctx, deploymentsSince(p, l.since), batch{scope: p.scope})
	})
}
