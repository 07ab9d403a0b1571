// Package gitops brings entities to Port that spec files in repositories declare
// (live-events.md 5.1, export.md 7).
//
// A push to the watched branch of a repository makes Gitops.Push read the spec
// files before and after it. What is declared afterwards is written, what was
// declared before only is deleted, both as the feature gitops: a resync neither
// sees these entities nor deletes them. Nothing is remembered on disk, and
// nothing is read but on pushes.
//
// A file that cannot be read is not absent, and one that cannot be understood
// does not declare nothing: then nothing is deleted.
package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// Config is what a Gitops works with.
type Config struct {
	Catalog *catalog.Catalog // required
	Log     *slog.Logger     // nil means none
}

// A Gitops follows the pushes of all repositories. It is safe for concurrent use;
// pushes of one branch are handed to it one after the other.
type Gitops struct {
	catalog *catalog.Catalog
	log     *slog.Logger

	mu sync.Mutex
	// open are commits that may have left entities behind, by branch: what a push
	// that was not finished, or whose spec could not be understood, has not
	// deleted.
	open map[branch][]string
}

// maxOpen bounds the commits of a branch that are read once more.
const maxOpen = 16

// New makes a Gitops.
func New(cfg Config) *Gitops {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Gitops{catalog: cfg.Catalog, log: cfg.Log.With("component", "gitops"), open: map[branch][]string{}}
}

// A Push is one ref update of a git.push event, or several ones of a ref in one.
type Push struct {
	Project, Repository string // ids
	// DefaultBranch is the full ref name in the event. When it is empty and
	// needed the repository is asked for it.
	DefaultBranch string
	Ref           string // full name
	// Old and New are the commits before the first update and after the last.
	// Zeros, or nothing, stand for a ref that was not there, or is not any more.
	Old, New string
}

// Pushes adds the pushes of an event to earlier ones of the same branches: what
// counts is the first old commit and the last new one.
func Pushes(pushes []Push, ev *azuredevops.Event) []Push {
	if ev.Type != "git.push" {
		return pushes
	}
	repository := gjson.GetBytes(ev.Resource, "repository")
	for _, ref := range gjson.GetBytes(ev.Resource, "refUpdates").Array() {
		p := Push{
			Project: ev.Project, Repository: repository.Get("id").String(), DefaultBranch: repository.Get("defaultBranch").String(),
			Ref: ref.Get("name").String(), Old: ref.Get("oldObjectId").String(), New: ref.Get("newObjectId").String(),
		}
		i := slices.IndexFunc(pushes, func(o Push) bool { return o.Repository == p.Repository && o.Ref == p.Ref })
		if i < 0 {
			pushes = append(pushes, p)
			continue
		}
		pushes[i].New, pushes[i].DefaultBranch = p.New, p.DefaultBranch
	}
	return pushes
}

type branch struct{ organization, repository, ref string }

// headsPrefix is what a ref that is a branch begins with. A tag is none, whatever
// its name.
const headsPrefix = "refs/heads/"

// Push brings the catalog in step with the spec files of a branch, when it is the
// one that the mapping watches: the default branch, or the one that is named.
// They count as they are now, should there have been further pushes. A branch
// that was deleted leaves its entities as they are.
//
// The error says that something could not be read or written and is worth another
// try; everything else has been done then, except that nothing has been deleted.
// Push may be repeated. What people have to mend, such as a spec that is no YAML
// and entities that Port refuses, is logged and no error.
func (g *Gitops) Push(ctx context.Context, org *azuredevops.Client, p Push, m *mapping.Mapping, cause catalog.Cause) error {
	name, ok := strings.CutPrefix(p.Ref, headsPrefix)
	if !ok || name == "" || len(m.SpecPath) == 0 {
		return nil
	}
	watched, err := watches(ctx, org, p, m)
	if err != nil {
		return fmt.Errorf("gitops: %w", err)
	}
	if name != watched {
		return nil
	}
	opt := catalog.Options{
		Cause: cause, Feature: port.FeatureGitOps, Merge: m.EnableMergeEntity, CreateMissing: m.CreateMissingRelatedEntities,
		DeleteDependents: m.DeleteDependentEntities,
	}
	if m.EnableMergeEntity {
		opt.CompareFrom = 1 // without merging an entity has to be written to lose what it does not set
	}
	r := &run{
		g: g, org: org, push: p, name: name, mapping: m, session: g.catalog.Begin(opt),
		log: g.log.With("organization", org.Organization(), "repository", p.Repository, "branch", name),
	}
	if r.paths = r.specPaths(ctx); len(r.paths) == 0 {
		return nil
	}
	at := branch{org.Organization(), p.Repository, p.Ref}
	r.before = g.opened(at, p.Old)
	finished, err := r.follow(ctx)
	if finished && err == nil {
		g.close(at)
		return nil
	}
	g.keep(at, append(r.before, r.wrote))
	if err != nil {
		return fmt.Errorf("gitops: %w", err)
	}
	return nil
}

