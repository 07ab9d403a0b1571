package azuredevopstest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

func itemRoutes() []route {
	const one = "/[{project}/]_apis/git/repositories/{repository}"
	return []route{
		{method: "GET", pattern: one + "/items", handler: getItems},
		{method: "POST", pattern: one + "/itemsbatch", handler: itemsBatch},
		{method: "GET", pattern: one + "/blobs/{object}", handler: getBlob},
		{method: "GET", pattern: one + "/trees/{object}", handler: getTree},
	}
}

// at finds a version: a branch unless kind says commit or tag; the default
// branch without a name.
func (r *Repository) at(kind, name string) (*Commit, *response) {
	var c *Commit
	switch {
	case name == "":
		c, name = r.branches[r.DefaultBranch], strings.TrimPrefix(r.DefaultBranch, "refs/heads/")
	case strings.EqualFold(kind, "commit"):
		c = r.commits[name]
	case strings.EqualFold(kind, "tag"):
		c = r.branches["refs/tags/"+name]
	default:
		c = r.branches[fullRef(name)]
	}
	if c != nil {
		return c, nil
	}
	return nil, notFound("Microsoft.TeamFoundation.Git.Server.GitUnresolvableToCommitException",
		"TF401175:The version descriptor <"+versionWord(kind)+": "+name+" > could not be resolved to a version in the repository "+r.Name)
}

func versionWord(kind string) string {
	if kind == "" {
		return "Branch"
	}
	return strings.ToUpper(kind[:1]) + strings.ToLower(kind[1:])
}

func (r *Repository) itemURL(file, kind, version string) string {
	escaped := (&url.URL{Path: file}).EscapedPath()
	return r.url() + "/items/" + escaped + "?versionType=" + kind + "&version=" + url.QueryEscape(version) + "&versionOptions=None"
}

// noItem is also the answer for the root of an empty repository.
func (r *Repository) noItem(file, kind, version, commit string) *response {
	return notFound("Microsoft.TeamFoundation.Git.Server.GitItemNotFoundException", "TF401174: The item '"+file+
		"' could not be found in the repository '"+r.Name+"' at the version specified by '<"+versionWord(kind)+": "+version+" >' (resolved to commit '"+commit+"')")
}

// A descriptor names items: of the query, or an element of itemsbatch.
type descriptor struct {
	Path        string `json:"path"`
	Recursion   string `json:"recursionLevel"`
	Version     string `json:"version"`
	VersionType string `json:"versionType"`
}

// items lists what a descriptor names; folders first show themselves.
func (r *Repository) items(d descriptor) (*Commit, []entry, *response) {
	c, resp := r.at(d.VersionType, d.Version)
	if resp != nil {
		return nil, nil, resp
	}
	file := strings.Trim(d.Path, "/")
	e, found := c.find(file)
	if !found {
		return nil, nil, r.noItem(d.Path, d.VersionType, d.Version, c.ID)
	}
	switch level := strings.ToLower(d.Recursion); {
	case e.blob != nil || level == "" || level == "none":
		return c, []entry{e}, nil
	default:
		return c, c.below(file, level == "full"), nil
	}
}

func (r *Repository) item(c *Commit, e entry, d descriptor, metadata, content bool) object {
	kind := "blob"
	if e.blob == nil {
		kind = "tree"
	}
	version := d.Version
	if version == "" {
		version = strings.TrimPrefix(r.DefaultBranch, "refs/heads/")
	}
	var text, meta any = absent{}, absent{}
	if content && e.blob != nil && utf8.ValidString(e.blob.text) {
		text = e.blob.text
	}
	if metadata {
		meta = e.metadata()
	}
	return object{
		"objectId", e.id,
		"gitObjectType", kind,
		"commitId", c.ID,
		"path", "/" + e.path,
		"isFolder", some(e.blob == nil, true),
		"contentMetadata", meta,
		"content", text,
		"url", r.itemURL(e.path, versionWord(d.VersionType), version),
	}
}

func (e entry) metadata() object {
	name := path.Base("/" + e.path)
	if e.blob == nil {
		return object{"fileName", name}
	}
	extension := opt(strings.TrimPrefix(path.Ext(name), "."))
	if !utf8.ValidString(e.blob.text) {
		return object{"encoding", -1, "contentType", "application/octet-stream", "isBinary", true, "fileName", name, "extension", extension}
	}
	return object{"encoding", 65001, "contentType", "text/plain", "fileName", name, "extension", extension}
}

