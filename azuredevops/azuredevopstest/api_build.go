package azuredevopstest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func buildRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{project}/_apis/build/definitions", handler: listDefinitions},
		{method: "GET", pattern: "/{project}/_apis/build/definitions/{pipeline}", handler: getDefinition},
		{method: "GET", pattern: "/{project}/_apis/build/builds", handler: listBuilds},
		{method: "GET", pattern: "/{project}/_apis/build/builds/{build}", handler: getBuild},
		{method: "GET", pattern: "/{project}/_apis/build/builds/{build}/timeline", handler: getTimeline},
		{method: "GET", pattern: "/{project}/_apis/build/builds/{build}/changes", handler: listBuildChanges},
		{method: "GET", pattern: "/{project}/_apis/pipelines", handler: listPipelines},
		{method: "GET", pattern: "/{project}/_apis/pipelines/{pipeline}", handler: getPipeline},
		{method: "GET", pattern: "/{project}/_apis/pipelines/{pipeline}/runs", handler: listRuns},
		{method: "GET", pattern: "/{project}/_apis/pipelines/{pipeline}/runs/{build}", handler: getRun},
		{method: "POST", pattern: "/{project}/_apis/pipelines/{pipeline}/runs", handler: runPipeline, writes: true},
	}
}

func (q *request) pipeline() (*Pipeline, *response) {
	for _, d := range q.project.Pipelines {
		if d.ID == q.number("pipeline") {
			return d, nil
		}
	}
	return nil, notFound("Microsoft.TeamFoundation.Build.WebApi.DefinitionNotFoundException", "The requested build definition "+q.param("pipeline")+" does not exist.")
}

func (q *request) build() (*Build, *response) {
	i, found := slices.BinarySearchFunc(q.project.Builds, q.number("build"), func(b *Build, id int) int { return cmp.Compare(b.ID, id) })
	if found {
		return q.project.Builds[i], nil
	}
	return nil, notFound("Microsoft.TeamFoundation.Build.WebApi.BuildNotFoundException", "The requested build "+q.param("build")+" could not be found.")
}

// listDefinitions lists without the repositories, which only a single
// definition shows, unless includeAllProperties is set.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/definitions/list
func listDefinitions(q *request) *response {
	list := q.project.Pipelines
	if name := q.get("name"); name != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(d *Pipeline) bool { return !strings.EqualFold(d.Name, name) })
	}
	whole := q.flag("includeallproperties")
	return paged(q, list, 10_000, func(d *Pipeline) object { return d.definition(whole) })
}

func getDefinition(q *request) *response {
	d, resp := q.pipeline()
	if resp != nil {
		return resp
	}
	return ok(d.definition(true))
}

// listBuilds shows the newest first.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func listBuilds(q *request) *response {
	after, before := q.time("mintime"), q.time("maxtime")
	var list []*Build
	for _, b := range slices.Backward(q.project.Builds) {
		if q.get("definitions") != "" && !slices.Contains(strings.Split(q.get("definitions"), ","), strconv.Itoa(b.Pipeline.ID)) ||
			q.get("statusfilter") != "" && !strings.EqualFold(q.get("statusfilter"), "all") && !strings.EqualFold(q.get("statusfilter"), b.Status) ||
			!after.IsZero() && b.changed().Before(after) || !before.IsZero() && b.changed().After(before) {
			continue
		}
		list = append(list, b)
	}
	return paged(q, list, 1000, (*Build).json)
}

func getBuild(q *request) *response {
	b, resp := q.build()
	if resp != nil {
		return resp
	}
	return ok(b.json())
}

// getTimeline answers 204 for a build that has not started.
func getTimeline(q *request) *response {
	b, resp := q.build()
	if resp != nil {
		return resp
	}
	if b.Started.IsZero() {
		return answerBytes(http.StatusNoContent, "", nil)
	}
	return ok(b.timeline())
}

// listBuildChanges lists the commit that was built.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/get-build-changes
func listBuildChanges(q *request) *response {
	b, resp := q.build()
	if resp != nil {
		return resp
	}
	var list []object
	if r := b.Pipeline.Repository; r != nil && r.commits[b.Version] != nil {
		c := r.commits[b.Version]
		list = append(list, object{
			"id", c.ID, "message", c.Message, "type", "TfsGit", "author", c.Author.ref(), "timestamp", c.When,
			"location", r.url() + "/commits/" + c.ID, "displayUri", r.web() + "/commit/" + c.ID, "pusher", c.Author.ID,
		})
	}
	return paged(q, list, 50, itself)
}

// listPipelines lists without configurations.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/pipelines/list
func listPipelines(q *request) *response {
	return paged(q, q.project.Pipelines, 10_000, func(d *Pipeline) object { return d.pipeline(false) })
}

func getPipeline(q *request) *response {
	d, resp := q.pipeline()
	if resp != nil {
		return resp
	}
	return ok(d.pipeline(true))
}

// listRuns answers all runs at once, the newest first.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/list
func listRuns(q *request) *response {
	d, resp := q.pipeline()
	if resp != nil {
		return resp
	}
	var list []*Build
	for _, b := range slices.Backward(q.project.Builds) {
		if b.Pipeline == d {
			list = append(list, b)
		}
	}
	return collection(list, (*Build).run)
}

func getRun(q *request) *response {
	b, resp := q.build()
	if resp != nil {
		return resp
	}
	return ok(b.run())
}

// runPipeline queues a run.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/run-pipeline
func runPipeline(q *request) *response {
	var in struct {
		Resources struct {
			Repositories struct {
				Self struct {
					RefName string `json:"refName"`
				} `json:"self"`
			} `json:"repositories"`
		} `json:"resources"`
		TemplateParameters json.RawMessage `json:"templateParameters"`
		Variables          json.RawMessage `json:"variables"`
	}
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, &in); err != nil {
			return failure(http.StatusBadRequest, errBadRequest, "The request body is not valid.")
		}
	}
	q.world.mu.RLock()
	d, resp := q.pipeline()
	q.world.mu.RUnlock()
	if resp != nil {
		return resp
	}
	b := d.QueueBuild(in.Resources.Repositories.Self.RefName)
	q.world.Edit(func() { b.Parameters, b.Variables = string(in.TemplateParameters), string(in.Variables) })
	q.world.mu.RLock()
	defer q.world.mu.RUnlock()
	return ok(b.run())
}
