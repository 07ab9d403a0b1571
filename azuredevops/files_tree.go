package azuredevops

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/content"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	routeItems = "_apis/git/repositories/{repositoryId}/items"
	routeBatch = "_apis/git/repositories/{repositoryId}/itemsbatch"

	// What the service answers when a path or a branch does not exist. Any other 404
	// proves nothing.
	keyNoItem   = "GitItemNotFoundException"
	keyNoBranch = "GitUnresolvableToCommitException"
)

// A tree is what is known of the files of a repository on a branch.
type tree struct{ folders []*folder }

func (t *tree) size() int {
	n := 0
	if t != nil {
		for _, f := range t.folders {
			n += f.size()
		}
	}
	return n
}

// holder is the folder whose list would have path; nil when none was asked for.
func (t *tree) holder(path string) *folder {
	for _, f := range t.folders {
		if f.Covers(content.Place{Path: content.Parent(path)}) {
			return f
		}
	}
	return nil
}

// broken is why one of the wants could not be listed.
func (t *tree) broken(wants plan) error {
	for _, f := range t.folders {
		if f.err != nil && slices.ContainsFunc(wants, func(w want) bool { return f.Covers(w.Place) }) {
			return f.err
		}
	}
	return nil
}

// tree lists what the listing needs of a repository, together with what the other
// listings of the resync need. When that fails, its own needs are tried alone. The
// error is only ever that of ctx: a folder that cannot be listed carries its own.
func (l *lister) tree(ctx context.Context, r *repository) (*tree, error) {
	own := planFor(l.own, r)
	all := planFor(l.all, r)
	t, err := l.planned(ctx, r, all)
	if err == nil && t.broken(own) != nil && own.lighter(all) {
		return l.planned(ctx, r, own)
	}
	return t, err
}

type treeKey struct{ repository, branch, plan string }

func (l *lister) planned(ctx context.Context, r *repository, p plan) (*tree, error) {
	return l.caches.trees.get(ctx, treeKey{r.ID, r.Branch, p.key()}, func(ctx context.Context) (*tree, error) {
		t := &tree{}
		for _, w := range p {
			t.folders = append(t.folders, &folder{want: w})
		}
		proof := l.proveTree(ctx, r, p)
		if len(p) < 2 || l.caches.single.Load() || !proof.batchTree(ctx, r, t) {
			proof.stepTree(ctx, r, t)
		}
		if ctx.Err() == nil {
			proof.holds(t.commit())
		}
		return t, ctx.Err()
	})
}

// proveTree begins the listing of folders. They are the same as long as the branch is at
// the same commit, which kind branch asks for anyway.
func (l *lister) proveTree(ctx context.Context, r *repository, p plan) *proof {
	names := hexDigest(rawjson.Text(r.JSON, "name"), rawjson.Text(r.JSON, "url"), string(rawjson.Raw(r.JSON, "project")))
	of := memorable{what: "tree 1", project: r.Project, id: strings.Join([]string{r.ID, names, r.Branch, p.key()}, "\x00")}
	proof := l.prove(of, func(n note) bool {
		tip, err := l.tip(ctx, r)
		return err == nil && n.revision == tip
	})
	proof.idle = proof.idle || !l.reads.has(routeRefs) // the call would cost what it saves
	return proof
}

// commit is the one that all folders were listed at; "" when it cannot be said.
func (t *tree) commit() string {
	commit := ""
	for _, f := range t.folders {
		switch {
		case f.err != nil, f.mixed, f.commit != "" && commit != "" && f.commit != commit:
			return ""
		case f.commit != "":
			commit = f.commit
		}
	}
	return commit
}

// stepTree lists the folders one by one, those that are above others first.
func (l *lister) stepTree(ctx context.Context, r *repository, t *tree) {
	for i, f := range t.folders {
		if f.placed(t.folders[:i]) {
			l.fetchFolder(ctx, r, f)
		}
	}
}

// placed looks for the folder in the lists of those above it, and reports whether
// it may exist.
func (f *folder) placed(above []*folder) bool {
	for _, g := range above {
		rest, below := strings.CutPrefix(f.Path, g.Path+"/")
		switch {
		case !below || f.absent || f.err != nil:
		case g.err != nil:
			f.err = g.err
		default:
			first, _, _ := strings.Cut(rest, "/")
			e, _ := g.entry(g.Path + "/" + first)
			f.absent = e.kind != entryTree
			f.seen = f.seen || !f.absent && e.path == f.Path
		}
	}
	return !f.absent && f.err == nil
}

