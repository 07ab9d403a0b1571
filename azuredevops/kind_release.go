package azuredevops

import (
	"context"
	"iter"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[releaseSelector]{
	Name: "release", List: listReleases, Incremental: true,
	Live: live{Narrow: idFilter(routeReleases, "releaseIdFilter")},
	Events: []string{
		"ms.vss-release.release-created-event", "ms.vss-release.release-abandoned-event",
		"ms.vss-release.deployment-started-event", "ms.vss-release.deployment-completed-event",
		"ms.vss-release.deployment-approval-pending-event", "ms.vss-release.deployment-approval-completed-event",
	},
})

// releaseSelector filters on the server; a zero field means no filter. The times
// go there as they are.
type releaseSelector struct {
	Expand             string   `json:"expand" oneof:"environments,artifacts,approvals,manualInterventions,variables,tags"`
	StatusFilter       string   `json:"statusFilter" oneof:"abandoned,active,draft,undefined"`
	TagFilter          []string `json:"tagFilter"`
	SourceBranchFilter string   `json:"sourceBranchFilter"`
	MinCreatedTime     string   `json:"minCreatedTime"`
	MaxCreatedTime     string   `json:"maxCreatedTime"`
}

// listReleases lists the releases of every project as they are.
func listReleases(l *lister, sel releaseSelector) stream[Record] {
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		if l.since.IsZero() {
			return l.batches(ctx, sel.request(p), batch{scope: p.scope})
		}
		return l.releasesSince(ctx, p, sel)
	})
}

const routeReleases = "_apis/release/releases"

// request asks for the releases of a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/releases/list
func (sel *releaseSelector) request(p *project) *request {
	return &request{
		Host: rest.VSRM, Project: p.ID, Route: routeReleases,
		Query: []string{
			"$top", listTop, "$expand", sel.Expand, "statusFilter", sel.StatusFilter,
			"tagFilter", strings.Join(sel.TagFilter, ","), "sourceBranchFilter", sel.SourceBranchFilter,
			"minCreatedTime", sel.MinCreatedTime, "maxCreatedTime", sel.MaxCreatedTime,
		},
	}
}
