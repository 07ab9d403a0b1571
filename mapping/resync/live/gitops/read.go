package gitops

import (
	"context"
	"errors"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ado-port/ado-port/azuredevops"
)

const (
	// reads is how many files are read at once.
	reads = 6
	// maxReferences bounds the files that the specs of a push refer to, and
	// maxReferenceBytes what they hold together.
	maxReferences     = 1000
	maxReferenceBytes = 32 << 20
)

// inside is the path from the root of a repository that a path in a file of the
// folder leads to, without "." and "..". One that begins with "./" or "../" counts
// from the folder, as Port's documentation has it, every other from the root. False
// when it leads out of the repository, or names the root.
func inside(folder, path string) (string, bool) {
	if strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") {
		path = folder + "/" + path
	}
	var out []string
	for s := range strings.SplitSeq(path, "/") {
		switch {
		case s == "" || s == ".":
		case s != "..":
			out = append(out, s)
		case len(out) == 0:
			return "", false
		default:
			out = out[:len(out)-1]
		}
	}
	return strings.Join(out, "/"), len(out) > 0
}

// A file is the content of a path at the tip of the branch.
type file struct {
	path   string
	absent bool
	large  bool // too large to be read
	text   []byte
}

// specs reads the specs.
func (r *run) specs(ctx context.Context) ([]file, error) {
	out := make([]file, len(r.paths))
	var errs []error
	for i, path := range r.paths {
		f, err := r.read(ctx, path)
		out[i], errs = f, append(errs, err)
	}
	return out, errors.Join(errs...)
}

// read tells apart what is absent, what is there and what is unknown.
func (r *run) read(ctx context.Context, path string) (file, error) {
	b, err := r.org.FileAt(ctx, r.push.Project, r.push.Repository, path, r.commit)
	switch {
	case errors.Is(err, azuredevops.ErrNotFound):
		return file{path: path, absent: true}, nil
	case errors.Is(err, azuredevops.ErrTooLarge):
		return file{path: path, large: true}, nil
	}
	return file{path: path, text: b}, err
}

// A reference is a file that a property is replaced by.
type reference struct {
	file
	err error // why it is unknown
}

// references reads the files that entities refer to, each once.
func (r *run) references(ctx context.Context, entries []entry) map[string]reference {
	out := map[string]reference{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(reads)
	size := 0
	paths := filesOf(entries)
	for _, path := range paths[:min(len(paths), maxReferences)] {
		g.Go(func() error {
			f, err := r.read(ctx, path)
			mu.Lock()
			defer mu.Unlock()
			if size += len(f.text); size > maxReferenceBytes {
				f = file{path: path, large: true}
			}
			out[path] = reference{file: f, err: err}
			return nil
		})
	}
	_ = g.Wait() // no work returns an error
	return out
}
