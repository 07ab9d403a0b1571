package azuredevops

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/content"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[fileSelector]{
	Name: "file", List: listFiles, Wants: wantsOfFiles,
	Events: inTrees(),
})

const (
	// maxFileBytes is the largest file that becomes a record.
	maxFileBytes = 1 << 20
	// bigFileBytes: larger files are parsed one at a time, because YAML takes many
	// times its size in memory.
	bigFileBytes = 128 << 10
	// wideFiles bounds the contents and records that wait for the reader, up to
	// maxFileBytes each.
	wideFiles = 12
)

type fileSelector struct {
	Files struct {
		Path  filePatterns `json:"path" required:"true"`
		Repos []string     `json:"repos"`
	} `json:"files" required:"true" strict:"true"`
	IncludedFiles []string `json:"includedFiles"`
}

// filePatterns are one pattern or a list of them.
type filePatterns []string

func (f *filePatterns) decodeSelector(v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			return fmt.Errorf("[%d]: want a string", i)
		}
		*f = append(*f, s)
	}
	_, err := content.NewFiles(*f)
	return err
}

// in tells whether the selector means a repository: by its name, in any project.
func (sel *fileSelector) in(r *repository) bool {
	return len(sel.Files.Repos) == 0 || slices.Contains(sel.Files.Repos, rawjson.Text(r.JSON, "name"))
}

func wantsOfFiles(sel fileSelector) []want {
	filter, err := content.NewFiles(sel.Files.Path)
	if err != nil {
		return nil // decodeSelector has refused it
	}
	return append(wantsOf(filter, sel.in), wantFilesOf(sel.IncludedFiles, sel.in)...)
}

// wantsOf are the folders that files of a filter can be in.
func wantsOf(filter *content.Files, of func(*repository) bool) []want {
	var out []want
	for _, p := range filter.Places() {
		out = append(out, want{Place: p, of: of})
	}
	return out
}

// A foundFile is a file of a tree that the selector means.
type foundFile struct {
	entry
	repo  *repository
	named bool // by its path: others may want it too
	more  attached
}

// listFiles lists the files of the default branches that match, each once, in the
// order of the tree, with `repo` and, when there are any to include,
// `__includedFiles`. Files that are empty, larger than maxFileBytes or not UTF-8 are
// no records.
func listFiles(l *lister, sel fileSelector) stream[Record] {
	filter, err := content.NewFiles(sel.Files.Path)
	if err != nil {
		return func(context.Context) iter.Seq2[Record, error] {
			return func(yield func(Record, error) bool) { yield(Record{}, err) }
		}
	}
	included := unique(sel.IncludedFiles)
	found := each(widePages, l.named(sel.Files.Repos, l.eachRepository), func(ctx context.Context, r *repository) iter.Seq2[foundFile, error] {
		if !sel.in(r) || !r.readable() {
			return func(func(foundFile, error) bool) {}
		}
		return within(r.inside(), l.findFiles(ctx, r, filter, included))
	})
	var left leftOut
	files := each(wideFiles, found, func(ctx context.Context, f foundFile) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			rec, err := l.fileRecord(ctx, f, &left)
			if rec.JSON != nil || err != nil {
				yield(rec, err)
			}
		}
	})
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			defer left.report(ctx, l)
			files(ctx)(yield)
		}
	}
}

// findFiles streams the files of a repository that match.
func (l *lister) findFiles(ctx context.Context, r *repository, filter *content.Files, included []string) iter.Seq2[foundFile, error] {
	return func(yield func(foundFile, error) bool) {
		t, err := l.tree(ctx, r)
		if err == nil {
			err = t.broken(planFor(wantsOf(filter, nil), r))
		}
		if err != nil && !yield(foundFile{}, err) || t == nil {
			return
		}
		var more *attached
		for _, f := range t.folders {
			for e := range f.entries() {
				ok, named := filter.Match(e.path)
				if !ok || e.kind != entryBlob {
					continue
				}
				if more == nil { // the same for all of them: paths start at the root
					a := l.attach(ctx, r, included)
					more = &a
				}
				e.path, e.id = strings.Clone(e.path), bytes.Clone(e.id)
				if !yield(foundFile{e, r, named, *more}, nil) {
					return
				}
			}
		}
	}
}

// fileRecord reads a file; without an error and without JSON there is no record.
func (l *lister) fileRecord(ctx context.Context, f foundFile, left *leftOut) (Record, error) {
	scope := f.repo.inside()
	scope.ID = strings.TrimPrefix(f.path, "/")
	read := func() ([]byte, error) { return l.blob(ctx, f.repo, f.path, f.id, maxFileBytes) }
	if f.named {
		read = func() ([]byte, error) { return l.content(ctx, f.repo, f.path, f.id) }
	}
	b, err := read()
	switch {
	case errors.Is(err, ErrTooLarge) || len(b) > maxFileBytes:
		left.note(&left.large, f)
		return Record{}, nil
	case err != nil:
		return Record{}, unknown(scope, err)
	case len(b) == 0:
		return Record{}, nil
	case !utf8.Valid(b):
		left.note(&left.binary, f)
		return Record{}, nil
	}
	if len(b) > bigFileBytes {
		select {
		case l.caches.parsing <- struct{}{}:
			defer func() { <-l.caches.parsing }()
		case <-ctx.Done():
			return Record{}, ctx.Err()
		}
	}
	return f.more.to(Record{JSON: rawjson.With(fileJSON(f, b), f.more.included, l.c.suffix), Scope: scope}), nil
}

// fileJSON is the object that a file becomes.
func fileJSON(f foundFile, b []byte) []byte {
	text := rawjson.View(b)
	out := make([]byte, 0, 2*len(b)+len(f.repo.JSON)+512)
	out = gjson.AppendJSONString(append(out, `{"file":{"path":`...), f.path[1:])
	out = append(append(out, `,"objectId":"`...), hex.EncodeToString(f.id)...)
	out = strconv.AppendInt(append(out, `","size":`...), int64(len(b)), 10)
	out = append(out, `,"isFolder":false,"commitId":`...)
	if f.commit == "" {
		out = append(out, "null"...)
	} else {
		out = gjson.AppendJSONString(out, f.commit)
	}
	out = gjson.AppendJSONString(append(out, `,"content":{"raw":`...), text)
	out = content.AppendParsed(append(out, `,"parsed":`...), text)
	out = append(append(out, `}},"repo":`...), f.repo.JSON...)
	return append(out, '}')
}

// leftOut counts the files that matched and are no records.
type leftOut struct {
	large, binary atomic.Int64
	example       atomic.Pointer[string]
}

func (o *leftOut) note(n *atomic.Int64, f foundFile) {
	n.Add(1)
	name := f.repo.inside().String() + f.path
	o.example.CompareAndSwap(nil, &name)
}

func (o *leftOut) report(ctx context.Context, l *lister) {
	if name := o.example.Load(); name != nil {
		l.c.log.WarnContext(ctx, "files left out", "kind", l.kind,
			"not_text", o.binary.Load(), "above_limit", o.large.Load(), "limit_bytes", maxFileBytes, "such_as", *name)
	}
}
