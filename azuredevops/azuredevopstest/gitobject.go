package azuredevopstest

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Commit is a state of all files. It never changes.
type Commit struct {
	// ID is the commit's real Git object id, as are those of its files.
	ID      string
	Parent  *Commit
	Author  *Person
	Message string
	When    time.Time

	push  int
	files tree

	list func() []entry // folders and files in order, made when first read
}

// tree maps paths to files; a folder exists where a path passes through it.
type tree map[string]*blob

// A blob is a file's content.
type blob struct {
	text string
	id   string
}

// An entry is a folder or a file of a commit.
type entry struct {
	path string // without a leading slash; empty for the root
	id   string
	blob *blob // nil for a folder
}

func newBlob(text string) *blob { return &blob{text: text, id: objectID("blob", []byte(text))} }

// objectID is the id that Git gives to an object.
func objectID(kind string, data []byte) string {
	h := sha1.New()
	h.Write([]byte(kind + " " + strconv.Itoa(len(data)) + "\x00"))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

func newCommit(parent *Commit, author *Person, message string, when time.Time, push int, edit func(tree)) *Commit {
	c := &Commit{Parent: parent, Author: author, Message: message, When: when, push: push, files: tree{}}
	if parent != nil {
		maps.Copy(c.files, parent.files)
	}
	edit(c.files)
	c.list = sync.OnceValue(c.entries)
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.list()[0].id)
	if parent != nil {
		fmt.Fprintf(&b, "parent %s\n", parent.ID)
	}
	by := author.text() + " " + strconv.FormatInt(when.Unix(), 10) + " +0000\n"
	fmt.Fprintf(&b, "author %scommitter %s\n%s\n", by, by, message)
	c.ID = objectID("commit", b.Bytes())
	return c
}

// entries lists the root, then every folder and file sorted by path.
func (c *Commit) entries() []entry {
	children := map[string]map[string]entry{"": {}}
	var add func(e entry)
	add = func(e entry) {
		dir := parentOf(e.path)
		if children[dir] == nil {
			children[dir] = map[string]entry{}
			add(entry{path: dir})
		}
		children[dir][e.path] = e
	}
	for path, b := range c.files {
		add(entry{path: path, id: b.id, blob: b})
	}
	var out []entry
	var walk func(dir string) string
	walk = func(dir string) string {
		at := len(out)
		out = append(out, entry{path: dir})
		list := slices.Collect(maps.Values(children[dir]))
		slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(gitOrder(a), gitOrder(b)) })
		var data []byte
		for _, e := range list {
			mode := "100644 "
			if e.blob == nil {
				mode = "40000 "
				e.id = walk(e.path)
			} else {
				out = append(out, e)
			}
			sum, _ := hex.DecodeString(e.id)
			data = append(append(append(data, mode+e.path[strings.LastIndexByte(e.path, '/')+1:]...), 0), sum...)
		}
		out[at].id = objectID("tree", data)
		return out[at].id
	}
	walk("")
	return out
}

// gitOrder sorts folders as if their names ended in a slash.
func gitOrder(e entry) string {
	if e.blob == nil {
		return e.path + "/"
	}
	return e.path
}

// find returns what is at a path of the commit.
func (c *Commit) find(path string) (entry, bool) {
	if b := c.files[path]; b != nil {
		return entry{path: path, id: b.id, blob: b}, true
	}
	for _, e := range c.list() {
		if e.path == path {
			return e, true
		}
	}
	return entry{}, false
}

// below lists what is in a folder, the folder itself first. all descends.
func (c *Commit) below(dir string, all bool) []entry {
	var out []entry
	for _, e := range c.list() {
		switch {
		case e.path == dir:
			out = append(out, e)
		case dir != "" && !strings.HasPrefix(e.path, dir+"/"):
		case all || parentOf(e.path) == dir:
			out = append(out, e)
		}
	}
	return out
}

// A fileChange is one difference between a commit and its parent.
type fileChange struct {
	kind     string // add, edit or delete
	path     string
	blob     *blob
	original *blob
}

// changes compares the commit with its parent.
func (c *Commit) changes() []fileChange {
	var before tree
	if c.Parent != nil {
		before = c.Parent.files
	}
	return diff(before, c.files)
}

func diff(before, after tree) []fileChange {
	var out []fileChange
	for path, b := range after {
		switch old := before[path]; {
		case old == nil:
			out = append(out, fileChange{"add", path, b, nil})
		case old.id != b.id:
			out = append(out, fileChange{"edit", path, b, old})
		}
	}
	for path, old := range before {
		if after[path] == nil {
			out = append(out, fileChange{"delete", path, old, old})
		}
	}
	slices.SortFunc(out, func(a, b fileChange) int { return cmp.Compare(a.path, b.path) })
	return out
}

func parentOf(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return ""
	}
	return path[:i]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
