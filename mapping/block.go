package mapping

import (
	"fmt"
	"strings"

	"github.com/ado-port/ado-port/mapping/jq"
)

// defaultKind is the kind of a block that names none, as in the Python integration.
const defaultKind = "release-deployment"

// A builder makes a Resource of one block.
type builder struct {
	opt      Options
	compiler *jq.Compiler
	scan     *scan
	index    int
	kind     string
	warnings []string
	leftOut  []Problem
}

// A blockError rejects a block.
type blockError struct {
	path, reason string
	bad          *expression // nil: it is not an expression
}

func (b *builder) reject(path, format string, args ...any) *blockError {
	return &blockError{b.at(path), fmt.Sprintf(format, args...), nil}
}

// rejectBroken rejects a block for an expression that does not compile.
func (b *builder) rejectBroken(path string, bad *expression) *blockError {
	return &blockError{b.at(path), bad.broken, bad}
}

func (b *builder) at(path string) string {
	if path == "" {
		return fmt.Sprintf("resources[%d]", b.index)
	}
	return fmt.Sprintf("resources[%d].%s", b.index, path)
}

// warn remarks on an expression; format begins with its path.
func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, b.at(inBlock(fmt.Sprintf(format, args...))))
}

// inBlock completes the path of an expression.
func inBlock(path string) string {
	switch {
	case strings.HasPrefix(path, "selector."):
		return path
	case strings.HasPrefix(path, "itemsToParse:"):
		return "port." + path
	}
	return mappingsPath + "." + path
}

// leaveOut notes that the block runs without one of its members.
func (b *builder) leaveOut(bad *expression) {
	b.leftOut = append(b.leftOut, Problem{Index: b.index, Kind: b.kind, Path: b.at(inBlock(bad.path)), Reason: bad.broken, Expression: bad.source, Column: bad.column})
}

const mappingsPath = "port.entity.mappings"

func (b *builder) build(v any) (*Resource, *blockError) {
	block, ok := v.(*jq.Object)
	if !ok {
		return nil, b.reject("", "want an object")
	}
	r := &Resource{Index: b.index, scan: b.scan, timeout: b.opt.ItemTimeout}
	if err := b.readKind(block, r); err != nil {
		return nil, err
	}
	if err := b.readSelector(block, r); err != nil {
		return nil, err
	}
	port, err := b.object(block, "port")
	if err != nil {
		return nil, err
	}
	if err := b.readItems(port, r); err != nil {
		return nil, err
	}
	entity, err := b.object(port, "port.entity")
	if err != nil {
		return nil, err
	}
	mappings, err := b.object(entity, mappingsPath)
	if err != nil {
		return nil, err
	}
	if err := b.readMappings(mappings, r); err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}

// object is the object at the last name of path in o.
func (b *builder) object(o *jq.Object, path string) (*jq.Object, *blockError) {
	v, ok := get(o, path[strings.LastIndexByte(path, '.')+1:])
	if !ok {
		return nil, b.reject(path, "required, and missing")
	}
	sub, ok := v.(*jq.Object)
	if !ok {
		return nil, b.reject(path, "want an object")
	}
	return sub, nil
}

func (b *builder) readKind(block *jq.Object, r *Resource) *blockError {
	r.Kind = defaultKind
	if v, ok := block.Get("kind"); ok {
		kind, ok := v.(string)
		if !ok {
			return b.reject("kind", "want a string")
		}
		r.Kind = kind
	}
	b.kind = r.Kind
	return nil
}

func (b *builder) readSelector(block *jq.Object, r *Resource) *blockError {
	selector, err := b.object(block, "selector")
	if err != nil {
		return err
	}
	v, _ := selector.Get("query")
	query, ok := scalarText(v)
	if !ok {
		return b.reject("selector.query", "required: want a jq expression")
	}
	r.Selector = jq.AppendJSON(nil, selector)
	if b.opt.Bind != nil {
		warnings, err := b.opt.Bind(r.Kind, r.Selector)
		for _, w := range warnings {
			b.warnings = append(b.warnings, b.at("selector")+": "+w)
		}
		if err != nil {
			return b.reject("selector", "%v", err)
		}
	}
	r.query = b.newExpression("selector.query", query)
	if r.query.broken != "" {
		return b.rejectBroken("selector.query", r.query)
	}
	return nil
}

func (b *builder) readMappings(o *jq.Object, r *Resource) *blockError {
	for _, name := range []string{"identifier", "blueprint"} {
		v, ok := o.Get(name)
		if !ok || v == nil {
			return b.reject(mappingsPath+"."+name, "required, and missing")
		}
	}
	for _, name := range []string{"identifier", "icon", "blueprint", "title", "team"} {
		v, ok := o.Get(name)
		if !ok {
			continue
		}
		f, err := b.topLevel(name, v)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		switch bad := f.broken(); {
		case bad == nil:
			r.entity = append(r.entity, namedForm{name, *f})
		case name == "identifier" || name == "blueprint":
			return b.rejectBroken(inBlock(bad.path), bad)
		default:
			b.leaveOut(bad)
		}
	}
	for _, name := range []string{"properties", "relations"} {
		if err := b.readGroup(o, name, r); err != nil {
			return err
		}
	}
	return nil
}

// topLevel reads one of the keys that are not a group. Nil leaves it out.
func (b *builder) topLevel(name string, v any) (*form, *blockError) {
	required := name == "identifier" || name == "blueprint"
	if o, ok := v.(*jq.Object); ok && (name == "identifier" || name == "team") {
		f := b.newSearch(name, o)
		return &f, nil
	}
	source, ok := scalarText(v)
	switch {
	case ok:
	case required:
		return nil, b.reject(mappingsPath+"."+name, "want a jq expression")
	case name == "team" && v != nil:
		f, ok := b.newForm(name, v)
		if !ok {
			return nil, nil
		}
		return &f, nil
	default:
		if v != nil {
			b.warn("%s: want a jq expression; left out", name)
		}
		return nil, nil
	}
	return &form{expr: b.newExpression(name, source)}, nil
}

func (b *builder) readGroup(o *jq.Object, name string, r *Resource) *blockError {
	v, ok := o.Get(name)
	if !ok {
		return nil
	}
	group := form{}
	if v != nil {
		members, isObject := v.(*jq.Object)
		if !isObject {
			return b.reject(mappingsPath+"."+name, "want an object")
		}
		for i := range members.Len() {
			key, sub := members.At(i)
			f, ok := b.member(name, key, sub)
			if !ok {
				continue
			}
			if bad := f.broken(); bad != nil {
				b.leaveOut(bad)
				continue
			}
			group.members = append(group.members, namedForm{key, f})
		}
	}
	r.entity = append(r.entity, namedForm{name, group})
	return nil
}

func (b *builder) member(group, key string, v any) (form, bool) {
	path := group + "." + key
	if o, ok := v.(*jq.Object); ok && group == "relations" {
		return b.newSearch(path, o), true
	}
	return b.newForm(path, v)
}

// couldWrite lists the blueprints that a rejected block names as a literal, or
// says that it could write any.
func (b *builder) couldWrite(v any) (blueprints []string, unknown bool) {
	for _, name := range []string{"port", "entity", "mappings", "blueprint"} {
		o, ok := v.(*jq.Object)
		if !ok {
			return nil, true
		}
		v, _ = o.Get(name)
	}
	source, ok := v.(string)
	if !ok {
		return nil, true
	}
	p, err := compileExpression(b.compiler, source)
	if err != nil {
		return nil, true
	}
	lit, _ := p.Literal()
	id, ok := lit.(string)
	if !ok {
		return nil, true
	}
	return []string{id}, false
}
