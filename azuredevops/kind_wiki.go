package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[wikiSelector]{
	Name: "wiki", List: listWikiPages,
	Events: inRepository("git.push"),
	Live:   live{Settle: wikisOf},
})

// wikiTop is the most pages that a batch gives.
const wikiTop = 100

type wikiSelector struct {
	WikiType       string `json:"wikiType" oneof:"projectWiki,codeWiki"`
	IncludeContent bool   `json:"includeContent"`
	APIVersion     string `json:"apiVersion" default:"7.1"`
}

// A wiki is an entry of a project's list of wikis.
type wiki struct {
	id         string
	repository string // that has its pages
	look       string // digest of the entry
	project    *project
	added      rawjson.Members // __wiki, with __project in it, and __project
}

// scope is that of the pages: they are known or unknown with the wiki.
func (w *wiki) scope() Scope {
	s := w.project.scope
	s.ID = w.id
	return s
}

// listWikiPages lists the pages of every wiki with `__wiki` and `__project`. With
// IncludeContent it is the whole page; one that cannot be read is listed as the
// batch has it and is incomplete.
func listWikiPages(l *lister, sel wikiSelector) stream[Record] {
	wikis := each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[*wiki, error] {
		return within(p.scope, l.wikis(ctx, p, sel))
	})
	if sel.IncludeContent {
		return each(wideWikis, wikis, func(ctx context.Context, w *wiki) iter.Seq2[Record, error] {
			return within(w.scope(), l.wholeWiki(ctx, w, sel))
		})
	}
	return records(l, each(widePages, wikis, func(ctx context.Context, w *wiki) iter.Seq2[batch, error] {
		return within(w.scope(), l.wikiPages(ctx, w, sel))
	}))
}

// wideWikis is how many wikis are read at once page by page, with wideRecords pages each.
const wideWikis = 4

// wholeWiki streams the pages of a wiki with their text. They are files of a repository,
// and the same as long as nobody pushes to it.
func (l *lister) wholeWiki(ctx context.Context, w *wiki, sel wikiSelector) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		proof := l.prove(memorable{what: "wiki 1", project: w.project, id: w.id + " " + sel.APIVersion}, func(n note) bool {
			return n.revision == w.look && l.unpushed(ctx, w, time.Unix(0, n.asked))
		})
		pages := records(proof.lister, func(ctx context.Context) iter.Seq2[batch, error] { return proof.wikiPages(ctx, w, sel) })
		whole := each(wideRecords, pages, one(func(ctx context.Context, rec Record) (Record, error) {
			page, err := proof.wikiPage(ctx, rec, sel)
			if err != nil {
				rec.Missing = append(rec.Missing, fmt.Errorf("wiki page %s: %w", rawjson.Text(rec.JSON, "path"), err))
				return rec, nil
			}
			rec.JSON = page
			return rec, nil
		}))
		all := true
		for rec, err := range whole(ctx) {
			all = all && err == nil && len(rec.Missing) == 0
			if !yield(rec, err) {
				return
			}
		}
		if all && ctx.Err() == nil {
			proof.holds(w.look)
		}
	}
}

// wikiSettles is how long after a push the pages may still be made of it: a job gives them
// their ids. Clocks may differ as well.
const wikiSettles = 6 * time.Hour

// unpushed says whether nobody has pushed to the repository of a wiki since, nor shortly
// before. Where that is not told, as to those who may read wikis only, it is false.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/pushes/list
func (l *lister) unpushed(ctx context.Context, w *wiki, since time.Time) bool {
	since = since.Add(-wikiSettles)
	pg, err := l.list(ctx, &request{
		Project: w.project.ID, Route: "_apis/git/repositories/{repositoryId}/pushes", Args: []string{w.repository}, ID: "pushId",
		Query: []string{"searchCriteria.fromDate", since.UTC().Format(time.RFC3339), "$top", "1"},
	}, "value")
	if err != nil {
		l.c.log.DebugContext(ctx, "pushes to a wiki are not known, so its pages are read", "project", w.project.ID, "wiki", w.id, "err", err)
		return false
	}
	defer pg.Free()
	for obj := range pg.Objects() {
		if at, ok := timestamp(rawjson.Text(obj, "date")); !ok || !at.Before(since) {
			return false
		}
	}
	return true
}

