package mapping

import (
	"context"
	"encoding/json"

	"github.com/ado-port/ado-port/port"
)

// A Resource is one valid block of a mapping. It is read-only and safe for
// concurrent use with distinct Reports.
type Resource struct {
	Index    int             // position in the document, from 0
	Kind     string          // as checked by Options.Bind
	Selector json.RawMessage // the selector object as written, query included
}

// A Result is what became of one record.
type Result struct {
	Entities       []port.Entity
	Items          int // records after itemsToParse: 1 without it
	Filtered       int // items whose selector was false
	Faulty         int // items without identifier or blueprint, and records that gave no list of items
	SelectorErrors int // items whose selector was neither true nor false
}

// Parse reads a mapping document. It fails only when the document as a whole
// cannot be used; blocks that are invalid become Problems.
func Parse(doc []byte, opt Options) (*Mapping, error) { panic("mapping: Parse") }

// KindIndex is kind and position, "work-item-5", as Port shows it.
func (r *Resource) KindIndex() string { panic("mapping") }

// Blueprint is the blueprint that the block writes when that is a literal.
func (r *Resource) Blueprint() (id string, literal bool) { panic("mapping") }

// Files lists the paths of `file://` mappings, each once.
func (r *Resource) Files() []string { panic("mapping") }

// Keys lists what the block sets besides identifier and blueprint: "title",
// "icon", "team", "properties.x", "relations.y".
func (r *Resource) Keys() []string { panic("mapping") }

// Properties and Relations list the names that the block sets.
func (r *Resource) Properties() []string { panic("mapping") }

// Relations lists the relations that the block sets.
func (r *Resource) Relations() []string { panic("mapping") }

// UsesSearch says that identifier, team or a relation is a search that Port resolves.
func (r *Resource) UsesSearch() bool { panic("mapping") }

// SearchRelations lists the relations that are searches.
func (r *Resource) SearchRelations() []string { panic("mapping") }

// SearchIdentifier says that the identifier is a search.
func (r *Resource) SearchIdentifier() bool { panic("mapping") }

// Map applies the block to one record. files holds the texts of Files by path;
// nil texts are null, a path that is missing leaves its key out of the entity.
// The error is for a deadline, a cancelled ctx or a limit: then the resource
// has failed as a whole.
func (r *Resource) Map(ctx context.Context, record []byte, files map[string]*string, rep *Report) (Result, error) {
	panic("mapping: Map")
}
