package jq

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// fieldOne is `.name`: the case that mappings are made of.
type fieldOne struct {
	index
	target single
	name   string
}

func newField(target node, name string) node {
	n := index{target, constant{name}}
	if t, ok := target.(single); ok {
		return fieldOne{n, t, name}
	}
	return n
}

func (n fieldOne) one(r *run, e *env, in any) (any, error) {
	t, err := n.target.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return getField(t, n.name)
}

func getField(t any, name string) (any, error) {
	switch t := t.(type) {
	case *Object:
		v, _ := t.Get(name)
		return v, nil
	case nil:
		return nil, nil
	}
	return nil, errorf("Cannot index %s with string (%q)", typeName(t), name)
}

// down follows one step of a path.
func (p place) down(r *run, key any) (place, error) {
	if p.path == computed {
		return place{}, errorf("Invalid path expression near attempt to access element %s of %s", shortText(key), shortText(p.val))
	}
	v, err := getIndex(r, p.val, key)
	if err != nil || p.path == nil {
		return place{val: v}, err
	}
	return place{v, &step{p.path, key}}, nil
}

// index is `.[key]` with any key, which sees the input of the whole.
type index struct{ target, key node }

func (n index) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.key, r, e, in.plain(), func(k place) error {
		return eval(n.target, r, e, in, func(t place) error {
			p, err := t.down(r, k.val)
			if err != nil {
				return err
			}
			return out(p)
		})
	})
}

type indexOne struct {
	index
	target, key single
}

func newIndex(target, key node) node {
	n := index{target, key}
	if singles(target, key) {
		return indexOne{n, target.(single), key.(single)}
	}
	return n
}

func (n indexOne) one(r *run, e *env, in any) (any, error) {
	k, err := n.key.one(r, e, in)
	if err != nil {
		return nil, err
	}
	t, err := n.target.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return getIndex(r, t, k)
}

// getIndex is `t[key]` for every pair of types.
func getIndex(r *run, t, key any) (any, error) {
	switch k := key.(type) {
	case string:
		return getField(t, k)
	case float64, *Number:
		switch t := t.(type) {
		case []any:
			return getElement(t, toFloat(k)), nil
		case nil:
			return nil, nil
		}
		return nil, errorf("Cannot index %s with number (%s)", typeName(t), shortText(key))
	case *Object:
		return getSlice(t, k)
	case []any:
		if list, ok := t.([]any); ok {
			return indicesOfList(r, list, k)
		}
	}
	return nil, errorf("Cannot index %s with %s", typeName(t), describe(key))
}

func getElement(list []any, at float64) any {
	i, ok := position(at, len(list))
	if !ok || i >= len(list) {
		return nil
	}
	return list[i]
}

// position is where a list of n elements has the index at, which counts from the
// end when it is negative. As in C its fraction is cut off.
func position(at float64, n int) (int, bool) {
	i := math.Trunc(at)
	if i < 0 {
		i += float64(n)
	}
	if i != i || i < 0 || i > maxArray {
		return 0, false
	}
	return int(i), true
}

func getSlice(t any, key *Object) (any, error) {
	if t == nil {
		return nil, nil
	}
	switch t := t.(type) {
	case []any:
		from, to, err := sliceBounds(key, len(t))
		if err != nil {
			return nil, err
		}
		return slices.Clip(t[from:to]), nil
	case string:
		n := utf8.RuneCountInString(t)
		from, to, err := sliceBounds(key, n)
		if err != nil {
			return nil, err
		}
		return sliceString(t, from, to), nil
	}
	return nil, errorf("Cannot index %s with object (%s)", typeName(t), shortText(key))
}

