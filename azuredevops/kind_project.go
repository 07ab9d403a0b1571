package azuredevops

import (
	"context"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[projectSelector]{Name: "project", List: listProjects})

// projectSelector: with DefaultTeam a record is the project on its own, which has
// `defaultTeam` and `_links` and lacks `capabilities`.
type projectSelector struct {
	DefaultTeam bool `json:"defaultTeam"`
}

// listProjects lists the projects without an excluded tag. A project whose
// details cannot be read is listed as it stands in the list, incomplete.
func listProjects(l *lister, sel projectSelector) stream[Record] {
	if !sel.DefaultTeam {
		return func(ctx context.Context) iter.Seq2[Record, error] {
			return func(yield func(Record, error) bool) {
				for p, err := range l.eachProject(ctx) {
					var rec Record
					if err == nil {
						rec = l.record(p.JSON, p.scope, p.ID, rawjson.Members{})
					}
					if !yield(rec, err) {
						return
					}
				}
			}
		}
	}
	return each(wideRecords, l.eachProject, one(func(ctx context.Context, p *project) (Record, error) {
		detail, err := l.detail(ctx, p)
		if err != nil {
			rec := l.record(p.JSON, p.scope, p.ID, rawjson.Members{})
			rec.Missing = append(rec.Missing, fmt.Errorf("default team: %w", err))
			return rec, nil
		}
		return l.record(detail, p.scope, p.ID, rawjson.Members{}), nil
	}))
}