// fetchFolder lists one folder.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/list
func (l *lister) fetchFolder(ctx context.Context, r *repository, f *folder) {
	rq := &request{
		Project: r.Project.ID, Route: routeItems, Args: []string{r.ID}, Version: "7.1",
		Query: append([]string{"scopePath", f.Path + "/", "recursionLevel", f.level()}, r.version()...), ID: "path",
	}
	for p, err := range l.pages(ctx, rq, "value") {
		if err != nil {
			f.failed(r, err)
			return
		}
		err = f.fill(p.Objects())
		p.Free()
		if err != nil {
			f.failed(r, err)
			return
		}
	}
	if err := f.close(); err != nil {
		f.failed(r, err)
	}
}

// batchTree lists the folders with one call. It reports false when they have to be
// listed one by one, because some services refuse the whole batch when one of its
// paths is absent: then the snapshot sends no more of them.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/items/get-items-batch
func (l *lister) batchTree(ctx context.Context, r *repository, t *tree) bool {
	pg, err := l.send(ctx, &request{
		Project: r.Project.ID, Route: routeBatch, Args: []string{r.ID}, Version: "7.1", Body: batchBody(r, t),
	})
	if err != nil {
		if e, ok := errors.AsType[*rest.Error](err); ok && (e.TypeKey == keyNoItem || e.StatusCode == http.StatusBadRequest) {
			l.caches.single.Store(true)
		}
		if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrForbidden) {
			t.folders[0].err = fmt.Errorf("folders: %w", err)
			for _, f := range t.folders[1:] {
				f.err = t.folders[0].err
			}
			return true
		}
		return false
	}
	defer pg.Free()
	if unbatch(pg.Body, t) != nil || !t.folders[0].complete {
		for i, f := range t.folders {
			t.folders[i] = &folder{want: f.want}
		}
		return false
	}
	for i, f := range t.folders {
		if f.complete || !f.placed(t.folders[:i]) {
			continue
		}
		if f.absent = !f.seen; f.seen {
			f.err = fmt.Errorf("folder %s/: %w", f.Path, errLost)
		}
	}
	return true
}

func batchBody(r *repository, t *tree) []byte {
	b := []byte(`{"itemDescriptors":[`)
	for i, f := range t.folders {
		if i > 0 {
			b = append(b, ',')
		}
		b = gjson.AppendJSONString(append(b, `{"path":`...), f.name())
		b = append(b, `,"recursionLevel":"`+f.level()+`","version":`...)
		b = gjson.AppendJSONString(b, r.Branch)
		b = append(b, `,"versionType":"branch"}`...)
	}
	return append(b, "]}"...)
}

// unbatch takes the lists of a batch apart: each begins with the folder itself.
func unbatch(batch []byte, t *tree) error {
	lists := 0
	for e := range rawjson.Elements(rawjson.Array(batch, "value")) {
		lists++
		if e[0] != '[' {
			return fmt.Errorf("%w: list %d is none", ErrMalformed, lists)
		}
		var path string
		for obj := range rawjson.Elements(e) {
			path = rawjson.Text(obj, "path")
			break
		}
		i := slices.IndexFunc(t.folders, func(f *folder) bool { return f.name() == path })
		if i < 0 {
			return fmt.Errorf("%w: a list of %q", ErrMalformed, path)
		}
		if err := t.folders[i].fill(rawjson.Elements(e)); err != nil {
			return err
		}
		if err := t.folders[i].close(); err != nil {
			return err
		}
	}
	if rawjson.Text(batch, "count") != strconv.Itoa(lists) {
		return fmt.Errorf("%w: %d lists of %s", ErrMalformed, lists, rawjson.Text(batch, "count"))
	}
	return nil
}

// What a folder can hold.
const (
	entryBlob  = 'b'
	entryTree  = 't'
	entryOther = 'o' // a submodule
)

// An entry is a file or a folder. Paths begin with a slash; the root is one.
type entry struct {
	path   string
	kind   byte
	id     []byte // of the git object
	commit string
}

// A folder is a compact list: what a want found.
type folder struct {
	want
	seen     bool  // it was listed a moment ago
	itself   bool  // the list has the folder
	complete bool  // the list has arrived
	absent   bool  // there is no such folder
	err      error // unknown

	commit string // of its entries
	mixed  bool   // they have several, or the answer does not say

	// Per entry: the kind; the id and the commit, with their lengths (the commit
	// only when it differs from the one before); the length of the prefix shared
	// with the previous path, and the rest of the path with its length.
	b       []byte
	raws    []byte // objects of the folders, a list without its brackets
	packed  *packed
	last    string // path
	commits string // the last one
}

// folderBytes is about what a folder takes without its entries.
const folderBytes = 384

func (f *folder) size() int {
	n := folderBytes + cap(f.b)
	if f.packed != nil {
		n += cap(f.packed.b)
	}
	return n
}

