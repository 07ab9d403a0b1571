package jq

// Nodes that bind names: as, reduce, foreach, label.

// variable is `$name`.
type variable struct{ hops int }

//nolint:unparam // the signature is that of the interface single
func (n variable) one(_ *run, e *env, _ any) (any, error) { return e.up(n.hops).val, nil }

func (n variable) eval(_ *run, e *env, _ any, out func(any) error) error {
	return out(e.up(n.hops).val)
}

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
	return m.key.eval(r, e, in, func(k any) error {
		if _, ok := k.(string); !ok {
			return errorf("Cannot index %s with %s", typeName(v), typeName(k))
		}
		sub, err := getIndex(r, v, k)
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

func (n bindNode) eval(r *run, e *env, in any, out func(any) error) error {
	return n.source.eval(r, e, in, func(v any) error {
		return n.shield(out, func(out func(any) error) error {
			return n.ps.bind(r, e, in, v, func(e *env) error { return n.body.eval(r, e, in, out) })
		})
	})
}

// shield keeps errors of the receiver from being taken for those of an
// alternative pattern.
func (n bindNode) shield(out func(any) error, gen func(func(any) error) error) error {
	if len(n.ps.alts) == 1 {
		return gen(out)
	}
	own, down := guard(gen, out)
	if down != nil {
		return down
	}
	return own
}

func (n bindNode) paths(r *run, e *env, in place, out func(place) error) error {
	return n.source.eval(r, e, in.val, func(v any) error {
		return n.ps.bind(r, e, in.val, v, func(e *env) error { return evalPaths(n.body, r, e, in, out) })
	})
}

// bindOne is `source as $x | body` with one output.
type bindOne struct{ source, body single }

func newBind(source node, ps patterns, body node) node {
	if len(ps.alts) == 1 && ps.alts[0].slot >= 0 && singles(source, body) {
		return bindOne{source.(single), body.(single)}
	}
	return bindNode{source, ps, body}
}

func (n bindOne) one(r *run, e *env, in any) (any, error) {
	v, err := n.source.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return n.body.one(r, &env{parent: e, val: v}, in)
}

func (n bindOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}

func (n bindOne) paths(r *run, e *env, in place, out func(place) error) error {
	v, err := n.source.one(r, e, in.val)
	if err != nil {
		return err
	}
	return evalPaths(n.body, r, &env{parent: e, val: v}, in, out)
}

// reduceNode is `reduce source as $x (start; update)`: the last output of
// update is the next state, none is null.
type reduceNode struct {
	source        node
	ps            patterns
	start, update node
}

func (n reduceNode) eval(r *run, e *env, in any, out func(any) error) error {
	return n.start.eval(r, e, in, func(state any) error {
		err := n.source.eval(r, e, in, func(v any) error {
			return n.ps.bind(r, e, in, v, func(e *env) error {
				var last any
				err := n.update.eval(r, e, state, func(v any) error { last = v; return r.tick() })
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

func (n reduceNode) paths(r *run, e *env, in place, out func(place) error) error {
	return evalPaths(n.start, r, e, in, func(state place) error {
		err := n.source.eval(r, e, in.val, func(v any) error {
			return n.ps.bind(r, e, in.val, v, func(e *env) error {
				last := place{}
				err := evalPaths(n.update, r, e, state, func(p place) error { last = p; return r.tick() })
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

func (n foreachNode) eval(r *run, e *env, in any, out func(any) error) error {
	return n.start.eval(r, e, in, func(state any) error {
		return n.source.eval(r, e, in, func(v any) error {
			return n.ps.bind(r, e, in, v, func(e *env) error {
				return n.update.eval(r, e, state, func(v any) error {
					state = v
					return n.extract.eval(r, e, v, out)
				})
			})
		})
	})
}

func (n foreachNode) paths(r *run, e *env, in place, out func(place) error) error {
	return evalPaths(n.start, r, e, in, func(state place) error {
		return n.source.eval(r, e, in.val, func(v any) error {
			return n.ps.bind(r, e, in.val, v, func(e *env) error {
				return evalPaths(n.update, r, e, state, func(p place) error {
					state = p
					return evalPaths(n.extract, r, e, p, out)
				})
			})
		})
	})
}

// labelNode is `label $name | body`.
type labelNode struct{ body node }

func (n labelNode) eval(r *run, e *env, in any, out func(any) error) error {
	cell := &env{parent: e}
	return cell.landed(n.body.eval(r, cell, in, out))
}

func (n labelNode) paths(r *run, e *env, in place, out func(place) error) error {
	cell := &env{parent: e}
	return cell.landed(evalPaths(n.body, r, cell, in, out))
}

func (e *env) landed(err error) error {
	if b, ok := err.(*breakError); ok && b.label == e { //nolint:errorlint // never wrapped
		return nil
	}
	return err
}

type breakNode struct{ hops int }

func (n breakNode) eval(_ *run, e *env, _ any, _ func(any) error) error {
	return &breakError{e.up(n.hops)}
}

func (n breakNode) paths(_ *run, e *env, _ place, _ func(place) error) error {
	return &breakError{e.up(n.hops)}
}
