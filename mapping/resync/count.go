package resync

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
)

// A block is a resource of the mapping in one resync.
type block struct {
	*mapping.Resource
	lane  *lane
	seats []*seat // by organization, or one for all

	mu      sync.Mutex
	sources map[azuredevops.Scope]*source // by organization and project
	order   []*source
	unknown []Unknown // what could not be read
	report  mapping.Report
	left    int       // fetches that have not ended
	since   time.Time // cursor of an incremental run
	begun   bool
	shown   atomic.Bool // its examples are taken care of
}

// An Unknown is a part of Azure DevOps that a resource could not read, or could
// not map. Nothing in it is deleted.
type Unknown struct {
	Scope azuredevops.Scope
	// Reason is the error in words.
	Reason string
	// Records counts the records of the scope that this is about; 0 means the whole scope.
	Records int
}

// A source is one project (or organization) as one resource sees it: the unit
// of counting.
type source struct {
	block   *block
	scope   azuredevops.Scope // Organization, Project, ProjectName
	counter counter
}

// counter counts records and entities of a source; safe for concurrent use.
type counter struct {
	listed, mapped, filtered, faulty, selector, incomplete atomic.Int64
	upserted, unchanged, failed, kept, deleted, unmatched  atomic.Int64
}

// Counts are the figures of one resource and project, or sums of them.
type Counts struct {
	Listed     int64 `json:"listed"`               // records from Azure DevOps
	Mapped     int64 `json:"mapped"`               // entities made of them
	Filtered   int64 `json:"filtered,omitempty"`   // left out by the selector
	Faulty     int64 `json:"faulty,omitempty"`     // without identifier or blueprint, or with a selector that gave no boolean
	Incomplete int64 `json:"incomplete,omitempty"` // records with something unread
	Upserted   int64 `json:"upserted,omitempty"`
	Unchanged  int64 `json:"unchanged,omitempty"`
	Failed     int64 `json:"failed,omitempty"` // refused by Port
	Kept       int64 `json:"kept,omitempty"`   // neither written nor deleted because incomplete
	Deleted    int64 `json:"deleted,omitempty"`
}

func (c *counter) counts() Counts {
	return Counts{
		Listed: c.listed.Load(), Mapped: c.mapped.Load(), Filtered: c.filtered.Load(),
		Faulty: c.faulty.Load() + c.selector.Load(), Incomplete: c.incomplete.Load(),
		Upserted: c.upserted.Load(), Unchanged: c.unchanged.Load(), Failed: c.failed.Load(),
		Kept: c.kept.Load(), Deleted: c.deleted.Load(),
	}
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	c.Listed += other.Listed
	c.Mapped += other.Mapped
	c.Filtered += other.Filtered
	c.Faulty += other.Faulty
	c.Incomplete += other.Incomplete
	c.Upserted += other.Upserted
	c.Unchanged += other.Unchanged
	c.Failed += other.Failed
	c.Kept += other.Kept
	c.Deleted += other.Deleted
}

func newBlock(r *mapping.Resource) *block {
	return &block{Resource: r, sources: map[azuredevops.Scope]*source{}}
}

// source returns the counting unit of a scope.
func (b *block) source(s azuredevops.Scope) *source {
	key := azuredevops.Scope{Organization: s.Organization, Project: s.Project}
	b.mu.Lock()
	defer b.mu.Unlock()
	src := b.sources[key]
	if src == nil {
		src = &source{block: b, scope: key}
		src.scope.ProjectName = s.ProjectName
		b.sources[key] = src
		b.order = append(b.order, src)
	}
	return src
}

// maxUnknown bounds the list of unknown records of one block: beyond it the
// whole block counts as unknown.
const maxUnknown = 10_000

// fail notes that a scope is unknown to this block.
func (b *block) fail(s azuredevops.Scope, reason string, records int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.unknown) < maxUnknown {
		b.unknown = append(b.unknown, Unknown{Scope: s, Reason: reason, Records: records})
		return
	}
	b.unknown[maxUnknown-1] = Unknown{Reason: "more than 10,000 parts could not be read"}
}

// unknowns returns what could not be read so far.
func (b *block) unknowns() []Unknown {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unknown
}

func (b *block) all() []*source {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*source(nil), b.order...)
}

// begin notes that a fetch of the block has started; it reports whether this is the first.
func (b *block) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.begun
	b.begun = true
	return first
}

// ended notes that one of its fetches has ended; it reports whether this was the last.
func (b *block) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left--
	return b.left == 0
}

// state is how far the block is, in Port's words.
func (b *block) state() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.begun:
		return "pending"
	case b.left > 0:
		return "syncing"
	case len(b.unknown) > 0:
		return "failed"
	default:
		return "completed"
	}
}

// blueprintExpression is what Port shows as the kind's blueprint.
func (b *block) blueprintExpression() string {
	id, literal := b.Blueprint()
	if !literal {
		return ""
	}
	return strconv.Quote(id)
}
