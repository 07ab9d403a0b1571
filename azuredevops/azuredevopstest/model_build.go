package azuredevopstest

import (
	"encoding/json"
	"strconv"
	"time"
)

// A Pipeline is a YAML pipeline, which is a build definition as well.
type Pipeline struct {
	ID         int
	Name       string
	Folder     string // begins with a backslash
	Revision   int
	Created    time.Time
	YAML       string
	CreatedBy  *Person
	Repository *Repository
	Stages     []string // of its builds; empty is one stage without a name

	project *Project
}

// A Build is a run of a pipeline.
type Build struct {
	ID       int
	Number   string
	Pipeline *Pipeline
	Status   string // notStarted, inProgress, completed
	Result   string // succeeded, partiallySucceeded, failed, canceled; empty before the end
	Reason   string
	Branch   string
	Version  string // commit id
	Queued   time.Time
	Started  time.Time
	Finished time.Time
	For      *Person
	Tags     []string
	Stages   []*Stage

	// Parameters and Variables are JSON objects that the run was started with; empty for none.
	Parameters, Variables string

	project *Project
}

// A Stage is a part of a build's timeline.
type Stage struct {
	ID       string
	Name     string
	State    string // pending, inProgress, completed
	Result   string
	Started  time.Time
	Finished time.Time
}

