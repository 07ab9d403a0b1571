package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// wideRepositories is how many repositories of a project are asked at once when the
// list of the project cannot be used.
const wideRepositories = 8

// perHealthyRepository streams the records of every healthy repository, width of
// them at a time. An error of list makes the repository unknown.
func (l *lister) perHealthyRepository(width int, list func(ctx context.Context, r *repository) iter.Seq2[Record, error]) stream[Record] {
	return each(width, l.eachRepository, func(ctx context.Context, r *repository) iter.Seq2[Record, error] {
		if !r.healthy() {
			return func(func(Record, error) bool) {}
		}
		return within(r.inside(), list(ctx, r))
	})
}

// perHealthyProject streams the records of every project that has healthy
// repositories, width projects at a time.
func (l *lister) perHealthyProject(
	width int, list func(ctx context.Context, p *project, of []*repository) iter.Seq2[Record, error],
) stream[Record] {
	return each(width, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[Record, error] {
		return within(p.scope, func(yield func(Record, error) bool) {
			b, err := l.repositoryList(ctx, p)
			if err != nil {
				yield(Record{}, fmt.Errorf("list of repositories: %w", err))
				return
			}
			if of := healthyIn(p, b); len(of) > 0 {
				list(ctx, p, of)(yield)
			}
		})
	})
}

// named is a stream of repositories that says at its end which of the names in a
// selector none of them has, if all of them are known.
func (l *lister) named(names []string, of stream[*repository]) stream[*repository] {
	if l.at != nil {
		return of // a part, of which nothing of the kind can be said
	}
	return func(ctx context.Context) iter.Seq2[*repository, error] {
		return func(yield func(*repository, error) bool) {
			seen, all := map[string]bool{}, true
			for r, err := range of(ctx) {
				if all = all && err == nil; err == nil {
					seen[strings.Clone(rawjson.Text(r.JSON, "name"))] = true // it is a part of the list
				}
				if !yield(r, err) {
					return
				}
			}
			for _, name := range unique(names) {
				if all && ctx.Err() == nil && !seen[name] {
					text := "no such repository"
					if near := nearest(name, slices.Sorted(maps.Keys(seen))); near != "" {
						text += fmt.Sprintf(", did you mean %q?", near)
					}
					l.c.log.WarnContext(ctx, text, "kind", l.kind, "repository", name)
				}
			}
		}
	}
}

// healthyIn are the healthy repositories in the answer that lists a project's.
func healthyIn(p *project, b []byte) []*repository {
	var out []*repository
	for obj := range rawjson.Objects(b, "value") {
		if r := newRepository(p, obj); r.healthy() {
			out = append(out, r)
		}
	}
	return out
}

// byID finds repositories by the lower case of their ids; the value is their
// place in the list.
func byID(of []*repository) map[string]int {
	out := make(map[string]int, len(of))
	for i, r := range of {
		out[strings.ToLower(r.ID)] = i
	}
	return out
}

// wholeOrEach reads what belongs to repositories with one list per project. If that
// fails before the first record, every repository is asked by itself: what can be
// read is read, and what cannot is reported exactly. With a single repository there
// is nothing to save.
func (l *lister) wholeOrEach(
	ctx context.Context, of []*repository, whole iter.Seq2[Record, error], list func(ctx context.Context, r *repository) iter.Seq2[Record, error],
) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if len(of) > 1 {
			given := false
			var failed error
			for rec, err := range whole {
				if err != nil && !given && ctx.Err() == nil && !errors.Is(err, ErrUnauthorized) {
					failed = err
					break
				}
				given = true
				if !yield(rec, err) {
					return
				}
			}
			if failed == nil {
				return
			}
			l.c.log.InfoContext(ctx, "list of a project not used, its repositories are asked one by one",
				"kind", l.kind, "project", of[0].Project.ID, "err", failed)
		}
		l.inEach(ctx, of, list)(yield)
	}
}

// inEach asks repositories one by one.
func (l *lister) inEach(
	ctx context.Context, of []*repository, list func(ctx context.Context, r *repository) iter.Seq2[Record, error],
) iter.Seq2[Record, error] {
	repositories := func(context.Context) iter.Seq2[*repository, error] {
		return func(yield func(*repository, error) bool) {
			for _, r := range of {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
	return each(wideRepositories, repositories, func(ctx context.Context, r *repository) iter.Seq2[Record, error] {
		return within(r.inside(), list(ctx, r))
	})(ctx)
}
