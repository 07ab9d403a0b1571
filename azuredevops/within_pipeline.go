package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// unlessAbsent is nil for an error that says that something does not exist: then
// its list has the last word.
func unlessAbsent(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// livePipeline is a pipeline as its list has it, or ErrNotFound.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/pipelines/get
func (l *lister) livePipeline(ctx context.Context, p *project, id string) ([]byte, error) {
	b, err := l.object(ctx, &request{Project: p.ID, Route: "_apis/pipelines/{pipelineId}", Args: []string{id}, Shared: true})
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

// withinPipelineRun asks for the one run that an event is about: a pipeline can
// have 10,000. Without an event all runs of the pipeline are listed.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/get
func withinPipelineRun(l *lister, _ pipelineRunSelector, at *part) stream[Record] {
	if at.run == "" || at.Scope.ID == "" {
		return nil
	}
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return within(at.Scope, func(yield func(Record, error) bool) {
			p := at.project
			pipeline := ahead(ctx, func(ctx context.Context) ([]byte, error) { return l.livePipeline(ctx, p, at.Scope.ID) })
			run, err := l.object(ctx, &request{Project: p.ID, Route: "_apis/pipelines/{pipelineId}/runs/{runId}", Args: []string{at.Scope.ID, at.run}})
			of := pipeline()
			switch err = errors.Join(err, of.err); {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				yield(Record{}, err)
			default:
				run, err = l.asListed(ctx, at, run)
				if err != nil {
					yield(Record{}, err)
					return
				}
				yield(l.record(run, p.scope, at.Scope.ID, rawjson.Members{}.Raw("__project", p.JSON).Raw("__pipeline", of.value)), nil)
			}
		})
	}
}

// asListed takes from a run what lists of runs do not tell. Which of the members
// in question that is, services disagree about: the list of its pipeline shows it,
// once.
func (l *lister) asListed(ctx context.Context, at *part, run []byte) ([]byte, error) {
	unlisted, err := l.c.live.unlisted.get(ctx, func(ctx context.Context) ([]string, error) {
		out := []string{"resources", "variables", "tags", "yamlDetails", "finalYaml"}
		rq := &request{
			Project: at.project.ID, Route: "_apis/pipelines/{pipelineId}/runs", Args: []string{at.Scope.ID}, Query: []string{"$top", "20"},
		}
		for pg, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				return nil, listed(err)
			}
			for obj := range rawjson.Objects(pg.Body, "value") {
				out = slices.DeleteFunc(out, func(name string) bool { return rawjson.Has(obj, name) })
			}
			pg.Free()
			break
		}
		return out, nil
	})
	if err != nil {
		return nil, fmt.Errorf("runs of the pipeline: %w", err)
	}
	return rawjson.Without(run, unlisted...), nil
}

// recordsTop is how many of the newest deployments of an environment are read at
// once to find those of a build.
const recordsTop = "50"

// withinPipelineDeployment looks for the deployments of one build in every
// environment of the project: events do not name the environment. The lists begin
// with the newest; no deployment of a build is older than the build.
func withinPipelineDeployment(l *lister, _ pipelineDeploymentSelector, at *part) stream[Record] {
	if at.build == "" {
		return nil
	}
	return l.eachBelow(l.eachOf(widePages, environmentsOf), func(ctx context.Context, env *parent) iter.Seq2[batch, error] {
		return func(yield func(batch, error) bool) {
			pages := l.batches(ctx, &request{
				Project: env.Project.ID, Route: "_apis/distributedtask/environments/{environmentId}/environmentdeploymentrecords",
				Args: []string{env.ID}, Query: []string{"top", recordsTop},
			}, batch{scope: env.scope(), added: rawjson.Members{}.Raw("__project", orNull(rawjson.Raw(env.JSON, "project")))})
			for b, err := range pages {
				var before bool
				if err == nil {
					before, err = l.queuedBefore(ctx, at, b.page)
				}
				if !yield(b, err) || before {
					return
				}
			}
		}
	})
}

// queuedBefore tells whether the last deployment of a page is older than the build.
func (l *lister) queuedBefore(ctx context.Context, at *part, p *page) (bool, error) {
	if p.Token == "" {
		return false, nil
	}
	var last string
	for obj := range rawjson.Objects(p.Body, "value") {
		last = rawjson.Text(obj, "queueTime")
	}
	queued, ok := timestamp(last)
	if !ok {
		return false, nil
	}
	began, err := l.buildQueued(ctx, at)
	return err == nil && !began.IsZero() && queued.Before(began), err
}

// buildQueued is when the build was queued; zero for one that is not there.
func (l *lister) buildQueued(ctx context.Context, at *part) (time.Time, error) {
	pg, err := l.send(ctx, buildsOf(at.project).With("buildIds", at.build))
	if err != nil {
		return time.Time{}, listed(err)
	}
	defer pg.Free()
	for obj := range rawjson.Objects(pg.Body, "value") {
		if rawjson.Text(obj, "id") == at.build {
			queued, _ := timestamp(rawjson.Text(obj, "queueTime"))
			return queued, nil
		}
	}
	return time.Time{}, nil
}
