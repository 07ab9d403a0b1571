package azuredevops

import (
	"context"
	"iter"
)

var _ = register(row[environmentSelector]{Name: "environment", List: listEnvironments})

type environmentSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listEnvironments lists the environments of every project as they are.
func listEnvironments(l *lister, _ environmentSelector) stream[Record] {
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.batches(ctx, environmentsOf(p), batch{scope: p.scope})
	})
}
