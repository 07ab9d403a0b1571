package azuredevopstest

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Project is a team project and everything in it.
type Project struct {
	ID          string
	Name        string
	Description string
	// State is wellFormed, or new, createPending, deleting, deleted: only
	// well-formed ones are listed unless the request asks for others.
	State      string
	Visibility string // private, organization or public
	Revision   int
	Updated    time.Time
	// Process names the process template: Agile, Scrum or Basic.
	Process string
	Tags    []string
	// Forbidden makes everything below the project answer 403; it is still listed.
	Forbidden bool

	Teams              []*Team
	Repositories       []*Repository
	PullRequests       []*PullRequest // in the order of their ids
	Policies           []*Policy
	Pipelines          []*Pipeline
	Builds             []*Build    // in the order of their ids
	WorkItems          []*WorkItem // in the order of their ids
	ReleaseDefinitions []*ReleaseDefinition
	Releases           []*Release // in the order of their ids
	Environments       []*Environment
	TestRuns           []*TestRun
	Wikis              []*Wiki
	Areas              []*Node
	Iterations         []*Node

	world *World
}

// A Team is a team of a project; the first of a project is its default team.
type Team struct {
	ID          string
	Name        string
	Description string
	Members     []*Person // the first is its administrator
	Boards      []*Board
	// NoIteration makes the boards of the team answer 500, as the service does
	// for a team without a backlog iteration.
	NoIteration bool

	project *Project
}

// AddProject adds a well-formed private project of the Agile process with its
// default team. The service announces projects by no event.
func (w *World) AddProject(name string) *Project { return w.AddProjectOf(name, "Agile") }

// AddProjectOf is AddProject for a process: Agile, Scrum or Basic.
func (w *World) AddProjectOf(name, process string) *Project {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &Project{
		ID: w.newID("project"), Name: name, State: "wellFormed", Visibility: "private", Process: process,
		Revision: 10 + w.next("revision"), Updated: w.now(), world: w,
	}
	w.Projects = append(w.Projects, p)
	t := p.addTeam(name + " Team")
	t.Description = "The default project team."
	return p
}

// Delete removes the project and everything in it.
func (p *Project) Delete() {
	p.world.Edit(func() {
		p.State = "deleted"
		p.world.Projects = slices.DeleteFunc(p.world.Projects, func(x *Project) bool { return x == p })
	})
}

// Rename gives the project another name; every URL by its old name ends.
func (p *Project) Rename(name string) {
	p.world.Edit(func() {
		p.Name = name
		p.touch()
	})
}

// AddTeam adds a team with the boards of the project's process.
func (p *Project) AddTeam(name string, members ...*Person) *Team {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	t := p.addTeam(name)
	t.Members = members
	return t
}

func (p *Project) addTeam(name string) *Team {
	t := &Team{ID: p.world.newID("team"), Name: name, project: p}
	for _, b := range processOf(p.Process).boards {
		t.Boards = append(t.Boards, p.newBoard(b))
	}
	p.Teams = append(p.Teams, t)
	return t
}

func (p *Project) touch() {
	p.Revision++
	p.Updated = p.world.now()
}

func (p *Project) team(key string) *Team {
	for _, t := range p.Teams {
		if strings.EqualFold(t.ID, key) || strings.EqualFold(t.Name, key) {
			return t
		}
	}
	return nil
}

func (p *Project) url() string { return p.world.orgURL() + "/_apis/projects/" + p.ID }

// below is the address of the project's own routes.
func (p *Project) below(path string) string { return p.world.orgURL() + "/" + p.ID + "/_apis/" + path }

// web is the address of the project for people.
func (p *Project) web() string { return p.world.orgURL() + "/" + url.PathEscape(p.Name) }

// ref is the project inside other objects and in the list.
func (p *Project) ref() object {
	return object{
		"id", p.ID,
		"name", p.Name,
		"description", opt(p.Description),
		"url", p.url(),
		"state", p.State,
		"revision", p.Revision,
		"visibility", p.Visibility,
		"lastUpdateTime", p.Updated,
	}
}

// full is the project as a single answer.
func (p *Project) full(capabilities bool) object {
	o := object{
		"id", p.ID,
		"name", p.Name,
		"description", opt(p.Description),
		"url", p.url(),
		"state", p.State,
		"revision", p.Revision,
		"_links",
		object{
			"self", link(p.url()),
			"collection", link(p.world.orgURL() + "/_apis/projectCollections/" + p.world.idOf("collection")),
			"web", link(p.web()),
		},
		"capabilities", some(capabilities, p.capabilities()),
		"visibility", p.Visibility,
	}
	if len(p.Teams) > 0 {
		t := p.Teams[0]
		o = append(o, "defaultTeam", object{"id", t.ID, "name", t.Name, "url", t.url()})
	}
	return append(o, "lastUpdateTime", p.Updated)
}

func (p *Project) capabilities() object {
	pr := processOf(p.Process)
	return object{
		"processTemplate",
		object{"templateName", pr.name, "templateTypeId", pr.id},
		"versioncontrol",
		object{"sourceControlType", "Git", "gitEnabled", "True", "tfvcEnabled", "False"},
	}
}

// properties are the project's properties, its tags among them.
func (p *Project) properties() []object {
	pr := processOf(p.Process)
	list := []object{
		{"name", "System.CurrentProcessTemplateId", "value", pr.id},
		{"name", "System.OriginalProcessTemplateId", "value", pr.id},
		{"name", "System.ProcessTemplateType", "value", pr.id},
		{"name", "System.Process Template", "value", pr.name},
	}
	if len(p.Teams) > 0 {
		list = append(list, object{"name", "System.Microsoft.TeamFoundation.Team.Default", "value", p.Teams[0].ID})
	}
	for _, tag := range p.Tags {
		list = append(list, object{"name", "Microsoft.TeamFoundation.Project.Tag." + tag, "value", "true"})
	}
	return list
}

func (t *Team) url() string { return t.project.url() + "/teams/" + t.ID }

func (t *Team) json() object {
	return object{
		"id", t.ID,
		"name", t.Name,
		"url", t.url(),
		"description", t.Description,
		"identityUrl", t.project.world.hostURL("vssps") + "/_apis/Identities/" + t.ID,
		"projectName", t.project.Name,
		"projectId", t.project.ID,
	}
}
