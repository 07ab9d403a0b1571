package jq

import (
	"fmt"

	"github.com/itchyny/gojq"
)

// A scope is a name that the compiler knows. Its position in the list is the
// number of hops to its cell at run time.
type scope struct {
	parent *scope
	name   string // "$x" for a variable, "*x" for a label, "f" for a function
	arity  int
	params []string // of a function defined in jq
}

func (s *scope) find(name string, arity int) (hops int, found *scope) {
	for ; s != nil; s = s.parent {
		if s.name == name && s.arity == arity {
			return hops, s
		}
		hops++
	}
	return 0, nil
}

func (s *scope) variable(name string) *scope { return &scope{parent: s, name: name} }

// maxSource bounds the nesting of a program's text.
const maxSource = 2000

// A compiler turns parsed programs into nodes. Built-ins that are written in jq
// are compiled when a program first uses them.
type compiler struct {
	builtins map[string]*funcDef
	nodes    map[string]func(*compiler, []node) node
	prog     *Program
	depth    int // of the text at hand
	deepest  int // that there was since callable began
	// root says that the expression at hand sees the program's input, which is
	// read through Input and not passed along.
	root bool
	err  error // the first one; what comes after it does not matter
}

// fail notes an error and stands in for the node that cannot be made.
func (c *compiler) fail(format string, args ...any) node {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
	return empty{}
}

// inner compiles something whose input is not the program's.
func (c *compiler) inner(f func() node) node {
	was := c.root
	c.root = false
	n := f()
	c.root = was
	return n
}

// passed compiles a node that uses its input itself: at the root it gets the
// whole input through a pipe.
func (c *compiler) passed(f func() node) node {
	n := c.inner(f)
	if _, ok := n.(constant); ok || !c.root {
		return n
	}
	return newPipe(rootWhole{}, n)
}

func (c *compiler) query(q *gojq.Query, s *scope) node {
	c.depth++
	defer func() { c.depth-- }()
	c.deepest = max(c.deepest, c.depth)
	switch {
	case c.err != nil:
		return empty{}
	case c.depth > maxSource:
		return c.fail("nests too deep")
	case len(q.Imports) > 0 || q.Meta != nil:
		return c.fail("modules are not available")
	case len(q.FuncDefs) > 0:
		return c.definitions(q, s)
	case q.Term != nil:
		return c.term(q.Term, s)
	case q.Left == nil || q.Right == nil:
		return c.fail("missing query")
	case len(q.Patterns) > 0:
		source := c.query(q.Left, s)
		ps, inner := c.patterns(q.Patterns, s)
		return newBind(source, ps, c.query(q.Right, inner))
	}
	return c.operator(q, s)
}

func (c *compiler) operator(q *gojq.Query, s *scope) node {
	switch q.Op {
	case gojq.OpPipe:
		return c.pipe(q, s)
	case gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAlt,
		gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod:
		return c.passed(func() node { return c.update(q, s) })
	default: // works on the values of both sides
	}
	l, r := c.query(q.Left, s), c.query(q.Right, s)
	switch q.Op {
	case gojq.OpComma:
		return comma{l, r}
	case gojq.OpAlt:
		return newAlternative(l, r)
	case gojq.OpAnd, gojq.OpOr:
		if singles(l, r) {
			return logicOne{l.(single), r.(single), q.Op == gojq.OpOr}
		}
		return logic{l, r, q.Op == gojq.OpOr}
	default:
		if operator(q.Op) == nil {
			return c.fail("operator %s is not available", q.Op)
		}
		return newBinary(q.Op, l, r)
	}
}

func (c *compiler) pipe(q *gojq.Query, s *scope) node {
	l := c.query(q.Left, s)
	if _, ok := l.(rootWhole); ok { // `. | f`
		return c.query(q.Right, s)
	}
	return newPipe(l, c.inner(func() node { return c.query(q.Right, s) }))
}

