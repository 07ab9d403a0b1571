package azuredevops

import (
	"context"
	"iter"
)

var _ = register(row[ignoredDefaultTeam]{Name: "environment", List: listEnvironments})

// listEnvironments lists the environments of every project as they are.
func listEnvironments(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.batches(ctx, environmentsOf(p), batch{scope: p.scope})
	})
}

// environmentsOf asks for the environments of a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/environments/environments/list
func environmentsOf(p *project) *request {
	return &request{Project: p.ID, Route: "_apis/distributedtask/environments", Query: []string{"$top", listTop}, Shared: true}
}
