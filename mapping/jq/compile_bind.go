package jq

import (
	"errors"
	"fmt"
	"strings"

	"github.com/itchyny/gojq"
)

// binding compiles `source as pattern | …`; rest gets the scope in which the
// names are known.
func (c *compiler) binding(source *gojq.Query, alts []*gojq.Pattern, s *scope, rest func(*scope) (node, error)) (node, error) {
	src, err := c.query(source, s)
	if err != nil {
		return nil, err
	}
	ps, inner, err := c.patterns(alts, s)
	if err != nil {
		return nil, err
	}
	body, err := rest(inner)
	if err != nil {
		return nil, err
	}
	return newBind(src, ps, body), nil
}

// patterns compiles alternatives; every variable of any of them gets one slot.
func (c *compiler) patterns(alts []*gojq.Pattern, s *scope) (patterns, *scope, error) {
	names := &slots{}
	ps := patterns{}
	for _, a := range alts {
		p, err := c.pattern(a, s, names)
		if err != nil {
			return ps, nil, err
		}
		ps.alts = append(ps.alts, p)
	}
	ps.slots = len(names.names)
	for _, name := range names.names {
		s = s.variable(name)
	}
	return ps, s, nil
}

type slots struct{ names []string }

func (n *slots) of(name string) int {
	for i, known := range n.names {
		if known == name {
			return i
		}
	}
	n.names = append(n.names, name)
	return len(n.names) - 1
}

func (c *compiler) pattern(p *gojq.Pattern, s *scope, names *slots) (*pattern, error) {
	if p.Name != "" {
		return &pattern{slot: names.of(p.Name)}, nil
	}
	out := &pattern{slot: -1}
	for _, sub := range p.Array {
		compiled, err := c.pattern(sub, s, names)
		if err != nil {
			return nil, err
		}
		out.list = append(out.list, compiled)
	}
	for _, o := range p.Object {
		m, err := c.patternMember(o, s, names)
		if err != nil {
			return nil, err
		}
		out.members = append(out.members, m)
	}
	return out, nil
}

func (c *compiler) patternMember(o *gojq.PatternObject, s *scope, names *slots) (m patternMember, err error) {
	m.slot = -1
	switch {
	case o.Key != "" && o.Key[0] == '$':
		m.slot = names.of(o.Key)
		m.key = constant{o.Key[1:]}
	case o.Key != "":
		m.key = constant{o.Key}
	case o.KeyString != nil:
		m.key, err = c.str(o.KeyString, formats["@text"], s)
	default:
		m.key, err = c.query(o.KeyQuery, s)
	}
	if err == nil {
		err = checkKey(m.key)
	}
	if err != nil || o.Val == nil {
		return m, err
	}
	m.val, err = c.pattern(o.Val, s, names)
	return m, err
}

func (c *compiler) reduce(t *gojq.Reduce, s *scope) (node, error) {
	n := reduceNode{}
	var err error
	if n.source, err = c.query(t.Query, s); err != nil {
		return nil, err
	}
	if n.start, err = c.query(t.Start, s); err != nil {
		return nil, err
	}
	var inner *scope
	if n.ps, inner, err = c.patterns(t.Patterns, s); err != nil {
		return nil, err
	}
	err = c.inner(func() (err error) { n.update, err = c.query(t.Update, inner); return err })
	return n, err
}

func (c *compiler) foreach(t *gojq.Foreach, s *scope) (node, error) {
	n := foreachNode{}
	var err error
	if n.source, err = c.query(t.Query, s); err != nil {
		return nil, err
	}
	if n.start, err = c.query(t.Start, s); err != nil {
		return nil, err
	}
	var inner *scope
	if n.ps, inner, err = c.patterns(t.Patterns, s); err != nil {
		return nil, err
	}
	err = c.inner(func() (err error) {
		if n.update, err = c.query(t.Update, inner); err != nil {
			return err
		}
		n.extract, err = c.optional(t.Extract, inner, identity{})
		return err
	})
	return n, err
}

