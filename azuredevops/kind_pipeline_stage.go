package azuredevops

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[pipelineStageSelector]{
	Name: "pipeline-stage", List: listPipelineStages, Reads: routeBuilds,
	Events: []string{
		stageStateChanged, RunStateChanged, "ms.vss-pipelines.job-state-changed-event",
		"ms.vss-pipelinechecks-events.approval-pending", "ms.vss-pipelinechecks-events.approval-completed",
	},
	Live: live{
		Narrow: idFilter(routeBuilds, "buildIds"),
		Prefetch: func(c Change) *request {
			if c.Scope.ID == "" {
				return nil
			}
			return timelineOf(c.Scope.Project, c.Scope.ID)
		},
	},
})

type pipelineStageSelector struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}

// listPipelineStages lists the stages in the timeline of every build with
// `__project` and `__build`, the build as kind build has it, without the keys of all
// kinds. A build whose timeline cannot be read is unknown.
func listPipelineStages(l *lister, _ pipelineStageSelector) stream[Record] {
	return each(wideCalls, l.eachOf(wideBuilds, buildsOf), func(ctx context.Context, build *parent) iter.Seq2[Record, error] {
		return within(build.scope(), func(yield func(Record, error) bool) {
			stages, err := l.rememberedStages(ctx, build)
			if err != nil {
				yield(Record{}, fmt.Errorf("timeline: %w", err))
				return
			}
			added := rawjson.Members{}.Raw("__project", build.Project.JSON).Raw("__build", rawjson.With(build.JSON, buildMembers(build.Project)))
			for obj := range rawjson.Elements(stages) {
				if !yield(l.record(obj, build.scope(), build.ID, added), nil) {
					return
				}
			}
		})
	})
}

// rememberedStages is stages, without the call where the build has not changed. For
// a live event the timeline is asked for while the build is: it may be older than
// the revision under which it would be remembered.
func (l *lister) rememberedStages(ctx context.Context, build *parent) ([]byte, error) {
	if l.at != nil {
		stages, _, err := l.stages(ctx, build)
		return stages, err
	}
	of := memorable{"stages 1", build.Project, build.ID, buildRevision(build.JSON)}
	return l.remember(ctx, of, func(ctx context.Context) ([]byte, bool, error) { return l.stages(ctx, build) })
}

// timelineOf asks for the timeline of a build.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/timeline/get
func timelineOf(project, build string) *request {
	return &request{Project: project, Route: "_apis/build/builds/{buildId}/timeline", Args: []string{build}, Empty: true}
}

// mayLackTimeline tells whether a build can be without a timeline: before it has
// begun, and for ever when it has ended without running, as after an error in its
// YAML.
func mayLackTimeline(build []byte) bool {
	return !started(build) || rawjson.Text(build, "status") == "completed"
}

// stages is the array of the stages in a build's timeline. For a finished build
// it depends on ID and revision only, once there is a timeline: settled.
func (l *lister) stages(ctx context.Context, build *parent) (stages []byte, settled bool, err error) {
	p, err := l.send(ctx, timelineOf(build.Project.ID, build.ID))
	if none := noTimeline(p, err); none && mayLackTimeline(build.JSON) {
		p.Free()
		return []byte("[]"), false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer p.Free()
	if err := p.ReadList("records", "id", false); err != nil {
		return nil, false, err
	}
	out := []byte{'['}
	for obj := range p.Objects() {
		if rawjson.Text(obj, "type") != "Stage" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, obj...)
	}
	return bytes.Clone(append(out, ']')), true, nil
}

// noTimeline tells whether an answer says that there is no timeline: 204, null, no
// records, or that the build itself is gone, which its list shows a little longer.
func noTimeline(p *page, err error) bool {
	if err != nil {
		return saysAbsent(err, "BuildNotFoundException")
	}
	return p.Status == http.StatusNoContent || string(bytes.TrimSpace(p.Body)) == "null" ||
		rawjson.Has(p.Body, "records") && rawjson.Raw(p.Body, "records") == nil
}
