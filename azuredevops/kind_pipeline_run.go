package azuredevops

import (
	"context"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineRunSelector]{
	Name: "pipeline-run", List: listPipelineRuns, Within: withinPipelineRun, Incremental: true,
	Events: []string{runStateChanged, stageStateChanged},
})

type pipelineRunSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listPipelineRuns lists the runs of every pipeline with `__project` and
// `__pipeline`, the pipeline as it stands in its list (export.md 4.9). The
// service gives the newest 10,000 runs of a pipeline in one answer, and is not
// asked for fewer: it would not say that there are more.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/list
func listPipelineRuns(l *lister, _ pipelineRunSelector) stream[Record] {
	if !l.since.IsZero() {
		return listPipelineRunsSince(l)
	}
	return l.eachBelow(l.eachOf(widePages, pipelinesOf), func(ctx context.Context, p *parent) iter.Seq2[batch, error] {
		return l.runs(ctx, p, nil)
	})
}

// runs are those of a pipeline; nil keeps all.
func (l *lister) runs(ctx context.Context, p *parent, keep func(run []byte) bool) iter.Seq2[batch, error] {
	return l.batches(ctx, &request{Project: p.Project.ID, Route: "_apis/pipelines/{pipelineId}/runs", Args: []string{p.ID}}, batch{
		scope: p.scope(), keep: keep,
		added: rawjson.Members{}.Raw("__project", p.Project.JSON).Raw("__pipeline", p.JSON),
	})
}
