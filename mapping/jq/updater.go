package jq

import "slices"

// An updater makes the changes of one update. What it has copied it writes to
// in place from then on, so that an update takes linear time.
type updater struct {
	r     *run
	lists map[*any]bool // that were copied, by their first element
	loose bool          // an object was copied that does not say so
}

// owns says that the updater has copied the value at keys, or might have copied
// a part of it: nobody else may keep that while it is still written to.
func (u *updater) owns(v any, keys []any) bool {
	for _, k := range keys {
		if _, ok := k.(*Object); ok { // a slice has the elements of its list
			return true
		}
	}
	switch v := v.(type) {
	case *Object:
		return u.loose || v.mine == u
	case []any:
		return u.loose || len(v) > 0 && u.lists[&v[0]]
	}
	return false
}

// set returns v with val at keys.
func (u *updater) set(v any, keys []any, val any) (any, error) {
	if len(keys) > maxDepth {
		return nil, errorf("Path too deep")
	}
	if len(keys) == 0 {
		return val, nil
	}
	if err := u.r.tick(); err != nil {
		return nil, err
	}
	old, err := getIndex(u.r, v, keys[0])
	if err != nil {
		return nil, err
	}
	sub, err := u.set(old, keys[1:], val)
	if err != nil {
		return nil, err
	}
	return u.put(v, keys[0], sub)
}

func (u *updater) put(v, key, val any) (any, error) {
	switch k := key.(type) {
	case string:
		o, _ := v.(*Object)
		return u.putField(o, k, val)
	case float64, *Number:
		list, _ := v.([]any)
		return u.putElement(list, toFloat(k), val)
	case *Object:
		return u.putSlice(v, k, val)
	}
	return nil, errorf("Cannot update field at %s index of %s", typeName(key), typeName(v))
}

func (u *updater) putField(o *Object, key string, val any) (any, error) {
	if o == nil {
		o = &Object{}
	}
	if o.mine == u {
		had := o.Len()
		o.put(key, val)
		return o, u.r.growArray(o.Len(), 2*(o.Len()-had), 0)
	}
	c, copied := o.with(key, val)
	if copied < o.Len() { // it shares values with o
		u.loose = true
	} else {
		c.mine = u
	}
	return c, u.r.growArray(c.Len(), 2, copied)
}

func (u *updater) putElement(list []any, at float64, val any) (any, error) {
	if at != at {
		return nil, errorf("Cannot set array element at NaN index")
	}
	i, ok := position(at, len(list))
	if !ok || i >= maxArray {
		if at < 0 {
			return nil, errorf("Out of bounds negative array index")
		}
		return nil, errorf("Array index too large")
	}
	had := len(list)
	n := max(had, i+1)
	copied := had
	own := had > 0 && u.lists[&list[0]]
	switch {
	case own && i < had:
		list[i] = val
		return list, nil
	case own && i == had:
		list, copied = append(list, val), 0
	default:
		list = append(make([]any, 0, n), list...)[:n]
		list[i] = val
	}
	if u.lists == nil {
		u.lists = map[*any]bool{}
	}
	u.lists[&list[0]] = true
	return list, u.r.growArray(n, n-had, copied)
}

func (u *updater) putSlice(v any, key *Object, val any) (any, error) {
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
	if err := u.r.growArray(n, len(sub), len(list)); err != nil {
		return nil, err
	}
	return slices.Concat(list[:from], sub, list[to:]), nil
}

// deletePaths removes the paths. As in jq they are sorted, and all that begin
// with the same keys are removed together, so that their positions are those
// before the update.
func deletePaths(r *run, v any, paths []any) (any, error) {
	for _, p := range paths {
		keys, ok := p.([]any)
		if !ok {
			return nil, errorf("Path must be specified as an array")
		}
		if len(keys) > maxDepth {
			return nil, errorf("Path too deep")
		}
	}
	paths = slices.Clone(paths)
	if err := sortByKey(r, paths, func(p any) any { return p }); err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return v, nil
	}
	if len(paths[0].([]any)) == 0 {
		return nil, nil
	}
	return (&updater{r: r}).deleteBelow(v, paths, 0)
}

// deleteBelow removes sorted paths that lead through v, which is start keys down.
func (u *updater) deleteBelow(v any, paths []any, start int) (any, error) {
	var gone []any
	for i := 0; i < len(paths); {
		path := paths[i].([]any)
		key, whole := path[start], len(path) == start+1
		from := i
		for i < len(paths) {
			same, err := equal(u.r, key, paths[i].([]any)[start])
			if err != nil {
				return nil, err
			}
			if !same {
				break
			}
			i++
		}
		if i == from { // nan, which equals nothing
			i++
		}
		if whole {
			gone = append(gone, key)
			continue
		}
		sub, err := getIndex(u.r, v, key)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			continue
		}
		if sub, err = u.deleteBelow(sub, paths[from:i], start+1); err != nil {
			return nil, err
		}
		if v, err = u.put(v, key, sub); err != nil {
			return nil, err
		}
	}
	return u.deleteKeys(v, gone)
}

func (u *updater) deleteKeys(v any, keys []any) (any, error) {
	if len(keys) == 0 {
		return v, nil
	}
	switch t := v.(type) {
	case nil:
		return nil, nil
	case *Object:
		drop := make(map[string]bool, len(keys))
		for _, key := range keys {
			k, ok := key.(string)
			if !ok {
				return nil, errorf("Cannot delete field at %s index of object", typeName(key))
			}
			drop[k] = true
		}
		return t.without(drop), u.r.growArray(0, 0, 2*t.Len())
	case []any:
		return u.deleteElements(t, keys)
	}
	return nil, errorf("Cannot delete fields from %s", typeName(v))
}

func (u *updater) deleteElements(list, keys []any) (any, error) {
	drop := make([]bool, len(list))
	for _, key := range keys {
		from, to := 0, 0
		switch k := key.(type) {
		case float64, *Number:
			if i, ok := position(toFloat(k), len(list)); ok && i < len(list) {
				from, to = i, i+1
			}
		case *Object:
			var err error
			if from, to, err = sliceBounds(k, len(list)); err != nil {
				return nil, err
			}
		default:
			return nil, errorf("Cannot delete field at %s index of array", typeName(key))
		}
		if err := u.r.work(1 + to - from); err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			drop[i] = true
		}
	}
	rest := make([]any, 0, len(list))
	for i, v := range list {
		if !drop[i] {
			rest = append(rest, v)
		}
	}
	return rest, u.r.growArray(0, 0, len(list))
}
