package azuredevopstest

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Repository is a Git repository. It is empty, and without a default branch,
// until the first push.
type Repository struct {
	ID   string
	Name string
	// DefaultBranch is a full ref name, refs/heads/main.
	DefaultBranch string
	// Disabled repositories are listed, but nothing in them can be read.
	Disabled    bool
	Maintenance bool
	Created     time.Time
	Parent      *Repository // of a fork
	Size        int         // bytes of all blobs ever pushed
	Alerts      []*Alert    // nil without Advanced Security

	project  *Project
	branches map[string]*Commit // by full ref name
	commits  map[string]*Commit
	pushes   int
}

// Files are texts by path, without a leading slash.
type Files map[string]string

// AddRepository adds an empty repository and announces it.
func (p *Project) AddRepository(name string) *Repository {
	r := &Repository{Name: name, project: p, branches: map[string]*Commit{}, commits: map[string]*Commit{}}
	p.world.change(func() news {
		r.ID = p.world.newID("repository")
		r.Created = p.world.now()
		p.Repositories = append(p.Repositories, r)
		return func() []Event {
			return []Event{r.event("git.repo.created", "A new Git repository was created with name "+name+".", nil)}
		}
	})
	return r
}

// Project is the project of the repository.
func (r *Repository) Project() *Project { return r.project }

// Push writes files to a branch, which it creates when it is missing, from the
// default branch when there is one. The first branch of a repository becomes
// its default branch. The author is the first person of the organization.
func (r *Repository) Push(branch string, files Files) *Commit {
	return r.PushAs(nil, branch, "Updated "+strings.Join(sortedKeys(files), ", "), files)
}

// PushAs is Push with an author and a message.
func (r *Repository) PushAs(author *Person, branch, message string, files Files) *Commit {
	return r.commit(branch, message, author, func(t tree) {
		for path, text := range files {
			t[strings.Trim(path, "/")] = newBlob(text)
			r.Size += len(text)
		}
	})
}

// Remove deletes files, and whole folders, on a branch.
func (r *Repository) Remove(branch string, paths ...string) *Commit {
	return r.commit(branch, "Deleted "+strings.Join(paths, ", "), nil, func(t tree) {
		for _, p := range paths {
			p = strings.Trim(p, "/")
			for name := range t {
				if name == p || strings.HasPrefix(name, p+"/") {
					delete(t, name)
				}
			}
		}
	})
}

func (r *Repository) commit(branch, message string, author *Person, edit func(tree)) *Commit {
	ref := fullRef(branch)
	var c *Commit
	r.project.world.change(func() news {
		w := r.project.world
		if author == nil {
			author = w.someone()
		}
		old := r.branches[ref]
		parent := old
		if parent == nil {
			parent = r.branches[r.DefaultBranch]
		}
		r.pushes++
		c = newCommit(parent, author, message, w.now(), r.pushes, edit)
		r.commits[c.ID] = c
		r.branches[ref] = c
		if r.DefaultBranch == "" {
			r.DefaultBranch = ref
		}
		return func() []Event { return []Event{r.pushEvent(ref, old, c, author)} }
	})
	return c
}

// Branch returns the newest commit of a branch, nil when there is none.
func (r *Repository) Branch(name string) *Commit {
	r.project.world.mu.RLock()
	defer r.project.world.mu.RUnlock()
	return r.branches[fullRef(name)]
}

// Reset moves a branch to a commit that it need not lead to, as a forced push does.
func (r *Repository) Reset(branch string, to *Commit) Event {
	return only(r.project.world.change(func() news {
		ref := fullRef(branch)
		old := r.branches[ref]
		r.pushes++
		r.branches[ref] = to
		return func() []Event { return []Event{r.pushEvent(ref, old, to, r.project.world.someone())} }
	}))
}

// DeleteBranch removes a branch; the event has a zero new object id.
func (r *Repository) DeleteBranch(name string) Event {
	return only(r.project.world.change(func() news {
		ref := fullRef(name)
		old := r.branches[ref]
		if old == nil {
			return nil
		}
		delete(r.branches, ref)
		if r.DefaultBranch == ref {
			r.DefaultBranch = ""
		}
		return func() []Event { return []Event{r.pushEvent(ref, old, nil, r.project.world.someone())} }
	}))
}

// Rename gives the repository another name.
func (r *Repository) Rename(name string) Event {
	return only(r.project.world.change(func() news {
		old := r.Name
		r.Name = name
		return func() []Event {
			return []Event{r.event("git.repo.renamed", "The Git repository "+old+" was renamed to "+name+".", object{"oldName", old, "newName", name})}
		}
	}))
}

