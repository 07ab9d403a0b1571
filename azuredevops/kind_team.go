package azuredevops

import (
	"context"
	"fmt"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[teamSelector]{Name: "team", List: listTeams, Live: live{OverTags: true}})

type teamSelector struct {
	IncludeMembers   bool `json:"includeMembers"`
	IncludeAreaPaths bool `json:"includeAreaPaths"`
}

// listTeams lists the teams of the organization; as asked for with `__members`, the
// list of them, and `__areaPaths`, the team's field values. What cannot be read is
// left out, the record incomplete.
func listTeams(l *lister, sel teamSelector) stream[Record] {
	return each(wideRecords, l.eachTeam, one(func(ctx context.Context, t *team) (Record, error) {
		var missing []error
		added := rawjson.Members{}
		if sel.IncludeMembers {
			list, err := l.teamMembers(ctx, t)
			if err != nil {
				missing = append(missing, err)
			} else {
				added = added.Raw("__members", list)
			}
		}
		if sel.IncludeAreaPaths {
			values, err := l.teamFieldValues(ctx, t)
			if err != nil {
				missing = append(missing, fmt.Errorf("area paths: %w", listed(err)))
			} else {
				added = added.Raw("__areaPaths", values)
			}
		}
		rec := l.record(t.JSON, t.Project.scope, t.ID, added)
		rec.Missing = missing
		return rec, nil
	}))
}

// teamFieldValues are the areas of a team.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/teamfieldvalues/get
func (l *lister) teamFieldValues(ctx context.Context, t *team) ([]byte, error) {
	b, err := l.object(ctx, &request{Project: t.Project.ID, Team: t.ID, Route: "_apis/work/teamsettings/teamfieldvalues", Version: "7.1"})
	if err != nil {
		return nil, err
	}
	return b, rest.CheckList(b, "values", "value")
}