// getItems answers a file's bytes, its metadata, or a listing, by what the
// request says: scopePath or a recursion lists; $format, download or an Accept
// header without JSON gives bytes.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/list
func getItems(q *request) *response {
	d := descriptor{
		Path: q.get("path"), Recursion: q.get("recursionlevel"),
		Version: q.get("version"), VersionType: q.get("versiontype"),
	}
	if v := q.get("versiondescriptor.version"); v != "" {
		d.Version = v
	}
	if v := q.get("versiondescriptor.versiontype"); v != "" {
		d.VersionType = v
	}
	listing := d.Path == ""
	if listing {
		d.Path = q.get("scopepath")
	}
	if len(q.repository.branches) == 0 {
		return q.repository.noItem("/", d.VersionType, d.Version, "")
	}
	c, list, resp := q.repository.items(d)
	if resp != nil {
		return resp
	}
	if listing || len(list) != 1 {
		return paged(q, list, len(list), func(e entry) object { return q.repository.item(c, e, d, q.flag("includecontentmetadata"), false) })
	}
	e := list[0]
	if e.blob == nil || q.wantsJSON() {
		return ok(q.repository.item(c, e, d, true, q.flag("includecontent")))
	}
	return content(e.blob, e.path)
}

// wantsJSON tells whether a file is asked for as an object.
func (q *request) wantsJSON() bool {
	switch format := strings.ToLower(q.get("$format")); {
	case format != "":
		return format == "json"
	case q.flag("download"):
		return false
	default:
		return strings.Contains(q.Header.Get("Accept"), "application/json")
	}
}

func content(b *blob, file string) *response {
	r := answerBytes(http.StatusOK, "application/octet-stream", []byte(b.text))
	r.header.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(path.Base("/"+file)))
	return r
}

// itemsBatch answers a list of items for each descriptor. What is absent is left
// out, unless everything is.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/get-items-batch
func itemsBatch(q *request) *response {
	var in struct {
		Descriptors []descriptor `json:"itemDescriptors"`
		Metadata    bool         `json:"includeContentMetadata"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil || len(in.Descriptors) == 0 {
		return failure(http.StatusBadRequest, errBadRequest, "The request needs itemDescriptors.")
	}
	if len(q.repository.branches) == 0 {
		return q.repository.noItem("/", "", "", "")
	}
	out := array{}
	var missing *response
	for _, d := range in.Descriptors {
		c, list, resp := q.repository.items(d)
		if resp != nil {
			missing = resp
			continue
		}
		found := array{}
		for _, e := range list {
			found = append(found, q.repository.item(c, e, d, in.Metadata, false))
		}
		out = append(out, found)
	}
	if missing != nil && len(out) == 0 {
		return missing
	}
	return ok(object{"count", len(out), "value", out})
}

// getBlob answers a file's bytes by object id.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/blobs/get-blob
func getBlob(q *request) *response {
	for _, c := range q.repository.commits {
		for _, b := range c.files {
			if b.id == q.param("object") {
				return content(b, b.id)
			}
		}
	}
	return notFound("Microsoft.TeamFoundation.Git.Server.GitObjectDoesNotExistException", "TF401180: The object "+q.param("object")+" does not exist.")
}

// getTree lists a tree by object id, or the tree of a commit.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/trees/get
func getTree(q *request) *response {
	id := q.param("object")
	for _, c := range q.repository.commits {
		for _, dir := range c.list() {
			if dir.blob != nil || dir.id != id && (c.ID != id || dir.path != "") {
				continue
			}
			out := array{}
			for _, e := range c.below(dir.path, q.flag("recursive"))[1:] {
				kind, mode, size := "blob", "100644", 0
				if e.blob == nil {
					kind, mode = "tree", "040000"
				} else {
					size = len(e.blob.text)
				}
				name := strings.TrimPrefix(strings.TrimPrefix(e.path, dir.path), "/")
				out = append(out, object{
					"objectId", e.id, "relativePath", name, "mode", mode, "gitObjectType", kind,
					"url", q.repository.url() + "/" + kind + "s/" + e.id, "size", size,
				})
			}
			return ok(object{"objectId", dir.id, "url", q.repository.url() + "/trees/" + dir.id, "treeEntries", out, "size", 0, "_links", object{}})
		}
	}
	return notFound("Microsoft.TeamFoundation.Git.Server.GitObjectDoesNotExistException", "TF401180: The object "+id+" does not exist.")
}
