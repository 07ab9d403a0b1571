package azuredevops

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the hash that git identifies blobs with
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	folderCacheBytes  = 6 << 20
	contentCacheBytes = 2 << 20
	// maxFileBytes bounds a file that becomes part of a record; Port takes
	// entities of 1 MiB.
	maxFileBytes = 8 << 20
)

// fileCaches are the folders and contents that the kinds of a resync share.
type fileCaches struct {
	folders  cache[folderKey, *folder]
	contents cache[contentKey, []byte]
}

func newFileCaches() *fileCaches {
	return &fileCaches{
		folders:  cache[folderKey, *folder]{most: folderCacheBytes, size: func(f *folder) int { return f.size() }},
		contents: cache[contentKey, []byte]{most: contentCacheBytes, size: func(b []byte) int { return len(b) }},
	}
}

type folderKey struct{ repository, path string }

type contentKey struct{ repository, objectID string }

// file reads a file of the default branch. found is false when it is absent: when
// the folder that would hold it has just been listed without it, or the list of
// repositories says that there are no files. An error means unknown. path has no
// leading slash.
//
// The folders on the way are listed first, one level each and once per resync;
// only what exists is fetched, and what arrives has to match its git id.
func (l *lister) file(ctx context.Context, r *repository, path string) (content []byte, found bool, err error) {
	if !r.readable() {
		return nil, false, nil
	}
	segments := cleanPath(path)
	at := ""
	for i, name := range segments {
		f, err := l.folder(ctx, r, at)
		if err != nil {
			return nil, false, err
		}
		kind, id, ok := f.entry(name)
		switch {
		case !ok:
			return nil, false, nil
		case i == len(segments)-1 && kind == entryBlob:
			b, err := l.content(ctx, r, at+"/"+name, id)
			return b, err == nil, err
		case kind != entryTree:
			return nil, false, nil
		}
		at += "/" + name
	}
	return nil, false, nil
}

// cleanPath splits a path; empty segments and "." do not count.
func cleanPath(path string) []string {
	var out []string
	for s := range strings.SplitSeq(path, "/") {
		if s != "" && s != "." {
			out = append(out, s)
		}
	}
	return out
}

// version are the parameters that name the default branch, in the form of the
// documentation and in the one of older servers (S52).
func (r *repository) version() []string {
	return []string{
		"versionDescriptor.version", r.Branch, "versionDescriptor.versionType", "branch",
		"version", r.Branch, "versionType", "branch",
	}
}

// folder lists a folder that is known to exist: the root is "", others begin with
// a slash. So 404 is not an answer.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/list
func (l *lister) folder(ctx context.Context, r *repository, path string) (*folder, error) {
	return l.caches.folders.get(ctx, folderKey{r.ID, path}, func(ctx context.Context) (*folder, error) {
		rq := &request{
			Project: r.Project, Route: "_apis/git/repositories/{repositoryId}/items", Args: []string{r.ID}, Version: "7.1",
			Query: append([]string{"scopePath", path + "/", "recursionLevel", "OneLevel"}, r.version()...),
		}
		out := &folder{}
		for p, err := range l.pages(ctx, rq, "value") {
			if err != nil {
				return nil, fmt.Errorf("folder %s/: %w", path, listed(err))
			}
			items, _ := list(p.b, "value")
			for obj := range items {
				if err := out.add(path, obj); err != nil {
					p.free()
					return nil, fmt.Errorf("folder %s/: %w", path, err)
				}
			}
			p.free()
		}
		out.b = bytes.Clone(out.b) // without the room to grow
		return out, nil
	})
}

