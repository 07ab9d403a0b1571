package azuredevopstest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Wiki is a project wiki or, with a repository, a published code wiki.
type Wiki struct {
	ID         string
	Name       string
	Repository *Repository
	Pages      []*WikiPage

	project *Project
	pushed  []time.Time // to the repository that a project wiki has for itself
}

// A WikiPage is a page with its Markdown.
type WikiPage struct {
	ID      int
	Path    string // begins with a slash
	Content string
}

// AddWiki adds a wiki.
func (p *Project) AddWiki(name string, r *Repository) *Wiki {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	k := &Wiki{ID: p.world.newID("wiki"), Name: name, Repository: r, project: p}
	p.Wikis = append(p.Wikis, k)
	return k
}

// AddPage adds a page.
func (k *Wiki) AddPage(path, content string) *WikiPage {
	k.project.world.mu.Lock()
	defer k.project.world.mu.Unlock()
	page := &WikiPage{ID: k.project.world.next("wiki page"), Path: path, Content: content}
	k.Pages = append(k.Pages, page)
	k.pushed = append(k.pushed, k.project.world.now())
	return page
}

// Write changes the text of a page. In a code wiki somebody has to push as well.
func (k *Wiki) Write(p *WikiPage, content string) {
	k.project.world.mu.Lock()
	defer k.project.world.mu.Unlock()
	p.Content = content
	k.pushed = append(k.pushed, k.project.world.now())
}

func wikiRoutes() []route {
	const one = "/{project}/_apis/wiki/wikis"
	return []route{
		{method: "GET", pattern: one, handler: func(q *request) *response { return collection(q.project.Wikis, (*Wiki).json) }},
		{method: "GET", pattern: one + "/{wiki}", handler: getWiki},
		{method: "POST", pattern: one + "/{wiki}/pagesbatch", handler: batchWikiPages},
		{method: "GET", pattern: one + "/{wiki}/pages/{page}", handler: getWikiPage},
	}
}

func (k *Wiki) url() string { return k.project.below("wiki/wikis/" + k.ID) }

func (k *Wiki) json() object {
	kind, repository := "projectWiki", k.ID
	if k.Repository != nil {
		kind, repository = "codeWiki", k.Repository.ID
	}
	return object{
		"id", k.ID, "versions",
		array{object{"version", "wikiMaster"}},
		"url", k.url(), "remoteUrl", k.project.web() + "/_wiki/wikis/" + k.ID,
		"type", kind, "name", k.Name, "projectId", k.project.ID, "repositoryId", repository, "mappedPath", "/",
	}
}

func (q *request) wiki() (*Wiki, *response) {
	for _, k := range q.project.Wikis {
		if strings.EqualFold(k.ID, q.param("wiki")) || strings.EqualFold(k.Name, q.param("wiki")) {
			return k, nil
		}
	}
	return nil, notFound("Microsoft.TeamFoundation.Wiki.Server.WikiNotFoundException", "Wiki not found: "+q.param("wiki"))
}

// wikiWith is the project wiki with a repository of its own.
func (q *request) wikiWith(repository string) *Wiki {
	for _, k := range q.project.Wikis {
		if k.Repository == nil && strings.EqualFold(k.ID, repository) {
			return k
		}
	}
	return nil
}

func getWiki(q *request) *response {
	k, resp := q.wiki()
	if resp != nil {
		return resp
	}
	return ok(k.json())
}

// batchWikiPages takes its token from the body and answers it in the header.
//
// https://learn.microsoft.com/rest/api/azure/devops/wiki/pages-batch/get
func batchWikiPages(q *request) *response {
	k, resp := q.wiki()
	if resp != nil {
		return resp
	}
	var in struct {
		Top   int    `json:"top"`
		Token string `json:"continuationToken"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return failure(http.StatusBadRequest, errBadRequest, "The request body is not valid.")
	}
	text, _ := base64.StdEncoding.DecodeString(in.Token)
	from, _ := strconv.Atoi(string(text))
	from = min(max(from, 0), len(k.Pages))
	to := min(from+max(in.Top, 1), len(k.Pages))
	resp = collection(k.Pages[from:to], func(p *WikiPage) object { return object{"path", p.Path, "id", p.ID} })
	if to < len(k.Pages) {
		resp.header.Set("x-ms-continuationtoken", base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(to))))
	}
	return resp
}

// getWikiPage answers a page by id, with its ETag.
//
// https://learn.microsoft.com/rest/api/azure/devops/wiki/pages/get-page-by-id
func getWikiPage(q *request) *response {
	k, resp := q.wiki()
	if resp != nil {
		return resp
	}
	for i, p := range k.Pages {
		if p.ID != q.number("page") {
			continue
		}
		resp := ok(object{
			"path", p.Path, "order", i, "gitItemPath", p.Path + ".md", "subPages",
			array{},
			"url", k.url() + "/pages/" + url.PathEscape(p.Path),
			"remoteUrl", k.project.web() + "/_wiki/wikis/" + k.ID + "?pagePath=" + url.QueryEscape(p.Path), "id", p.ID,
			"content", some(q.flag("includecontent"), p.Content),
		})
		resp.header.Set("ETag", `"`+objectID("blob", []byte(p.Content))+`"`)
		return resp
	}
	return notFound("Microsoft.TeamFoundation.Wiki.Server.WikiPageNotFoundException", "The wiki page id '"+q.param("page")+"' does not exist.")
}
