package azuredevopstest

import (
	"cmp"
	"slices"
	"strings"
)

func releaseRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{project}/_apis/release/definitions", handler: listReleaseDefinitions, host: "vsrm"},
		{method: "GET", pattern: "/{project}/_apis/release/definitions/{definition}", handler: getReleaseDefinition, host: "vsrm"},
		{method: "GET", pattern: "/{project}/_apis/release/releases", handler: listReleases, host: "vsrm"},
		{method: "GET", pattern: "/{project}/_apis/release/releases/{release}", handler: getRelease, host: "vsrm"},
		{method: "GET", pattern: "/{project}/_apis/release/deployments", handler: listDeployments, host: "vsrm"},
	}
}

// listReleaseDefinitions shows environments only when expanded.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/definitions/list
func listReleaseDefinitions(q *request) *response {
	expand := strings.EqualFold(q.get("$expand"), "environments")
	return paged(q, q.project.ReleaseDefinitions, 10_000, func(d *ReleaseDefinition) object { return d.json(expand) })
}

func getReleaseDefinition(q *request) *response {
	for _, d := range q.project.ReleaseDefinitions {
		if d.ID == q.number("definition") {
			return ok(d.json(true))
		}
	}
	return notFound("Microsoft.VisualStudio.Services.ReleaseManagement.Data.Exceptions.ReleaseDefinitionNotFoundException",
		"VS402875: Release pipeline with ID "+q.param("definition")+" does not exist.")
}

// listReleases shows the newest first, 50 a page unless $top asks for more.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/releases/list
func listReleases(q *request) *response {
	after, before := q.time("mincreatedtime"), q.time("maxcreatedtime")
	status := q.get("statusfilter")
	var list []*Release
	for _, r := range slices.Backward(q.project.Releases) {
		if status != "" && !strings.EqualFold(status, r.Status) && !strings.EqualFold(status, "undefined") ||
			!after.IsZero() && r.Created.Before(after) || !before.IsZero() && r.Created.After(before) || !tagged(r.Tags, q.get("tagfilter")) {
			continue
		}
		list = append(list, r)
	}
	expand := strings.ToLower(q.get("$expand"))
	return paged(q, list, 50, func(r *Release) object { return r.json(expand) })
}

// tagged tells whether all wanted tags, separated by commas, are there.
func tagged(have []string, want string) bool {
	for tag := range strings.SplitSeq(want, ",") {
		if tag != "" && !slices.Contains(have, tag) {
			return false
		}
	}
	return true
}

func getRelease(q *request) *response {
	i, found := slices.BinarySearchFunc(q.project.Releases, q.number("release"), func(r *Release, id int) int { return cmp.Compare(r.ID, id) })
	if found {
		return ok(q.project.Releases[i].json("environments"))
	}
	return notFound("Microsoft.VisualStudio.Services.ReleaseManagement.Data.Exceptions.ReleaseNotFoundException",
		"VS402967: The release "+q.param("release")+" does not exist.")
}

// listDeployments shows the environments that a release was deployed to.
//
// https://learn.microsoft.com/rest/api/azure/devops/release/deployments/list
func listDeployments(q *request) *response {
	var list []object
	for _, r := range slices.Backward(q.project.Releases) {
		if q.get("releaseid") != "" && q.amount("releaseid", 0) != r.ID {
			continue
		}
		for _, e := range r.Environments {
			if e.Status != "notStarted" {
				list = append(list, r.deployment(e))
			}
		}
	}
	return paged(q, list, 50, itself)
}
