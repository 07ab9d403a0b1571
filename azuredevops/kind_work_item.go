package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[workItemSelector]{
	Name: "work-item", List: listWorkItems, Within: withinWorkItem, Incremental: true,
	Events: []string{"workitem.created", "workitem.updated", "workitem.deleted", "workitem.restored", "workitem.commented"},
})

type workItemSelector struct {
	WIQL   string `json:"wiql"` // conditions only, optionally followed by ORDER BY
	Expand string `json:"expand" default:"All" oneof:"None,Fields,Relations,Links,All"`
}

const (
	wiqlTop       = 19999 // WIQL fails above 20,000 ids
	workItemChunk = 200   // ids that a list of work items takes
)

// listWorkItems lists the work items of every project with `__projectId` and
// `__project`: ids by WIQL, paged by id, then the items by 200. An item whose id was
// found and that does not come back is unknown.
func listWorkItems(l *lister, sel workItemSelector) stream[Record] {
	chunks := each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[workItemIDs, error] {
		return within(p.scope, l.workItemIDs(ctx, p, sel.WIQL))
	})
	pages := each(wideChunks, chunks, func(ctx context.Context, ids workItemIDs) iter.Seq2[batch, error] {
		return within(ids.project.scope, l.workItems(ctx, ids, sel.Expand))
	})
	return passing(l, pages)
}

// workItemIDs are at most 200 ids of a project, as spelled.
type workItemIDs struct {
	project *project
	ids     []string
	added   rawjson.Members
}

// workItemIDs finds the ids of a project, in ascending order.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/wiql/query-by-wiql
func (l *lister) workItemIDs(ctx context.Context, p *project, wiql string) iter.Seq2[workItemIDs, error] {
	return func(yield func(workItemIDs, error) bool) {
		added := rawjson.Members{}.Text("__projectId", p.ID).Raw("__project", p.JSON)
		last := ""
		for {
			ids, err := l.wiqlPage(ctx, p, wiql, last)
			if err != nil {
				yield(workItemIDs{}, fmt.Errorf("work item query: %w", err))
				return
			}
			for from := 0; from < len(ids); from += workItemChunk {
				to := min(from+workItemChunk, len(ids))
				if !yield(workItemIDs{p, ids[from:to:to], added}, nil) {
					return
				}
			}
			if len(ids) < wiqlTop {
				return
			}
			last = ids[len(ids)-1]
		}
	}
}

// wiqlPage finds the ids above last. They have to grow, or paging by id would
// lose or repeat some.
func (l *lister) wiqlPage(ctx context.Context, p *project, wiql, last string) ([]string, error) {
	body := append([]byte(`{"query":`), gjson.AppendJSONString(nil, wiqlQuery(p.Name, wiqlSince(wiql, l.since), last))...)
	precise := ""
	if !l.since.IsZero() {
		precise = "true" // or the query may name days only
	}
	pg, err := l.list(ctx, &request{
		Project: p.ID, Route: "_apis/wit/wiql", Version: "7.1-preview.2",
		Query: []string{"$top", strconv.Itoa(wiqlTop), "timePrecision", precise}, Body: append(body, '}'),
	}, "workItems")
	if err != nil {
		return nil, err
	}
	defer pg.Free()
	before, _ := strconv.ParseInt(last, 10, 64)
	var ids []string
	for obj := range pg.Objects() {
		id := rawjson.Text(obj, "id")
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n <= before {
			return nil, fmt.Errorf("%w: work item id %q behind %d", ErrMalformed, id, before)
		}
		before = n
		ids = append(ids, id)
	}
	return ids, nil
}

// workItems fetches items by their ids.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/work-items/list
func (l *lister) workItems(ctx context.Context, of workItemIDs, expand string) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		p, err := l.list(ctx, &request{
			Project: of.project.ID, Route: "_apis/wit/workitems", Version: "7.1-preview.3",
			Query: []string{"ids", strings.Join(of.ids, ","), "$expand", expand, "errorPolicy", "omit"}, Nulls: true,
		}, "value")
		if err != nil {
			yield(batch{}, fmt.Errorf("work items %s to %s: %w", of.ids[0], of.ids[len(of.ids)-1], err))
			return
		}
		yield(batch{page: p, key: "value", id: "id", scope: of.project.scope, added: of.added, want: of.ids}, nil)
	}
}

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
	all, err := l.c.live.projects.young(ctx, "", liveAbsent, l.allProjects)
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
