package azuredevops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	// liveFor is how long live events trust what they have read about the parents
	// of a record: the object of its project, the project's tags.
	liveFor = time.Minute
	// A list that lacks something is trusted for a shorter time only: an event may
	// be about what was created a moment ago.
	liveAbsent = 2 * time.Second
	// mostLive bounds the number of entries of each cache, a few kB each.
	mostLive = 2_000
	// mostListed bounds how many repositories are known to be listed.
	mostListed = 100_000
)

// A liveCache is what live events keep of parents from one event to the next. It
// belongs to a Client and all its copies.
type liveCache struct {
	projects     cache[string, []*project] // one list, without regard to tags
	tags         cache[string, bool]       // by project: it carries an excluded tag
	repositories cache[string, *repository]
	hidden       cache[string, bool]     // repositories that no list shows
	names        cache[string, []string] // ids of repositories by their names
	wikis        cache[string, []wikiOf]
	unlisted     cache[string, []string] // members that only single runs have; one list

	mu     sync.Mutex
	listed map[string]bool // repositories that a list has shown: they stay visible
}

func newLiveCache() *liveCache {
	return &liveCache{
		projects: liveValues[[]*project](), tags: liveValues[bool](), repositories: liveValues[*repository](), hidden: liveValues[bool](),
		names: liveValues[[]string](), wikis: liveValues[[]wikiOf](), unlisted: liveValues[[]string](),
		listed: map[string]bool{},
	}
}

func liveValues[T any]() cache[string, T] { return cache[string, T]{most: mostLive, retry: true} }

// A wikiOf says in which repository the pages of a wiki are.
type wikiOf struct{ id, repository string }

// liveProject finds a project by id, or by name where there is no id; nil means
// that the list does not have it. It tells whether the project carries an excluded
// tag.
func (l *lister) liveProject(ctx context.Context, id, name string) (*project, bool, error) {
	for _, age := range []time.Duration{liveFor, liveAbsent} {
		all, err := l.c.live.projects.young(ctx, "", age, l.allProjects)
		if err != nil {
			return nil, false, err
		}
		i := slices.IndexFunc(all, func(p *project) bool {
			return id != "" && strings.EqualFold(p.ID, id) || id == "" && strings.EqualFold(p.Name, name)
		})
		if i < 0 {
			continue
		}
		out, err := l.c.live.tags.young(ctx, all[i].ID, liveFor, func(ctx context.Context) (bool, error) { return l.excluded(ctx, all[i]) })
		if err != nil {
			return nil, false, fmt.Errorf("project tags: %w", err)
		}
		return all[i], out, nil
	}
	return nil, false, nil
}

// currentRepository is liveRepository, read once per snapshot for all kinds of an
// event. Kinds that only need to know that a repository exists and is healthy use
// what earlier events have read.
func (l *lister) currentRepository(ctx context.Context, p *project, at *part) (*repository, error) {
	id := at.Scope.Repository
	if !at.fresh && l.c.live.hides(p.ID, id) {
		return nil, nil //nolint:nilnil // it is not listed
	}
	if !at.fresh && at.OldRepository != nil && at.OldRepository(at.Change) {
		return l.liveRepository(ctx, p, id, liveFor)
	}
	return l.current.get(ctx, strings.ToLower(p.ID+"/"+id), func(ctx context.Context) (*repository, error) { return l.liveRepository(ctx, p, id, -1) })
}

// allProjects is the complete list, or an error.
func (l *lister) allProjects(ctx context.Context) ([]*project, error) {
	var out []*project
	for p, err := range l.listProjects(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, ctx.Err()
}

// liveRepository is a repository as the list of its project shows it; nil when the
// list has none of that id. A value read for another event will do if it is at most
// age old.
//
// Once a list has shown a repository, it is requested by itself. Others are looked
// up in the list, because repositories of wikis can be read but are not listed.
func (l *lister) liveRepository(ctx context.Context, p *project, id string, age time.Duration) (*repository, error) {
	live, key := l.c.live, strings.ToLower(p.ID+"/"+id)
	return live.repositories.young(ctx, key, age, func(ctx context.Context) (*repository, error) {
		if live.shown(key) {
			b, err := l.object(ctx, &request{Project: p.ID, Route: "_apis/git/repositories/{repositoryId}", Args: []string{id}})
			if err == nil && strings.EqualFold(rawjson.Text(b, "id"), id) {
				return newRepository(p, rawjson.Without(b, "_links", "parentRepository")), nil
			}
			// A disabled repository cannot be read, but is listed.
			if ctx.Err() != nil || err != nil && !mayBeListed(err) {
				return nil, err
			}
		}
		return l.listedRepository(ctx, p, id)
	})
}

// listedRepository looks into the list.
func (l *lister) listedRepository(ctx context.Context, p *project, id string) (*repository, error) {
	b, err := l.repositoryList(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list of repositories: %w", err)
	}
	var found *repository
	var ids []string
	for obj := range rawjson.Objects(b, "value") {
		of := rawjson.Text(obj, "id")
		ids = append(ids, strings.ToLower(p.ID+"/"+of))
		if strings.EqualFold(of, id) {
			found = newRepository(p, bytes.Clone(obj))
		}
	}
	key := strings.ToLower(p.ID + "/" + id)
	l.c.live.show(ids)
	if found == nil {
		l.c.live.unshow(key)
	}
	return found, nil
}

// hides tells whether a recent list did not have the repository.
func (c *liveCache) hides(project, id string) bool {
	return id != "" && c.hidden.has(strings.ToLower(project+"/"+id), liveFor)
}

func (c *liveCache) shown(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listed[key]
}

func (c *liveCache) show(keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.listed)+len(keys) > mostListed {
		clear(c.listed)
	}
	for _, key := range keys {
		c.listed[key] = true
	}
}

// unshow notes that a list did not have a repository.
func (c *liveCache) unshow(key string) {
	c.mu.Lock()
	delete(c.listed, key)
	c.mu.Unlock()
	c.hidden.put(key, true)
}

// mayBeListed tells whether the list may still show a repository that could not be
// read.
func mayBeListed(err error) bool {
	e, ok := errors.AsType[*rest.Error](err)
	return ok && e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusTooManyRequests && !errors.Is(err, ErrUnauthorized)
}