// name is the path as the service spells it.
func (f *folder) name() string {
	if f.Path == "" {
		return "/"
	}
	return f.Path
}

func (f *folder) level() string {
	if f.Deep {
		return "Full"
	}
	return "OneLevel"
}

// failed notes why the folder could not be listed. 404 means absent only if nothing
// had shown the folder before, and only with the service's own error key.
func (f *folder) failed(r *repository, err error) {
	f.b, f.raws = nil, nil
	switch {
	case saysAbsent(err, keyNoItem) && f.Path != "" && !f.seen, saysAbsent(err, keyNoBranch) && !r.onDefault():
		f.absent, f.mixed = true, true
	default:
		f.err = fmt.Errorf("folder %s/: %w", f.Path, listed(err))
	}
}

// fill takes in the items of an answer.
func (f *folder) fill(items iter.Seq[[]byte]) error {
	for obj := range items {
		if err := f.add(obj); err != nil {
			return err
		}
	}
	return nil
}

// close ends a list, and trims the buffers to their content. A folder that exists
// is in its own list.
func (f *folder) close() error {
	if !f.itself {
		return fmt.Errorf("%w: the folder is not in its list", ErrMalformed)
	}
	f.complete = true
	f.b = bytes.Clone(f.b)
	if f.raw {
		f.packed = pack(append(append([]byte{'['}, f.raws...), ']'), packAbove)
	}
	f.raws, f.last, f.commits = nil, "", ""
	return nil
}

// add appends an item. The folder itself is among them; only that of the root is
// kept, because it has no other place.
func (f *folder) add(obj []byte) error {
	path := rawjson.Text(obj, "path")
	f.itself = f.itself || path == f.name()
	commit := rawjson.Text(obj, "commitId")
	if f.commit == "" {
		f.commit = strings.Clone(commit)
	}
	f.mixed = f.mixed || commit == "" || commit != f.commit
	name, below := strings.CutPrefix(path, f.Path+"/")
	switch {
	case !below && path != f.Path:
		return fmt.Errorf("%w: %q is not below it", ErrMalformed, path)
	case !below, name == "" && f.Path != "", !f.Deep && strings.Contains(name, "/"):
		return nil
	}
	kind := byte(entryOther)
	switch rawjson.Text(obj, "gitObjectType") {
	case "blob":
		kind = entryBlob
	case "tree":
		kind = entryTree
		if f.raw {
			if len(f.raws) > 0 {
				f.raws = append(f.raws, ',')
			}
			f.raws = append(f.raws, obj...)
		}
	}
	id, err := hex.DecodeString(rawjson.Text(obj, "objectId"))
	if err != nil || len(id) > 255 || len(commit) > 254 {
		return fmt.Errorf("%w: object id of %q", ErrMalformed, path)
	}
	f.b = append(f.b, kind, byte(len(id)))
	f.b = append(f.b, id...)
	if len(f.b) > 2+len(id) && commit == f.commits {
		f.b = append(f.b, 255)
	} else {
		f.b = append(append(f.b, byte(len(commit))), commit...)
	}
	same := 0
	for same < min(len(path), len(f.last)) && path[same] == f.last[same] {
		same++
	}
	f.b = binary.AppendUvarint(f.b, uint64(same))
	f.b = binary.AppendUvarint(f.b, uint64(len(path)-same))
	f.b = append(f.b, path[same:]...)
	f.last, f.commits = path, commit
	return nil
}

// entries are the files and folders in the order of the answer. The path and the
// id of each are valid until the next.
func (f *folder) entries() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		var path []byte
		var e entry
		for b := f.b; len(b) > 2; {
			n := int(b[1])
			e.kind, e.id, b = b[0], b[2:2+n], b[2+n:]
			if n = int(b[0]); n == 255 {
				b = b[1:]
			} else {
				e.commit, b = string(b[1:1+n]), b[1+n:]
			}
			same, skip := binary.Uvarint(b)
			more, skip2 := binary.Uvarint(b[skip:])
			b = b[skip+skip2:]
			path = append(path[:same], b[:more]...)
			b = b[more:]
			e.path = rawjson.View(path)
			if !yield(e) {
				return
			}
		}
	}
}

// entry finds an entry by its path.
func (f *folder) entry(path string) (found entry, ok bool) {
	for e := range f.entries() {
		if e.path == path {
			e.path = path
			return e, true
		}
	}
	return entry{}, false
}

// objects are the folders in it as the service describes them, if raw.
func (f *folder) objects() ([]byte, error) {
	if f.packed == nil {
		return []byte("[]"), nil
	}
	return f.packed.unpack()
}
