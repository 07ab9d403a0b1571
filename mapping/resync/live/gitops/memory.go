package gitops

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/port"
)

// A repository is known by the address of its organization and its id.
type repository struct{ organization, id string }

// refs are entities by their names.
type refs map[port.Ref]struct{}

// A memory is which entities this installation has applied for which repository.
// It is safe to lose: what nobody remembers is not deleted. Safe for concurrent use.
type memory struct {
	path string // empty: it ends with the process
	log  *slog.Logger
	// store has it for several processes, instead of the file; nil: there is one.
	store Store

	mu      sync.Mutex
	applied map[repository]refs
	done    map[repository]done // of several processes
	unsaved bool
}

const (
	memoryFile   = "gitops"
	memoryHeader = "ado-port gitops 1 " // and the hash of what follows, and a line feed
	lostWord     = "what GitOps has applied is not known any more: entities that specs have declared so far stay until a spec declares them again"
)

// openMemory reads what is remembered.
func openMemory(dir string, log *slog.Logger) *memory {
	m := &memory{log: log, applied: map[repository]refs{}}
	if dir == "" {
		return m
	}
	m.path = filepath.Join(dir, memoryFile)
	b, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return m
	}
	if err == nil {
		var applied map[repository]refs
		if applied, err = parseMemory(b); err == nil {
			m.applied = applied
		}
	}
	if err != nil {
		log.Warn(lostWord, "path", m.path, "err", err)
	}
	return m
}

// of are the entities that are remembered for a repository; read-only.
func (m *memory) of(at repository) refs {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied[at]
}

// elsewhere tells whether another repository declares an entity.
func (m *memory) elsewhere(at repository, ref port.Ref) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, declared := range m.applied {
		if _, ok := declared[ref]; ok && other != at {
			return true
		}
	}
	return false
}

// set remembers the entities of a repository in place of those before. An error says
// that other processes do not know them.
func (m *memory) set(ctx context.Context, at repository, declared refs) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if maps.Equal(m.applied[at], declared) && !m.unsaved {
		return nil
	}
	own := refs{}
	for ref := range declared { // a part of a spec would hold all of it in memory
		own[port.Ref{Blueprint: strings.Clone(ref.Blueprint), Identifier: strings.Clone(ref.Identifier)}] = struct{}{}
	}
	m.applied[at] = own
	if len(own) == 0 {
		delete(m.applied, at)
	}
	if m.store != nil {
		err := m.share(ctx, at)
		m.unsaved = err != nil
		return err
	}
	if m.path == "" {
		return nil
	}
	err := statefile.Replace(m.path, formatMemory(m.applied))
	if m.unsaved = err != nil; m.unsaved {
		_ = os.Remove(m.path) // none proves nothing, an old one might prove what is not so any more
		m.log.WarnContext(ctx, "what GitOps applies is not remembered beyond this process", "path", m.path, "err", err)
	}
	return nil
}

// A saved is the form of a repository in the file, or in a Store.
type saved struct {
	Organization string     `json:"organization"`
	Repository   string     `json:"repository"`
	Declared     []port.Ref `json:"declared"`
	// Of several processes: see done.
	Commit string `json:"commit,omitempty"`
	Made   []byte `json:"made,omitempty"`
}

func savedOf(at repository, declared refs) saved {
	return saved{Organization: at.organization, Repository: at.id, Declared: slices.SortedFunc(maps.Keys(declared), func(x, y port.Ref) int {
		return cmp.Or(cmp.Compare(x.Blueprint, y.Blueprint), cmp.Compare(x.Identifier, y.Identifier))
	})}
}

func (s *saved) refs() (repository, refs) {
	declared := refs{}
	for _, ref := range s.Declared {
		declared[ref] = struct{}{}
	}
	return repository{s.Organization, s.Repository}, declared
}

// formatMemory is the file, the same for the same content.
func formatMemory(applied map[repository]refs) []byte {
	list := make([]saved, 0, len(applied))
	for at, declared := range applied {
		list = append(list, savedOf(at, declared))
	}
	slices.SortFunc(list, func(x, y saved) int {
		return cmp.Or(cmp.Compare(x.Organization, y.Organization), cmp.Compare(x.Repository, y.Repository))
	})
	body, _ := json.Marshal(list) // texts only
	return append(fmt.Appendf(nil, "%s%x\n", memoryHeader, sha256.Sum256(body)), body...)
}

// parseMemory reads a file. Every byte counts: a name with another letter would
// delete somebody else.
func parseMemory(b []byte) (map[repository]refs, error) {
	head, body, _ := bytes.Cut(b, []byte("\n"))
	if string(head) != fmt.Sprintf("%s%x", memoryHeader, sha256.Sum256(body)) {
		return nil, errors.New("damaged, or not a file of this version")
	}
	var list []saved
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	out := map[repository]refs{}
	for i := range list {
		at, declared := list[i].refs()
		out[at] = declared
	}
	return out, nil
}