// update compiles the assignments.
func (c *compiler) update(q *gojq.Query, s *scope) node {
	l, r := c.query(q.Left, s), c.query(q.Right, s)
	switch q.Op {
	case gojq.OpAssign:
		return assign{l, r}
	case gojq.OpModify:
		return modify{l, r}
	case gojq.OpUpdateAlt:
		return modifyOp{l, r, orElse}
	default:
		return modifyOp{l, r, operator(q.Op)}
	}
}

// optional compiles an expression that may be absent.
func (c *compiler) optional(q *gojq.Query, s *scope, absent node) node {
	if q == nil {
		return absent
	}
	return c.query(q, s)
}

func (c *compiler) term(t *gojq.Term, s *scope) node {
	n, done := c.rootPath(t)
	step := false // the last step was an index: `?` covers only it
	if n == nil {
		n = c.head(t, s)
		step = t.Type == gojq.TermTypeIndex
	}
	for _, suffix := range t.SuffixList[done:] {
		switch {
		case suffix.Optional && step:
			n, step = optionalStep(n), false
		case suffix.Optional:
			n = try{body: n}
		case suffix.Iter:
			n, step = iterate{n}, true
		default:
			n, step = c.index(n, suffix.Index, s), true
		}
	}
	return n
}

// rootPath reads the plain path at the start of a term, if the term begins with
// the program's input, and how many suffixes belong to it. A step before `?`
// does not.
func (c *compiler) rootPath(t *gojq.Term) (node, int) {
	if !c.root || t.Type != gojq.TermTypeIdentity && t.Type != gojq.TermTypeIndex {
		return nil, 0
	}
	var path []string
	optional := func(i int) bool { return i < len(t.SuffixList) && t.SuffixList[i].Optional }
	if t.Type == gojq.TermTypeIndex {
		name, ok := PlainStep(t.Index)
		if !ok || optional(0) {
			return nil, 0
		}
		path = append(path, name)
	}
	done := 0
	for ; done < len(t.SuffixList); done++ {
		name, ok := PlainStep(t.SuffixList[done].Index)
		if !ok || optional(done+1) {
			break
		}
		path = append(path, name)
	}
	if path == nil {
		return nil, 0
	}
	return rootPath{c.prog.addPath(path)}, done
}

// PlainStep is the name in `.name`, `."name"` or `["name"]`.
func PlainStep(x *gojq.Index) (string, bool) {
	switch {
	case x == nil || x.IsSlice:
		return "", false
	case x.Name != "":
		return x.Name, true
	case x.Str != nil:
		return x.Str.Str, len(x.Str.Queries) == 0
	case x.Start == nil || x.Start.Term == nil || x.Start.Term.Type != gojq.TermTypeString:
		return "", false
	}
	str := x.Start.Term.Str
	return str.Str, len(str.Queries) == 0 && len(x.Start.Term.SuffixList) == 0 && len(x.Start.FuncDefs) == 0
}

func (c *compiler) head(t *gojq.Term, s *scope) node {
	switch t.Type {
	case gojq.TermTypeIdentity:
		return c.identity()
	case gojq.TermTypeRecurse:
		return c.passed(func() node { return recurse{} })
	case gojq.TermTypeNull:
		return constant{nil}
	case gojq.TermTypeTrue:
		return constant{true}
	case gojq.TermTypeFalse:
		return constant{false}
	case gojq.TermTypeIndex:
		return c.index(c.identity(), t.Index, s)
	case gojq.TermTypeFunc:
		if t.Func.Name[0] == '$' {
			return c.variable(t.Func.Name, s)
		}
		return c.passed(func() node { return c.call(t.Func, s) })
	case gojq.TermTypeNumber:
		v, ok := parseNumber(t.Number, true)
		if !ok {
			return c.fail("invalid number %s", t.Number)
		}
		return constant{v}
	case gojq.TermTypeString:
		return c.str(t.Str, formats["@text"], s)
	case gojq.TermTypeQuery:
		return c.query(t.Query, s)
	case gojq.TermTypeFormat:
		return c.format(t, s)
	case gojq.TermTypeUnary:
		return c.unary(t.Unary, s)
	default:
		return c.structure(t, s)
	}
}

