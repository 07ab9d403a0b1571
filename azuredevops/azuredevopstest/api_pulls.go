package azuredevopstest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func pullRoutes() []route {
	const one = "/[{project}/]_apis/git/repositories/{repository}/pullrequests"
	return []route{
		{method: "GET", pattern: one, handler: listPullRequests},
		{method: "GET", pattern: one + "/{pull}", handler: getPullRequest},
		{method: "GET", pattern: one + "/{pull}/reviewers", handler: listReviewers},
		{method: "GET", pattern: one + "/{pull}/workitems", handler: func(*request) *response { return collection([]object{}, itself) }},
		{method: "GET", pattern: one + "/{pull}/threads", handler: func(*request) *response { return collection([]object{}, itself) }},
		{method: "GET", pattern: "/[{project}/]_apis/git/pullrequests", handler: listPullRequests},
		{method: "GET", pattern: "/[{project}/]_apis/git/pullrequests/{pull}", handler: getPullRequest},
	}
}

// pulls are the pull requests in reach of the path, the newest first.
func (q *request) pulls() []*PullRequest {
	projects := q.world.Projects
	switch {
	case q.repository != nil:
		projects = []*Project{q.repository.project}
	case q.project != nil:
		projects = []*Project{q.project}
	}
	var list []*PullRequest
	for _, p := range projects {
		for _, pr := range p.PullRequests {
			if !p.Forbidden && !pr.repo.Disabled && (q.repository == nil || pr.repo == q.repository) {
				list = append(list, pr)
			}
		}
	}
	slices.SortFunc(list, func(a, b *PullRequest) int { return cmp.Compare(b.ID, a.ID) })
	return list
}

// listPullRequests shows active ones unless searchCriteria.status asks for
// others; minTime and maxTime bound the creation, or the end, of a request.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests/get-pull-requests
func listPullRequests(q *request) *response {
	status := q.get("searchcriteria.status")
	if status == "" {
		status = "active"
	}
	closed := strings.EqualFold(q.get("searchcriteria.querytimerangetype"), "closed")
	after, before := q.time("searchcriteria.mintime"), q.time("searchcriteria.maxtime")
	list := slices.DeleteFunc(q.pulls(), func(pr *PullRequest) bool {
		when := pr.Created
		if closed {
			when = pr.Closed
		}
		return !strings.EqualFold(status, "all") && !strings.EqualFold(status, pr.Status) ||
			!after.IsZero() && when.Before(after) || !before.IsZero() && when.After(before) ||
			!ref(q.get("searchcriteria.sourcerefname"), pr.Source) || !ref(q.get("searchcriteria.targetrefname"), pr.Target)
	})
	return skipped(q, list, 101, func(pr *PullRequest) object { return pr.json(false) })
}

// ref tells whether a wanted ref name is absent or equal.
func ref(want, have string) bool { return want == "" || want == have }

// time reads a query parameter in the forms that the service takes; zero when
// it is missing or no time.
func (q *request) time(name string) time.Time { return parseTime(q.get(name)) }

func parseTime(text string) time.Time {
	text = strings.Replace(strings.TrimSpace(text), " ", "T", 1)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02", "1/2/2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

func (q *request) pull() (*PullRequest, *response) {
	id := q.number("pull")
	for _, pr := range q.pulls() {
		if pr.ID == id {
			return pr, nil
		}
	}
	return nil, notFound("Microsoft.TeamFoundation.Git.Server.GitPullRequestNotFoundException",
		"TF401180: The requested pull request was not found. ("+strconv.Itoa(id)+")")
}

func getPullRequest(q *request) *response {
	pr, resp := q.pull()
	if resp != nil {
		return resp
	}
	return ok(pr.json(true))
}

func listReviewers(q *request) *response {
	pr, resp := q.pull()
	if resp != nil {
		return resp
	}
	return collection(pr.Reviewers, func(v Reviewer) object { return append(object{"vote", v.Vote}, v.Person.ref()...) })
}
