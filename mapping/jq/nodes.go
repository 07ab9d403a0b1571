package jq

// Nodes for the plain parts of the language: values, pipes, conditions.

type identity struct{}

func (n identity) eval(_ *run, _ *env, in any, out func(any) error) error { return out(in) }
func (n identity) one(_ *run, _ *env, in any) (any, error)                { return in, nil }
func (n identity) paths(_ *run, _ *env, in place, out func(place) error) error {
	return out(in)
}

type constant struct{ v any }

func (n constant) eval(_ *run, _ *env, _ any, out func(any) error) error { return out(n.v) }

//nolint:unparam // the signature is that of the interface single
func (n constant) one(*run, *env, any) (any, error) { return n.v, nil }

type empty struct{}

func (empty) eval(*run, *env, any, func(any) error) error      { return nil }
func (empty) paths(*run, *env, place, func(place) error) error { return nil }

// raise is error/0 and error/1.
type raise struct{ msg node }

func (n raise) eval(r *run, e *env, in any, _ func(any) error) error {
	return n.msg.eval(r, e, in, func(v any) error { return &Error{Value: v} })
}

func (n raise) paths(r *run, e *env, in place, _ func(place) error) error {
	return n.eval(r, e, in.val, nil)
}

type pipe struct{ left, right node }

func newPipe(l, r node) node {
	if singles(l, r) {
		return pipeOne{l.(single), r.(single)}
	}
	return pipe{l, r}
}

func (n pipe) eval(r *run, e *env, in any, out func(any) error) error {
	if l, ok := n.left.(single); ok {
		v, err := l.one(r, e, in)
		if err != nil {
			return err
		}
		return n.right.eval(r, e, v, out)
	}
	return n.left.eval(r, e, in, func(v any) error { return n.right.eval(r, e, v, out) })
}

func (n pipe) paths(r *run, e *env, in place, out func(place) error) error {
	return evalPaths(n.left, r, e, in, func(p place) error { return evalPaths(n.right, r, e, p, out) })
}

type pipeOne struct{ left, right single }

func (n pipeOne) one(r *run, e *env, in any) (any, error) {
	v, err := n.left.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return n.right.one(r, e, v)
}

func (n pipeOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}

func (n pipeOne) paths(r *run, e *env, in place, out func(place) error) error {
	return pipe{n.left, n.right}.paths(r, e, in, out)
}

type comma struct{ left, right node }

func (n comma) eval(r *run, e *env, in any, out func(any) error) error {
	if err := r.tick(); err != nil {
		return err
	}
	if err := n.left.eval(r, e, in, out); err != nil {
		return err
	}
	return n.right.eval(r, e, in, out)
}

func (n comma) paths(r *run, e *env, in place, out func(place) error) error {
	if err := r.tick(); err != nil {
		return err
	}
	if err := evalPaths(n.left, r, e, in, out); err != nil {
		return err
	}
	return evalPaths(n.right, r, e, in, out)
}

// logic is `and` and `or`.
type logic struct {
	left, right node
	or          bool
}

func (n logic) eval(r *run, e *env, in any, out func(any) error) error {
	return n.left.eval(r, e, in, func(l any) error {
		if truthy(l) == n.or {
			return out(n.or)
		}
		return n.right.eval(r, e, in, func(v any) error { return out(truthy(v)) })
	})
}

type logicOne struct {
	left, right single
	or          bool
}

func (n logicOne) one(r *run, e *env, in any) (any, error) {
	l, err := n.left.one(r, e, in)
	if err != nil || truthy(l) == n.or {
		return n.or, err
	}
	v, err := n.right.one(r, e, in)
	return truthy(v), err
}

func (n logicOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}

// alternative is `//`: the true outputs of left, else those of right. Errors of
// left are not caught, as in the jq we follow.
type alternative struct{ left, right node }

func newAlternative(l, r node) node {
	if singles(l, r) {
		return alternativeOne{l.(single), r.(single)}
	}
	return alternative{l, r}
}