// SetDisabled disables or enables the repository.
func (r *Repository) SetDisabled(disabled bool) Event {
	return only(r.project.world.change(func() news {
		r.Disabled = disabled
		return func() []Event {
			return []Event{r.event("git.repo.statuschanged", "The status of the Git repository "+r.Name+" changed.", object{"disabled", disabled})}
		}
	}))
}

// Delete removes the repository with its pull requests.
func (r *Repository) Delete() Event {
	p := r.project
	return only(p.world.change(func() news {
		p.Repositories = slices.DeleteFunc(p.Repositories, func(x *Repository) bool { return x == r })
		p.PullRequests = slices.DeleteFunc(p.PullRequests, func(x *PullRequest) bool { return x.repo == r })
		return func() []Event {
			return []Event{r.event("git.repo.deleted", "The Git repository "+r.Name+" was deleted.",
				object{"repositoryId", r.ID, "repositoryName", r.Name, "isHardDelete", false})}
		}
	}))
}

func (r *Repository) event(typ, text string, extra object) Event {
	w := r.project.world
	res := append(object{}, extra...)
	if typ != "git.repo.deleted" {
		res = append(res, "repository", r.json(false))
	} else {
		res = append(res, "project", r.project.ref())
	}
	by := w.someone()
	res = append(res,
		"initiatedBy", object{"displayName", by.Name, "id", by.ID, "uniqueName", by.Mail},
		"utcTimestamp", w.now(),
	)
	return w.event(r.project, typ, "tfs", "1.0-preview.1", text, map[string]string{"repository": r.ID}, res)
}

func (r *Repository) pushEvent(ref string, old, c *Commit, by *Person) Event {
	w := r.project.world
	const none = "0000000000000000000000000000000000000000"
	from, to := none, none
	commits := array{}
	if old != nil {
		from = old.ID
	}
	if c != nil {
		to = c.ID
		commits = append(commits, object{
			"commitId", c.ID, "author", c.Author.signature(c.When), "committer", c.Author.signature(c.When),
			"comment", c.Message, "url", r.web() + "/commit/" + c.ID,
		})
	} else {
		r.pushes++
	}
	short := strings.TrimPrefix(ref, "refs/heads/")
	return w.event(r.project, "git.push", "tfs", "1.0", by.Name+" pushed updates to branch "+short+" of repository "+r.Name+".",
		map[string]string{"repository": r.ID, "branch": short, "pushedBy": by.ID},
		object{
			"commits", some(len(commits) > 0, commits),
			"refUpdates",
			array{object{"name", ref, "oldObjectId", from, "newObjectId", to}},
			"repository", r.json(false),
			"pushedBy",
			object{"id", by.ID, "displayName", by.Name, "uniqueName", by.Mail},
			"pushId", r.pushes,
			"date", w.now(),
			"url", r.url() + "/pushes",
		})
}

// fullRef adds refs/heads/ to a branch name.
func fullRef(branch string) string {
	if strings.HasPrefix(branch, "refs/") {
		return branch
	}
	return "refs/heads/" + branch
}

func (r *Repository) url() string { return r.project.below("git/repositories/" + r.ID) }

func (r *Repository) web() string { return r.project.web() + "/_git/" + url.PathEscape(r.Name) }

func (r *Repository) json(links bool) object {
	w := r.project.world
	remote := strings.Replace(r.web(), "://", "://"+w.Organization+"@", 1)
	ssh := "git@ssh.dev.azure.com:v3/" + w.Organization + "/" + url.PathEscape(r.project.Name) + "/" + url.PathEscape(r.Name)
	o := object{
		"id", r.ID,
		"name", r.Name,
		"url", r.url(),
		"project", r.project.ref(),
		"defaultBranch", opt(r.DefaultBranch),
		"size", r.Size,
		"remoteUrl", remote,
		"sshUrl", ssh,
		"webUrl", r.web(),
		"isDisabled", r.Disabled,
		"isInMaintenance", r.Maintenance,
		"creationDate", r.Created,
	}
	if r.Parent != nil {
		o = append(o, "isFork", true, "parentRepository", some(links, r.Parent.ref()))
	}
	if links {
		o = append(o, "_links", object{
			"self", link(r.url()), "web", link(r.web()), "commits", link(r.url() + "/commits"),
			"refs", link(r.url() + "/refs"), "items", link(r.url() + "/items"), "pushes", link(r.url() + "/pushes"),
		})
	}
	return o
}

// ref is the repository inside pull requests.
func (r *Repository) ref() object {
	return object{"id", r.ID, "name", r.Name, "url", r.url(), "project", r.project.ref()}
}
