package azuredevopstest

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// A PullRequest asks to merge one branch of a repository into another.
type PullRequest struct {
	ID          int
	Title       string
	Description string
	Status      string // active, completed or abandoned
	Draft       bool
	Source      string // full ref names
	Target      string
	Author      *Person
	Created     time.Time
	Closed      time.Time
	Reviewers   []Reviewer
	Labels      []string

	repo           *Repository
	source, target *Commit
	merge          string
}

// A Reviewer has voted 10 (approved), 5, 0 (not yet), -5 or -10 (rejected).
type Reviewer struct {
	Person   *Person
	Vote     int
	Required bool
}

// OpenPullRequest opens a pull request between two branches of the repository.
func (r *Repository) OpenPullRequest(title, source, target string) *PullRequest {
	pr := &PullRequest{Title: title, Status: "active", Source: fullRef(source), Target: fullRef(target), repo: r}
	r.project.world.change(func() news {
		w := r.project.world
		pr.ID = w.next("pull request")
		pr.Author = w.someone()
		pr.Created = w.now()
		pr.source, pr.target = r.branches[pr.Source], r.branches[pr.Target]
		pr.merge = objectID("commit", []byte(strconv.Itoa(pr.ID)))
		r.project.PullRequests = append(r.project.PullRequests, pr)
		return func() []Event { return []Event{pr.event("git.pullrequest.created", " created ")} }
	})
	return pr
}

// Update edits the pull request and announces it.
func (pr *PullRequest) Update(edit func(*PullRequest)) Event {
	return only(pr.repo.project.world.change(func() news {
		edit(pr)
		return func() []Event { return []Event{pr.event("git.pullrequest.updated", " updated ")} }
	}))
}

// Complete merges: the files of the source branch become those of the target
// branch. It announces the push, the update and the merge.
func (pr *PullRequest) Complete() []Event {
	w, r := pr.repo.project.world, pr.repo
	return w.change(func() news {
		pr.Status, pr.Closed = "completed", w.now()
		by, old := pr.Author, r.branches[pr.Target]
		var c *Commit
		if pr.source != nil {
			r.pushes++
			c = newCommit(old, by, "Merged PR "+strconv.Itoa(pr.ID)+": "+pr.Title, w.now(), r.pushes, func(t tree) {
				maps.Copy(t, r.head(pr.Source, pr.source).files)
			})
			r.commits[c.ID], r.branches[pr.Target], pr.merge = c, c, c.ID
		}
		return func() []Event {
			events := []Event{pr.event("git.pullrequest.updated", " completed "), pr.event("git.pullrequest.merged", " merged ")}
			if c != nil {
				events = slices.Insert(events, 0, r.pushEvent(pr.Target, old, c, by))
			}
			return events
		}
	})
}

// head is the branch's newest commit, or the given one when the branch is gone.
func (r *Repository) head(ref string, or *Commit) *Commit {
	if c := r.branches[ref]; c != nil {
		return c
	}
	return or
}

// Abandon closes the pull request without merging.
func (pr *PullRequest) Abandon() Event {
	return pr.Update(func(pr *PullRequest) {
		pr.Status, pr.Closed = "abandoned", pr.repo.project.world.now()
	})
}

func (pr *PullRequest) event(typ, verb string) Event {
	p := pr.repo.project
	text := pr.Author.Name + verb + "pull request " + strconv.Itoa(pr.ID) + " (" + pr.Title + ")"
	return p.world.event(p, typ, "tfs", "1.0", text,
		map[string]string{"repository": pr.repo.ID, "branch": pr.Target, "pullrequestCreatedBy": pr.Author.ID}, pr.json(true))
}

func (pr *PullRequest) url() string {
	return pr.repo.url() + "/pullRequests/" + strconv.Itoa(pr.ID)
}

// json is the pull request; lists cut the description at 400 characters.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests/get-pull-requests
func (pr *PullRequest) json(whole bool) object {
	description := []rune(pr.Description)
	if !whole && len(description) > 400 {
		description = description[:400]
	}
	var reviewers, labels []object
	for _, v := range pr.Reviewers {
		reviewers = append(reviewers, append(object{
			"reviewerUrl", pr.url() + "/reviewers/" + v.Person.ID, "vote", v.Vote, "hasDeclined", false, "isRequired", some(v.Required, true), "isFlagged", false,
		}, v.Person.ref()...))
	}
	for _, l := range pr.Labels {
		labels = append(labels, object{"id", pr.repo.project.world.idOf("label", l), "name", l, "active", true})
	}
	commit := func(c *Commit) any {
		if c == nil {
			return absent{}
		}
		return pr.commit(c.ID)
	}
	merged := some(pr.Status != "abandoned", pr.commit(pr.merge))
	return object{
		"repository", pr.repo.ref(),
		"pullRequestId", pr.ID,
		"codeReviewId", pr.ID,
		"status", pr.Status,
		"createdBy", pr.Author.ref(),
		"creationDate", pr.Created,
		"closedDate", opt(pr.Closed),
		"title", pr.Title,
		"description", opt(string(description)),
		"sourceRefName", pr.Source,
		"targetRefName", pr.Target,
		"mergeStatus", "succeeded",
		"isDraft", pr.Draft,
		"mergeId", pr.repo.project.world.idOf("merge", pr.ID),
		"lastMergeSourceCommit", commit(pr.source),
		"lastMergeTargetCommit", commit(pr.target),
		"lastMergeCommit", merged,
		"reviewers", append([]object{}, reviewers...),
		"labels", some(len(labels) > 0, labels),
		"url", pr.url(),
		"_links", some(whole, object{"self", link(pr.url()), "web", link(pr.repo.web() + "/pullrequest/" + strconv.Itoa(pr.ID))}),
		"completionQueueTime", some(pr.Status == "completed", pr.Closed),
		"supportsIterations", true,
	}
}

func (pr *PullRequest) commit(id string) object {
	return object{"commitId", id, "url", pr.repo.url() + "/commits/" + id}
}
