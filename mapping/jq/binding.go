package jq

// Nodes that bind names: as, reduce, foreach, label.

// variable is `$name`.
type variable struct{ hops int }

//nolint:unparam // the signature is that of the interface single
func (n variable) one(_ *run, e *env, _ any) (any, error) { return e.up(n.hops).val, nil }

// A pattern is the left side of a binding: a variable, or a list or object of
// patterns. Variables are numbered by slot.
type pattern struct {
	slot    int // of the variable; -1: none
	list    []*pattern
	members []patternMember
}

type patternMember struct {
	slot int // of `$name: …`; -1: none
	key  node
	val  *pattern // nil: only the variable
}

// bind fills slots with what the pattern finds in v and calls next for each way
// to do so.
func (p *pattern) bind(r *run, e *env, in, v any, slots []any, next func() error) error {
	if p.slot >= 0 {
		slots[p.slot] = v
		return next()
	}
	if p.list != nil {
		return p.bindList(r, e, in, v, slots, 0, next)
	}
	return p.bindMembers(r, e, in, v, slots, 0, next)
}

func (p *pattern) bindList(r *run, e *env, in, v any, slots []any, i int, next func() error) error {
	if i == len(p.list) {
		return next()
	}
	sub, err := getIndex(r, v, float64(i))
	if err != nil {
		return err
	}
	return p.list[i].bind(r, e, in, sub, slots, func() error {
		return p.bindList(r, e, in, v, slots, i+1, next)
	})
}

func (p *pattern) bindMembers(r *run, e *env, in, v any, slots []any, i int, next func() error) error {
	if i == len(p.members) {
		return next()
	}
	m := p.members[i]
	rest := func() error { return p.bindMembers(r, e, in, v, slots, i+1, next) }
	return eval(m.key, r, e, place{val: in}, func(k place) error {
		if _, ok := k.val.(string); !ok {
			return errorf("Cannot index %s with %s", typeName(v), typeName(k.val))
		}
		sub, err := getIndex(r, v, k.val)
		if err != nil {
			return err
		}
		if m.slot >= 0 {
			slots[m.slot] = sub
		}
		if m.val == nil {
			return rest()
		}
		return m.val.bind(r, e, in, sub, slots, rest)
	})
}

// patterns are the alternatives of a binding, tried in turn (`?//`).
type patterns struct {
	alts  []*pattern
	slots int
}

// bind calls next with an env that has a cell for each slot.
func (ps patterns) bind(r *run, e *env, in, v any, next func(*env) error) error {
	if len(ps.alts) == 1 && ps.alts[0].slot >= 0 {
		return next(&env{parent: e, val: v})
	}
	var err error
	for i, p := range ps.alts {
		slots := make([]any, ps.slots)
		err = p.bind(r, e, in, v, slots, func() error {
			inner := e
			for _, val := range slots {
				inner = &env{parent: inner, val: val}
			}
			return next(inner)
		})
		if _, caught := err.(*Error); !caught || i == len(ps.alts)-1 { //nolint:errorlint // never wrapped
			return err
		}
	}
	return err
}

// bindNode is `source as $x | body`.
type bindNode struct {
	source node
	ps     patterns
	body   node
}

func (n bindNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.source, r, e, in.plain(), func(v place) error {
		return n.shield(out, func(out func(place) error) error {
			return n.ps.bind(r, e, in.val, v.val, func(e *env) error { return eval(n.body, r, e, in, out) })
		})
	})
}

// shield keeps errors of the receiver from being taken for those of an
// alternative pattern.
func (n bindNode) shield(out func(place) error, gen func(func(place) error) error) error {
	if len(n.ps.alts) == 1 {
		return gen(out)
	}
	own, down := guard(gen, out)
	if down != nil {
		return down
	}
	return own
}

// bindOne is `source as $x | body` with one output.
type bindOne struct {
	bindNode
	source, body single
}

func newBind(source node, ps patterns, body node) node {
	n := bindNode{source, ps, body}
	if len(ps.alts) == 1 && ps.alts[0].slot >= 0 && singles(source, body) {
		return bindOne{n, source.(single), body.(single)}
	}
	return n
}

func (n bindOne) one(r *run, e *env, in any) (any, error) {
	v, err := n.source.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return n.body.one(r, &env{parent: e, val: v}, in)
}

// reduceNode is `reduce source as $x (start; update)`: the last output of
// update is the next state, none is null.
type reduceNode struct {
	source        node
	ps            patterns
	start, update node
}

func (n reduceNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.start, r, e, in, func(state place) error {
		err := eval(n.source, r, e, in.plain(), func(v place) error {
			return n.ps.bind(r, e, in.val, v.val, func(e *env) error {
				last := in.other(nil)
				err := eval(n.update, r, e, state, func(p place) error { last = p; return r.tick() })
				state = last
				return err
			})
		})
		if err != nil {
			return err
		}
		return out(state)
	})
}

// foreachNode is `foreach source as $x (start; update; extract)`.
type foreachNode struct {
	source                 node
	ps                     patterns
	start, update, extract node
}

func (n foreachNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.start, r, e, in, func(state place) error {
		return eval(n.source, r, e, in.plain(), func(v place) error {
			return n.ps.bind(r, e, in.val, v.val, func(e *env) error {
				return eval(n.update, r, e, state, func(p place) error {
					state = p
					return eval(n.extract, r, e, p, out)
				})
			})
		})
	})
}

// labelNode is `label $name | body`.
type labelNode struct{ body node }

func (n labelNode) eval(r *run, e *env, in place, out func(place) error) error {
	cell := &env{parent: e}
	err := eval(n.body, r, cell, in, out)
	if b, ok := err.(*breakError); ok && b.label == cell { //nolint:errorlint // never wrapped
		return nil
	}
	return err
}

type breakNode struct{ hops int }

func (n breakNode) eval(_ *run, e *env, _ place, _ func(place) error) error {
	return &breakError{e.up(n.hops)}
}
