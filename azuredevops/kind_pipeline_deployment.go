package azuredevops

import (
	"context"
	"iter"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineDeploymentSelector]{
	Name: "pipeline-deployment", List: listPipelineDeployments, Within: withinPipelineDeployment,
	Events: []string{stageStateChanged},
	Live:   live{Matches: about("owner.id", func(c Change) string { return c.build })},
})

type pipelineDeploymentSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listPipelineDeployments lists the deployment records of every environment with
// `__project`: the environment's own stub of a project, whose name is usually null.
//
// https://learn.microsoft.com/rest/api/azure/devops/environments/environmentdeployment-records/list
func listPipelineDeployments(l *lister, _ pipelineDeploymentSelector) stream[Record] {
	return l.eachBelow(l.eachOf(widePages, environmentsOf), func(ctx context.Context, env *parent) iter.Seq2[batch, error] {
		return l.batches(ctx, &request{
			Project: env.Project.ID, Route: "_apis/distributedtask/environments/{environmentId}/environmentdeploymentrecords",
			Args: []string{env.ID}, Query: []string{"top", listTop}, // not $top, which is not known here
		}, batch{scope: env.scope(), added: rawjson.Members{}.Raw("__project", orNull(rawjson.Raw(env.JSON, "project")))})
	})
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
	pg, err := l.list(ctx, buildsOf(at.project).With("buildIds", at.build), "value")
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
