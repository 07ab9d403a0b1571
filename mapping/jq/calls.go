package jq

// Functions defined in jq, and their calls.

// A funcDef is a function defined in jq.
type funcDef struct {
	params []string // `$x` parameters are bound as value and as function
	body   node
}

// defNode is `def …; body`.
type defNode struct {
	def  *funcDef
	body node
}

func (n defNode) eval(r *run, e *env, in place, out func(place) error) error {
	cell := &env{parent: e}
	cell.fn = &closure{n.def, cell}
	return eval(n.body, r, cell, in, out)
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

func (n call) eval(r *run, e *env, in place, out func(place) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	c := n.target(e)
	err := n.bind(r, c, e, in.val, c.env, 0, func(inner *env) error { return eval(c.def.body, r, inner, in, out) })
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
	return eval(n.args[i].body, r, caller, place{val: in}, func(v place) error {
		return n.bind(r, c, caller, in, &env{parent: inner, val: v.val}, i+1, next)
	})
}

// heavy is an expression that counts for more than the call that evaluates it.
type heavy struct {
	body   node
	weight int
}

func (n heavy) eval(r *run, e *env, in place, out func(place) error) error {
	err := r.nest(n.weight)
	if err == nil {
		err = eval(n.body, r, e, in, out)
	}
	r.depth -= n.weight
	return err
}

type heavyOne struct {
	heavy
	body single
}

func (n heavyOne) one(r *run, e *env, in any) (v any, err error) {
	if err = r.nest(n.weight); err == nil {
		v, err = n.body.one(r, e, in)
	}
	r.depth -= n.weight
	return v, err
}
