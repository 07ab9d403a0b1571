package azuredevops

import (
	"context"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineSelector]{
	Name: "pipeline", List: listPipelines, Within: withinPipeline,
	// Pipelines have no events of their own; a run shows that one is new or renamed
	// (live-events.md 3.11).
	Events: []string{runStateChanged},
})

type pipelineSelector struct {
	IncludeRepo bool `json:"includeRepo"`
}

// listPipelines lists the pipelines of every project, with `__projectId`, and
// with IncludeRepo also `__repository`: the repository of the pipeline's
// definition, and in it the definition's project (export.md 4.8). A pipeline
// whose definition cannot be read is listed without it, incomplete (S8).
func listPipelines(l *lister, sel pipelineSelector) stream[Record] {
	pipelines := l.perProject(func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return l.batches(ctx, pipelinesOf(p), batch{scope: p.scope, added: rawjson.Members{}.Text("__projectId", p.ID)})
	})
	if !sel.IncludeRepo {
		return pipelines
	}
	definitions := &definitions{lister: l}
	return each(wideRecords, pipelines, one(func(ctx context.Context, rec Record) (Record, error) {
		repository, err := definitions.repository(ctx, rec)
		switch {
		case err != nil:
			rec.Missing = append(rec.Missing, fmt.Errorf("repository: %w", listed(err)))
		case repository != nil:
			rec.JSON = rawjson.With(rec.JSON, rawjson.Members{}.Raw("__repository", repository))
		}
		return rec, nil
	}))
}

// definitionRepository is the repository of a build definition with its project
// added; nil when the definition has none.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/definitions/get
func (l *lister) definitionRepository(ctx context.Context, s Scope) ([]byte, error) {
	p, err := l.send(ctx, &request{
		Project: s.Project,
		Route:   "_apis/build/definitions/{definitionId}", Args: []string{s.ID},
	})
	if err != nil {
		return nil, err
	}
	defer p.Free()
	repository := rawjson.Raw(p.Body, "repository")
	if len(repository) == 0 || repository[0] != '{' {
		return nil, nil
	}
	if of := rawjson.Raw(p.Body, "project"); of != nil {
		return rawjson.With(repository, rawjson.Members{}.Raw("project", of)), nil
	}
	return rawjson.With(repository), nil
}