// content fetches a blob that a folder lists.
func (l *lister) content(ctx context.Context, r *repository, path string, id []byte) ([]byte, error) {
	name := hex.EncodeToString(id)
	return l.caches.contents.get(ctx, contentKey{r.ID, name}, func(ctx context.Context) ([]byte, error) {
		p, err := l.send(ctx, &request{
			Project: r.Project, Route: "_apis/git/repositories/{repositoryId}/items", Args: []string{r.ID}, Content: true,
			Query: append([]string{"path", path}, r.version()...),
		})
		if err != nil {
			return nil, listed(err)
		}
		defer p.free()
		if len(p.b) > maxFileBytes {
			return nil, fmt.Errorf("%d bytes, at most %d are read", len(p.b), maxFileBytes)
		}
		if !isBlob(p.b, id) {
			return nil, fmt.Errorf("%w: the content is not that of object %s", ErrMalformed, name)
		}
		return bytes.Clone(p.b), nil
	})
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

// What a folder can hold.
const (
	entryBlob  = 'b'
	entryTree  = 't'
	entryOther = 'o' // a submodule
)

// A folder is a compact list: per entry the kind, the id with its length, the
// name with its length.
type folder struct{ b []byte }

func (f *folder) size() int {
	if f == nil {
		return 0
	}
	return cap(f.b)
}

// add appends an item of the answer. The folder itself is among them.
func (f *folder) add(folderPath string, obj []byte) error {
	path := textAt(obj, "path")
	name, ok := strings.CutPrefix(path, folderPath+"/")
	switch {
	case !ok && path != folderPath:
		return fmt.Errorf("%w: %q is not below it", ErrMalformed, path)
	case !ok || name == "" || strings.Contains(name, "/"):
		return nil
	}
	kind := byte(entryOther)
	switch textAt(obj, "gitObjectType") {
	case "blob":
		kind = entryBlob
	case "tree":
		kind = entryTree
	}
	id, err := hex.DecodeString(textAt(obj, "objectId"))
	if err != nil || len(id) > 255 {
		return fmt.Errorf("%w: object id of %q", ErrMalformed, path)
	}
	f.b = append(f.b, kind, byte(len(id)))
	f.b = append(f.b, id...)
	f.b = binary.AppendUvarint(f.b, uint64(len(name)))
	f.b = append(f.b, name...)
	return nil
}

// entry finds an entry by name.
func (f *folder) entry(name string) (kind byte, id []byte, ok bool) {
	for b := f.b; len(b) > 2; {
		kind, n := b[0], int(b[1])
		id, b = b[2:2+n], b[2+n:]
		length, skip := binary.Uvarint(b)
		end := skip + int(length) //nolint:gosec // written by add
		if string(b[skip:end]) == name {
			return kind, id, true
		}
		b = b[end:]
	}
	return 0, nil, false
}

// withFiles adds what a record wants of the files of its repository:
// `__includedFiles` with every path of included as spelled (export.md 6.2), and
// Record.Files for `file://` (6.1). What is unknown is left out and Missing.
func (l *lister) withFiles(ctx context.Context, r *repository, rec Record, included []string) Record {
	if len(included) > 0 {
		texts := []byte{'{'}
		for _, path := range included {
			text, err := l.includedFile(ctx, r, path)
			if err != nil {
				rec.Missing = append(rec.Missing, fmt.Errorf("file %s: %w", path, err))
				continue
			}
			if len(texts) > 1 {
				texts = append(texts, ',')
			}
			texts = append(gjson.AppendJSONString(texts, path), ':')
			texts = append(texts, text...)
		}
		rec.JSON = object(rec.JSON, newMembers(1).raw("__includedFiles", append(texts, '}')))
	}
	if len(l.files) > 0 {
		rec.Files = make(map[string]*string, len(l.files))
	}
	for _, path := range l.files {
		text, err := l.mappedFile(ctx, r, path)
		if err != nil {
			rec.Missing = append(rec.Missing, fmt.Errorf("file %s: %w", path, err))
			continue
		}
		rec.Files[path] = text
	}
	return rec
}

// includedFile is the JSON value of an included file: "" when absent, null when
// it is not UTF-8.
func (l *lister) includedFile(ctx context.Context, r *repository, path string) ([]byte, error) {
	b, _, err := l.file(ctx, r, path)
	switch {
	case err != nil:
		return nil, err
	case !utf8.Valid(b):
		return []byte("null"), nil
	}
	return gjson.AppendJSONString(nil, view(b)), nil
}

// mappedFile is the text of a `file://` mapping: nil when absent, empty or not
// UTF-8.
func (l *lister) mappedFile(ctx context.Context, r *repository, path string) (*string, error) {
	b, _, err := l.file(ctx, r, path)
	if err != nil || len(b) == 0 || !utf8.Valid(b) {
		return nil, err
	}
	text := string(b)
	return &text, nil
}
