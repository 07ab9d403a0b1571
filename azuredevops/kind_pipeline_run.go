package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineRunSelector]{
	Name: "pipeline-run", List: listPipelineRuns, Within: withinPipelineRun, Incremental: true,
	Events: []string{RunStateChanged, stageStateChanged},
})

type pipelineRunSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listPipelineRuns lists the runs of every pipeline with `__project` and
// `__pipeline`, the pipeline as it stands in its list. The service gives the newest
// 10,000 runs of a pipeline in one answer, and is not asked for fewer: it would not
// say that there are more.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/list
func listPipelineRuns(l *lister, _ pipelineRunSelector) stream[Record] {
	if !l.since.IsZero() {
		return listPipelineRunsSince(l)
	}
	return l.eachBelow(l.eachOf(widePages, pipelinesOf), func(ctx context.Context, p *parent) iter.Seq2[batch, error] {
		return l.provenRuns(ctx, p)
	})
}

// provenRuns are the runs of a pipeline. A run is a build: where the list of builds,
// which other kinds read, shows the same builds of the pipeline as the last time, down to
// the last letter, and none that may change, the runs are the same.
func (l *lister) provenRuns(ctx context.Context, p *parent) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		said, builds := l.seenBuilds(ctx, p.Project).of(p)
		proof := l.prove(memorable{what: "runs 1", project: p.Project, id: p.ID}, func(n note) bool { return n.revision == said })
		var runs idSum
		for b, err := range proof.runs(ctx, p, nil) {
			if err == nil {
				for obj := range b.page.Objects() {
					runs.add(rawjson.Text(obj, "id"))
				}
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
		if runs != builds {
			said = "" // one came in between, or one list has what the other has not
		}
		proof.holds(said)
	}
}

// runs are those of a pipeline; nil keeps all.
func (l *lister) runs(ctx context.Context, p *parent, keep func(run []byte) bool) iter.Seq2[batch, error] {
	return l.batches(ctx, &request{Project: p.Project.ID, Route: "_apis/pipelines/{pipelineId}/runs", Args: []string{p.ID}}, batch{
		scope: p.scope(), keep: keep,
		added: rawjson.Members{}.Raw("__project", p.Project.JSON).Raw("__pipeline", p.JSON),
	})
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
			run, err := l.object(ctx, &request{Project: p.ID, Route: "_apis/pipelines/{pipelineId}/runs/{runId}", Args: []string{at.Scope.ID, at.run}, Is: at.run})
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
	unlisted, err := l.c.live.unlisted.get(ctx, "", func(ctx context.Context) ([]string, error) {
		out := []string{"resources", "variables", "tags", "yamlDetails", "finalYaml"}
		rq := &request{
			Project: at.project.ID, Route: "_apis/pipelines/{pipelineId}/runs", Args: []string{at.Scope.ID},
		}
		for pg, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				return nil, listed(err)
			}
			for obj := range pg.Objects() {
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
