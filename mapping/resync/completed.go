package resync

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/mapping"
)

// completed remembers with which mapping the last complete resync was made, so
// that the next one can tell what a change of the mapping takes away from what
// vanished by itself. Safe for concurrent use.
type completed struct {
	dir string // empty: as long as the process lives
	log *slog.Logger

	mu      sync.Mutex
	read    bool
	digests map[string]string // by blueprint; nil: not known
}

// completedFile is the file with the digests.
const completedFile = "completed.json"

// of is the digest of the blocks that wrote a blueprint, "" when none did; known
// is false where that is not remembered.
func (c *completed) of(ctx context.Context, blueprint string) (digest string, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load(ctx)
	digest, ok := c.digests[blueprint]
	if !ok {
		digest = c.digests[""] // of blocks that may write any
	}
	return digest, c.digests != nil
}

// load reads the file once. mu is held.
func (c *completed) load(ctx context.Context) {
	if c.read || c.dir == "" {
		return
	}
	c.read = true
	text, err := os.ReadFile(filepath.Join(c.dir, completedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = json.Unmarshal(text, &c.digests)
	}
	if err != nil {
		c.digests = nil
		c.log.WarnContext(ctx, "the mapping of the last complete resync is not known: it counts as unchanged", "err", err)
	}
}

// set notes that a resync with a mapping was complete.
func (c *completed) set(ctx context.Context, m *mapping.Mapping) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load(ctx)
	now := m.Digests()
	if c.digests != nil && maps.Equal(now, c.digests) {
		return
	}
	c.digests, c.read = now, true
	if c.dir == "" {
		return
	}
	text, err := json.Marshal(now)
	if err == nil {
		err = statefile.Replace(filepath.Join(c.dir, completedFile), text)
	}
	if err != nil {
		c.log.WarnContext(ctx, "the mapping of this resync is not remembered: after a restart a change of it counts as none", "err", err)
	}
}
