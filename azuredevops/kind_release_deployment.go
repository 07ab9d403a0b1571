package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[releaseDeploymentSelector]{
	Name: "release-deployment", List: listReleaseDeployments, Within: withinReleaseDeployment, Incremental: true,
	Events: []string{
		"ms.vss-release.deployment-started-event", "ms.vss-release.deployment-completed-event",
		"ms.vss-release.deployment-approval-pending-event", "ms.vss-release.deployment-approval-completed-event",
	},
	Live: live{Matches: about("release.id", func(c Change) string { return c.release })},
})

type releaseDeploymentSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listReleaseDeployments lists the deployments of classic releases of every project
// as they are.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/deployments/list
func listReleaseDeployments(l *lister, _ releaseDeploymentSelector) stream[Record] {
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.batches(ctx, deploymentsSince(p, l.since), batch{scope: p.scope})
	})
}

const (
	// Events are about new deployments, so that the newest come first.
	lateDeployments = "100"
	// mostLatePages bounds the search for the deployments of a release.
	mostLatePages = 5
)

// withinReleaseDeployment looks for one deployment, or those of one release. The
// service has no filter for either.
func withinReleaseDeployment(l *lister, _ releaseDeploymentSelector, at *part) stream[Record] {
	if at.Scope.ID == "" && at.release == "" {
		return nil
	}
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return func(yield func(batch, error) bool) {
			rq := &request{
				Host: rest.VSRM, Project: p.ID, Route: "_apis/release/deployments",
				Query: []string{"$top", lateDeployments, "queryOrder", "descending", "definitionId", at.definition},
			}
			n, found := 0, false
			for b, err := range l.batches(ctx, rq, batch{scope: p.scope}) {
				has := at.release != "" && err == nil && at.among(b)
				if n++; !yield(b, err) || found && !has || at.release != "" && n >= mostLatePages {
					return
				}
				found = found || has
			}
		}
	})
}

// among tells whether a page has something that is wanted.
func (at *part) among(b batch) bool {
	for obj := range b.page.Objects() {
		if at.wants(b.scope, rawjson.Text(obj, b.id), obj) {
			return true
		}
	}
	return false
}
