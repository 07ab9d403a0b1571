package mapping

import (
	"fmt"
	"strings"

	"github.com/ado-port/ado-port/mapping/jq"
)

// An expression is one leaf of the mapping, compiled.
type expression struct {
	path   string // for people: "properties.owner"
	source string // as written
	file   string // path behind file://
	isFile bool
	prog   *jq.Program // nil: file
	broken string      // why it does not compile
	column int         // where, in characters from 1; 0: nobody knows
	text   []byte      // encoded value of a literal
	or     []byte      // of `path // literal`: the encoded literal
	slots  []int       // of the resource's scan, by program path
}

const filePrefix = "file://"

// compileExpression compiles source as it is written, then with the quotes that
// the Python integration rewrites, then with all single quotes. The error is that
// of the first try.
func compileExpression(c *jq.Compiler, source string) (*jq.Program, error) {
	p, err := c.Compile(source)
	if err == nil || !strings.Contains(source, "'") {
		return p, err
	}
	for _, rewrite := range []func(string) string{rewriteQuotes, convertQuotes} {
		if p, again := c.Compile(rewrite(source)); again == nil {
			return p, nil
		}
	}
	return nil, err
}

// newExpression compiles a leaf. One that does not compile has the reason in
// broken; the caller leaves its member out or rejects the block.
func (b *builder) newExpression(path, source string) *expression {
	e := &expression{path: path, source: source}
	if strings.HasPrefix(source, filePrefix) {
		e.file, e.isFile = strings.ReplaceAll(source, filePrefix, ""), true
		return e
	}
	p, err := compileExpression(b.compiler, source)
	if err != nil {
		e.broken, e.column = firstLine(err.Error()), column(source, err)
		return e
	}
	e.prog = p
	if v, ok := p.Literal(); ok {
		e.text = jq.AppendJSON(nil, v)
	}
	if v, ok := p.PathOr(); ok {
		e.or = jq.AppendJSON(nil, v)
	}
	for _, note := range p.Notes() {
		b.warn("%s: %s", path, note)
	}
	for _, names := range p.Paths() {
		e.slots = append(e.slots, b.scan.add(names))
	}
	return e
}

// literalString is the text of a string literal.
func (e *expression) literalString() (string, bool) {
	if e == nil || e.prog == nil {
		return "", false
	}
	v, _ := e.prog.Literal()
	s, ok := v.(string)
	return s, ok
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// A form is the shape of a mapped value: an expression, or an object or list of
// forms.
type form struct {
	expr    *expression
	isList  bool
	list    []form
	members []namedForm
	search  bool // a search object: Port resolves it
}

type namedForm struct {
	name string
	form form
}

// broken is an expression of the form that does not compile; nil: none.
func (f *form) broken() (bad *expression) {
	f.expressions(func(e *expression) {
		if bad == nil && e.broken != "" {
			bad = e
		}
	})
	return bad
}

// expressions calls f for every leaf.
func (f *form) expressions(yield func(*expression)) {
	if f.expr != nil {
		yield(f.expr)
	}
	for i := range f.list {
		f.list[i].expressions(yield)
	}
	for i := range f.members {
		f.members[i].form.expressions(yield)
	}
}

// newForm reads a value of the mapping. Values that nothing can be made of are
// skipped with a warning.
func (b *builder) newForm(path string, v any) (form, bool) {
	if source, ok := scalarText(v); ok {
		return form{expr: b.newExpression(path, source)}, true
	}
	switch v := v.(type) {
	case *jq.Object:
		f := form{search: isSearch(v)}
		for i := range v.Len() {
			name, sub := v.At(i)
			if m, ok := b.newForm(path+"."+name, sub); ok {
				f.members = append(f.members, namedForm{name, m})
			}
		}
		return f, true
	case []any:
		f := form{isList: true}
		for i, sub := range v {
			if m, ok := b.newForm(fmt.Sprintf("%s[%d]", path, i), sub); ok {
				f.list = append(f.list, m)
			}
		}
		return f, true
	}
	b.warn("%s: null is not an expression; left out", path)
	return form{}, false
}

// isSearch recognises a search object.
func isSearch(o *jq.Object) bool {
	rules, ok := o.Get("rules")
	if _, list := rules.([]any); !ok || !list {
		return false
	}
	_, ok = o.Get("combinator")
	return ok
}

// newSearch reads a search object: combinator and rules, other keys dropped.
func (b *builder) newSearch(path string, o *jq.Object) form {
	f := form{search: true}
	for _, name := range []string{"combinator", "property", "operator", "value"} {
		v, ok := o.Get(name)
		if source, scalar := scalarText(v); ok && scalar {
			f.members = append(f.members, namedForm{name, form{expr: b.newExpression(path+"."+name, source)}})
		}
	}
	rules, _ := o.Get("rules")
	list, ok := rules.([]any)
	if !ok {
		return f
	}
	sub := form{isList: true}
	for i, rule := range list {
		if r, ok := rule.(*jq.Object); ok {
			sub.list = append(sub.list, b.newSearch(fmt.Sprintf("%s.rules[%d]", path, i), r))
		}
	}
	f.members = append(f.members, namedForm{"rules", sub})
	return f
}

// scalarText is a scalar of the mapping as the text of an expression: YAML's
// true and 5 are taken as the programs `true` and `5`.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case nil, *jq.Object, []any:
		return "", false
	default:
		return string(jq.AppendJSON(nil, v)), true
	}
}
