package jq

// pathNode is path/1.
type pathNode struct{ body node }

func (n pathNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eachPath(r, e, n.body, in.val, func(p place) error {
		keys := p.path.keys()
		if err := r.growArray(0, len(keys)+2, 0); err != nil {
			return err
		}
		return out(in.with(keys))
	})
}

// eachPath calls out for every place of body; computed values are an error.
func eachPath(r *run, e *env, body node, in any, out func(place) error) error {
	return eval(body, r, e, place{in, new(step)}, func(p place) error {
		if p.path == computed {
			return errorf("Invalid path expression with result %s", shortText(p.val))
		}
		return out(p)
	})
}

// getpathNode is getpath/1, which also works inside path expressions.
type getpathNode struct{ arg node }

func (n getpathNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.arg, r, e, in.plain(), func(path place) error {
		v, err := getPath(r, in.val, path.val)
		switch {
		case err != nil:
			return err
		case in.path == nil:
			return out(place{val: v})
		case in.path == computed:
			return errorf("Invalid path expression near attempt to access %s", shortText(in.val))
		}
		p := place{v, in.path}
		for _, k := range path.val.([]any) {
			p.path = &step{p.path, k}
		}
		return out(p)
	})
}

func getPath(r *run, v, path any) (any, error) {
	keys, ok := path.([]any)
	if !ok {
		return nil, errorf("Path must be specified as an array")
	}
	if len(keys) > maxDepth {
		return nil, errorf("Path too deep")
	}
	for _, k := range keys {
		if v == nil {
			return nil, nil
		}
		var err error
		if v, err = getIndex(r, v, k); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// assign is `left = right`.
type assign struct{ left, right node }

func (n assign) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.right, r, e, in.plain(), func(val place) error {
		v := in.val
		u := &updater{r: r}
		err := eachPath(r, e, n.left, in.val, func(p place) (err error) {
			v, err = u.set(v, p.path.keys(), val.val)
			return err
		})
		if err != nil {
			return err
		}
		return out(in.with(v))
	})
}

// modify is `left |= right`: the first output of right, none deletes.
type modify struct{ left, right node }

func (n modify) one(r *run, e *env, in any) (any, error) {
	gone := []any{}
	v, err := updateEach(r, e, n.left, in, func(old any, keys []any) (any, bool, error) {
		val, found, err := first(n.right, r, e, old)
		if err == nil && !found {
			gone = append(gone, keys)
			err = r.growArray(len(gone), len(keys)+1, 0)
		}
		return val, found, err
	})
	if err != nil || len(gone) == 0 {
		return v, err
	}
	return deletePaths(r, v, gone)
}

// updateEach replaces the value at each path of left by what change makes of it.
func updateEach(r *run, e *env, left node, in any, change func(old any, keys []any) (any, bool, error)) (any, error) {
	v := in
	u := &updater{r: r}
	err := eachPath(r, e, left, in, func(p place) error {
		keys := p.path.keys()
		old, err := getPath(r, v, keys)
		if err != nil {
			return err
		}
		if u.owns(old, keys) { // change may keep it
			u = &updater{r: r}
		}
		val, found, err := change(old, keys)
		if err == nil && found {
			v, err = u.set(v, keys, val)
		}
		return err
	})
	return v, err
}

// first evaluates n until its first output.
func first(n node, r *run, e *env, in any) (v any, found bool, err error) {
	if s, ok := n.(single); ok {
		v, err = s.one(r, e, in)
		return v, err == nil, err
	}
	p, found, err := firstOutput(n, r, e, place{val: in})
	return p.val, found, err
}

// firstOutput is a function of its own so that first needs no memory.
func firstOutput(n node, r *run, e *env, in place) (p place, found bool, err error) {
	stop := &breakError{&env{}} // its own value: generators nest
	err = eval(n, r, e, in, func(got place) error {
		p, found = got, true
		return stop
	})
	if err == error(stop) { //nolint:errorlint // identity is what is asked
		err = nil
	}
	return p, found, err
}

// modifyOp is `left op= right`.
type modifyOp struct {
	left, right node
	op          func(r *run, a, b any) (any, error)
}

func (n modifyOp) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.right, r, e, in.plain(), func(b place) error {
		v, err := updateEach(r, e, n.left, in.val, func(a any, _ []any) (any, bool, error) {
			a, err := n.op(r, a, b.val)
			return a, true, err
		})
		if err != nil {
			return err
		}
		return out(in.with(v))
	})
}

func orElse(_ *run, a, b any) (any, error) {
	if truthy(a) {
		return a, nil
	}
	return b, nil
}
