package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[folderSelector]{
	Name: "folder", List: listFolders, Within: withinFolders, Wants: wantsOfFolders,
	Events: inTrees(),
})

type folderSelector struct {
	ProjectName   string          `json:"project_name" alias:"projectName"` // S34
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

// folderGlob is matched like a file name in a shell, segment by segment, with
// regard to case. A trailing slash does not matter.
type folderGlob string

func (g *folderGlob) decodeSelector(v any) error {
	s, ok := v.(string)
	if !ok {
		return errors.New("want a string")
	}
	*g = folderGlob(s)
	return nil
}

// segments are the patterns of the segments. A backslash and braces have no
// meaning, and neither has a caret or a bracket that nothing closes.
func (g folderGlob) segments() []string {
	path := strings.Trim(string(g), "/")
	if path == "" {
		return nil
	}
	out := strings.Split(path, "/")
	for i, s := range out {
		s = strings.NewReplacer(`\`, `\\`, `{`, `\{`, `}`, `\}`, `[^`, `[\^`).Replace(s)
		if !doublestar.ValidatePattern(s) {
			s = strings.ReplaceAll(s, `[`, `\[`)
		}
		out[i] = s
	}
	return out
}

// want is the folder that those that match are in.
func (g folderGlob) want(branch string) want {
	plain := strings.Split(strings.Trim(string(g), "/"), "/")
	first := slices.IndexFunc(plain, func(s string) bool { return strings.ContainsAny(s, globMeta) })
	if first < 0 {
		first = len(plain) - 1
	}
	return want{path: joinPath(cleanPath(strings.Join(plain[:first], "/"))), full: first < len(plain)-1, raw: true, branch: branch}
}

// match tells whether a folder is meant. The root is "/"; a lone asterisk means
// it too, as it always has.
func (g folderGlob) match(segments []string, path string) bool {
	path = strings.Trim(path, "/")
	if path == "" {
		return len(segments) == 0 || len(segments) == 1 && strings.Trim(string(g), "/*") == ""
	}
	parts := strings.Split(path, "/")
	if len(parts) != len(segments) {
		return false
	}
	for i, s := range segments {
		if ok, err := doublestar.Match(s, parts[i]); !ok || err != nil {
			return false
		}
	}
	return true
}

// A folderTask is a pattern to look for on a branch of a repository; an empty
// branch is the default one.
type folderTask struct {
	pattern folderGlob
	branch  string
}

// tasks are the patterns for a repository, by its name in any project: its own,
// or else those that name none (S36).
func (sel *folderSelector) tasks(r *repository) []folderTask {
	var own, all []folderTask
	name := textAt(r.JSON, "name")
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

func wantsOfFolders(sel folderSelector) []want {
	var out []want
	add := func(pattern folderGlob, branch string) {
		task := folderTask{pattern, branch}
		of := func(r *repository) bool { return sel.in(r.Project) && slices.Contains(sel.tasks(r), task) }
		w := pattern.want(branch)
		w.of = of
		out = append(out, w)
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
// `__includedFiles` (export.md 4.7).
func listFolders(l *lister, sel folderSelector) stream[Record] {
	if len(sel.Folders) == 0 {
		return func(context.Context) iter.Seq2[Record, error] { return func(func(Record, error) bool) {} }
	}
	included := unique(sel.IncludedFiles)
	repositories := l.eachRepository
	if sel.ProjectName != "" {
		repositories = l.repositoriesOf(l.namedProject(sel.in, sel.ProjectName))
	}
	return each(wideRecords, repositories, func(ctx context.Context, r *repository) iter.Seq2[Record, error] {
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
		t, err := l.tree(ctx, r)
		if err == nil {
			err = t.broken(plan{pattern.want("")})
		}
		if err != nil {
			yield(Record{}, fmt.Errorf("%s: %w", pattern, err))
			return
		}
		segments := pattern.segments()
		added := newMembers(3).raw("__repository", r.JSON).text("__branch", r.Branch).text("__pattern", string(pattern))
		for _, f := range t.folders {
			objects, err := f.objects()
			if err != nil {
				yield(Record{}, err)
				return
			}
			for obj := range elements(objects, 0) {
				path := textAt(obj, "path")
				if !pattern.match(segments, path) {
					continue
				}
				a := more()
				scope := r.inside()
				scope.ID = string(pattern) + ":" + path
				rec := Record{JSON: object(obj, added, a.included, l.c.suffix), Scope: scope}
				if !yield(a.to(rec), nil) {
					return
				}
			}
		}
	}
}

// namedProject streams the one project that is meant, by name or id, or none. It
// is taken from the list of projects, or asked for when that does not have it:
// naming it overrules excluded tags (S38).
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
			org := Scope{Organization: l.c.Organization()}
			b, err := l.object(ctx, &request{Route: "_apis/projects/{projectId}", Args: []string{name}})
			e, _ := errors.AsType[*rest.Error](err)
			switch {
			case err == nil:
				p := &project{ID: textAt(b, "id"), Name: textAt(b, "name"), JSON: b, scope: org}
				p.scope.Project, p.scope.ProjectName = p.ID, p.Name
				yield(p, nil)
			case e != nil && errors.Is(err, ErrNotFound) && strings.HasPrefix(e.TypeKey, "ProjectDoesNotExist"):
				l.c.log.WarnContext(ctx, "no such project", "kind", l.kind, "project", name)
			default:
				yield(nil, unknown(org, fmt.Errorf("project %s: %w", name, listed(err))))
			}
		}
	}
}