func (c *compiler) object(o *gojq.Object, s *scope) (node, error) {
	var members []member
	for _, kv := range o.KeyVals {
		m, err := c.member(kv, s)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return newObjectNode(members), nil
}

func (c *compiler) member(kv *gojq.ObjectKeyVal, s *scope) (m member, err error) {
	switch {
	case kv.Key != "" && kv.Key[0] == '$' && kv.Val != nil: // {$a: 1} is {($a): 1}
		m.key, err = c.variable(kv.Key, s)
	case kv.Key != "" && kv.Key[0] == '$':
		m.key = constant{kv.Key[1:]}
		m.val, err = c.variable(kv.Key, s)
		return m, err
	case kv.Key != "":
		m.key = constant{kv.Key}
	case kv.KeyString != nil:
		m.key, err = c.str(kv.KeyString, formats["@text"], s)
	default:
		m.key, err = c.query(kv.KeyQuery, s)
	}
	if err == nil {
		err = checkKey(m.key)
	}
	if err != nil {
		return m, err
	}
	if kv.Val == nil { // {"a"} is {"a": .a}
		return c.shorthand(m.key), nil
	}
	m.val, err = c.query(kv.Val, s)
	return m, err
}

// checkKey refuses literal keys that are no strings, as jq does.
func checkKey(key node) error {
	if k, ok := key.(constant); ok {
		if _, ok := k.v.(string); !ok {
			return errors.New("Object keys must be strings")
		}
	}
	return nil
}

// shorthand is `{"a"}`.
func (c *compiler) shorthand(key node) member {
	if k, ok := key.(constant); ok {
		name, _ := k.v.(string)
		if c.root {
			return member{key, rootPath{c.prog.addPath([]string{name})}}
		}
		return member{key, newField(identity{}, name)}
	}
	return member{key, sameKey{c.identity().(single)}}
}

func (c *compiler) definitions(q *gojq.Query, s *scope) (node, error) {
	fd := q.FuncDefs[0]
	s = &scope{parent: s, name: fd.Name, arity: len(fd.Args), params: fd.Args}
	def, err := c.function(fd, s)
	if err != nil {
		return nil, err
	}
	rest := *q
	rest.FuncDefs = q.FuncDefs[1:]
	body, err := c.query(&rest, s)
	if err != nil {
		return nil, err
	}
	return defNode{def, body}, nil
}

// callable compiles what a call evaluates: the body of a function or an argument.
// Calls nest on the stack: one whose text nests deep counts for several.
func (c *compiler) callable(q *gojq.Query, s *scope) (node, error) {
	const light = 16
	outer := c.deepest
	c.deepest = c.depth
	n, err := c.query(q, s)
	weight := (c.deepest - c.depth) / light
	c.deepest = max(c.deepest, outer)
	if err != nil || weight == 0 {
		return n, err
	}
	h := heavy{n, weight}
	if one, ok := n.(single); ok {
		return heavyOne{h, one}, nil
	}
	return h, nil
}

// function compiles a definition in the scope that already holds its name.
func (c *compiler) function(fd *gojq.FuncDef, s *scope) (*funcDef, error) {
	def := &funcDef{name: fd.Name, params: fd.Args}
	return def, c.functionBody(def, fd, s)
}

func (c *compiler) functionBody(def *funcDef, fd *gojq.FuncDef, s *scope) (err error) {
	for _, p := range fd.Args {
		if p[0] == '$' {
			s = &scope{parent: s, name: p[1:]}
		}
		s = &scope{parent: s, name: p}
	}
	return c.inner(func() (err error) {
		def.body, err = c.callable(fd.Body, s)
		return err
	})
}

// call compiles the call of a function: of the program, of the
// built-ins in Go, of those in jq, in this order.
func (c *compiler) call(f *gojq.Func, s *scope) (node, error) {
	if hops, found := s.find(f.Name, len(f.Args)); found != nil {
		args, err := c.args(f.Args, s)
		if err != nil {
			return nil, err
		}
		return call{hops: hops, args: args}, nil
	}
	args := make([]node, len(f.Args))
	for i, a := range f.Args {
		var err error
		if args[i], err = c.callable(a, s); err != nil {
			return nil, err
		}
	}
	name := fmt.Sprintf("%s/%d", f.Name, len(f.Args))
	if strings.HasSuffix(name, "sub/2") || strings.HasSuffix(name, "sub/3") {
		c.remark(name, args)
	}
	if build, ok := c.nodes[name]; ok {
		if n := build(c, args); n != nil {
			return n, nil
		}
	}
	c.remark(name, args)
	if fn, ok := nativeFuncs[name]; ok {
		return newNative(fn, args), nil
	}
	if fn := mathFunc(f.Name, len(f.Args)); fn != nil {
		return newNative(fn, args), nil
	}
	def, err := c.builtin(name)
	if err != nil {
		return nil, err
	}
	n := call{builtin: def}
	for _, a := range args {
		n.args = append(n.args, &funcDef{body: a})
	}
	return n, nil
}

// remark notes what differs from jq in a call of a built-in.
func (c *compiler) remark(name string, args []node) {
	switch name {
	case "localtime/0", "strflocaltime/1":
		c.prog.note("%s: local time is UTC", name)
	case "test/1", "test/2", "match/1", "match/2", "capture/1", "capture/2", "scan/1", "scan/2",
		"split/2", "splits/1", "splits/2", "sub/2", "sub/3", "gsub/2", "gsub/3":
		c.remarkPattern(args)
	}
}

func (c *compiler) remarkPattern(args []node) {
	pattern, ok := args[0].(constant)
	if !ok {
		return
	}
	if text, ok := pattern.v.(string); ok {
		if _, err := newExpression(text, matchFlags{}, c.prog.regexpTimeout); err != nil {
			c.prog.note("regular expression %q: %v", text, err)
		}
	}
}

func (c *compiler) variable(name string, s *scope) (node, error) {
	if hops, found := s.find(name, 0); found != nil {
		return variable{hops}, nil
	}
	switch name {
	case "$ENV":
		return constant{c.prog.environ}, nil
	case "$__loc__":
		o := newObject(2)
		o.set("file", "<top-level>")
		o.set("line", 1.0)
		return constant{o}, nil
	}
	return nil, fmt.Errorf("%s is not defined", name)
}

func (c *compiler) args(qs []*gojq.Query, s *scope) ([]*funcDef, error) {
	var defs []*funcDef
	for _, q := range qs {
		body, err := c.callable(q, s)
		if err != nil {
			return nil, err
		}
		defs = append(defs, &funcDef{body: body})
	}
	return defs, nil
}

// builtin compiles a function of builtinDefs, once per compiler: it may call
// itself.
func (c *compiler) builtin(name string) (*funcDef, error) {
	if def, ok := c.builtins[name]; ok {
		return def, nil
	}
	src, ok := builtinDefs[name]
	if !ok {
		return nil, fmt.Errorf("%s is not defined", name)
	}
	q, err := gojq.Parse(src + " .")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	fd := q.FuncDefs[0]
	def := &funcDef{name: fd.Name, params: fd.Args}
	c.builtins[name] = def
	if err := c.functionBody(def, fd, nil); err != nil {
		delete(c.builtins, name)
		return nil, err
	}
	return def, nil
}
