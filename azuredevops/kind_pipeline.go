package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineSelector]{
	Name: "pipeline", List: listPipelines, Within: withinPipeline,
	// Pipelines have no events of their own; a run shows that one is new or renamed.
	Events: []string{RunStateChanged, checkUpdated},
})

type pipelineSelector struct {
	IncludeRepo bool `json:"includeRepo"`
}

// listPipelines lists the pipelines of every project, with `__projectId`, and with
// IncludeRepo also `__repository`: the repository of the pipeline's definition, and
// in it the definition's project. A pipeline whose definition cannot be read is
// listed without it, incomplete.
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
	b, err := l.object(ctx, &request{Project: s.Project, Route: "_apis/build/definitions/{definitionId}", Args: []string{s.ID}, Is: s.ID})
	if err != nil {
		return nil, err
	}
	repository := rawjson.Raw(b, "repository")
	if len(repository) == 0 || repository[0] != '{' {
		return nil, nil
	}
	if of := rawjson.Raw(b, "project"); of != nil {
		return rawjson.With(repository, rawjson.Members{}.Raw("project", of)), nil
	}
	return rawjson.With(repository), nil
}

// livePipeline is a pipeline as its list has it, or ErrNotFound.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/pipelines/get
func (l *lister) livePipeline(ctx context.Context, p *project, id string) ([]byte, error) {
	b, err := l.object(ctx, &request{Project: p.ID, Route: "_apis/pipelines/{pipelineId}", Args: []string{id}, Is: id, Shared: true})
	if err != nil {
		return nil, err
	}
	return rawjson.Without(b, "configuration"), nil
}

// withinPipeline asks for one pipeline instead of the list.
func withinPipeline(l *lister, sel pipelineSelector, at *part) stream[Record] {
	if at.Scope.ID == "" {
		return nil
	}
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return within(at.Scope, func(yield func(Record, error) bool) {
			s := at.project.scope
			s.ID = at.Scope.ID
			var repository func() result[[]byte]
			if sel.IncludeRepo {
				repository = ahead(ctx, func(ctx context.Context) ([]byte, error) { return l.definitionRepository(ctx, s) })
			}
			obj, err := l.livePipeline(ctx, at.project, s.ID)
			var of result[[]byte]
			if repository != nil {
				of = repository()
			}
			switch {
			case errors.Is(err, ErrNotFound):
				listPipelines(l, sel)(ctx)(yield)
				return
			case err != nil:
				yield(Record{}, err)
				return
			}
			rec := l.record(obj, at.project.scope, s.ID, rawjson.Members{}.Text("__projectId", s.Project))
			switch {
			case of.err != nil:
				rec.Missing = append(rec.Missing, fmt.Errorf("repository: %w", listed(of.err)))
			case of.value != nil:
				rec.JSON = rawjson.With(rec.JSON, rawjson.Members{}.Raw("__repository", of.value))
			}
			yield(rec, nil)
		})
	}
}
