package azuredevops

import (
	"net/url"
	"strings"
)

// A Change is a part of Azure DevOps whose records of a kind may have changed with
// an event. It is comparable: equal changes are one.
type Change struct {
	Kind string
	// Scope is what to list again. Where the event only has a name, the scope is
	// wider than necessary until Settle has found the id.
	Scope Scope
	// Partial: listing the change yields only the records in Scope that the event is
	// about. Others are not gone.
	Partial bool

	// What the event is about inside Scope, for listings that can make use of it.
	build, run          string
	release, definition string
	source, target      string // refs of a pull request
	repository          string // id or name, where it is not Scope's
	fresh               bool   // what is remembered of the repository is out of date
}

// Changes are the parts that may differ after an event, for every kind, mapped or
// not: events affect more than they name. They depend on the payload alone, which is
// trusted only to say where to look. An event of an unknown type, or without the
// necessary ids, changes nothing. This is the one place besides the rows that names
// kinds.
func Changes(e *Event) []Change {
	if e.Project == "" {
		return nil
	}
	id := &e.ids
	switch family(e.Type) {
	case "git.push":
		return e.pushed()
	case "git.repo":
		return e.repositoryChanged()
	case "git.pullrequest":
		if id.pull == "" {
			return nil
		}
		at := e.within(id.pull)
		at.Repository = id.repository
		return []Change{{Kind: "pull-request", Scope: at, source: id.source, target: id.target}}
	case "workitem":
		return e.workItemChanged()
	case "build", "ms.vss-pipelines", "ms.vss-pipelinechecks-events":
		return e.pipelinesChanged()
	case "ms.vss-release":
		return e.releaseChanged()
	case "ms.vss-alerts":
		at := e.within("")
		at.Repository = id.repository
		c := Change{Kind: "advanced-security-alert", Scope: at}
		if id.repository == "" {
			if c.repository = repositoryName(id.repositoryURL); c.repository == "" {
				return nil
			}
		}
		return []Change{c}
	}
	return nil
}

// within is a record of the event's project, or the project.
func (e *Event) within(id string) Scope { return Scope{Project: e.Project, ID: id} }

// pushed is what a push changes: the repository (its size, and the files that its
// record includes), its branches, files and folders, and the pages if it is that of
// a wiki.
func (e *Event) pushed() []Change {
	repository := e.ids.repository
	if repository == "" {
		return nil
	}
	at := e.within("")
	at.Repository = repository
	out := []Change{e.repositoryItself()}
	for _, kind := range []string{"branch", "file", "folder"} {
		out = append(out, Change{Kind: kind, Scope: at})
	}
	return append(out, Change{Kind: "wiki", Scope: e.within(""), repository: repository})
}

func (e *Event) repositoryItself() Change {
	at := e.within(e.ids.repository)
	at.Repository = e.ids.repository
	return Change{Kind: "repository", Scope: at}
}

// repositoryChanged is what appears and disappears with a repository, or contains
// its name.
func (e *Event) repositoryChanged() []Change {
	out := e.pushed()
	if out == nil {
		return nil
	}
	at := e.within("")
	at.Repository = e.ids.repository
	for _, kind := range []string{"pull-request", "repository-policy", "advanced-security-alert"} {
		out = append(out, Change{Kind: kind, Scope: at})
	}
	for i := range out {
		out[i].fresh = true
	}
	if e.Type == "git.repo.renamed" {
		out = append(out, Change{Kind: "pipeline", Scope: e.within("")}) // includeRepo
	}
	return out
}

// workItemChanged is the work item, here and where it was before.
func (e *Event) workItemChanged() []Change {
	if e.ids.workItem == "" {
		return nil
	}
	out := []Change{{Kind: "work-item", Scope: e.within(e.ids.workItem)}}
	if e.ids.oldProject != "" {
		out = append(out, Change{Kind: "work-item", Scope: Scope{ProjectName: e.ids.oldProject, ID: e.ids.workItem}})
	}
	return out
}

// pipelinesChanged is everything about a run, after events of the run, its stages,
// jobs and approvals, and of its completion as a build. An approval may concern
// nothing that is listed. A check belongs to a pipeline that the event does not
// name.
func (e *Event) pipelinesChanged() []Change {
	if e.Type == checkUpdated {
		return []Change{{Kind: "pipeline", Scope: e.within("")}}
	}
	build, pipeline := e.ids.build, e.ids.pipeline
	if build == "" {
		return nil
	}
	var out []Change
	if pipeline != "" {
		out = append(out, Change{Kind: "pipeline-run", Scope: e.within(pipeline), Partial: true, run: build})
	}
	out = append(out,
		Change{Kind: "build", Scope: e.within(build)},
		Change{Kind: "pipeline-stage", Scope: e.within(build)},
	)
	if e.Type == stageStateChanged || e.Type == RunStateChanged && !e.ids.running {
		out = append(out, Change{Kind: "pipeline-deployment", Scope: e.within(""), Partial: true, build: build})
	}
	if e.Type == RunStateChanged && pipeline != "" {
		out = append(out, Change{Kind: "pipeline", Scope: e.within(pipeline)}) // has no event of its own
	}
	if e.Type == "build.complete" {
		out = append(out, Change{Kind: "test-run", Scope: e.within(""), Partial: true, build: build})
	}
	return out
}

// releaseChanged is a release, its deployments, and its definition, which shows the
// latest of both.
func (e *Event) releaseChanged() []Change {
	id := &e.ids
	var out []Change
	if id.release != "" {
		out = append(out, Change{Kind: "release", Scope: e.within(id.release)})
	}
	if id.releaseDefinition != "" {
		out = append(out, Change{Kind: "release-definition", Scope: e.within(id.releaseDefinition)})
	}
	switch {
	case e.Type == "ms.vss-release.release-created-event":
	case id.deployment != "":
		out = append(out, Change{Kind: "release-deployment", Scope: e.within(id.deployment)})
	case id.release != "":
		out = append(out, Change{
			Kind: "release-deployment", Scope: e.within(""), Partial: true, release: id.release, definition: id.releaseDefinition,
		})
	}
	return out
}

// repositoryName is the name in the address of a repository; "" without one. A
// repository with the name of its project may have the address of the project.
func repositoryName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	path := strings.Trim(u.EscapedPath(), "/")
	if _, name, ok := strings.Cut(path, "_git/"); ok {
		path, _, _ = strings.Cut(name, "/")
	}
	name, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return ""
	}
	return name
}
