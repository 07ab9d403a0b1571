package jq

// Built-ins that take expressions and are written in Go because loops in jq
// would nest calls, or because mappings use them everywhere.

// selectNode is select/1.
type selectNode struct{ cond node }

func (n selectNode) eval(r *run, e *env, in place, out func(place) error) error {
	if c, ok := n.cond.(single); ok {
		v, err := c.one(r, e, in.val)
		if err != nil || !truthy(v) {
			return err
		}
		return out(in)
	}
	return eval(n.cond, r, e, in.plain(), func(c place) error {
		if truthy(c.val) {
			return out(in)
		}
		return nil
	})
}

// recurseNode is recurse/1.
type recurseNode struct{ next node }

func (n recurseNode) eval(r *run, e *env, in place, out func(place) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	err := out(in)
	if err == nil {
		err = eval(n.next, r, e, in, func(p place) error { return n.eval(r, e, p, out) })
	}
	r.leave()
	return err
}

// firstNode is first/1.
type firstNode struct{ body node }

func (n firstNode) eval(r *run, e *env, in place, out func(place) error) error {
	p, found, err := firstOutput(n.body, r, e, in)
	if err != nil || !found {
		return err
	}
	return out(p)
}

// lastNode is last/1.
type lastNode struct{ body node }

func (n lastNode) eval(r *run, e *env, in place, out func(place) error) error {
	var last place
	found := false
	err := eval(n.body, r, e, in, func(p place) error { last, found = p, true; return r.tick() })
	if err != nil || !found {
		return err
	}
	return out(last)
}

// untilNode is until/2 for conditions and updates of one output; others loop in jq.
type untilNode struct{ cond, next single }

func (n untilNode) one(r *run, e *env, in any) (any, error) {
	for {
		if err := r.tick(); err != nil {
			return nil, err
		}
		c, err := n.cond.one(r, e, in)
		if err != nil || truthy(c) {
			return in, err
		}
		if in, err = n.next.one(r, e, in); err != nil {
			return nil, err
		}
	}
}

// whileNode is while/2.
type whileNode struct{ cond, next single }

func (n whileNode) eval(r *run, e *env, in place, out func(place) error) error {
	for v := in.val; ; {
		if err := r.tick(); err != nil {
			return err
		}
		c, err := n.cond.one(r, e, v)
		if err != nil || !truthy(c) {
			return err
		}
		if err := out(in.with(v)); err != nil {
			return err
		}
		if v, err = n.next.one(r, e, v); err != nil {
			return err
		}
	}
}

// repeatNode is repeat/1: as in jq 1.8 the expression gets the same input each
// time.
type repeatNode struct{ body node }

func (n repeatNode) eval(r *run, e *env, in place, out func(place) error) error {
	for {
		if err := r.tick(); err != nil {
			return err
		}
		if err := eval(n.body, r, e, in, out); err != nil {
			return err
		}
	}
}

// rangeNode is range/3.
type rangeNode struct{ from, to, by node }

func (n rangeNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.from, r, e, in.plain(), func(from place) error {
		return eval(n.to, r, e, in.plain(), func(to place) error {
			return eval(n.by, r, e, in.plain(), func(by place) error {
				if !isNumber(from.val) || !isNumber(to.val) || !isNumber(by.val) {
					return errorf("Range bounds must be numeric")
				}
				return countTo(r, toFloat(from.val), toFloat(to.val), toFloat(by.val), func(v float64) error { return out(in.with(v)) })
			})
		})
	})
}

func countTo(r *run, from, to, by float64, out func(float64) error) error {
	for v := from; by > 0 && v < to || by < 0 && v > to; v += by {
		if err := r.tick(); err != nil {
			return err
		}
		if err := out(v); err != nil {
			return err
		}
	}
	return nil
}

// quantifier is any/2 and all/2.
type quantifier struct {
	gen, cond node
	all       bool
}

func (n quantifier) one(r *run, e *env, in any) (any, error) {
	_, found, err := first(pipe{n.gen, pipe{n.cond, testNode{n.all}}}, r, e, in)
	return found != n.all, err
}

// testNode lets pass what decides a quantifier.
type testNode struct{ all bool }

func (n testNode) eval(_ *run, _ *env, in place, out func(place) error) error {
	if truthy(in.val) == n.all {
		return nil
	}
	return out(in)
}

// mapNode is map/1.
func mapNode(f node) node { return collect{pipe{iterate{identity{}}, f}} }

// native calls a Go function with every combination of its arguments; the last
// one is the outer loop.
type native struct {
	fn   func(r *run, in any, args []any) (any, error)
	args []node
}

func newNative(fn func(*run, any, []any) (any, error), args []node) node {
	if singles(args...) {
		one := nativeOne{fn: fn}
		for _, a := range args {
			one.args = append(one.args, a.(single))
		}
		return one
	}
	return native{fn, args}
}

func (n native) eval(r *run, e *env, in place, out func(place) error) error {
	return n.from(r, e, in, make([]any, len(n.args)), len(n.args)-1, out)
}

func (n native) from(r *run, e *env, in place, vals []any, i int, out func(place) error) error {
	if i < 0 {
		if err := r.work(size(in.val)); err != nil {
			return err
		}
		v, err := n.fn(r, in.val, vals)
		if err != nil {
			return err
		}
		return out(in.with(v))
	}
	return eval(n.args[i], r, e, in.plain(), func(p place) error {
		vals[i] = p.val
		return n.from(r, e, in, vals, i-1, out)
	})
}

type nativeOne struct {
	fn   func(r *run, in any, args []any) (any, error)
	args []single
}

func (n nativeOne) one(r *run, e *env, in any) (any, error) {
	var room [3]any
	vals := room[:len(n.args)]
	for i := len(n.args) - 1; i >= 0; i-- {
		v, err := n.args[i].one(r, e, in)
		if err != nil {
			return nil, err
		}
		vals[i] = v
	}
	if err := r.work(size(in)); err != nil {
		return nil, err
	}
	return n.fn(r, in, vals)
}

// size is how many steps a function takes that goes through a value once.
func size(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)>>6
	case []any:
		return 1 + len(v)>>3
	case *Object:
		return 1 + v.Len()>>3
	}
	return 1
}
