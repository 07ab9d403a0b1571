// Package preview shows what a mapping would do, and writes nothing.
package preview

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync"
)

// MapOptions are those of the command map. The first part are its flags.
type MapOptions struct {
	Mapping  string // file; empty: the mapping in Port
	From     string // file with records, "-" for Input; empty: Azure DevOps
	ID       string // of the only record; empty: any
	Limit    int    // records at most
	Resource int    // index of the only block; negative: all of the kind
	JSON     bool   // a line per record and block, instead of text
	Stored   Stored // what is used in place of Azure DevOps

	Kind          string
	Source        *resync.Source // of the mapping in Port, and of how a file is used
	Organizations []*azuredevops.Client
	Directory     string    // of relative names of files
	Input         io.Reader // standard input
}

// Register adds the flags.
func (o *MapOptions) Register(fs *flag.FlagSet) {
	fs.StringVar(&o.Mapping, "mapping", "", "`file` with a mapping, YAML or JSON (default: the mapping in Port)")
	fs.StringVar(&o.From, "from", "", "`file` with records: a JSON object, a list, or JSON lines; - is standard input (default: Azure DevOps)")
	o.Stored.register(fs)
	fs.StringVar(&o.ID, "id", "", "only the record with this `id`")
	fs.IntVar(&o.Limit, "limit", 3, "at most this `number` of records")
	fs.IntVar(&o.Resource, "resource", -1, "only the block with this `index`, as in resources[1]; -1 is all of the kind")
}

// Offline says that neither Port nor Azure DevOps is asked.
func (o *MapOptions) Offline() bool { return o.Mapping != "" && o.From != "" }

// errTwoSources says that records cannot come from both.
var errTwoSources = errors.New("--from and --stored both say where the records come from: use one of them")

// ErrMapping says that a block is invalid, or that an expression failed.
var ErrMapping = errors.New("the mapping does not work for everything that was shown")

// errNoRecords says that there is nothing to show.
var errNoRecords = errors.New("there is no such record")

// A view is one run of the command.
type view struct {
	MapOptions
	mapping   *mapping.Mapping
	exported  *azuredevops.Exported // records in place of those of Azure DevOps; nil: those
	in        io.Reader             // with records; nil: Azure DevOps is asked
	out       writer
	resources []*mapping.Resource
	failed    bool
	shown     int
	unread    []error
}

// Map shows what the mapping makes of a few records. The error is ErrMapping when a
// block of the kind is invalid or an expression failed.
func Map(ctx context.Context, o MapOptions, out io.Writer) error {
	if o.Stored.On && o.From != "" {
		return errTwoSources
	}
	v := &view{MapOptions: o, out: textWriter{out}}
	if o.JSON {
		v.out = jsonWriter{out}
	}
	read := o.Source.Fresh
	if o.Mapping != "" {
		read = func(context.Context) (*mapping.Mapping, error) { return o.Source.ReadFile(o.path(o.Mapping)) }
	}
	var err error
	if v.mapping, err = read(ctx); err != nil {
		return err
	}
	if v.exported, err = o.Stored.open(o.Directory); err != nil {
		return err
	}
	switch o.From {
	case "":
	case "-":
		v.in = o.Input
	default:
		f, err := os.Open(o.path(o.From))
		if err != nil {
			return err
		}
		defer f.Close()
		v.in = f
	}
	return v.run(ctx)
}

// path is a file that was named on the command line.
func (o *MapOptions) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(o.Directory, name)
}

func (v *view) run(ctx context.Context) error {
	problems, err := v.choose()
	if err != nil {
		return err
	}
	for _, p := range problems {
		v.failed = true
		if err := v.out.write(invalid(p)); err != nil {
			return err
		}
	}
	if len(v.resources) > 0 {
		if err := v.show(ctx); err != nil {
			return err
		}
		if v.shown == 0 {
			return errors.Join(append([]error{errNoRecords}, v.unread...)...)
		}
	}
	if v.failed {
		return ErrMapping
	}
	return nil
}

