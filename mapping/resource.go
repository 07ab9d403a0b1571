package mapping

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ado-port/ado-port/port"
)

// A Resource is one valid block of a mapping. It is read-only and safe for
// concurrent use with distinct Reports.
type Resource struct {
	Index    int             // position in the document, from 0
	Kind     string          // as checked by Options.Bind
	Selector json.RawMessage // the selector object as written, query included
	Digest   string          // of the whole block: blocks that say the same have the same

	query   *expression
	items   *items // nil without itemsToParse
	entity  []namedForm
	scan    *scan
	timeout time.Duration

	files           []string
	keys            []string
	searchRelations []string
	searchID        bool
	searchTeam      bool
	pool            sync.Pool // of *mapper
}

// defaultTimeout bounds one record.
const defaultTimeout = 120 * time.Second

// A Result is what became of one record.
type Result struct {
	Entities []port.Entity
	Items    int // records after itemsToParse: 1 without it, or where it gave no list
	Filtered int // items whose selector was false
	Faulty   int // items without identifier or blueprint, and records that gave no list of items
	// SelectorErrors counts the items that may have entities which are not known:
	// the selector was neither true nor false, or identifier, blueprint or
	// itemsToParse hit a limit.
	SelectorErrors int
}

// KindIndex is kind and position, "work-item-5", as Port shows it.
func (r *Resource) KindIndex() string { return fmt.Sprintf("%s-%d", r.Kind, r.Index) }

// Name is the block for people: "work-item (resources[5])".
func (r *Resource) Name() string { return fmt.Sprintf("%s (%s)", r.Kind, r.Path()) }

// Path is its place in the document: "resources[5]".
func (r *Resource) Path() string { return fmt.Sprintf("resources[%d]", r.Index) }

// Blueprint is the blueprint that the block writes when that is a literal.
func (r *Resource) Blueprint() (id string, literal bool) {
	return r.part("blueprint").expr.literalString()
}

// BlueprintExpression is the expression that gives the blueprint, as it is written.
func (r *Resource) BlueprintExpression() string {
	if e := r.part("blueprint").expr; e != nil {
		return e.source
	}
	return ""
}

// Files lists the paths of `file://` mappings, each once.
func (r *Resource) Files() []string { return r.files }

// Keys lists what the block sets besides identifier and blueprint: "title",
// "icon", "team", "properties.x", "relations.y".
func (r *Resource) Keys() []string { return r.keys }

// Literals are the properties whose value does not depend on the record, as JSON.
func (r *Resource) Literals() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for _, m := range r.part("properties").members {
		if m.form.expr != nil && m.form.expr.text != nil {
			out[m.name] = m.form.expr.text
		}
	}
	return out
}

// UsesSearch says that identifier, team or a relation is a search that Port
// resolves.
func (r *Resource) UsesSearch() bool {
	return r.searchID || r.searchTeam || len(r.searchRelations) > 0
}

// SearchRelations lists the relations that are searches.
func (r *Resource) SearchRelations() []string { return r.searchRelations }

func (r *Resource) part(name string) *form {
	for i := range r.entity {
		if r.entity[i].name == name {
			return &r.entity[i].form
		}
	}
	return &form{}
}

// finish derives what callers ask for.
func (r *Resource) finish() {
	for _, part := range r.entity {
		part.form.expressions(func(e *expression) {
			if e.isFile && !slices.Contains(r.files, e.file) {
				r.files = append(r.files, e.file)
			}
		})
		switch part.name {
		case "identifier":
			r.searchID = part.form.search
		case "blueprint":
		case "properties", "relations":
			for _, m := range part.form.members {
				r.keys = append(r.keys, part.name+"."+m.name)
				if m.form.search && part.name == "relations" {
					r.searchRelations = append(r.searchRelations, m.name)
				}
			}
		default:
			r.keys = append(r.keys, part.name)
			r.searchTeam = r.searchTeam || part.name == "team" && part.form.search
		}
	}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
}

// Map applies the block to one record. files holds the texts of Files by path;
// nil texts are null, a path that is missing leaves its key out of the entity.
// An expression that fails or hits a limit is null for the record and named in
// rep. The error is for a record that is not an object, the deadline of the
// record or a cancelled ctx: then the resource has failed as a whole. The
// entities share no memory with record.
func (r *Resource) Map(ctx context.Context, record []byte, files map[string]*string, rep *Report) (Result, error) {
	if rep == nil {
		rep = &Report{}
	}
	return r.apply(ctx, record, files, rep, nil)
}

// apply is Map; told, when it is not nil, is told what every expression gave.
func (r *Resource) apply(ctx context.Context, record []byte, files map[string]*string, rep *Report, told *teller) (Result, error) {
	m, _ := r.pool.Get().(*mapper)
	if m == nil {
		m = &mapper{r: r, slots: make([]slot, r.scan.slots), vals: make([]any, r.scan.slots), have: make([]bool, r.scan.slots)}
	}
	m.ctx, m.files, m.rep, m.told = ctx, files, rep, told
	m.deadline = time.Now().Add(r.timeout)
	var res Result
	err := m.record(record, &res)
	m.release()
	r.pool.Put(m)
	if err != nil {
		return res, fmt.Errorf("mapping %s: %w", r.Name(), err)
	}
	return res, nil
}
