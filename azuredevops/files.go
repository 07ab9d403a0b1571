package azuredevops

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the hash that git identifies blobs with
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/content"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	// Trees and contents are kept for the listings that come to the same repository
	// later. Where only one has files, they are kept for the records that are being made.
	treeCacheBytes, loneTreeBytes       = 6 << 20, 2 << 20
	contentCacheBytes, loneContentBytes = 2 << 20, 1 << 20
	// maxIncludedBytes bounds a file that becomes part of another record.
	maxIncludedBytes = 8 << 20
)

// fileCaches are the trees and contents that the kinds of a resync share, and
// what they are about to need.
type fileCaches struct {
	trees    cache[treeKey, *tree]
	contents cache[contentKey, []byte]
	single   atomic.Bool   // the service refuses batches with an absent path
	parsing  chan struct{} // held while a big file is parsed

	mu       sync.Mutex
	expected map[string]bool // by listing
	wants    []want
}

func newFileCaches() *fileCaches {
	return &fileCaches{
		trees:    cache[treeKey, *tree]{most: loneTreeBytes, size: (*tree).size},
		contents: cache[contentKey, []byte]{most: loneContentBytes, size: func(b []byte) int { return len(b) }},
		parsing:  make(chan struct{}, 1),
		expected: map[string]bool{},
	}
}

type contentKey struct{ repository, objectID string }

// version are the parameters that name a branch, in the form of the documentation
// and in the one of older servers.
func (r *repository) version() []string {
	return []string{
		"versionDescriptor.version", r.Branch, "versionDescriptor.versionType", "branch",
		"version", r.Branch, "versionType", "branch",
	}
}

// onDefault tells whether Branch is the default branch: see on.
func (r *repository) onDefault() bool {
	return r.Branch == strings.TrimPrefix(rawjson.Text(r.JSON, "defaultBranch"), "refs/heads/")
}

// on is the repository with another branch to read.
func (r *repository) on(branch string) *repository {
	other := *r
	other.Branch = branch
	return &other
}

// file reads a file by its path, with or without a leading slash. nil without an
// error means that it is absent: its folder has been listed without it, or the list
// of repositories says that there are no files. An error means unknown.
func (l *lister) file(ctx context.Context, r *repository, path string) ([]byte, error) {
	full := content.CleanPath(path)
	if !r.readable() || full == "" {
		return nil, nil
	}
	t, err := l.tree(ctx, r)
	if err != nil {
		return nil, err
	}
	f := t.holder(full)
	if f == nil { // nobody has expected it
		if t, err = l.planned(ctx, r, plan{{Place: content.Place{Path: content.Parent(full)}}}); err != nil {
			return nil, err
		}
		f = t.folders[0]
	}
	if f.err != nil || f.absent {
		return nil, f.err
	}
	e, ok := f.entry(full)
	if !ok || e.kind != entryBlob {
		return nil, nil
	}
	return l.content(ctx, r, full, e.id)
}

// content is a blob that a folder lists, fetched once while it is cached: several
// records and kinds may want it.
func (l *lister) content(ctx context.Context, r *repository, path string, id []byte) ([]byte, error) {
	return l.caches.contents.get(ctx, contentKey{r.ID, string(id)}, func(ctx context.Context) ([]byte, error) {
		return l.blob(ctx, r, path, id, maxIncludedBytes)
	})
}

// blob fetches a blob that a folder lists under path. Its git id is verified, so the
// answer depends on the id only and is remembered across files and repositories. A
// blob larger than most bytes is ErrTooLarge.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/get
func (l *lister) blob(ctx context.Context, r *repository, path string, id []byte, most int64) ([]byte, error) {
	if isBlob(nil, id) {
		return []byte{}, nil
	}
	of := memorable{what: "blob 1", project: &project{}, revision: hex.EncodeToString(id)}
	if b, ok := l.recall(of); ok && isBlob(b, id) {
		if int64(len(b)) > most {
			return nil, ErrTooLarge
		}
		return b, nil
	}
	p, err := l.send(ctx, &request{
		Project: r.Project.ID, Route: routeItems, Args: []string{r.ID}, Content: true, Most: most,
		Query: append([]string{"path", path}, r.version()...),
	})
	if err != nil {
		return nil, listed(err)
	}
	defer p.Free()
	if !isBlob(p.Body, id) {
		return nil, fmt.Errorf("%w: the content is not that of object %s", ErrMalformed, of.revision)
	}
	l.keep(of, p.Body)
	return bytes.Clone(p.Body), nil
}

// isBlob compares content with a git object id, SHA-1 or SHA-256.
func isBlob(content, id []byte) bool {
	var h hash.Hash
	switch len(id) {
	case sha1.Size:
		h = sha1.New() //nolint:gosec // see the import
	case sha256.Size:
		h = sha256.New()
	default:
		return false
	}
	h.Write([]byte("blob " + strconv.Itoa(len(content)) + "\x00"))
	h.Write(content)
	return bytes.Equal(h.Sum(nil), id)
}

// attached is what the records of a repository want of its files.
type attached struct {
	included rawjson.Members    // `__includedFiles`
	files    map[string]*string // for `file://`
	missing  []error
}

// attach reads the files that a selector includes, by path relative to the root, and
// those of `file://` mappings. What is unknown is left out and reported as missing.
func (l *lister) attach(ctx context.Context, r *repository, included []string) attached {
	var a attached
	if len(included) > 0 {
		texts := []byte{'{'}
		for _, path := range included {
			b, err := l.file(ctx, r, path)
			if err != nil {
				a.missing = append(a.missing, fmt.Errorf("file %s: %w", path, err))
				continue
			}
			if len(texts) > 1 {
				texts = append(texts, ',')
			}
			texts = append(gjson.AppendJSONString(texts, path), ':')
			texts = content.AppendText(texts, b)
		}
		a.included = rawjson.Members{}.Raw("__includedFiles", append(texts, '}'))
	}
	if len(l.files) > 0 {
		a.files = make(map[string]*string, len(l.files))
	}
	for _, path := range l.files {
		b, err := l.file(ctx, r, path)
		if err != nil {
			a.missing = append(a.missing, fmt.Errorf("file %s: %w", path, err))
			continue
		}
		a.files[path] = textOf(b)
	}
	return a
}

// textOf is the text of a `file://` mapping: nil when the file is absent, empty
// or not UTF-8.
func textOf(content []byte) *string {
	if len(content) == 0 || !utf8.Valid(content) {
		return nil
	}
	text := string(content)
	return &text
}

// to adds what is attached to a record.
func (a attached) to(rec Record) Record {
	rec.Files = a.files
	rec.Missing = append(rec.Missing, a.missing...)
	return rec
}

// withFiles adds to a record what it wants of the files of its repository.
func (l *lister) withFiles(ctx context.Context, r *repository, rec Record, included []string) Record {
	a := l.attach(ctx, r, included)
	if len(included) > 0 {
		rec.JSON = rawjson.With(rec.JSON, a.included)
	}
	return a.to(rec)
}
