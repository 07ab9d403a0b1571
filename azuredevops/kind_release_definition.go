package azuredevops

import (
	"context"
	"iter"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[releaseDefinitionSelector]{
	Name: "release-definition", List: listReleaseDefinitions,
	Live:   live{Narrow: idFilter(routeReleaseDefinitions, "definitionIdFilter")},
	Events: []string{"ms.vss-release.release-created-event", "ms.vss-release.release-abandoned-event"},
})

// releaseDefinitionSelector: Expand is empty when it was given as null.
type releaseDefinitionSelector struct {
	Expand    string   `json:"expand" default:"environments" null:"none" oneof:"environments,artifacts,triggers,variables,tags,lastRelease"`
	TagFilter []string `json:"tagFilter"`
}

const routeReleaseDefinitions = "_apis/release/definitions"

// listReleaseDefinitions lists the classic release pipelines of every project with
// `__project`.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/definitions/list
func listReleaseDefinitions(l *lister, sel releaseDefinitionSelector) stream[Record] {
	return l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.batches(ctx, &request{
			Host: rest.VSRM, Project: p.ID, Route: routeReleaseDefinitions,
			Query: []string{"$top", listTop, "$expand", sel.Expand, "tagFilter", strings.Join(sel.TagFilter, ",")},
		}, batch{scope: p.scope, added: rawjson.Members{}.Raw("__project", p.JSON)})
	})
}
