package azuredevopstest

import (
	"path"
	"slices"
	"strings"
)

func coreRoutes() []route {
	return []route{
		{method: "GET", pattern: "/_apis/projects", handler: listProjects},
		{method: "GET", pattern: "/_apis/projects/{project}", handler: getProject},
		{method: "GET", pattern: "/_apis/projects/{project}/properties", handler: projectProperties, preview: true},
		{method: "GET", pattern: "/_apis/projects/{project}/teams", handler: listProjectTeams},
		{method: "GET", pattern: "/_apis/projects/{project}/teams/{team}", handler: func(q *request) *response { return ok(q.team.json()) }},
		{method: "GET", pattern: "/_apis/projects/{project}/teams/{team}/members", handler: listTeamMembers},
		{method: "GET", pattern: "/_apis/teams", handler: listTeams, preview: true},
		{method: "GET", pattern: "/_apis/connectiondata", handler: connectionData, preview: true, scope: everyScope},
		{method: "GET", pattern: "/_apis/resourceareas", handler: func(*request) *response { return collection([]object{}, itself) }, preview: true},
	}
}

func itself(o object) object { return o }

// listProjects lists well-formed projects unless stateFilter asks for others.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/projects/list
func listProjects(q *request) *response {
	state := q.get("statefilter")
	if state == "" {
		state = "wellFormed"
	}
	var list []*Project
	for _, p := range q.world.Projects {
		if strings.EqualFold(state, "all") || strings.EqualFold(state, p.State) {
			list = append(list, p)
		}
	}
	return paged(q, list, 100, (*Project).ref)
}

func getProject(q *request) *response { return ok(q.project.full(q.flag("includecapabilities"))) }

// projectProperties filters by keys, which may hold wildcards.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/projects/get-project-properties
func projectProperties(q *request) *response {
	var list []object
	for _, p := range q.project.properties() {
		name, _ := p[1].(string)
		keys := strings.Split(q.get("keys"), ",")
		if q.get("keys") == "" || slices.ContainsFunc(keys, func(k string) bool {
			match, err := path.Match(strings.ToLower(k), strings.ToLower(name))
			return err == nil && match
		}) {
			list = append(list, p)
		}
	}
	return collection(list, itself)
}

func listProjectTeams(q *request) *response { return skipped(q, q.project.Teams, 100, (*Team).json) }

// listTeams lists the teams of all projects.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/teams/get-all-teams
func listTeams(q *request) *response {
	var list []*Team
	for _, p := range q.world.Projects {
		if p.State == "wellFormed" && !p.Forbidden {
			list = append(list, p.Teams...)
		}
	}
	return skipped(q, list, 100, (*Team).json)
}

func listTeamMembers(q *request) *response {
	return skipped(q, q.team.Members, 100, func(m *Person) object {
		return object{"isTeamAdmin", some(m == q.team.Members[0], true), "identity", m.ref()}
	})
}

func connectionData(q *request) *response {
	user := object{"id", q.world.idOf("user"), "providerDisplayName", "ado-port", "isActive", true}
	return ok(object{
		"authenticatedUser", user, "authorizedUser", user, "instanceId", q.world.idOf("collection"), "deploymentType", "hosted",
	})
}