// sliceBounds clamps start and end to 0…n.
func sliceBounds(key *Object, n int) (from, to int, err error) {
	start, ok1 := key.Get("start")
	end, ok2 := key.Get("end")
	if !ok1 || !ok2 || start != nil && !isNumber(start) || end != nil && !isNumber(end) {
		return 0, 0, errorf("Array/string slice indices must be integers")
	}
	size := float64(n)
	lo, hi := 0.0, size
	if start != nil {
		lo = toFloat(start)
	}
	if end != nil {
		hi = toFloat(end)
	}
	if lo < 0 {
		lo += size
	}
	if hi < 0 {
		hi += size
	}
	if lo != lo {
		lo = 0
	}
	if hi != hi {
		hi = size
	}
	from = int(math.Floor(min(max(lo, 0), size)))
	to = int(math.Ceil(min(max(hi, 0), size)))
	return from, max(from, to), nil
}

// sliceString cuts by code points.
func sliceString(s string, from, to int) string {
	if from >= to {
		return ""
	}
	i := 0
	for range from {
		_, w := utf8.DecodeRuneInString(s[i:])
		i += w
	}
	j := i
	for range to - from {
		_, w := utf8.DecodeRuneInString(s[j:])
		j += w
	}
	return strings.Clone(s[i:j])
}

// indicesOfList is `.[[…]]`: where the sublist begins.
func indicesOfList(r *run, list, sub []any) (any, error) {
	found := []any{}
	for i := 0; len(sub) > 0 && i+len(sub) <= len(list); i++ {
		same := true
		for k := 0; same && k < len(sub); k++ {
			if err := r.tick(); err != nil {
				return nil, err
			}
			var err error
			if same, err = equal(r, list[i+k], sub[k]); err != nil {
				return nil, err
			}
		}
		if same {
			found = append(found, float64(i))
		}
	}
	return found, nil
}

// iterate is `.[]`.
type iterate struct{ target node }

func (n iterate) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.target, r, e, in, func(t place) error { return t.each(r, out) })
}

// elements are the values of a list or object.
func elements(t any) ([]any, error) {
	switch t := t.(type) {
	case []any:
		return t, nil
	case *Object:
		return t.vals, nil
	}
	if t == nil {
		return nil, errorf("Cannot iterate over null")
	}
	return nil, errorf("Cannot iterate over %s", describe(t))
}

func each(r *run, t any, out func(any) error) error {
	return place{val: t}.each(r, func(p place) error { return out(p.val) })
}

func (p place) each(r *run, out func(place) error) error {
	if p.path == computed {
		return errorf("Invalid path expression near attempt to iterate through %s", shortText(p.val))
	}
	vals, err := elements(p.val)
	if err != nil {
		return err
	}
	for i, v := range vals {
		if err := r.tick(); err != nil {
			return err
		}
		sub := place{val: v}
		if o, ok := p.val.(*Object); ok && p.path != nil {
			sub.path = &step{p.path, o.keys[i]}
		} else if p.path != nil {
			sub.path = &step{p.path, float64(i)}
		}
		if err := out(sub); err != nil {
			return err
		}
	}
	return nil
}

// recurse is `..`.
type recurse struct{}

func (n recurse) eval(r *run, e *env, in place, out func(place) error) error {
	if err := out(in); err != nil {
		return err
	}
	switch in.val.(type) {
	case []any, *Object:
		if err := r.enter(); err != nil {
			return err
		}
		err := in.each(r, func(p place) error { return n.eval(r, e, p, out) })
		r.leave()
		return err
	}
	return nil
}

// optionalStep is `…?` behind an index: only that one step may fail.
func optionalStep(n node) node {
	switch n := n.(type) {
	case fieldOne:
		return optionalIndex{n.index}
	case indexOne:
		return optionalIndex{n.index}
	case index:
		return optionalIndex{n}
	case iterate:
		return newPipe(n.target, try{body: iterate{identity{}}})
	}
	return try{body: n}
}

type optionalIndex struct{ index }

func (n optionalIndex) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.key, r, e, in.plain(), func(k place) error {
		return eval(n.target, r, e, in, func(t place) error {
			p, err := t.down(r, k.val)
			if err != nil {
				return nil //nolint:nilerr // that is what `?` is for
			}
			return out(p)
		})
	})
}
