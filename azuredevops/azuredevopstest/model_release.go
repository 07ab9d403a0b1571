package azuredevopstest

import (
	"strconv"
	"time"
)

// A ReleaseDefinition is a classic release pipeline.
type ReleaseDefinition struct {
	ID           int
	Name         string
	Path         string
	Environments []string
	Created      time.Time
	CreatedBy    *Person

	project *Project
}

// A Release is a release of a definition, deployed to its environments in turn.
type Release struct {
	ID           int
	Name         string
	Status       string // active, abandoned, draft
	Reason       string
	Description  string
	Definition   *ReleaseDefinition
	Created      time.Time
	Modified     time.Time
	CreatedBy    *Person
	ModifiedBy   *Person
	Tags         []string
	Environments []*ReleaseEnvironment

	project *Project
}

// A ReleaseEnvironment is a stage of a release.
type ReleaseEnvironment struct {
	ID       int
	Name     string
	Status   string // notStarted, inProgress, succeeded, rejected, canceled
	Started  time.Time
	Finished time.Time
}

// AddReleaseDefinition adds a definition with the environments that its
// releases pass.
func (p *Project) AddReleaseDefinition(name string, environments ...string) *ReleaseDefinition {
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &ReleaseDefinition{ID: w.next("release definition"), Name: name, Path: `\`, Environments: environments, Created: w.now(), CreatedBy: w.someone(), project: p}
	p.ReleaseDefinitions = append(p.ReleaseDefinitions, d)
	return d
}

// Release creates an active release of the definition.
func (d *ReleaseDefinition) Release() *Release {
	r := &Release{Status: "active", Reason: "continuousIntegration", Definition: d, project: d.project}
	d.project.world.change(func() news {
		w := d.project.world
		r.ID = w.next("release")
		r.Name = "Release-" + strconv.Itoa(w.next("release of "+strconv.Itoa(d.ID)))
		r.Created, r.CreatedBy = w.now(), w.someone()
		r.Modified, r.ModifiedBy = r.Created, r.CreatedBy
		for _, name := range d.Environments {
			r.Environments = append(r.Environments, &ReleaseEnvironment{ID: w.next("release environment"), Name: name, Status: "notStarted"})
		}
		d.project.Releases = append(d.project.Releases, r)
		return func() []Event { return []Event{r.event("ms.vss-release.release-created-event", "created", nil)} }
	})
	return r
}

// Abandon ends the release.
func (r *Release) Abandon() Event {
	return only(r.project.world.change(func() news {
		r.Status = "abandoned"
		r.touch()
		return func() []Event { return []Event{r.event("ms.vss-release.release-abandoned-event", "abandoned", nil)} }
	}))
}

// Deploy begins the deployment to an environment of the release.
func (r *Release) Deploy(environment string) Event { return r.deploy(environment, "inProgress") }

// FinishDeploy ends the deployment to an environment: succeeded, rejected,
// canceled or partiallySucceeded.
func (r *Release) FinishDeploy(environment, status string) Event {
	return r.deploy(environment, status)
}

func (r *Release) deploy(environment, status string) Event {
	return only(r.project.world.change(func() news {
		for _, e := range r.Environments {
			if e.Name != environment {
				continue
			}
			e.Status = status
			typ, verb := "ms.vss-release.deployment-started-event", "started"
			if status == "inProgress" {
				e.Started = r.project.world.now()
			} else {
				typ, verb = "ms.vss-release.deployment-completed-event", status
				e.Finished = r.project.world.now()
			}
			r.touch()
			return func() []Event { return []Event{r.event(typ, "deployment to "+environment+" "+verb, e)} }
		}
		return nil
	}))
}

func (r *Release) touch() {
	r.Modified, r.ModifiedBy = r.project.world.now(), r.project.world.someone()
}

func (r *Release) event(typ, verb string, e *ReleaseEnvironment) Event {
	p := r.project
	filters := map[string]string{"releaseDefinitionId": strconv.Itoa(r.Definition.ID)}
	project := object{"id", p.ID, "name", p.Name}
	res := object{"release", r.json("environments"), "project", project}
	if e != nil {
		filters["releaseEnvironmentId"] = strconv.Itoa(e.ID)
		res = object{"environment", r.environment(e), "project", project, "deployment", r.deployment(e)}
	}
	return p.world.event(p, typ, "rm", "3.0-preview.1", "Release "+r.Name+" "+verb+".", filters, res)
}

func (p *Project) releaseURL(path string) string {
	return p.world.hostURL("vsrm") + "/" + p.ID + "/_apis/Release/" + path
}

func (d *ReleaseDefinition) url() string {
	return d.project.releaseURL("definitions/" + strconv.Itoa(d.ID))
}

func (d *ReleaseDefinition) links() object {
	return object{"self", link(d.url()), "web", link(d.project.web() + "/_release?definitionId=" + strconv.Itoa(d.ID))}
}

func (d *ReleaseDefinition) ref() object {
	return object{"id", d.ID, "name", d.Name, "path", d.Path, "projectReference", nil, "url", d.url(), "_links", d.links()}
}

func (d *ReleaseDefinition) json(environments bool) object {
	var list []object
	for i, name := range d.Environments {
		list = append(list, object{"id", d.ID*100 + i, "name", name, "rank", i + 1, "owner", d.CreatedBy.ref()})
	}
	return object{
		"source", "userInterface", "revision", 1, "description", nil,
		"createdBy", d.CreatedBy.ref(), "createdOn", d.Created,
		"modifiedBy", d.CreatedBy.ref(), "modifiedOn", d.Created,
		"isDeleted", false, "isDisabled", false, "variableGroups",
		array{},
		"environments", some(environments, append([]object{}, list...)),
		"releaseNameFormat", "Release-$(rev:r)", "properties",
		object{},
		"id", d.ID, "name", d.Name, "path", d.Path, "projectReference", nil,
		"url", d.url(), "_links", d.links(),
	}
}

func (r *Release) url() string { return r.project.releaseURL("releases/" + strconv.Itoa(r.ID)) }

func (r *Release) links() object {
	return object{"self", link(r.url()), "web", link(r.project.web() + "/_release?releaseId=" + strconv.Itoa(r.ID) + "&_a=release-summary")}
}

// json is the release; its environments are shown when expanded.
func (r *Release) json(expand string) object {
	list := []object{}
	for _, e := range r.Environments {
		list = append(list, r.environment(e))
	}
	return object{
		"id", r.ID,
		"name", r.Name,
		"status", r.Status,
		"createdOn", r.Created,
		"modifiedOn", r.Modified,
		"modifiedBy", r.ModifiedBy.ref(),
		"createdBy", r.CreatedBy.ref(),
		"environments", some(expand == "environments", list),
		"variables",
		object{},
		"variableGroups",
		array{},
		"releaseDefinition", r.Definition.ref(),
		"releaseDefinitionRevision", 1,
		"description", r.Description,
		"reason", r.Reason,
		"releaseNameFormat", "Release-$(rev:r)",
		"keepForever", false,
		"definitionSnapshotRevision", 1,
		"logsContainerUrl", r.url() + "/logs",
		"url", r.url(),
		"_links", r.links(),
		"tags", append([]string{}, r.Tags...),
		"triggeringArtifactAlias", nil,
		"projectReference",
		object{"id", r.project.ID, "name", r.project.Name},
		"properties",
		object{},
	}
}

func (r *Release) environment(e *ReleaseEnvironment) object {
	return object{
		"id", e.ID, "releaseId", r.ID, "name", e.Name, "status", e.Status,
		"release",
		object{"id", r.ID, "name", r.Name, "url", r.url(), "_links", r.links()},
		"releaseDefinition", r.Definition.ref(),
		"createdOn", r.Created, "modifiedOn", r.Modified, "owner", r.CreatedBy.ref(),
	}
}

// deployment is the attempt to deploy to an environment, as the list of
// deployments shows it.
func (r *Release) deployment(e *ReleaseEnvironment) object {
	return object{
		"id", e.ID,
		"release",
		object{"id", r.ID, "name", r.Name, "url", r.url(), "_links", r.links()},
		"releaseDefinition", r.Definition.ref(),
		"releaseEnvironment",
		object{"id", e.ID, "name", e.Name, "url", r.url() + "/environments/" + strconv.Itoa(e.ID)},
		"definitionEnvironmentId", r.Definition.ID * 100,
		"attempt", 1,
		"reason", "automated",
		"deploymentStatus", e.Status,
		"operationStatus", "Approved",
		"requestedBy", r.CreatedBy.ref(),
		"requestedFor", r.CreatedBy.ref(),
		"queuedOn", r.Created,
		"startedOn", e.Started,
		"completedOn", opt(e.Finished),
		"lastModifiedOn", r.Modified,
		"lastModifiedBy", r.ModifiedBy.ref(),
		"projectReference",
		object{"id", r.project.ID, "name", r.project.Name},
	}
}
