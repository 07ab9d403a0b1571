package jq

// Nodes for the plain parts of the language: values, pipes, conditions.

type identity struct{}

func (n identity) one(_ *run, _ *env, in any) (any, error)                    { return in, nil }
func (n identity) eval(_ *run, _ *env, in place, out func(place) error) error { return out(in) }

type constant struct{ v any }

//nolint:unparam // the signature is that of the interface single
func (n constant) one(*run, *env, any) (any, error) { return n.v, nil }

type empty struct{}

func (empty) eval(*run, *env, place, func(place) error) error { return nil }

// raise is error/0 and error/1.
type raise struct{ msg node }

func (n raise) eval(r *run, e *env, in place, _ func(place) error) error {
	return eval(n.msg, r, e, in.plain(), func(p place) error { return &Error{Value: p.val} })
}

type pipe struct{ left, right node }

type pipeOne struct {
	pipe
	left, right single
}

func newPipe(l, r node) node {
	if singles(l, r) {
		return pipeOne{pipe{l, r}, l.(single), r.(single)}
	}
	return pipe{l, r}
}

func (n pipe) eval(r *run, e *env, in place, out func(place) error) error {
	if l, ok := n.left.(single); ok && in.path == nil {
		v, err := l.one(r, e, in.val)
		if err != nil {
			return err
		}
		return eval(n.right, r, e, place{val: v}, out)
	}
	return eval(n.left, r, e, in, func(p place) error { return eval(n.right, r, e, p, out) })
}

func (n pipeOne) one(r *run, e *env, in any) (any, error) {
	v, err := n.left.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return n.right.one(r, e, v)
}

type comma struct{ left, right node }

func (n comma) eval(r *run, e *env, in place, out func(place) error) error {
	if err := r.tick(); err != nil {
		return err
	}
	if err := eval(n.left, r, e, in, out); err != nil {
		return err
	}
	return eval(n.right, r, e, in, out)
}

// logic is `and` and `or`.
type logic struct {
	left, right node
	or          bool
}

func (n logic) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.left, r, e, in.plain(), func(l place) error {
		if truthy(l.val) == n.or {
			return out(in.with(n.or))
		}
		return eval(n.right, r, e, in.plain(), func(p place) error { return out(in.with(truthy(p.val))) })
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

// alternative is `//`: the true outputs of left, else those of right. Errors of
// left are not caught, as in the jq we follow.
type alternative struct{ left, right node }

type alternativeOne struct {
	alternative
	left, right single
}

func newAlternative(l, r node) node {
	if singles(l, r) {
		return alternativeOne{alternative{l, r}, l.(single), r.(single)}
	}
	return alternative{l, r}
}

func (n alternative) eval(r *run, e *env, in place, out func(place) error) error {
	found := false
	err := eval(n.left, r, e, in, func(p place) error {
		if !truthy(p.val) {
			return nil
		}
		found = true
		return out(p)
	})
	if err != nil || found {
		return err
	}
	return eval(n.right, r, e, in, out)
}

func (n alternativeOne) one(r *run, e *env, in any) (any, error) {
	v, err := n.left.one(r, e, in)
	if err != nil || truthy(v) {
		return v, err
	}
	return n.right.one(r, e, in)
}

type ifElse struct{ cond, then, otherwise node }

type ifOne struct {
	ifElse
	cond, then, otherwise single
}

func newIf(cond, then, otherwise node) node {
	n := ifElse{cond, then, otherwise}
	if singles(cond, then, otherwise) {
		return ifOne{n, cond.(single), then.(single), otherwise.(single)}
	}
	return n
}

func (n ifElse) branch(c any) node {
	if truthy(c) {
		return n.then
	}
	return n.otherwise
}

func (n ifElse) eval(r *run, e *env, in place, out func(place) error) error {
	if c, ok := n.cond.(single); ok {
		v, err := c.one(r, e, in.val)
		if err != nil {
			return err
		}
		return eval(n.branch(v), r, e, in, out)
	}
	return eval(n.cond, r, e, in.plain(), func(c place) error { return eval(n.branch(c.val), r, e, in, out) })
}

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

// try is `try body catch handler` and `body?`.
type try struct{ body, handler node }

func (n try) eval(r *run, e *env, in place, out func(place) error) error {
	depth := r.depth
	own, down := guard(func(yield func(place) error) error { return eval(n.body, r, e, in, yield) }, out)
	if down != nil {
		return down
	}
	raised, ok := own.(*Error) //nolint:errorlint // never wrapped
	if !ok {
		return own
	}
	r.depth = depth
	if n.handler == nil {
		return nil
	}
	return eval(n.handler, r, e, in.other(raised.Value), out)
}

// collect is `[…]`.
type collect struct{ body node }

func (n collect) one(r *run, e *env, in any) (any, error) {
	var list []any
	err := eval(n.body, r, e, place{val: in}, func(p place) error {
		list = append(list, p.val)
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