// AddPipeline adds a pipeline that builds a repository.
func (p *Project) AddPipeline(name string, r *Repository) *Pipeline {
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &Pipeline{ID: w.next("pipeline"), Name: name, Folder: `\`, Revision: 1, Created: w.now(), CreatedBy: w.someone(), YAML: "azure-pipelines.yml", Repository: r, project: p}
	p.Pipelines = append(p.Pipelines, d)
	return d
}

// QueueBuild queues a run of the pipeline on a branch, the repository's default
// branch when it is empty.
func (d *Pipeline) QueueBuild(branch string) *Build {
	b := &Build{Pipeline: d, Status: "notStarted", Reason: "individualCI", project: d.project}
	d.project.world.change(func() news {
		w, p := d.project.world, d.project
		b.ID = w.next("build")
		b.Queued, b.For = w.now(), w.someone()
		b.Number = b.Queued.Format("20060102") + "." + strconv.Itoa(w.next("build "+strconv.Itoa(d.ID)))
		if r := d.Repository; r != nil {
			b.Branch = r.DefaultBranch
			if branch != "" {
				b.Branch = fullRef(branch)
			}
			if c := r.branches[b.Branch]; c != nil {
				b.Version = c.ID
			}
		}
		names := d.Stages
		if len(names) == 0 {
			names = []string{"__default"}
		}
		for _, name := range names {
			b.Stages = append(b.Stages, &Stage{ID: w.newID("record"), Name: name, State: "pending"})
		}
		p.Builds = append(p.Builds, b)
		return nil
	})
	return b
}

// Start begins the run.
func (b *Build) Start() []Event {
	return b.project.world.change(func() news {
		b.Status, b.Started = "inProgress", b.project.world.now()
		first := b.Stages[0] // there is always one
		first.State, first.Started = "inProgress", b.Started
		return func() []Event { return []Event{b.runEvent(), b.stageEvent(first)} }
	})
}

// Finish ends the run with a result: succeeded, partiallySucceeded, failed or
// canceled.
func (b *Build) Finish(result string) []Event {
	return b.project.world.change(func() news {
		now := b.project.world.now()
		if b.Started.IsZero() {
			b.Started = now
		}
		b.Status, b.Result, b.Finished = "completed", result, now
		for _, s := range b.Stages {
			s.State, s.Result, s.Finished = "completed", result, now
			if s.Started.IsZero() {
				s.Started = b.Started
			}
		}
		return b.finished
	})
}

func (b *Build) finished() []Event {
	var events []Event
	for _, s := range b.Stages {
		events = append(events, b.stageEvent(s))
	}
	return append(events, b.runEvent(), b.project.world.event(b.project, "build.complete", "tfs", "2.0", "Build "+b.Number+" "+b.Result,
		map[string]string{"definitionName": b.Pipeline.Name, "buildStatus": b.Result}, b.json()))
}

func (b *Build) runEvent() Event {
	return b.project.world.event(b.project, "ms.vss-pipelines.run-state-changed-event", "pipelines", "5.1-preview.1",
		"Run "+b.Number+" "+b.state()+".", map[string]string{"pipelineId": strconv.Itoa(b.Pipeline.ID)},
		object{"run", b.run(), "pipeline", b.Pipeline.runRef()})
}

func (b *Build) stageEvent(s *Stage) Event {
	return b.project.world.event(b.project, "ms.vss-pipelines.stage-state-changed-event", "pipelines", "5.1-preview.1",
		"Stage "+s.Name+" of run "+b.Number+" changed.", map[string]string{"pipelineId": strconv.Itoa(b.Pipeline.ID), "stageNameId": s.Name},
		object{
			"stage",
			object{"id", s.ID, "name", s.Name, "displayName", s.Name, "state", s.State, "result", opt(s.Result)},
			"run", b.run(), "pipeline", b.Pipeline.runRef(),
		})
}

func (d *Pipeline) definitionURL() string {
	return d.project.below("build/Definitions/" + strconv.Itoa(d.ID) + "?revision=" + strconv.Itoa(d.Revision))
}

func (d *Pipeline) pipelineURL() string {
	return d.project.below("pipelines/" + strconv.Itoa(d.ID) + "?revision=" + strconv.Itoa(d.Revision))
}

func (d *Pipeline) web() string {
	return d.project.web() + "/_build/definition?definitionId=" + strconv.Itoa(d.ID)
}

// pipeline is the object of the pipelines area.
func (d *Pipeline) pipeline(configuration bool) object {
	var repo any
	if d.Repository != nil {
		repo = object{"id", d.Repository.ID, "type", "azureReposGit"}
	}
	return object{
		"_links",
		object{"self", link(d.pipelineURL()), "web", link(d.web())},
		"configuration", some(configuration, object{"path", d.YAML, "repository", repo, "type", "yaml"}),
		"url", d.pipelineURL(),
		"id", d.ID,
		"revision", d.Revision,
		"name", d.Name,
		"folder", d.Folder,
	}
}

// runRef is the pipeline inside its runs.
func (d *Pipeline) runRef() object {
	return object{"url", d.pipelineURL(), "id", d.ID, "revision", d.Revision, "name", d.Name, "folder", d.Folder}
}

// definitionRef is the build definition inside builds.
func (d *Pipeline) definitionRef() object {
	return object{
		"drafts",
		array{},
		"id", d.ID, "name", d.Name, "url", d.definitionURL(), "uri", "vstfs:///Build/Definition/" + strconv.Itoa(d.ID),
		"path", d.Folder, "type", "build", "queueStatus", "enabled", "revision", d.Revision, "project", d.project.ref(),
	}
}

// definition is the build definition; only a single answer has its repository.
func (d *Pipeline) definition(whole bool) object {
	o := object{
		"_links",
		object{"self", link(d.definitionURL()), "web", link(d.web())},
		"quality", "definition",
		"authoredBy", d.CreatedBy.ref(),
		"drafts",
		array{},
		"queue",
		object{"id", 18, "name", "Azure Pipelines", "pool", object{"id", 9, "name", "Azure Pipelines", "isHosted", true}},
		"id", d.ID,
		"name", d.Name,
		"url", d.definitionURL(),
		"uri", "vstfs:///Build/Definition/" + strconv.Itoa(d.ID),
		"path", d.Folder,
		"type", "build",
		"queueStatus", "enabled",
		"revision", d.Revision,
		"createdDate", d.Created,
		"project", d.project.ref(),
	}
	if !whole {
		return o
	}
	o = append(o, "process", object{"yamlFilename", d.YAML, "type", 2}, "jobAuthorizationScope", "project", "jobTimeoutInMinutes", 60)
	if d.Repository != nil {
		o = append(o, "repository", d.repository())
	}
	return o
}

// repository is the repository as definitions and builds show it.
func (d *Pipeline) repository() object {
	r := d.Repository
	return object{
		"properties",
		object{"cleanOptions", "0", "reportBuildStatus", "true", "fetchDepth", "1"},
		"id", r.ID, "type", "TfsGit", "name", r.Name, "url", r.web(), "defaultBranch", opt(r.DefaultBranch),
		"clean", nil, "checkoutSubmodules", false,
	}
}

func (b *Build) url() string { return b.project.below("build/Builds/" + strconv.Itoa(b.ID)) }

func (b *Build) web() string {
	return b.project.web() + "/_build/results?buildId=" + strconv.Itoa(b.ID)
}

func (b *Build) json() object {
	o := object{
		"_links",
		object{
			"self", link(b.url()), "web", link(b.web()),
			"timeline", link(b.url() + "/Timeline"),
		},
		"properties",
		object{},
		"tags", append([]string{}, b.Tags...),
		"validationResults",
		array{},
		"plans",
		array{object{"planId", b.project.world.idOf("plan", b.ID)}},
		"triggerInfo",
		object{"ci.sourceBranch", b.Branch, "ci.sourceSha", b.Version},
		"id", b.ID,
		"buildNumber", b.Number,
		"status", b.Status,
		"result", opt(b.Result),
		"queueTime", b.Queued,
		"startTime", opt(b.Started),
		"finishTime", opt(b.Finished),
		"url", b.url(),
		"definition", b.Pipeline.definitionRef(),
		"project", b.project.ref(),
		"uri", "vstfs:///Build/Build/" + strconv.Itoa(b.ID),
		"sourceBranch", b.Branch,
		"sourceVersion", b.Version,
		"queue",
		object{"id", 18, "name", "Azure Pipelines", "pool", object{"id", 9, "name", "Azure Pipelines", "isHosted", true}},
		"priority", "normal",
		"reason", b.Reason,
		"requestedFor", b.For.ref(),
		"requestedBy", b.For.ref(),
		"lastChangedDate", b.changed(),
		"lastChangedBy", b.For.ref(),
		"retainedByRelease", false,
		"triggeredByBuild", nil,
	}
	if b.Pipeline.Repository != nil {
		o = append(o, "repository", b.Pipeline.repository())
	}
	return o
}

func (b *Build) changed() time.Time {
	switch {
	case !b.Finished.IsZero():
		return b.Finished
	case !b.Started.IsZero():
		return b.Started
	default:
		return b.Queued
	}
}

// state is the build's status in the words of the pipelines area.
func (b *Build) state() string {
	if b.Status == "completed" {
		return "completed"
	}
	return "inProgress"
}

// run is the build as a run of the pipelines area.
func (b *Build) run() object {
	self := b.project.below("pipelines/" + strconv.Itoa(b.Pipeline.ID) + "/runs/" + strconv.Itoa(b.ID))
	resources := object{"repositories", object{}}
	if r := b.Pipeline.Repository; r != nil {
		resources = object{"repositories", object{"self", object{
			"repository", object{"id", r.ID, "type", "azureReposGit"}, "refName", b.Branch, "version", b.Version,
		}}}
	}
	result := b.Result
	if result == "partiallySucceeded" {
		result = "succeeded" // the area has no word for it
	}
	return object{
		"_links",
		object{"self", link(self), "web", link(b.web()), "pipeline.web", link(b.Pipeline.web()), "pipeline", link(b.Pipeline.pipelineURL())},
		"pipeline", b.Pipeline.runRef(),
		"state", b.state(),
		"result", opt(result),
		"createdDate", b.Queued,
		"finishedDate", opt(b.Finished),
		"url", self,
		"id", b.ID,
		"name", b.Number,
		"resources", resources,
		"templateParameters", some(b.Parameters != "", json.RawMessage(b.Parameters)),
		"variables", some(b.Variables != "", json.RawMessage(b.Variables)),
		"tags", append([]string{}, b.Tags...),
	}
}

// timeline is the record tree of the build: a stage, phase and job each.
func (b *Build) timeline() object {
	w := b.project.world
	var records []object
	add := func(id, parent, typ, name string, order int, s *Stage) {
		records = append(records, object{
			"previousAttempts",
			array{},
			"id", id, "parentId", orNull(parent), "type", typ, "name", name,
			"startTime", timeOrNull(s.Started), "finishTime", timeOrNull(s.Finished), "currentOperation", nil, "percentComplete", nil,
			"state", s.State, "result", orNull(s.Result), "resultCode", nil, "changeId", b.ID, "lastModified",
			time.Time{},
			"workerName", nil,
			"order", order, "details", nil, "errorCount", 0, "warningCount", 0, "url", nil, "log", nil, "task", nil, "attempt", 1, "identifier", name,
		})
	}
	for i, s := range b.Stages {
		phase, job := w.idOf("phase", s.ID), w.idOf("job", s.ID)
		add(s.ID, "", "Stage", s.Name, i+1, s)
		add(phase, s.ID, "Phase", "Job", 1, s)
		add(job, phase, "Job", "Job", 1, s)
	}
	return object{
		"records", records, "lastChangedBy", b.For.ID, "lastChangedOn", b.changed(),
		"id", w.idOf("timeline", b.ID), "changeId", b.ID, "url", b.url() + "/Timeline/" + w.idOf("timeline", b.ID),
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
