package gitops

import (
	"context"
	"errors"
	"slices"
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

// inside is a path from the root of a repository without "." and "..". False when
// it leads out of the repository, or names the root.
func inside(path string) (string, bool) {
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

// A state is what the specs of a commit are.
type state struct {
	commit string
	files  []file // one for each path of a spec
	err    error  // why one of them is unknown
}

// A file is the content of a path at a commit.
type file struct {
	path   string
	absent bool
	large  bool // too large to be read
	text   []byte
}

// found tells whether there is a spec.
func (s state) found() bool {
	return slices.ContainsFunc(s.files, func(f file) bool { return !f.absent })
}

// states reads the specs of the commits before the push, and of the one after it.
func (r *run) states(ctx context.Context) (was []state, now state) {
	was = make([]state, len(r.before))
	var g errgroup.Group
	g.SetLimit(reads)
	for i, commit := range r.before {
		g.Go(func() error {
			was[i] = r.state(ctx, commit)
			return nil
		})
	}
	now = r.state(ctx, r.push.New)
	_ = g.Wait() // no work returns an error
	return was, now
}

// state reads the specs of a commit.
func (r *run) state(ctx context.Context, commit string) state {
	s := state{commit: commit, files: make([]file, len(r.paths))}
	var errs []error
	for i, path := range r.paths {
		f, err := r.read(ctx, path, commit)
		s.files[i] = f
		if err != nil {
			errs = append(errs, err)
		}
	}
	s.err = errors.Join(errs...)
	return s
}

// read tells apart what is absent, what is there and what is unknown.
func (r *run) read(ctx context.Context, path, commit string) (file, error) {
	b, err := r.org.FileAt(ctx, r.push.Project, r.push.Repository, path, commit)
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
func (r *run) references(ctx context.Context, entries []entry, commit string) map[string]reference {
	out := map[string]reference{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(reads)
	size := 0
	paths := filesOf(entries)
	for _, path := range paths[:min(len(paths), maxReferences)] {
		g.Go(func() error {
			f, err := r.read(ctx, path, commit)
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
