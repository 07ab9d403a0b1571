package azuredevops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/content"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// maxFileAtBytes is the size of the largest file that FileAt reads.
const maxFileAtBytes = 1 << 20

// FileAt reads a file at a commit. The path begins at the root of the repository,
// with a slash or without.
//
// ErrNotFound means that the commit is there and the file is not; a folder of
// that name is no file. Every other error means unknown: ErrTooLarge for a file
// above 1 MiB, and a commit, or a repository, that is absent, hidden or disabled,
// which all look the same. What is returned has the git id that the service names.
//
// The requests go before those of a resync.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/get
func (c *Client) FileAt(ctx context.Context, projectID, repositoryID, path, commit string) ([]byte, error) {
	b, err := c.fileAt(ctx, fileAt{projectID, repositoryID, content.CleanPath(path), commit})
	if err != nil {
		return nil, fmt.Errorf("file %s at %.12s: %w", path, commit, err)
	}
	return b, nil
}

type fileAt struct{ project, repository, path, commit string }

func (f fileAt) request(query ...string) *request {
	return &request{
		Project: f.project, Route: routeItems, Args: []string{f.repository},
		Query: append([]string{
			"path", f.path,
			"versionDescriptor.version", f.commit, "versionDescriptor.versionType", "commit",
			"version", f.commit, "versionType", "commit", // of older servers
		}, query...),
	}
}

// fileAt asks for the metadata of the file including its text, which is one request
// and has the git id. Text that the service has altered (byte order mark, encoding)
// and binary files are then fetched as bytes.
func (c *Client) fileAt(ctx context.Context, f fileAt) ([]byte, error) {
	if f.path == "" || f.commit == "" { // the service would take another version
		return nil, errors.New("want a path and a commit")
	}
	urgent := c.Urgent()
	described := f.request("includeContent", "true", "$format", "json")
	described.Most = 6*maxFileAtBytes + 64<<10 // every byte may be \u00xx
	p, err := urgent.Send(ctx, described, rest.Caller{})
	if err != nil {
		return nil, absentAtCommit(err)
	}
	defer p.Free()
	kind, text := rawjson.Text(p.Body, "gitObjectType"), gjson.GetBytes(p.Body, "content").String()
	id, err := hex.DecodeString(rawjson.Text(p.Body, "objectId"))
	switch {
	case kind == "tree" || kind == "commit":
		return nil, fmt.Errorf("%w: a folder or a submodule", ErrNotFound)
	case err != nil || len(id) == 0:
		return nil, fmt.Errorf("%w: a file without its git id", ErrMalformed)
	case len(text) > maxFileAtBytes:
		return nil, ErrTooLarge
	}
	for _, b := range [][]byte{[]byte(text), []byte("\ufeff" + text)} {
		if isBlob(b, id) {
			return b, nil
		}
	}
	return urgent.blobAt(ctx, f, id)
}

// blobAt fetches the bytes of a file that is there.
func (c *Client) blobAt(ctx context.Context, f fileAt, id []byte) ([]byte, error) {
	rq := f.request()
	rq.Content, rq.Most = true, maxFileAtBytes
	p, err := c.Send(ctx, rq, rest.Caller{})
	if err != nil {
		return nil, listed(err)
	}
	defer p.Free()
	if !isBlob(p.Body, id) {
		return nil, fmt.Errorf("%w: the content is not that of object %x", ErrMalformed, id)
	}
	return append([]byte{}, p.Body...), nil
}

// absentAtCommit leaves ErrNotFound to what says that the item is absent. The
// other reasons for a 404, such as a commit that cannot be found, say nothing
// about it.
func absentAtCommit(err error) error {
	e, ok := errors.AsType[*rest.Error](err)
	if ok && e.StatusCode == http.StatusNotFound && (e.TypeKey == "GitItemNotFoundException" || strings.HasPrefix(e.Message, "TF401174")) {
		return err
	}
	return listed(err)
}

// BranchTip is the commit that a branch, named without refs/heads/, points at
// now. ErrNotFound means that the repository has no such branch; every other
// error means unknown. The requests go before those of a resync.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/refs/list
func (c *Client) BranchTip(ctx context.Context, projectID, repositoryID, branch string) (string, error) {
	l := &lister{Snapshot: c.Urgent().Snapshot()}
	rq := &request{
		Project: projectID, Route: "_apis/git/repositories/{repositoryId}/refs", Args: []string{repositoryID},
		Query: []string{"filter", "heads/" + branch, "$top", refsTop}, ID: "name", // all that begin so
	}
	for p, err := range l.pages(ctx, rq, "value") {
		if err != nil {
			return "", fmt.Errorf("branch %s: %w", branch, listed(err))
		}
		tip := tipOf(p, headsPrefix+branch)
		p.Free()
		if tip != "" {
			return tip, nil
		}
	}
	return "", fmt.Errorf("branch %s: %w", branch, ErrNotFound)
}

func tipOf(p *page, ref string) string {
	for obj := range p.Objects() {
		if rawjson.Text(obj, "name") == ref {
			return strings.Clone(rawjson.Text(obj, "objectId"))
		}
	}
	return ""
}

// DefaultBranch is the default branch of a repository, without refs/heads/; empty
// for a repository in which there is nothing yet. What was read after since will
// do. ErrNotFound means that a resync leaves the repository out: its project is not
// listed or carries an excluded tag, or the complete list of the project does not
// have it, or has it as disabled. Every other error means unknown. The requests go
// before those of a resync.
func (c *Client) DefaultBranch(ctx context.Context, projectID, repositoryID string, since time.Time) (string, error) {
	l := &lister{Snapshot: c.Urgent().Snapshot()}
	p, excluded, err := l.liveProject(ctx, projectID, "")
	if err != nil {
		return "", fmt.Errorf("default branch: %w", listed(err))
	}
	if p == nil || excluded {
		return "", fmt.Errorf("default branch: project %s: %w", projectID, ErrNotFound)
	}
	r, err := l.liveRepository(ctx, p, repositoryID, time.Since(since))
	if err != nil {
		return "", fmt.Errorf("default branch: %w", listed(err))
	}
	if r == nil || r.Disabled {
		return "", fmt.Errorf("default branch: repository %s: %w", repositoryID, ErrNotFound)
	}
	return r.Branch, nil
}
