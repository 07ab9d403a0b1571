package jq

import (
	"errors"
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
}

// inner compiles something whose input is not the program's.
func (c *compiler) inner(f func() error) error {
	was := c.root
	c.root = false
	err := f()
	c.root = was
	return err
}

// passed compiles a node that uses its input itself: at the root it gets the
// whole input through a pipe.
func (c *compiler) passed(f func() (node, error)) (n node, err error) {
	at := c.root
	err = c.inner(func() (err error) { n, err = f(); return err })
	if err != nil || !at {
		return n, err
	}
	if k, ok := n.(constant); ok {
		return k, nil
	}
	return newPipe(rootWhole{}, n), nil
}

func (c *compiler) query(q *gojq.Query, s *scope) (node, error) {
	if c.depth++; c.depth > maxSource {
		return nil, errors.New("nests too deep")
	}
	defer func() { c.depth-- }()
	c.deepest = max(c.deepest, c.depth)
	if len(q.Imports) > 0 || q.Meta != nil {
		return nil, errors.New("modules are not available")
	}
	if len(q.FuncDefs) > 0 {
		return c.definitions(q, s)
	}
	if q.Term != nil {
		return c.term(q.Term, s)
	}
	if q.Left == nil || q.Right == nil {
		return nil, errors.New("missing query")
	}
	if len(q.Patterns) > 0 {
		return c.binding(q.Left, q.Patterns, s, func(inner *scope) (node, error) { return c.query(q.Right, inner) })
	}
	return c.operator(q, s)
}

func (c *compiler) operator(q *gojq.Query, s *scope) (node, error) {
	switch q.Op {
	case gojq.OpPipe:
		return c.pipe(q, s)
	case gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAlt,
		gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod:
		return c.passed(func() (node, error) { return c.update(q, s) })
	default: // works on the values of both sides
	}
	l, err := c.query(q.Left, s)
	if err != nil {
		return nil, err
	}
	r, err := c.query(q.Right, s)
	if err != nil {
		return nil, err
	}
	switch q.Op {
	case gojq.OpComma:
		return comma{l, r}, nil
	case gojq.OpAlt:
		return newAlternative(l, r), nil
	case gojq.OpAnd, gojq.OpOr:
		if singles(l, r) {
			return logicOne{l.(single), r.(single), q.Op == gojq.OpOr}, nil
		}
		return logic{l, r, q.Op == gojq.OpOr}, nil
	default:
		if operator(q.Op) == nil {
			return nil, fmt.Errorf("operator %s is not available", q.Op)
		}
		return newBinary(q.Op, l, r), nil
	}
}

func (c *compiler) pipe(q *gojq.Query, s *scope) (node, error) {
	l, err := c.query(q.Left, s)
	if err != nil {
		return nil, err
	}
	if _, ok := l.(rootWhole); ok { // `. | f`
		return c.query(q.Right, s)
	}
	var r node
	err = c.inner(func() (err error) { r, err = c.query(q.Right, s); return err })
	if err != nil {
		return nil, err
	}
	return newPipe(l, r), nil
}

// update compiles the assignments.
func (c *compiler) update(q *gojq.Query, s *scope) (node, error) {
	l, err := c.query(q.Left, s)
	if err != nil {
		return nil, err
	}
	r, err := c.query(q.Right, s)
	if err != nil {
		return nil, err
	}
	switch q.Op {
	case gojq.OpAssign:
		return assign{l, r}, nil
	case gojq.OpModify:
		return modify{l, r}, nil
	case gojq.OpUpdateAlt:
		return modifyOp{l, r, orElse}, nil
	default:
		return modifyOp{l, r, operator(q.Op)}, nil
	}
}

// optional compiles an expression that may be absent.
func (c *compiler) optional(q *gojq.Query, s *scope, absent node) (node, error) {
	if q == nil {
		return absent, nil
	}
	return c.query(q, s)
}

func (c *compiler) term(t *gojq.Term, s *scope) (node, error) {
	var err error
	n, done := c.rootPath(t)
	step := false // the last step was an index: `?` covers only it
	if n == nil {
		n, err = c.head(t, s)
		step = t.Type == gojq.TermTypeIndex
	}
	if err != nil {
		return nil, err
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
			if n, err = c.index(n, suffix.Index, s); err != nil {
				return nil, err
			}
			step = true
		}
	}
	return n, nil
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

