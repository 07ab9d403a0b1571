package azuredevopstest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func gitRoutes() []route {
	const one = "/[{project}/]_apis/git/repositories/{repository}"
	return []route{
		{method: "GET", pattern: "/[{project}/]_apis/git/repositories", handler: listRepositories},
		{method: "GET", pattern: one, handler: func(q *request) *response { return ok(q.repository.json(true)) }},
		{method: "GET", pattern: one + "/refs", handler: listRefs},
		{method: "GET", pattern: "/[{project}/]_apis/git/repositories/{pushed}/pushes", handler: listPushes},
		{method: "GET", pattern: one + "/commits", handler: listCommits},
		{method: "GET", pattern: one + "/commits/{commit}", handler: getCommit},
		{method: "GET", pattern: one + "/commits/{commit}/changes", handler: listChanges},
		{method: "GET", pattern: one + "/diffs/commits", handler: diffCommits},
		{method: "GET", pattern: one + "/stats/branches", handler: listBranchStats},
	}
}

// listRepositories answers a whole project, or organization, at once; disabled
// repositories are among them.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/repositories/list
func listRepositories(q *request) *response {
	projects := q.world.Projects
	if q.project != nil {
		projects = []*Project{q.project}
	}
	var list []*Repository
	for _, p := range projects {
		if !p.Forbidden {
			list = append(list, p.Repositories...)
		}
	}
	links := q.flag("includelinks")
	return collection(list, func(r *Repository) object { return r.json(links) })
}

// listRefs pages only when $top is sent.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/refs/list
func listRefs(q *request) *response {
	r := q.repository
	var list []string
	for _, name := range sortedKeys(r.branches) {
		if strings.HasPrefix(name, "refs/"+q.get("filter")) && strings.Contains(name, q.get("filtercontains")) {
			list = append(list, name)
		}
	}
	return paged(q, list, len(list), func(name string) object {
		c := r.branches[name]
		return object{
			"name", name, "objectId", c.ID, "creator", c.Author.ref(),
			"url", r.url() + "/refs?filter=" + strings.ReplaceAll(strings.TrimPrefix(name, "refs/"), "/", "%2F"),
		}
	})
}

// listPushes lists what was pushed to a repository, or to that of a wiki, newest first.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/pushes/list
func listPushes(q *request) *response {
	var at []time.Time
	if r := q.world.repository(q.project, q.param("pushed")); r != nil && !r.Disabled {
		for _, c := range r.commits {
			at = append(at, c.When)
		}
	} else {
		k := q.wikiWith(q.param("pushed"))
		if k == nil {
			return noRepository(q.param("pushed"))
		}
		at = slices.Clone(k.pushed)
	}
	from := q.time("searchcriteria.fromdate")
	at = slices.DeleteFunc(at, func(t time.Time) bool { return t.Before(from) })
	slices.SortFunc(at, func(a, b time.Time) int { return b.Compare(a) })
	return collection(at[:min(len(at), q.amount("$top", 100))], func(t time.Time) object {
		return object{"pushId", t.UnixMilli(), "date", t}
	})
}

func (r *Repository) commitJSON(c *Commit, whole bool) object {
	counts := map[string]any{"Add": 0, "Edit": 0, "Delete": 0}
	for _, ch := range c.changes() {
		name := strings.ToUpper(ch.kind[:1]) + ch.kind[1:]
		counts[name] = counts[name].(int) + 1
	}
	parents := []string{}
	if c.Parent != nil {
		parents = append(parents, c.Parent.ID)
	}
	return object{
		"treeId", some(whole, c.list()[0].id),
		"parents", some(whole, parents),
		"commitId", c.ID,
		"author", c.Author.signature(c.When),
		"committer", c.Author.signature(c.When),
		"comment", c.Message,
		"changeCounts", counts,
		"push", some(whole, object{"pushedBy", c.Author.ref(), "pushId", c.push, "date", c.When}),
		"url", r.url() + "/commits/" + c.ID,
		"remoteUrl", r.web() + "/commit/" + c.ID,
	}
}

