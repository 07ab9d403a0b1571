package mapping

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/mapping/jq"
)

// ErrDocument is wrapped by the errors of Parse.
var ErrDocument = errors.New("mapping: unusable document")

// Parse reads a mapping document, JSON with keys in camelCase or snake_case. It
// fails only when the document as a whole cannot be used; blocks that are
// invalid become Problems.
func Parse(doc []byte, opt Options) (*Mapping, error) {
	v, err := jq.Decode(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	root, ok := v.(*jq.Object)
	if !ok {
		return nil, fmt.Errorf("%w: want an object", ErrDocument)
	}
	m := &Mapping{
		DeleteDependentEntities: true, CreateMissingRelatedEntities: true, EnableMergeEntity: true,
		EntityDeletionThreshold: 0.9, Branch: "main", SpecPath: []string{"port.yml"},
	}
	if err := m.readRoot(root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	blocks, ok := get(root, "resources")
	if !ok || blocks == nil {
		return m, nil
	}
	list, ok := blocks.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: resources: want a list", ErrDocument)
	}
	m.readBlocks(list, opt)
	return m, nil
}

// get finds a member by its camelCase name or the same in snake_case.
func get(o *jq.Object, name string) (any, bool) {
	if v, ok := o.Get(name); ok {
		return v, true
	}
	return o.Get(snake(name))
}

func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

func (m *Mapping) readRoot(root *jq.Object) error {
	for name, dst := range map[string]*bool{
		"deleteDependentEntities":      &m.DeleteDependentEntities,
		"createMissingRelatedEntities": &m.CreateMissingRelatedEntities,
		"enableMergeEntity":            &m.EnableMergeEntity,
	} {
		v, ok := get(root, name)
		if !ok || v == nil {
			continue
		}
		if *dst, ok = toBool(v); !ok {
			return fmt.Errorf("%s: want true or false", name)
		}
	}
	if v, ok := get(root, "entityDeletionThreshold"); ok {
		f, err := strconv.ParseFloat(string(jq.AppendText(nil, v)), 64)
		if s, text := v.(string); text {
			f, err = strconv.ParseFloat(s, 64)
		}
		if err != nil || f < 0 || f > 1 {
			return errors.New("entityDeletionThreshold: want a number from 0 to 1")
		}
		m.EntityDeletionThreshold = f
	}
	if v, ok := get(root, "useDefaultBranch"); ok && v != nil {
		b, ok := toBool(v)
		if !ok {
			return errors.New("useDefaultBranch: want true or false")
		}
		m.UseDefaultBranch = &b
	}
	if v, ok := get(root, "branch"); ok && v != nil {
		if m.Branch, ok = scalarText(v); !ok {
			return errors.New("branch: want a string")
		}
	}
	return m.readSpecPath(root)
}

func (m *Mapping) readSpecPath(root *jq.Object) error {
	v, ok := get(root, "specPath")
	if !ok || v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	m.SpecPath = nil
	for _, p := range list {
		s, ok := scalarText(p)
		if !ok {
			return errors.New("specPath: want a string or a list of strings")
		}
		m.SpecPath = append(m.SpecPath, s)
	}
	return nil
}

// toBool takes what the Python integration takes for a boolean.
func toBool(v any) (val, ok bool) {
	if b, ok := v.(bool); ok {
		return b, true
	}
	text, _ := scalarText(v)
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1", "t", "y":
		return true, true
	case "false", "no", "off", "0", "f", "n":
		return false, true
	}
	return false, false
}

// readBlocks compiles the blocks; all share one compiler, and so their regular
// expressions.
func (m *Mapping) readBlocks(list []any, opt Options) {
	var environ []string
	if opt.Environ != nil {
		environ = opt.Environ()
	}
	compiler := jq.NewCompiler(jq.Options{Environ: environ, Timeout: min(10*time.Second, cmp.Or(opt.ItemTimeout, defaultTimeout)/2)})
	for i, v := range list {
		b := &builder{opt: opt, compiler: compiler, scan: newScan(), index: i}
		r, err := b.build(v)
		m.Warnings = append(m.Warnings, b.warnings...)
		if err == nil {
			r.Digest = digest(v)
			m.Resources = append(m.Resources, r)
			m.LeftOut = append(m.LeftOut, b.leftOut...)
			continue
		}
		p := Problem{Index: i, Kind: b.kind, Path: err.path, Reason: err.reason}
		if err.bad != nil {
			p.Expression, p.Column = err.bad.source, err.bad.column
		}
		p.Blueprints, p.Unknown = b.couldWrite(v)
		m.Problems = append(m.Problems, p)
	}
}

// digest is that of a value, whatever the order of its names.
func digest(v any) string {
	var sorted any
	d := json.NewDecoder(bytes.NewReader(jq.AppendText(nil, v)))
	d.UseNumber()
	if err := d.Decode(&sorted); err != nil { // cannot happen to what was decoded
		sorted = err.Error()
	}
	text, _ := json.Marshal(sorted) //nolint:errchkjson // what was decoded can be encoded
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