func (c *compiler) head(t *gojq.Term, s *scope) (node, error) {
	switch t.Type {
	case gojq.TermTypeIdentity:
		return c.identity(), nil
	case gojq.TermTypeRecurse:
		return c.passed(func() (node, error) { return recurse{}, nil })
	case gojq.TermTypeNull:
		return constant{nil}, nil
	case gojq.TermTypeTrue:
		return constant{true}, nil
	case gojq.TermTypeFalse:
		return constant{false}, nil
	case gojq.TermTypeIndex:
		return c.index(c.identity(), t.Index, s)
	case gojq.TermTypeFunc:
		if t.Func.Name[0] == '$' {
			return c.variable(t.Func.Name, s)
		}
		return c.passed(func() (node, error) { return c.call(t.Func, s) })
	case gojq.TermTypeNumber:
		v, ok := parseNumber(t.Number, true)
		if !ok {
			return nil, fmt.Errorf("invalid number %s", t.Number)
		}
		return constant{v}, nil
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

func (c *compiler) structure(t *gojq.Term, s *scope) (node, error) {
	switch t.Type {
	case gojq.TermTypeObject:
		return c.object(t.Object, s)
	case gojq.TermTypeArray:
		body, err := c.optional(t.Array.Query, s, empty{})
		return collect{body}, err
	case gojq.TermTypeIf:
		return c.conditional(t.If, s)
	case gojq.TermTypeTry:
		return c.try(t.Try, s)
	case gojq.TermTypeReduce:
		return c.reduce(t.Reduce, s)
	case gojq.TermTypeForeach:
		return c.foreach(t.Foreach, s)
	case gojq.TermTypeLabel:
		body, err := c.query(t.Label.Body, s.variable("*"+t.Label.Ident))
		return labelNode{body}, err
	case gojq.TermTypeBreak:
		hops, found := s.find("*"+t.Break, 0)
		if found == nil {
			return nil, fmt.Errorf("label %s is not defined", t.Break)
		}
		return breakNode{hops}, nil
	default:
		return nil, errors.New("unknown term")
	}
}

func (c *compiler) unary(u *gojq.Unary, s *scope) (node, error) {
	n, err := c.term(u.Term, s)
	if err != nil || u.Op != gojq.OpSub {
		return n, err
	}
	if k, ok := n.(constant); ok && isNumber(k.v) {
		return constant{negate(k.v)}, nil
	}
	return newPipe(n, newNative(func(_ *run, in any, _ []any) (any, error) {
		if !isNumber(in) {
			return nil, errorf("%s cannot be negated", describe(in))
		}
		return negate(in), nil
	}, nil)), nil
}

func (c *compiler) index(target node, x *gojq.Index, s *scope) (node, error) {
	switch {
	case x.Name != "":
		return newField(target, x.Name), nil
	case x.Str != nil && len(x.Str.Queries) == 0:
		return newField(target, x.Str.Str), nil
	case x.Str != nil:
		key, err := c.str(x.Str, formats["@text"], s)
		return newIndex(target, key), err
	case !x.IsSlice:
		key, err := c.query(x.Start, s)
		if err != nil {
			return nil, err
		}
		if k, ok := key.(constant); ok {
			if name, ok := k.v.(string); ok {
				return newField(target, name), nil
			}
		}
		return newIndex(target, key), nil
	}
	from, err := c.optional(x.Start, s, constant{nil})
	if err != nil {
		return nil, err
	}
	to, err := c.optional(x.End, s, constant{nil})
	return newIndex(target, newObjectNode([]member{{constant{"start"}, from}, {constant{"end"}, to}})), err
}

func (c *compiler) str(str *gojq.String, format func(*run, any) (string, error), s *scope) (node, error) {
	if len(str.Queries) == 0 {
		return constant{str.Str}, nil
	}
	n := interpolation{format: format}
	for _, q := range str.Queries {
		// Pieces of text are strings, expressions are queries in parentheses.
		if q.Term != nil && q.Term.Type == gojq.TermTypeString && len(q.Term.SuffixList) == 0 && q.Term.Str.Queries == nil {
			n.parts = append(n.parts, part{text: q.Term.Str.Str})
			continue
		}
		expr, err := c.query(q, s)
		if err != nil {
			return nil, err
		}
		n.parts = append(n.parts, part{expr: expr})
	}
	return newInterpolation(n), nil
}

func (c *compiler) format(t *gojq.Term, s *scope) (node, error) {
	f, ok := formats[t.Format]
	if !ok {
		name := t.Format[1:]
		f = func(*run, any) (string, error) { return "", errorf("%s is not a valid format", name) }
	}
	if t.Str != nil {
		return c.str(t.Str, f, s)
	}
	return c.passed(func() (node, error) {
		return newNative(func(r *run, in any, _ []any) (any, error) {
			v, err := f(r, in)
			return v, err
		}, nil), nil
	})
}

func (c *compiler) conditional(i *gojq.If, s *scope) (node, error) {
	cond, err := c.query(i.Cond, s)
	if err != nil {
		return nil, err
	}
	then, err := c.query(i.Then, s)
	if err != nil {
		return nil, err
	}
	var otherwise node
	if len(i.Elif) > 0 {
		next := &gojq.If{Cond: i.Elif[0].Cond, Then: i.Elif[0].Then, Elif: i.Elif[1:], Else: i.Else}
		otherwise, err = c.conditional(next, s)
	} else {
		if i.Else == nil {
			otherwise = c.identity()
		} else {
			otherwise, err = c.query(i.Else, s)
		}
	}
	if err != nil {
		return nil, err
	}
	return newIf(cond, then, otherwise), nil
}

func (c *compiler) try(t *gojq.Try, s *scope) (node, error) {
	body, err := c.query(t.Body, s)
	if err != nil {
		return nil, err
	}
	n := try{body: body}
	err = c.inner(func() (err error) { n.handler, err = c.optional(t.Catch, s, nil); return err })
	return n, err
}