// listCommits lists the history of a version, the default branch without one.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/commits/get-commits
func listCommits(q *request) *response {
	r := q.repository
	if len(r.branches) == 0 {
		return collection([]object{}, itself)
	}
	kind, name := q.get("searchcriteria.itemversion.versiontype"), q.get("searchcriteria.itemversion.version")
	c, resp := r.at(kind, name)
	if resp != nil {
		return resp
	}
	skip := q.amount("searchcriteria.$skip", q.amount("$skip", 0))
	top := q.amount("searchcriteria.$top", q.amount("$top", 100))
	var list []*Commit
	for ; c != nil && len(list) < top; c = c.Parent {
		if skip--; skip < 0 {
			list = append(list, c)
		}
	}
	return collection(list, func(c *Commit) object { return r.commitJSON(c, false) })
}

func (q *request) commit() (*Commit, *response) {
	if c := q.repository.commits[q.param("commit")]; c != nil {
		return c, nil
	}
	return nil, notFound("Microsoft.TeamFoundation.Git.Server.GitCommitDoesNotExistException", "TF401178: The commit "+q.param("commit")+
		" does not exist in repository "+q.repository.Name+" or you do not have permissions for the operation you are attempting.")
}

func getCommit(q *request) *response {
	c, resp := q.commit()
	if resp != nil {
		return resp
	}
	return ok(q.repository.commitJSON(c, true))
}

// listChanges pages by top and skip, without the dollar sign.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/commits/get-changes
func listChanges(q *request) *response {
	c, resp := q.commit()
	if resp != nil {
		return resp
	}
	list := c.changes()
	from := min(q.amount("skip", 0), len(list))
	to := min(from+q.amount("top", 100), len(list))
	return ok(object{"changeCounts", changeCounts(list), "changes", q.repository.changeList(c, list[from:to])})
}

func changeCounts(list []fileChange) map[string]any {
	counts := map[string]any{}
	for _, ch := range list {
		name := strings.ToUpper(ch.kind[:1]) + ch.kind[1:]
		n, _ := counts[name].(int)
		counts[name] = n + 1
	}
	return counts
}

func (r *Repository) changeList(c *Commit, list []fileChange) []object {
	out := []object{}
	for _, ch := range list {
		var original any = absent{}
		if ch.original != nil {
			original = ch.original.id
		}
		out = append(out, object{
			"item",
			object{
				"objectId", ch.blob.id, "originalObjectId", original, "gitObjectType", "blob", "commitId", c.ID, "path", "/" + ch.path,
				"url", r.itemURL(ch.path, "Commit", c.ID),
			},
			"changeType", ch.kind,
		})
	}
	return out
}

// diffCommits compares two versions.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/diffs/get
func diffCommits(q *request) *response {
	base, resp := q.repository.at(q.get("baseversiontype"), q.get("baseversion"))
	if resp != nil {
		return resp
	}
	target, resp := q.repository.at(q.get("targetversiontype"), q.get("targetversion"))
	if resp != nil {
		return resp
	}
	list := diff(base.files, target.files)
	from := min(q.amount("$skip", 0), len(list))
	to := min(from+q.amount("$top", 100), len(list))
	return ok(object{
		"allChangesIncluded", to == len(list), "changeCounts", changeCounts(list),
		"changes", q.repository.changeList(target, list[from:to]), "baseCommit", base.ID, "targetCommit", target.ID,
	})
}

func listBranchStats(q *request) *response {
	r := q.repository
	if len(r.branches) == 0 {
		return failure(http.StatusBadRequest, errArgument, "VS403403: Cannot find any branches for the "+r.Name+" repository.")
	}
	return collection(sortedKeys(r.branches), func(name string) object {
		return object{
			"commit", r.commitJSON(r.branches[name], false), "name", strings.TrimPrefix(name, "refs/heads/"),
			"aheadCount", 0, "behindCount", 0, "isBaseVersion", name == r.DefaultBranch,
		}
	})
}