// watches is the name of the branch whose specs count.
func watches(ctx context.Context, org *azuredevops.Client, p Push, m *mapping.Mapping) (string, error) {
	watched := m.Branch
	if m.UseDefaultBranch != nil && *m.UseDefaultBranch {
		watched = p.DefaultBranch
		if watched == "" {
			var err error
			if watched, err = org.DefaultBranch(ctx, p.Project, p.Repository); err != nil {
				return "", err
			}
		}
	}
	return strings.TrimPrefix(watched, headsPrefix), nil
}

// opened are the commits to compare with: those left open and old.
func (g *Gitops) opened(at branch, old string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return distinct(append(slices.Clone(g.open[at]), old))
}

func (g *Gitops) keep(at branch, commits []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if commits = distinct(commits); len(commits) > maxOpen {
		commits = commits[:maxOpen]
	}
	g.open[at] = commits
}

func (g *Gitops) close(at branch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, at)
}

// distinct leaves out what is no commit, and repetitions.
func distinct(commits []string) []string {
	var out []string
	for _, c := range commits {
		if !isNone(c) && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// isNone tells whether an object id stands for none.
func isNone(commit string) bool { return strings.Trim(commit, "0") == "" }

// run is one call of Push.
type run struct {
	g       *Gitops
	org     *azuredevops.Client
	push    Push
	name    string // of the branch
	mapping *mapping.Mapping
	session *catalog.Session
	log     *slog.Logger
	paths   []string // of the specs
	before  []string // commits to compare with, and to keep when this is not finished
	wrote   string   // commit whose entities may have been written
}

// specPaths are the paths of the specs, each once.
func (r *run) specPaths(ctx context.Context) []string {
	var out []string
	for _, p := range r.mapping.SpecPath {
		path, ok := inside(p)
		if !ok {
			r.log.WarnContext(ctx, "specPath is not the path of a file in a repository", "spec_path", p)
			continue
		}
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// unchanged tells whether the push has left the specs, and the files that they
// refer to, as they were: specs count when they are pushed (live-events.md 5), not
// with every push beside them.
func (r *run) unchanged(ctx context.Context, was []state, now state) bool {
	if len(was) != 1 || was[0].commit != r.push.Old || r.push.Old == r.push.New || now.err != nil {
		return false // something of earlier pushes is left to do
	}
	same := func(a, b file) bool {
		return a.absent == b.absent && !a.large && !b.large && bytes.Equal(a.text, b.text)
	}
	for _, s := range was {
		if s.err != nil || !slices.EqualFunc(s.files, now.files, same) {
			return false
		}
	}
	entries := r.declared(now.files).entries
	if len(filesOf(entries)) == 0 {
		return true
	}
	refers := r.references(ctx, entries, now.commit)
	for _, s := range was {
		before := r.references(ctx, entries, s.commit)
		for path, f := range refers {
			if f.err != nil || before[path].err != nil || !same(f.file, before[path].file) {
				return false
			}
		}
	}
	return true
}

// follow does the work of Push. It is finished when nothing of the commits in
// before can be left over.
func (r *run) follow(ctx context.Context) (finished bool, err error) {
	if isNone(r.push.New) {
		r.log.InfoContext(ctx, "branch deleted: the entities of its specs are left as they are")
		return false, nil
	}
	was, now := r.states(ctx)
	if now.err == nil && !now.found() && !slices.ContainsFunc(was, func(s state) bool { return s.err != nil || s.found() }) {
		return true, nil
	}
	if r.unchanged(ctx, was, now) {
		return true, nil
	}
	tip, err := r.org.BranchTip(ctx, r.push.Project, r.push.Repository, r.name)
	if errors.Is(err, azuredevops.ErrNotFound) {
		r.log.InfoContext(ctx, "branch is gone: the entities of its specs are left as they are")
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if tip != now.commit {
		now = r.state(ctx, tip)
	}
	if now.err != nil {
		return false, now.err
	}
	return r.apply(ctx, was, now)
}
