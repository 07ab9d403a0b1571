package azuredevops

import (
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/content"
)

// A want is a folder that a listing needs to see. The wants decide how many calls
// the files of a listing cost.
type want struct {
	content.Place                        // with everything below it, not only what is in it, if Deep
	raw           bool                   // folders are wanted as the service describes them
	branch        string                 // empty means the default branch
	of            func(*repository) bool // nil means every repository
}

// wantFile is the folder that would hold a file.
func wantFile(path string) want {
	return want{Place: content.Place{Path: content.Parent(content.CleanPath(path))}}
}

// wantFiles are the folders that would hold files, of every repository.
func wantFiles(paths []string) []want { return wantFilesOf(paths, nil) }

func wantFilesOf(paths []string, of func(*repository) bool) []want {
	var out []want
	for _, path := range paths {
		w := wantFile(path)
		w.of = of
		out = append(out, w)
	}
	return out
}

// Expect announces a listing with these options, so that the trees of repositories
// are fetched once, as deep as the most demanding listing needs. Otherwise every
// listing fetches what those before it have not. It also tells which lists are read
// anyway, and can say what has changed. Call it for all listings of a resync before
// the first of them.
func (s *Snapshot) Expect(l *Listing, opt ListOptions) {
	s.reads.add(l.reads)
	if l.wants == nil {
		return
	}
	key := l.Key + "\x00" + strings.Join(opt.Files, "\x00")
	s.caches.mu.Lock()
	defer s.caches.mu.Unlock()
	if s.caches.expected[key] {
		return
	}
	if s.caches.expected[key] = true; len(s.caches.expected) > 1 {
		s.caches.trees.bound(treeCacheBytes)
		s.caches.contents.bound(contentCacheBytes)
	}
	s.caches.wants = append(slices.Clip(s.caches.wants), l.wanted(opt)...)
}

// expected are the wants of all listings so far.
func (s *Snapshot) expected() []want {
	s.caches.mu.Lock()
	defer s.caches.mu.Unlock()
	return s.caches.wants
}

// wanted are the wants of one listing.
func (l *Listing) wanted(opt ListOptions) []want {
	if l.wants == nil {
		return nil
	}
	out := slices.Clone(l.wants)
	for _, path := range opt.Files {
		out = append(out, wantFile(path))
	}
	return out
}

// A plan is the folders of one repository and branch that one call lists. No two of
// them hold the same entry.
type plan []want

// planFor joins the wants that concern a repository on its branch.
func planFor(wants []want, r *repository) plan {
	var p plan
	for _, w := range wants {
		if (w.branch == "" && r.onDefault() || w.branch == r.Branch) && (w.of == nil || w.of(r)) {
			p = p.with(w)
		}
	}
	if len(p) > 1 {
		// What the root does not list is absent for certain, even if the answer
		// leaves out other folders.
		p = p.with(want{})
	}
	slices.SortFunc(p, func(a, b want) int { return strings.Compare(a.Path, b.Path) })
	return p
}

// with adds a folder.
func (p plan) with(w want) plan {
	for i := range p {
		if p[i].Covers(w.Place) {
			p[i].raw = p[i].raw || w.raw
			return p
		}
	}
	out := p[:0]
	for _, old := range p {
		if w.Covers(old.Place) || w.Path == old.Path {
			w.raw = w.raw || old.raw
			continue
		}
		out = append(out, old)
	}
	return append(out, want{Place: w.Place, raw: w.raw})
}

// lighter tells whether p lists other folders than q, which has them all.
func (p plan) lighter(q plan) bool {
	return !slices.EqualFunc(p, q, func(a, b want) bool { return a.Place == b.Place })
}

// key tells plans apart.
func (p plan) key() string {
	var b strings.Builder
	for _, w := range p {
		b.WriteString(w.Path)
		b.WriteByte(0)
		if w.Deep {
			b.WriteByte('f')
		}
		if w.raw {
			b.WriteByte('r')
		}
		b.WriteByte(0)
	}
	return b.String()
}