func (c *compiler) identity() node {
	if c.root {
		return rootWhole{}
	}
	return identity{}
}

func (c *compiler) structure(t *gojq.Term, s *scope) node {
	switch t.Type {
	case gojq.TermTypeObject:
		return c.object(t.Object, s)
	case gojq.TermTypeArray:
		return collect{c.optional(t.Array.Query, s, empty{})}
	case gojq.TermTypeIf:
		return c.conditional(t.If, s)
	case gojq.TermTypeTry:
		body := c.query(t.Try.Body, s)
		return try{body, c.inner(func() node { return c.optional(t.Try.Catch, s, nil) })}
	case gojq.TermTypeReduce:
		return c.reduce(t.Reduce, s)
	case gojq.TermTypeForeach:
		return c.foreach(t.Foreach, s)
	case gojq.TermTypeLabel:
		return labelNode{c.query(t.Label.Body, s.variable("*"+t.Label.Ident))}
	case gojq.TermTypeBreak:
		hops, found := s.find("*"+t.Break, 0)
		if found == nil {
			return c.fail("label %s is not defined", t.Break)
		}
		return breakNode{hops}
	default:
		return c.fail("unknown term")
	}
}

func (c *compiler) unary(u *gojq.Unary, s *scope) node {
	n := c.term(u.Term, s)
	if u.Op != gojq.OpSub {
		return n
	}
	if k, ok := n.(constant); ok && isNumber(k.v) {
		return constant{negate(k.v)}
	}
	return newPipe(n, newNative(func(_ *run, in any, _ []any) (any, error) {
		if !isNumber(in) {
			return nil, errorf("%s cannot be negated", describe(in))
		}
		return negate(in), nil
	}, nil))
}

func (c *compiler) index(target node, x *gojq.Index, s *scope) node {
	if name, ok := PlainStep(x); ok {
		return newField(target, name)
	}
	switch {
	case x.Str != nil:
		return newIndex(target, c.str(x.Str, formats["@text"], s))
	case !x.IsSlice:
		key := c.query(x.Start, s)
		if k, ok := key.(constant); ok {
			if name, ok := k.v.(string); ok {
				return newField(target, name)
			}
		}
		return newIndex(target, key)
	}
	from, to := c.optional(x.Start, s, constant{nil}), c.optional(x.End, s, constant{nil})
	return newIndex(target, newObjectNode([]member{{constant{"start"}, from}, {constant{"end"}, to}}))
}

func (c *compiler) str(str *gojq.String, format func(*run, any) (string, error), s *scope) node {
	if len(str.Queries) == 0 {
		return constant{str.Str}
	}
	n := interpolation{format: format}
	for _, q := range str.Queries {
		// Pieces of text are strings, expressions are queries in parentheses.
		if q.Term != nil && q.Term.Type == gojq.TermTypeString && len(q.Term.SuffixList) == 0 && q.Term.Str.Queries == nil {
			n.parts = append(n.parts, part{text: q.Term.Str.Str})
		} else {
			n.parts = append(n.parts, part{expr: c.query(q, s)})
		}
	}
	return newInterpolation(n)
}

func (c *compiler) format(t *gojq.Term, s *scope) node {
	f, ok := formats[t.Format]
	if !ok {
		name := t.Format[1:]
		f = func(*run, any) (string, error) { return "", errorf("%s is not a valid format", name) }
	}
	if t.Str != nil {
		return c.str(t.Str, f, s)
	}
	return c.passed(func() node {
		return newNative(func(r *run, in any, _ []any) (any, error) { return asAny(f(r, in)) }, nil)
	})
}

func (c *compiler) conditional(i *gojq.If, s *scope) node {
	cond, then := c.query(i.Cond, s), c.query(i.Then, s)
	if len(i.Elif) > 0 {
		return newIf(cond, then, c.conditional(&gojq.If{Cond: i.Elif[0].Cond, Then: i.Elif[0].Then, Elif: i.Elif[1:], Else: i.Else}, s))
	}
	return newIf(cond, then, c.optional(i.Else, s, c.identity()))
}
