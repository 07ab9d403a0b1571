package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/content"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[folderSelector]{
	Name: "folder", List: listFolders, Within: withinFolders, Wants: wantsOfFolders,
	Events: inTrees(),
	Live:   live{NamedOverTags: true},
})

type folderSelector struct {
	ProjectName   string          `json:"project_name" alias:"projectName"`
	Folders       []folderPattern `json:"folders"`
	IncludedFiles []string        `json:"includedFiles"`
}

// A folderPattern is a path with wildcards inside its segments, for the named
// repositories or, without any, for those that no other pattern names.
type folderPattern struct {
	Path  folderGlob `json:"path" required:"true"`
	Repos []struct {
		Name   string `json:"name" required:"true"`
		Branch string `json:"branch"`
	} `json:"repos"`
}

// folderGlob is a pattern of [content.Folder]; a number is none.
type folderGlob string

func (g *folderGlob) decodeSelector(v any) error {
	s, ok := v.(string)
	if !ok {
		return errors.New("want a string")
	}
	*g = folderGlob(s)
	return nil
}

// A folderTask is a pattern to look for on a branch of a repository; an empty
// branch is the default one.
type folderTask struct {
	pattern folderGlob
	branch  string
}

// tasks are the patterns for a repository, by its name in any project: its own, or
// else those that name none.
func (sel *folderSelector) tasks(r *repository) []folderTask {
	var own, all []folderTask
	name := rawjson.Text(r.JSON, "name")
	for _, f := range sel.Folders {
		if len(f.Repos) == 0 {
			all = append(all, folderTask{pattern: f.Path})
		}
		for _, repo := range f.Repos {
			if repo.Name == name {
				own = append(own, folderTask{f.Path, repo.Branch})
			}
		}
	}
	if len(own) > 0 {
		return own
	}
	return all
}

// names are the repositories that are named.
func (sel *folderSelector) names() []string {
	var out []string
	for _, f := range sel.Folders {
		for _, repo := range f.Repos {
			out = append(out, repo.Name)
		}
	}
	return out
}

func wantsOfFolders(sel folderSelector) []want {
	var out []want
	add := func(pattern folderGlob, branch string) {
		task := folderTask{pattern, branch}
		of := func(r *repository) bool { return sel.in(r.Project) && slices.Contains(sel.tasks(r), task) }
		out = append(out, want{Place: content.NewFolder(string(pattern)).Place, raw: true, branch: branch, of: of})
		for _, f := range wantFilesOf(sel.IncludedFiles, of) {
			f.branch = branch
			out = append(out, f)
		}
	}
	for _, f := range sel.Folders {
		if len(f.Repos) == 0 {
			add(f.Path, "")
		}
		for _, repo := range f.Repos {
			add(f.Path, repo.Branch)
		}
	}
	return out
}

// in tells whether the selector means a project.
func (sel *folderSelector) in(p *project) bool {
	return sel.ProjectName == "" || strings.EqualFold(sel.ProjectName, p.Name) || strings.EqualFold(sel.ProjectName, p.ID)
}

// listFolders lists the folders that match, as the service describes them, with
// `__repository`, `__branch`, `__pattern` and, when there are any to include,
// `__includedFiles`.
func listFolders(l *lister, sel folderSelector) stream[Record] {
	if len(sel.Folders) == 0 {
		return func(context.Context) iter.Seq2[Record, error] { return func(func(Record, error) bool) {} }
	}
	included := unique(sel.IncludedFiles)
	repositories := l.eachRepository
	if sel.ProjectName != "" {
		repositories = l.repositoriesOf(l.namedProject(sel.in, sel.ProjectName))
	}
	return each(wideRecords, l.named(sel.names(), repositories), func(ctx context.Context, r *repository) iter.Seq2[Record, error] {
		tasks := sel.tasks(r)
		if len(tasks) == 0 || !r.readable() {
			return func(func(Record, error) bool) {}
		}
		return within(r.inside(), func(yield func(Record, error) bool) {
			more := map[string]attached{} // by branch
			for _, task := range tasks {
				on := r
				if task.branch != "" {
					on = r.on(task.branch)
				}
				for rec, err := range l.findFolders(ctx, on, task.pattern, func() attached {
					if _, ok := more[on.Branch]; !ok {
						more[on.Branch] = l.attach(ctx, on, included)
					}
					return more[on.Branch]
				}) {
					if !yield(rec, err) {
						return
					}
				}
			}
		})
	})
}

// findFolders lists the folders of a repository that match one pattern.
func (l *lister) findFolders(ctx context.Context, r *repository, pattern folderGlob, more func() attached) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		glob := content.NewFolder(string(pattern))
		t, err := l.tree(ctx, r)
		if err == nil {
			err = t.broken(plan{{Place: glob.Place}})
		}
		if err != nil {
			yield(Record{}, fmt.Errorf("%s: %w", pattern, err))
			return
		}
		added := rawjson.Members{}.Raw("__repository", r.JSON).Text("__branch", r.Branch).Text("__pattern", string(pattern))
		for _, f := range t.folders {
			objects, err := f.objects()
			if err != nil {
				yield(Record{}, err)
				return
			}
			for obj := range rawjson.Elements(objects) {
				path := rawjson.Text(obj, "path")
				if !glob.Match(path) {
					continue
				}
				a := more()
				scope := r.inside()
				scope.ID = string(pattern) + ":" + path
				rec := Record{JSON: rawjson.With(obj, added, a.included, l.c.suffix), Scope: scope}
				if !yield(a.to(rec), nil) {
					return
				}
			}
		}
	}
}

// namedProject streams the one project that is meant, by name or id, or none. It is
// taken from the list of projects, or asked for when that does not have it: naming
// it overrules excluded tags.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/projects/get
func (l *lister) namedProject(is func(*project) bool, name string) stream[*project] {
	return func(ctx context.Context) iter.Seq2[*project, error] {
		return func(yield func(*project, error) bool) {
			for p, err := range l.eachProject(ctx) {
				if err == nil && is(p) {
					yield(p, nil)
					return
				}
			}
			org := Scope{Organization: l.c.Key()}
			b, err := l.object(ctx, &request{Route: "_apis/projects/{projectId}", Args: []string{name}})
			switch {
			case err == nil && rawjson.Text(b, "id") == "":
				yield(nil, unknown(org, fmt.Errorf("project %s: %w: it has no id", name, ErrMalformed)))
			case err == nil:
				p := &project{ID: rawjson.Text(b, "id"), Name: rawjson.Text(b, "name"), JSON: b, scope: org}
				p.scope.Project, p.scope.ProjectName = p.ID, p.Name
				yield(p, nil)
			case saysAbsent(err, "ProjectDoesNotExistException", "ProjectDoesNotExistWithNameException"):
				l.c.log.WarnContext(ctx, "no such project", "kind", l.kind, "project", name)
			default:
				yield(nil, unknown(org, fmt.Errorf("project %s: %w", name, listed(err))))
			}
		}
	}
}

// withinFolders leaves out projects that the selector does not name.
func withinFolders(_ *lister, sel folderSelector, at *part) stream[Record] {
	if sel.in(at.project) {
		return nil
	}
	return func(context.Context) iter.Seq2[Record, error] { return func(func(Record, error) bool) {} }
}
