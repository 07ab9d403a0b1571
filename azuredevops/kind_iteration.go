package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[ignoredDefaultTeam]{Name: "iteration", List: listIterations})

// listIterations lists the iterations that every team of every project has selected,
// with `__project` and `__team`: one appears once per team.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/iterations/list
func listIterations(l *lister, _ ignoredDefaultTeam) stream[Record] {
	return records(l, each(wideRecords, l.eachProjectTeam, func(ctx context.Context, t *team) iter.Seq2[batch, error] {
		added := rawjson.Members{}.Raw("__project", t.Project.JSON).Raw("__team", t.JSON)
		rq := &request{Project: t.Project.ID, Team: t.ID, Route: "_apis/work/teamsettings/iterations", Version: "7.1"}
		return within(t.scope(), l.batches(ctx, rq, batch{scope: t.scope(), added: added}))
	}))
}