// wikis streams the wikis of a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/wiki/wikis/list
func (l *lister) wikis(ctx context.Context, p *project, sel wikiSelector) iter.Seq2[*wiki, error] {
	return func(yield func(*wiki, error) bool) {
		rq := &request{Project: p.ID, Route: "_apis/wiki/wikis", Version: sel.APIVersion, Shared: sel.APIVersion == "7.1"}
		project := rawjson.Members{}.Raw("__project", p.JSON)
		for pg, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				yield(nil, err)
				return
			}
			for obj := range pg.Objects() {
				if sel.WikiType != "" && rawjson.Text(obj, "type") != sel.WikiType {
					continue
				}
				w := &wiki{id: rawjson.Text(obj, "id"), repository: rawjson.Text(obj, "repositoryId"), look: hexDigest(string(obj)), project: p}
				if !l.at.below(w.id) {
					continue
				}
				w.added = rawjson.Members{}.Raw("__wiki", rawjson.With(obj, project)).Raw("__project", p.JSON)
				if !yield(w, nil) {
					pg.Free()
					return
				}
			}
			pg.Free()
		}
	}
}

// wikiPages follows the pages of a wiki. The token comes with the last of them
// too, so the end is an empty answer or one without a token.
//
// https://learn.microsoft.com/rest/api/azure/devops/wiki/pages-batch/get
func (l *lister) wikiPages(ctx context.Context, w *wiki, sel wikiSelector) iter.Seq2[batch, error] {
	return chained(l, true, func(ctx context.Context) iter.Seq2[batch, error] { return l.askWikiPages(ctx, w, sel) })(ctx)
}

func (l *lister) askWikiPages(ctx context.Context, w *wiki, sel wikiSelector) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		var guard rest.Guard
		token := ""
		for n := 1; ; n++ {
			body := strconv.AppendInt([]byte(`{"top":`), wikiTop, 10)
			if token != "" {
				body = gjson.AppendJSONString(append(body, `,"continuationToken":`...), token)
			}
			pg, err := l.page(ctx, &request{
				Project: w.project.ID, Route: "_apis/wiki/wikis/{wikiIdentifier}/pagesbatch", Args: []string{w.id},
				Version: sel.APIVersion, Body: append(body, '}'),
			}, "value", n, &guard)
			if err != nil {
				yield(batch{}, err)
				return
			}
			token = pg.Token
			if pg.Count() == 0 {
				pg.Free()
				return
			}
			if token != "" && !guard.Token(token) {
				pg.Free()
				yield(batch{}, fmt.Errorf("wiki pages, answer %d: %w: the continuation token repeats", n, ErrMalformed))
				return
			}
			if !yield(batch{page: pg, key: "value", id: "id", scope: w.scope(), added: w.added}, nil) || token == "" {
				return
			}
		}
	}
}

// wikiPage is the whole page of a record, with what was added to the record.
//
// https://learn.microsoft.com/rest/api/azure/devops/wiki/pages/get-page-by-id
func (l *lister) wikiPage(ctx context.Context, rec Record, sel wikiSelector) ([]byte, error) {
	id := rawjson.Text(rec.JSON, "id")
	b, err := l.object(ctx, &request{
		Project: rec.Scope.Project,
		Route:   "_apis/wiki/wikis/{wikiIdentifier}/pages/{id}", Args: []string{rec.Scope.ID, id},
		Version: sel.APIVersion, Query: []string{"includeContent", "true"}, Is: id,
	})
	if err != nil {
		return nil, listed(err)
	}
	added := rawjson.Members{}
	for _, name := range []string{"__wiki", "__project"} {
		added = added.Raw(name, rawjson.Raw(rec.JSON, name))
	}
	return rawjson.With(b, added, l.c.suffix), nil
}

// wikisOf are the changes of the wikis that have their pages in a repository. The
// wiki of a project has the id of its repository: it may have gone with it.
func wikisOf(ctx context.Context, l *lister, p *project, c Change, excluded bool) ([]Change, error) {
	of := c.repository
	c.repository = ""
	var out []Change
	add := func(id string) {
		c.Scope.ID = id
		out = append(out, c)
	}
	if c.fresh || excluded {
		add(of)
	}
	if excluded {
		return out, nil
	}
	wikis, err := l.c.live.wikis.young(ctx, p.ID, liveFor, func(ctx context.Context) ([]wikiOf, error) { return l.allWikis(ctx, p) })
	for _, w := range wikis {
		if strings.EqualFold(w.repository, of) && !(c.fresh && w.id == of) {
			add(w.id)
		}
	}
	return out, err
}

// allWikis lists the wikis of a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/wiki/wikis/list
func (l *lister) allWikis(ctx context.Context, p *project) ([]wikiOf, error) {
	var out []wikiOf
	for pg, err := range l.pages(ctx, &request{Project: p.ID, Route: "_apis/wiki/wikis", Version: "7.1"}, "value") {
		if err != nil {
			return nil, err
		}
		for obj := range pg.Objects() {
			out = append(out, wikiOf{rawjson.Text(obj, "id"), rawjson.Text(obj, "repositoryId")})
		}
		pg.Free()
	}
	return out, nil
}
