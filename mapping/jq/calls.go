package jq

// Functions defined in jq, and their calls.

// A funcDef is a function defined in jq.
type funcDef struct {
	name   string
	params []string // `$x` parameters are bound as value and as function
	body   node
}

// defNode is `def …; body`.
type defNode struct {
	def  *funcDef
	body node
}

func (n defNode) bind(e *env) *env {
	cell := &env{parent: e}
	cell.fn = &closure{n.def, cell}
	return cell
}

func (n defNode) eval(r *run, e *env, in any, out func(any) error) error {
	return n.body.eval(r, n.bind(e), in, out)
}

func (n defNode) paths(r *run, e *env, in place, out func(place) error) error {
	return evalPaths(n.body, r, n.bind(e), in, out)
}

// call calls a function defined in jq: one in scope, hops away, or a built-in.
type call struct {
	hops    int
	builtin *funcDef
	args    []*funcDef
}

func (n call) target(e *env) *closure {
	if n.builtin != nil {
		return &closure{def: n.builtin}
	}
	return e.up(n.hops).fn
}

func (n call) eval(r *run, e *env, in any, out func(any) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	c := n.target(e)
	err := n.bind(r, c, e, in, c.env, 0, func(inner *env) error { return c.def.body.eval(r, inner, in, out) })
	r.leave()
	return err
}

func (n call) paths(r *run, e *env, in place, out func(place) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	c := n.target(e)
	err := n.bind(r, c, e, in.val, c.env, 0, func(inner *env) error { return evalPaths(c.def.body, r, inner, in, out) })
	r.leave()
	return err
}

// bind adds a cell for each parameter to inner; `$x` ones loop over the outputs
// of their argument and are callable as well.
func (n call) bind(r *run, c *closure, caller *env, in any, inner *env, i int, next func(*env) error) error {
	if i == len(n.args) {
		return next(inner)
	}
	inner = &env{parent: inner, fn: &closure{n.args[i], caller}}
	if c.def.params[i][0] != '$' {
		return n.bind(r, c, caller, in, inner, i+1, next)
	}
	return n.args[i].body.eval(r, caller, in, func(v any) error {
		return n.bind(r, c, caller, in, &env{parent: inner, val: v}, i+1, next)
	})
}

// heavy is an expression that counts for more than the call that evaluates it.
type heavy struct {
	body   node
	weight int
}

func (n heavy) eval(r *run, e *env, in any, out func(any) error) error {
	err := r.nest(n.weight)
	if err == nil {
		err = n.body.eval(r, e, in, out)
	}
	r.depth -= n.weight
	return err
}

func (n heavy) paths(r *run, e *env, in place, out func(place) error) error {
	err := r.nest(n.weight)
	if err == nil {
		err = evalPaths(n.body, r, e, in, out)
	}
	r.depth -= n.weight
	return err
}

type heavyOne struct {
	body   single
	weight int
}

func (n heavyOne) one(r *run, e *env, in any) (v any, err error) {
	if err = r.nest(n.weight); err == nil {
		v, err = n.body.one(r, e, in)
	}
	r.depth -= n.weight
	return v, err
}

func (n heavyOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
}

func (n heavyOne) paths(r *run, e *env, in place, out func(place) error) error {
	return heavy{n.body, n.weight}.paths(r, e, in, out)
}