// choose picks the blocks, and those that were meant and are invalid.
func (v *view) choose() (problems []mapping.Problem, err error) {
	if _, _, err := azuredevops.Bind(v.Kind, json.RawMessage(`{}`)); errors.Is(err, azuredevops.ErrUnknownKind) {
		return nil, err
	}
	meant := func(index int, kind string) bool {
		return kind == v.Kind && (v.Resource < 0 || index == v.Resource)
	}
	for _, r := range v.mapping.Resources {
		if meant(r.Index, r.Kind) {
			v.resources = append(v.resources, r)
		}
	}
	for _, p := range v.mapping.Problems {
		if meant(p.Index, p.Kind) {
			problems = append(problems, p)
		}
	}
	if len(v.resources)+len(problems) > 0 {
		return problems, nil
	}
	if v.Resource >= 0 {
		return nil, fmt.Errorf("resources[%d] of the mapping is no block for %s", v.Resource, v.Kind)
	}
	kinds := v.mapping.Kinds()
	slices.Sort(kinds)
	return nil, fmt.Errorf("the mapping has no block for %s; it has %s", v.Kind, cmp.Or(strings.Join(slices.Compact(kinds), ", "), "none at all"))
}

// show maps records for the blocks. Blocks that need the same listing share it, as
// in a resync.
func (v *view) show(ctx context.Context) error {
	if v.in != nil {
		return v.each(ctx, recordsOf(v.in), v.resources)
	}
	groups, err := resync.Groups(v.resources)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := v.each(ctx, v.listing(ctx, g), g.Resources); err != nil {
			return err
		}
	}
	return nil
}

// listing lists all organizations.
func (v *view) listing(ctx context.Context, g *resync.Group) iter.Seq2[azuredevops.Record, error] {
	return func(yield func(azuredevops.Record, error) bool) {
		for _, org := range v.Organizations {
			records, err := v.records(ctx, g, org)
			if err != nil {
				yield(azuredevops.Record{}, err)
				return
			}
			for rec, err := range records {
				if _, scope := errors.AsType[*azuredevops.ScopeError](err); scope && ctx.Err() == nil {
					v.unread = append(v.unread, err)
					continue
				}
				if !yield(rec, err) {
					return
				}
			}
		}
	}
}

// records are those of one organization.
func (v *view) records(ctx context.Context, g *resync.Group, org *azuredevops.Client) (iter.Seq2[azuredevops.Record, error], error) {
	opt := azuredevops.ListOptions{Files: g.Files}
	switch {
	case !v.Stored.On:
		return g.Listing.Records(ctx, org.Snapshot(), opt), nil
	case v.exported != nil:
		if !v.exported.Has(org, g.Listing, g.Files) {
			return nil, fmt.Errorf("the file of --stored does not have %s of %s", g.Resources[0].Name(), org.Organization())
		}
		return v.exported.Records(org, g.Listing, g.Files), nil
	}
	if opt.Now = org.Stored()[g.Listing.StoredAs(g.Files)]; opt.Now.IsZero() {
		return nil, fmt.Errorf("the record store does not have %s of %s: a resync that completes with this selector and these files puts it there", g.Resources[0].Name(), org.Organization())
	}
	return g.Listing.Records(ctx, org.SnapshotOf(azuredevops.Reading{Since: opt.Now, Only: true}), opt), nil
}

func (v *view) each(ctx context.Context, records iter.Seq2[azuredevops.Record, error], resources []*mapping.Resource) error {
	left := v.Limit
	if v.ID != "" {
		left = min(left, 1)
	}
	if left <= 0 {
		return nil
	}
	for rec, err := range records {
		if err != nil {
			return err
		}
		if v.ID != "" && !slices.Contains(names(rec), v.ID) {
			continue
		}
		v.shown++
		for _, r := range resources {
			if err := v.record(ctx, rec, r); err != nil {
				return err
			}
		}
		if left--; left == 0 {
			break
		}
	}
	return nil
}