func (n alternative) eval(r *run, e *env, in any, out func(any) error) error {
	found := false
	err := n.left.eval(r, e, in, func(v any) error {
		if !truthy(v) {
			return nil
		}
		found = true
		return out(v)
	})
	if err != nil || found {
		return err
	}
	return n.right.eval(r, e, in, out)
}

func (n alternative) paths(r *run, e *env, in place, out func(place) error) error {
	found := false
	err := evalPaths(n.left, r, e, in, func(p place) error {
		if !truthy(p.val) {
			return nil
		}
		found = true
		return out(p)
	})
	if err != nil || found {
		return err
	}
	return evalPaths(n.right, r, e, in, out)
}

type alternativeOne struct{ left, right single }

func (n alternativeOne) one(r *run, e *env, in any) (any, error) {
	v, err := n.left.one(r, e, in)
	if err != nil || truthy(v) {
		return v, err
	}
	return n.right.one(r, e, in)
}

func (n alternativeOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}

func (n alternativeOne) paths(r *run, e *env, in place, out func(place) error) error {
	return alternative{n.left, n.right}.paths(r, e, in, out)
}

type ifElse struct{ cond, then, otherwise node }

func newIf(cond, then, otherwise node) node {
	if singles(cond, then, otherwise) {
		return ifOne{cond.(single), then.(single), otherwise.(single)}
	}
	return ifElse{cond, then, otherwise}
}

func (n ifElse) branch(c any) node {
	if truthy(c) {
		return n.then
	}
	return n.otherwise
}

func (n ifElse) eval(r *run, e *env, in any, out func(any) error) error {
	if c, ok := n.cond.(single); ok {
		v, err := c.one(r, e, in)
		if err != nil {
			return err
		}
		return n.branch(v).eval(r, e, in, out)
	}
	return n.cond.eval(r, e, in, func(c any) error { return n.branch(c).eval(r, e, in, out) })
}

func (n ifElse) paths(r *run, e *env, in place, out func(place) error) error {
	return n.cond.eval(r, e, in.val, func(c any) error { return evalPaths(n.branch(c), r, e, in, out) })
}

type ifOne struct{ cond, then, otherwise single }

func (n ifOne) one(r *run, e *env, in any) (any, error) {
	c, err := n.cond.one(r, e, in)
	if err != nil {
		return nil, err
	}
	if truthy(c) {
		return n.then.one(r, e, in)
	}
	return n.otherwise.one(r, e, in)
}

func (n ifOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}

func (n ifOne) paths(r *run, e *env, in place, out func(place) error) error {
	return ifElse{n.cond, n.then, n.otherwise}.paths(r, e, in, out)
}

// try is `try body catch handler` and `body?`.
type try struct{ body, handler node }

func (n try) eval(r *run, e *env, in any, out func(any) error) error {
	depth := r.depth
	own, down := guard(func(yield func(any) error) error { return n.body.eval(r, e, in, yield) }, out)
	if down != nil {
		return down
	}
	return n.caught(r, own, depth, func(v any) error { return n.handler.eval(r, e, v, out) })
}

func (n try) paths(r *run, e *env, in place, out func(place) error) error {
	depth := r.depth
	var down error
	own := evalPaths(n.body, r, e, in, func(p place) error {
		if down = out(p); down != nil {
			return errDown
		}
		return nil
	})
	if down != nil {
		return down
	}
	return n.caught(r, own, depth, func(v any) error { return evalPaths(n.handler, r, e, place{val: v}, out) })
}

func (n try) caught(r *run, err error, depth int, handle func(any) error) error {
	raised, ok := err.(*Error) //nolint:errorlint // never wrapped
	if !ok {
		return err
	}
	r.depth = depth
	if n.handler == nil {
		return nil
	}
	return handle(raised.Value)
}

// collect is `[…]`.
type collect struct{ body node }

func (n collect) one(r *run, e *env, in any) (any, error) {
	var list []any
	err := n.body.eval(r, e, in, func(v any) error {
		list = append(list, v)
		return r.growArray(len(list), 1, 0)
	})
	if err == nil {
		err = r.grow(32) // the list itself
	}
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []any{}
	}
	return list, nil
}

func (n collect) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}
