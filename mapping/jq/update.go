package jq

import (
	"math"
	"slices"
)

// pathNode is path/1.
type pathNode struct{ body node }

func (n pathNode) eval(r *run, e *env, in any, out func(any) error) error {
	return eachPath(r, e, n.body, in, func(p place) error { return out(p.path.keys()) })
}

// eachPath calls out for every place of body; computed values are an error.
func eachPath(r *run, e *env, body node, in any, out func(place) error) error {
	return evalPaths(body, r, e, place{val: in, ok: true}, func(p place) error {
		if !p.ok {
			return errorf("Invalid path expression with result %s", AppendText(nil, p.val))
		}
		return out(p)
	})
}

// getpathNode is getpath/1, which also works inside path expressions.
type getpathNode struct{ arg node }

func (n getpathNode) eval(r *run, e *env, in any, out func(any) error) error {
	return n.arg.eval(r, e, in, func(path any) error {
		v, err := getPath(in, path)
		if err != nil {
			return err
		}
		return out(v)
	})
}

func getPath(v, path any) (any, error) {
	keys, ok := path.([]any)
	if !ok {
		return nil, errorf("Path must be specified as an array")
	}
	for _, k := range keys {
		if v == nil {
			return nil, nil
		}
		var err error
		if v, err = getIndex(v, k); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (n getpathNode) paths(r *run, e *env, in place, out func(place) error) error {
	return n.arg.eval(r, e, in.val, func(path any) error {
		v, err := getPath(in.val, path)
		if err != nil {
			return err
		}
		if !in.ok {
			return errorf("Invalid path expression near attempt to access %s", AppendText(nil, in.val))
		}
		p := place{path: in.path, val: v, ok: true}
		for _, k := range path.([]any) {
			p.path = &step{p.path, k}
		}
		return out(p)
	})
}

// setPath returns a copy of v in which the value at keys is val.
func setPath(r *run, v any, keys []any, val any) (any, error) {
	if len(keys) == 0 {
		return val, nil
	}
	if err := r.tick(); err != nil {
		return nil, err
	}
	old, err := getIndex(v, keys[0])
	if err != nil {
		return nil, err
	}
	sub, err := setPath(r, old, keys[1:], val)
	if err != nil {
		return nil, err
	}
	return setIndex(r, v, keys[0], sub)
}

func setIndex(r *run, v, key, val any) (any, error) {
	switch k := key.(type) {
	case string:
		o, _ := v.(*Object)
		if o == nil {
			o = &Object{}
		}
		return o.with(k, val), r.growArray(o.Len(), 1+o.Len()/16)
	case float64, *Number:
		list, _ := v.([]any)
		return setElement(r, list, toFloat(k), val)
	case *Object:
		return setSlice(r, v, k, val)
	}
	return nil, errorf("Cannot update field at %s index of %s", typeName(key), typeName(v))
}

func setElement(r *run, list []any, at float64, val any) (any, error) {
	i := math.Floor(at)
	if i < 0 {
		i += float64(len(list))
	}
	if i < 0 {
		return nil, errorf("Out of bounds negative array index")
	}
	if i >= maxArray || i != i {
		return nil, errorf("Array index too large")
	}
	n := max(len(list), int(i)+1)
	if err := r.growArray(n, n-len(list)+len(list)/16); err != nil {
		return nil, err
	}
	c := make([]any, n)
	copy(c, list)
	c[int(i)] = val
	return c, nil
}

func setSlice(r *run, v any, key *Object, val any) (any, error) {
	if _, ok := v.(string); ok {
		return nil, errorf("Cannot update string slices")
	}
	sub, ok := val.([]any)
	if !ok {
		return nil, errorf("A slice of an array can only be assigned another array")
	}
	list, _ := v.([]any)
	from, to, err := sliceBounds(key, len(list))
	if err != nil {
		return nil, err
	}
	n := len(list) - (to - from) + len(sub)
	return slices.Concat(list[:from], sub, list[to:]), r.growArray(n, len(sub)+len(list)/16)
}

// deletePaths removes the paths, longest and last first, so that positions stay
// valid.
func deletePaths(r *run, v any, paths []any) (any, error) {
	paths = slices.Clone(paths)
	slices.SortFunc(paths, compare)
	for _, p := range slices.Backward(paths) {
		keys, ok := p.([]any)
		if !ok {
			return nil, errorf("Path must be specified as an array")
		}
		var err error
		if v, err = deletePath(r, v, keys); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func deletePath(r *run, v any, keys []any) (any, error) {
	if len(keys) == 0 || v == nil {
		return nil, nil
	}
	if len(keys) == 1 {
		return deleteIndex(r, v, keys[0])
	}
	old, err := getIndex(v, keys[0])
	if err != nil || old == nil {
		return v, err
	}
	sub, err := deletePath(r, old, keys[1:])
	if err != nil {
		return nil, err
	}
	return setIndex(r, v, keys[0], sub)
}

func deleteIndex(r *run, v, key any) (any, error) {
	switch t := v.(type) {
	case *Object:
		if k, ok := key.(string); ok {
			return t.without(func(name string) bool { return name == k }), r.grow(t.Len())
		}
	case []any:
		switch k := key.(type) {
		case float64, *Number:
			i := math.Floor(toFloat(k))
			if i < 0 {
				i += float64(len(t))
			}
			if i >= 0 && i < float64(len(t)) {
				return slices.Concat(t[:int(i)], t[int(i)+1:]), r.grow(len(t))
			}
			return t, nil
		case *Object:
			from, to, err := sliceBounds(k, len(t))
			if err != nil {
				return nil, err
			}
			return slices.Concat(t[:from], t[to:]), r.grow(len(t))
		}
	}
	return nil, errorf("Cannot delete field at %s index of %s", typeName(key), typeName(v))
}

// assign is `left = right`.
type assign struct{ left, right node }

func (n assign) eval(r *run, e *env, in any, out func(any) error) error {
	return n.right.eval(r, e, in, func(val any) error {
		v := in
		err := eachPath(r, e, n.left, in, func(p place) (err error) {
			v, err = setPath(r, v, p.path.keys(), val)
			return err
		})
		if err != nil {
			return err
		}
		return out(v)
	})
}

// modify is `left |= right`: the first output of right, none deletes.
type modify struct{ left, right node }

func (n modify) eval(r *run, e *env, in any, out func(any) error) error {
	v, err := n.update(r, e, in)
	if err != nil {
		return err
	}
	return out(v)
}

func (n modify) update(r *run, e *env, in any) (any, error) {
	v := in
	gone := []any{}
	err := eachPath(r, e, n.left, in, func(p place) error {
		keys := p.path.keys()
		old, err := getPath(v, keys)
		if err != nil {
			return err
		}
		val, found, err := first(n.right, r, e, old)
		if err != nil {
			return err
		}
		if !found {
			gone = append(gone, keys)
			return nil
		}
		v, err = setPath(r, v, keys, val)
		return err
	})
	if err != nil || len(gone) == 0 {
		return v, err
	}
	return deletePaths(r, v, gone)
}

// first evaluates n until its first output.
func first(n node, r *run, e *env, in any) (v any, found bool, err error) {
	if s, ok := n.(single); ok {
		v, err = s.one(r, e, in)
		return v, err == nil, err
	}
	return firstOutput(n, r, e, in)
}

// firstOutput is a function of its own so that first needs no memory.
func firstOutput(n node, r *run, e *env, in any) (v any, found bool, err error) {
	stop := &breakError{&env{}} // its own value: generators nest
	err = n.eval(r, e, in, func(got any) error {
		v, found = got, true
		return stop
	})
	if err == error(stop) { //nolint:errorlint // identity is what is asked
		err = nil
	}
	return v, found, err
}

// modifyOp is `left op= right`.
type modifyOp struct {
	left, right node
	op          func(r *run, a, b any) (any, error)
}

func (n modifyOp) eval(r *run, e *env, in any, out func(any) error) error {
	return n.right.eval(r, e, in, func(b any) error {
		v := in
		err := eachPath(r, e, n.left, in, func(p place) error {
			keys := p.path.keys()
			a, err := getPath(v, keys)
			if err != nil {
				return err
			}
			if a, err = n.op(r, a, b); err != nil {
				return err
			}
			v, err = setPath(r, v, keys, a)
			return err
		})
		if err != nil {
			return err
		}
		return out(v)
	})
}

func orElse(_ *run, a, b any) (any, error) {
	if truthy(a) {
		return a, nil
	}
	return b, nil
}
