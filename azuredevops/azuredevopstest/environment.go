package azuredevopstest

import (
	"slices"
	"strconv"
	"time"
)

// An Environment is a target of YAML pipelines.
type Environment struct {
	ID          int
	Name        string
	Description string
	Created     time.Time
	CreatedBy   *Person
	Deployments []*EnvironmentDeployment // in the order of their ids

	project *Project
}

// An EnvironmentDeployment is a stage of a build that went to the environment.
type EnvironmentDeployment struct {
	ID       int
	Build    *Build
	Stage    string
	Result   string
	Started  time.Time
	Finished time.Time
}

// AddEnvironment adds an environment.
func (p *Project) AddEnvironment(name string) *Environment {
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &Environment{ID: w.next("environment"), Name: name, Created: w.now(), CreatedBy: w.someone(), project: p}
	p.Environments = append(p.Environments, e)
	return e
}

// Deploy records that a stage of a build was deployed.
func (e *Environment) Deploy(b *Build, stage, result string) *EnvironmentDeployment {
	w := e.project.world
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &EnvironmentDeployment{ID: w.next("deployment record"), Build: b, Stage: stage, Result: result, Started: w.now(), Finished: w.now()}
	e.Deployments = append(e.Deployments, d)
	return d
}

func environmentRoutes() []route {
	const one = "/{project}/_apis/distributedtask/environments"
	return []route{
		{method: "GET", pattern: one, handler: listEnvironments},
		{method: "GET", pattern: one + "/{environment}/environmentdeploymentrecords", handler: listEnvironmentDeployments},
	}
}

// listEnvironments shows projects without their names.
//
// https://learn.microsoft.com/rest/api/azure/devops/environments/environments/list
func listEnvironments(q *request) *response {
	return paged(q, q.project.Environments, 1000, func(e *Environment) object {
		return object{
			"id", e.ID, "name", e.Name, "description", e.Description, "createdBy", e.CreatedBy.ref(), "createdOn", e.Created,
			"lastModifiedBy", e.CreatedBy.ref(), "lastModifiedOn", e.Created, "project",
			object{"id", q.project.ID, "name", nil},
		}
	})
}

// listEnvironmentDeployments shows the newest first and pages by top.
//
// https://learn.microsoft.com/rest/api/azure/devops/environments/environmentdeploymentrecords/list
func listEnvironmentDeployments(q *request) *response {
	for _, e := range q.project.Environments {
		if e.ID == q.number("environment") {
			list := slices.Clone(e.Deployments)
			slices.Reverse(list)
			return paged(q, list, 25, e.record)
		}
	}
	return notFound("Microsoft.TeamFoundation.DistributedTask.WebApi.EnvironmentNotFoundException",
		"Environment with id "+q.param("environment")+" does not exist.")
}

func (e *Environment) record(d *EnvironmentDeployment) object {
	p := d.Build.Pipeline
	return object{
		"id", d.ID, "environmentId", e.ID, "requestIdentifier", strconv.Itoa(d.ID), "stageName", d.Stage, "jobName", "Deploy",
		"jobAttempt", 1, "stageAttempt", 1,
		"definition",
		object{"_links", object{"web", link(p.web()), "self", link(p.definitionURL())}, "id", p.ID, "name", p.Name},
		"owner",
		object{"_links", object{"web", link(d.Build.web()), "self", link(d.Build.url())}, "id", d.Build.ID, "name", d.Build.Number},
		"planType", "Build", "planId", e.project.world.idOf("plan", d.Build.ID), "scopeId", e.project.ID,
		"result", opt(d.Result), "queueTime", d.Started, "startTime", d.Started, "finishTime", opt(d.Finished),
	}
}