// record shows what one block makes of a record.
func (v *view) record(ctx context.Context, rec azuredevops.Record, r *mapping.Resource) error {
	items, err := r.Explain(ctx, rec.JSON, rec.Files)
	if err != nil {
		return err
	}
	for i, it := range items {
		if v.in != nil {
			withoutFiles(it.Values)
		}
		m := explained(it)
		m.Resource, m.Kind, m.ID, m.Item = fmt.Sprintf("resources[%d]", r.Index), r.Kind, names(rec)[0], i
		if it.Selected {
			m.Errors = append(m.Errors, leftOut(v.mapping, r)...)
		}
		v.failed = v.failed || len(m.Errors) > 0
		if err := v.out.write(m); err != nil {
			return err
		}
	}
	return nil
}

// withoutFiles forgives that files of repositories are not there where records come
// from a file.
func withoutFiles(values []mapping.Value) {
	for i, x := range values {
		if strings.HasPrefix(x.Expression, "file://") && x.Err != nil {
			values[i].Err, values[i].JSON = nil, json.RawMessage("(not read: the records come from a file)")
		}
	}
}

// names are what a record may be asked for by; the first is the one that is shown.
func names(rec azuredevops.Record) []string {
	var out []string
	add := func(s string) {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	add(gjson.GetBytes(rec.JSON, "id").String())
	add(rec.Scope.ID)
	add(gjson.GetBytes(rec.JSON, "name").String())
	add(gjson.GetBytes(rec.JSON, "path").String())
	return append(out, "")
}

// A mapped is what became of one item of a record, in the form of the output.
type mapped struct {
	Resource string          `json:"resource"`
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	Item     int             `json:"item"`
	Selector any             `json:"selector"` // true, false or a selectorError
	Entity   json.RawMessage `json:"entity"`   // null when none is made
	Errors   []mapError      `json:"errors"`

	values []mapping.Value // for text
}

type selectorError struct {
	Error string `json:"error"`
}

// A mapError is an expression that failed.
type mapError struct {
	Path       string `json:"path"`
	Expression string `json:"expression"`
	Column     int    `json:"column,omitempty"` // of a syntax error, in characters from 1
	Error      string `json:"error"`
}

func explained(it mapping.Explanation) mapped {
	m := mapped{Selector: it.Selected, Errors: []mapError{}, values: it.Values}
	if it.Entity != nil {
		m.Entity = it.Entity.Body
	}
	for _, x := range it.Values {
		if x.Err == nil {
			continue
		}
		m.Errors = append(m.Errors, mapError{Path: x.Path, Expression: x.Expression, Error: x.Err.Error()})
		if x.Path == "selector.query" || x.Path == "itemsToParse" {
			m.Selector = selectorError{x.Err.Error()}
		}
	}
	return m
}

// leftOut are the expressions of a block that do not compile: it runs without them.
func leftOut(m *mapping.Mapping, r *mapping.Resource) []mapError {
	var out []mapError
	for _, p := range m.LeftOut {
		if p.Index == r.Index {
			out = append(out, problem(p))
		}
	}
	return out
}

// invalid is a block that does not run.
func invalid(p mapping.Problem) mapped {
	return mapped{
		Resource: fmt.Sprintf("resources[%d]", p.Index), Kind: p.Kind, Selector: selectorError{"the block is invalid"}, Errors: []mapError{problem(p)},
	}
}

// problem names the place within the block, as errors of records do.
func problem(p mapping.Problem) mapError {
	path := strings.TrimPrefix(p.Path, fmt.Sprintf("resources[%d].", p.Index))
	return mapError{
		Path: strings.TrimPrefix(path, "port.entity.mappings."), Expression: p.Expression, Column: p.Column, Error: p.Reason,
	}
}
