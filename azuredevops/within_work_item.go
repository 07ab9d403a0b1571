package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// errRenamed asks for another try: what was known of the project is out of date.
var errRenamed = errors.New("the project was renamed a moment ago")

// withinWorkItem asks for one work item, and, at the same time, whether the
// conditions of the selector hold for it: both answers are those of a resync.
func withinWorkItem(l *lister, sel workItemSelector, at *part) stream[Record] {
	if at.Scope.ID == "" {
		return nil
	}
	return records(l, func(ctx context.Context) iter.Seq2[batch, error] {
		return within(at.Scope, l.oneWorkItem(ctx, sel, at))
	})
}

func (l *lister) oneWorkItem(ctx context.Context, sel workItemSelector, at *part) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		p, id := at.project, at.Scope.ID
		fetched := ahead(ctx, func(ctx context.Context) (batch, error) {
			for b, err := range l.workItems(ctx, workItemIDs{p, []string{id}, rawjson.Members{}.Text("__projectId", p.ID).Raw("__project", p.JSON)}, sel.Expand) {
				return b, err
			}
			return batch{}, fmt.Errorf("%w: no answer", ErrMalformed)
		})
		found, err := l.wiqlPage(ctx, p, wiqlFor(sel.WIQL, id), "")
		item := fetched()
		switch {
		case err != nil:
			item.value.page.Free()
			yield(batch{}, fmt.Errorf("work item query: %w", err))
		case len(found) == 0:
			item.value.page.Free()
			if err := l.stillCalled(ctx, p); err != nil {
				yield(batch{}, err)
			}
		default:
			yield(item.value, item.err)
		}
	}
}

// stillCalled is an error if the query was about a project of another name.
func (l *lister) stillCalled(ctx context.Context, p *project) error {
	all, err := l.c.live.projects.get(ctx, "", liveAbsent, l.allProjects)
	if err != nil {
		return err
	}
	for _, now := range all {
		if now.ID == p.ID && now.Name != p.Name {
			return errRenamed
		}
	}
	return nil
}

// wiqlFor narrows conditions to one work item.
func wiqlFor(wiql, id string) string {
	conditions, asOf := wiqlFilter(wiql)
	one := "[System.Id] = " + id
	if conditions != "" {
		one += " AND (" + conditions + ")"
	}
	if asOf != "" {
		one += " " + asOf
	}
	return one
}

// ahead begins to fetch something; the result waits for it. It has to be called.
func ahead[T any](ctx context.Context, fetch func(context.Context) (T, error)) (wait func() result[T]) {
	ch := make(chan result[T], 1)
	go func() {
		v, err := fetch(ctx)
		ch <- result[T]{v, err}
	}()
	return func() result[T] { return <-ch }
}
