// Package gitops brings entities to Port that spec files in repositories declare.
//
// A push says where to look, and nothing else: which branch counts, and what its
// specs declare now, is asked of Azure DevOps. What they declare is written, and
// what this installation remembers to have applied for the repository and nothing
// declares any more is deleted, both as the feature gitops: a resync neither sees
// these entities nor deletes them. Nothing is read but on pushes.
//
// A file that cannot be read is not absent, and one that cannot be understood does
// not declare nothing: then nothing is deleted. Neither is what another repository
// declares, nor what nobody remembers.
package gitops

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// Config is what a Gitops works with.
type Config struct {
	Catalog *catalog.Catalog // required
	// StateDirectory has the memory of what was applied; empty: it ends with the
	// process.
	StateDirectory string
	// Store has it for several processes; nil: there is one.
	Store Store
	Log   *slog.Logger // nil means none
}

// A Gitops follows the pushes of all repositories. Safe for concurrent use.
type Gitops struct {
	catalog *catalog.Catalog
	log     *slog.Logger
	memory  *memory
	turns   turns

	mu   sync.Mutex
	done map[repository]done
}

// done is what was last brought to Port for a repository, completely.
type done struct {
	commit string   // the tip of the branch, and how the mapping has it read
	made   [32]byte // hash of the entities
}

// New makes a Gitops.
func New(cfg Config) *Gitops {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gitops{catalog: cfg.Catalog, log: cfg.Log, done: map[repository]done{}}
	if cfg.Store != nil {
		g.memory = openMemory("", cfg.Log)
		g.memory.store, g.memory.done = cfg.Store, map[repository]done{}
	} else {
		g.memory = openMemory(cfg.StateDirectory, cfg.Log)
	}
	return g
}

// headsPrefix is what a ref that is a branch begins with. A tag is none, whatever
// its name.
const headsPrefix = "refs/heads/"

// Push brings the catalog in step with the spec files of a repository as they are
// now, on the branch that the mapping watches: the default branch, or the one that
// is named. A branch, or a repository, that is gone leaves its entities as they are.
//
// The error says that something could not be read or written and is worth another
// try; everything else has been done then, except that nothing has been deleted.
// Push may be repeated. What people have to mend, such as a spec that is no YAML
// and entities that Port refuses, is logged and no error.
func (g *Gitops) Push(ctx context.Context, org *azuredevops.Client, p *Push, m *mapping.Mapping, cause catalog.Cause) error {
	byDefault := m.UseDefaultBranch != nil && *m.UseDefaultBranch
	name := strings.TrimPrefix(m.Branch, headsPrefix)
	if len(m.SpecPath) == 0 || !byDefault && !p.concerns(name) {
		return nil
	}
	log := g.log.With("organization", org.Organization(), "repository", p.Repository)
	standard, err := org.DefaultBranch(ctx, p.Project, p.Repository, p.at)
	switch {
	case errors.Is(err, azuredevops.ErrNotFound):
		log.InfoContext(ctx, "repository is gone or left out: the entities of its specs are left as they are", "reason", err)
		return nil
	case err != nil:
		return fmt.Errorf("gitops: %w", err)
	case byDefault:
		name = standard
	}
	if !p.concerns(name) {
		return nil
	}
	r := &run{
		g: g, org: org, push: p, at: repository{org.Key(), p.Repository}, name: name, mapping: m,
		session: g.catalog.Begin(options(m, cause)), log: log.With("branch", name),
	}
	if r.paths = r.specPaths(ctx); len(r.paths) == 0 {
		return nil
	}
	end, err := g.turns.take(ctx, r.at)
	if err == nil {
		err = r.follow(ctx)
		end()
	}
	if err != nil {
		return fmt.Errorf("gitops: %w", err)
	}
	return nil
}

func options(m *mapping.Mapping, cause catalog.Cause) catalog.Options {
	opt := catalog.Options{
		Cause: cause, Feature: port.FeatureGitOps, Merge: m.EnableMergeEntity, CreateMissing: m.CreateMissingRelatedEntities,
		DeleteDependents: m.DeleteDependentEntities,
	}
	if m.EnableMergeEntity {
		opt.CompareFrom = 1 // without merging an entity has to be written to lose what it does not set
	}
	return opt
}

// run is one call of Push.
type run struct {
	g       *Gitops
	org     *azuredevops.Client
	push    *Push
	at      repository
	name    string // of the branch
	mapping *mapping.Mapping
	session *catalog.Session
	log     *slog.Logger
	paths   []string // of the specs
	commit  string   // the tip of the branch
}

// specPaths are the paths of the specs, each once.
func (r *run) specPaths(ctx context.Context) []string {
	var out []string
	for _, p := range r.mapping.SpecPath {
		path, ok := inside("", p)
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

// follow does the work of Push, one call after the other for a repository.
func (r *run) follow(ctx context.Context) (err error) {
	r.commit, err = r.org.BranchTip(ctx, r.push.Project, r.push.Repository, r.name)
	if errors.Is(err, azuredevops.ErrNotFound) {
		r.log.InfoContext(ctx, "branch is gone: the entities of its specs are left as they are")
		return nil
	}
	if err != nil {
		return err
	}
	last, err := r.g.last(ctx, r.at)
	if err != nil {
		return err
	}
	now := done{commit: r.commit + " " + r.how()}
	if now.commit == last.commit {
		return nil
	}
	files, err := r.specs(ctx)
	if err != nil {
		return err
	}
	after := r.declared(files)
	entities, faults, err := r.complete(ctx, after.entries)
	after.faults = append(after.faults, faults...)
	if now.made = r.hash(entities, after); err != nil || now.made != last.made {
		r.complain(ctx, after)
		left, err := r.apply(ctx, entities, after, err)
		if err != nil {
			return err
		}
		if left {
			now.made = [32]byte{} // the next push tries again
		}
	}
	return r.g.did(ctx, r.at, now)
}

// how is what the mapping says of specs.
func (r *run) how() string {
	m := r.mapping
	return fmt.Sprintf("%q %t %t %t", r.paths, m.EnableMergeEntity, m.CreateMissingRelatedEntities, m.DeleteDependentEntities)
}

// hash tells apart what is brought to Port.
func (r *run) hash(entities []port.Entity, after spec) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%q\n", r.how(), after.faults)
	for i := range entities {
		fmt.Fprintf(h, "%q\n", entities[i].Body)
	}
	for i := range after.entries {
		fmt.Fprintf(h, "%q\n", after.entries[i].Ref)
	}
	return [32]byte(h.Sum(nil))
}

func (g *Gitops) last(ctx context.Context, at repository) (done, error) {
	if g.memory.store != nil {
		return g.memory.look(ctx, at)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done[at], nil
}

func (g *Gitops) did(ctx context.Context, at repository, d done) error {
	if g.memory.store != nil {
		return g.memory.did(ctx, at, d)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done[at] = d
	return nil
}
