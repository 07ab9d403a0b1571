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

// recordsTop is how many deployments of an environment are read at once to find
// those of a build.
const recordsTop = "50"

// withinPipelineDeployment looks for the deployments of one build in every
// environment of the project: events do not name the environment. No deployment of a
// build is older than the build. So where a list goes from the newest to the oldest,
// as it does but nobody promises, the rest need not be read.
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
			var order fromNewest
			for b, err := range pages {
				var before bool
				if err == nil && order.add(b.page) && b.page.Token != "" {
					before, err = l.queuedBefore(ctx, at, order.last)
				}
				if !yield(b, err) || before {
					return
				}
			}
		}
	})
}

// fromNewest watches the order of a list of deployments.
type fromNewest struct {
	n     int
	last  time.Time
	wrong bool
}

// add reads a page. It tells whether everything so far, two deployments at least,
// came from the newest to the oldest.
func (o *fromNewest) add(p *page) bool {
	for obj := range p.Objects() {
		queued, ok := timestamp(rawjson.Text(obj, "queueTime"))
		o.wrong = o.wrong || !ok || o.n > 0 && queued.After(o.last)
		o.n, o.last = o.n+1, queued
	}
	return !o.wrong && o.n > 1
}

// queuedBefore tells whether a time is before the build.
func (l *lister) queuedBefore(ctx context.Context, at *part, queued time.Time) (bool, error) {
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
	for obj := range pg.Objects() {
		if rawjson.Text(obj, "id") == at.build {
			queued, _ := timestamp(rawjson.Text(obj, "queueTime"))
			return queued, nil
		}
	}
	return time.Time{}, nil
}
