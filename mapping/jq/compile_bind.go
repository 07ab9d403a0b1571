package jq

import (
	"fmt"
	"strings"

	"github.com/itchyny/gojq"
)

// patterns compiles alternatives; every variable of any of them gets one slot.
// The scope is that in which the names are known.
func (c *compiler) patterns(alts []*gojq.Pattern, s *scope) (patterns, *scope) {
	names := &slots{}
	ps := patterns{}
	for _, a := range alts {
		ps.alts = append(ps.alts, c.pattern(a, s, names))
	}
	ps.slots = len(names.names)
	for _, name := range names.names {
		s = s.variable(name)
	}
	return ps, s
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

func (c *compiler) pattern(p *gojq.Pattern, s *scope, names *slots) *pattern {
	if p.Name != "" {
		return &pattern{slot: names.of(p.Name)}
	}
	out := &pattern{slot: -1}
	for _, sub := range p.Array {
		out.list = append(out.list, c.pattern(sub, s, names))
	}
	for _, o := range p.Object {
		m := patternMember{slot: -1}
		if strings.HasPrefix(o.Key, "$") {
			m.slot = names.of(o.Key)
		}
		m.key = c.key(strings.TrimPrefix(o.Key, "$"), o.KeyString, o.KeyQuery, s)
		if o.Val != nil {
			m.val = c.pattern(o.Val, s, names)
		}
		out.members = append(out.members, m)
	}
	return out
}

// key compiles the key of a member, of which a name, a string or an expression is
// given.
func (c *compiler) key(name string, str *gojq.String, q *gojq.Query, s *scope) node {
	if name != "" {
		return constant{name}
	}
	if str != nil {
		return c.str(str, formats["@text"], s)
	}
	return c.stringKey(c.query(q, s))
}

// stringKey refuses literal keys that are no strings, as jq does.
func (c *compiler) stringKey(key node) node {
	if k, ok := key.(constant); ok {
		if _, ok := k.v.(string); !ok {
			return c.fail("Object keys must be strings")
		}
	}
	return key
}

func (c *compiler) reduce(t *gojq.Reduce, s *scope) node {
	n := reduceNode{source: c.query(t.Query, s), start: c.query(t.Start, s)}
	var inner *scope
	n.ps, inner = c.patterns(t.Patterns, s)
	n.update = c.inner(func() node { return c.query(t.Update, inner) })
	return n
}

func (c *compiler) foreach(t *gojq.Foreach, s *scope) node {
	n := foreachNode{source: c.query(t.Query, s), start: c.query(t.Start, s)}
	var inner *scope
	n.ps, inner = c.patterns(t.Patterns, s)
	n.update = c.inner(func() node { return c.query(t.Update, inner) })
	n.extract = c.inner(func() node { return c.optional(t.Extract, inner, identity{}) })
	return n
}

func (c *compiler) object(o *gojq.Object, s *scope) node {
	var members []member
	for _, kv := range o.KeyVals {
		members = append(members, c.member(kv, s))
	}
	return newObjectNode(members)
}

func (c *compiler) member(kv *gojq.ObjectKeyVal, s *scope) (m member) {
	switch {
	case !strings.HasPrefix(kv.Key, "$"):
		m.key = c.key(kv.Key, kv.KeyString, kv.KeyQuery, s)
	case kv.Val == nil:
		return member{constant{kv.Key[1:]}, c.variable(kv.Key, s)}
	default: // {$a: 1} is {($a): 1}
		m.key = c.stringKey(c.variable(kv.Key, s))
	}
	if kv.Val == nil { // {"a"} is {"a": .a}
		return c.shorthand(m.key)
	}
	m.val = c.query(kv.Val, s)
	return m
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

func (c *compiler) definitions(q *gojq.Query, s *scope) node {
	fd := q.FuncDefs[0]
	s = &scope{parent: s, name: fd.Name, arity: len(fd.Args), params: fd.Args}
	def := &funcDef{params: fd.Args}
	c.functionBody(def, fd, s)
	rest := *q
	rest.FuncDefs = q.FuncDefs[1:]
	return defNode{def, c.query(&rest, s)}
}

// callable compiles what a call evaluates: the body of a function or an argument.
// Calls nest on the stack: one whose text nests deep counts for several.
func (c *compiler) callable(q *gojq.Query, s *scope) node {
	const light = 16
	outer := c.deepest
	c.deepest = c.depth
	n := c.query(q, s)
	weight := (c.deepest - c.depth) / light
	c.deepest = max(c.deepest, outer)
	if weight == 0 {
		return n
	}
	h := heavy{n, weight}
	if one, ok := n.(single); ok {
		return heavyOne{h, one}
	}
	return h
}

// functionBody compiles a definition in the scope that already holds its name.
func (c *compiler) functionBody(def *funcDef, fd *gojq.FuncDef, s *scope) {
	for _, p := range fd.Args {
		if p[0] == '$' {
			s = &scope{parent: s, name: p[1:]}
		}
		s = &scope{parent: s, name: p}
	}
	def.body = c.inner(func() node { return c.callable(fd.Body, s) })
}

// call compiles the call of a function: of the program, of the
// built-ins in Go, of those in jq, in this order.
func (c *compiler) call(f *gojq.Func, s *scope) node {
	args := make([]node, len(f.Args))
	for i, a := range f.Args {
		args[i] = c.callable(a, s)
	}
	if hops, found := s.find(f.Name, len(f.Args)); found != nil {
		return call{hops: hops, args: asFuncs(args)}
	}
	name := fmt.Sprintf("%s/%d", f.Name, len(f.Args))
	c.remark(name, args)
	if build, ok := c.nodes[name]; ok {
		if n := build(c, args); n != nil {
			return n
		}
	}
	if fn, ok := nativeFuncs[name]; ok {
		return newNative(fn, args)
	}
	if fn := mathFunc(f.Name, len(f.Args)); fn != nil {
		return newNative(fn, args)
	}
	return call{builtin: c.builtin(name), args: asFuncs(args)}
}

func asFuncs(args []node) []*funcDef {
	var defs []*funcDef
	for _, a := range args {
		defs = append(defs, &funcDef{body: a})
	}
	return defs
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

func (c *compiler) variable(name string, s *scope) node {
	if hops, found := s.find(name, 0); found != nil {
		return variable{hops}
	}
	switch name {
	case "$ENV":
		return constant{c.prog.environ}
	case "$__loc__":
		o := newObject(2)
		o.set("file", "<top-level>")
		o.set("line", 1.0)
		return constant{o}
	}
	return c.fail("%s is not defined", name)
}

// builtin compiles a function of builtinDefs, once per compiler: it may call
// itself.
func (c *compiler) builtin(name string) *funcDef {
	if def, ok := c.builtins[name]; ok {
		return def
	}
	q, err := gojq.Parse(builtinDefs[name] + " .")
	if builtinDefs[name] == "" || err != nil {
		c.fail("%s is not defined", name)
		return nil
	}
	fd := q.FuncDefs[0]
	def := &funcDef{params: fd.Args}
	c.builtins[name] = def
	c.functionBody(def, fd, nil)
	if c.err != nil {
		delete(c.builtins, name)
	}
	return def
}
