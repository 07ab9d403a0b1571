package jq

import (
	"math"
	"strings"

	"github.com/itchyny/gojq"
)

// binary is an arithmetic or comparing operator. As in jq the right side is the
// outer loop.
type binary struct {
	left, right node
	op          func(r *run, a, b any) (any, error)
}

func newBinary(op gojq.Operator, l, r node) node {
	f := operator(op)
	if singles(l, r) {
		return binaryOne{l.(single), r.(single), f}
	}
	return binary{l, r, f}
}

func (n binary) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.right, r, e, in.plain(), func(b place) error {
		return eval(n.left, r, e, in.plain(), func(a place) error {
			v, err := n.op(r, a.val, b.val)
			if err != nil {
				return err
			}
			return out(in.with(v))
		})
	})
}

type binaryOne struct {
	left, right single
	op          func(r *run, a, b any) (any, error)
}

func (n binaryOne) one(r *run, e *env, in any) (any, error) {
	b, err := n.right.one(r, e, in)
	if err != nil {
		return nil, err
	}
	a, err := n.left.one(r, e, in)
	if err != nil {
		return nil, err
	}
	return n.op(r, a, b)
}

func operator(op gojq.Operator) func(*run, any, any) (any, error) {
	switch op {
	case gojq.OpAdd, gojq.OpUpdateAdd:
		return add
	case gojq.OpSub, gojq.OpUpdateSub:
		return subtract
	case gojq.OpMul, gojq.OpUpdateMul:
		return multiply
	case gojq.OpDiv, gojq.OpUpdateDiv:
		return divide
	case gojq.OpMod, gojq.OpUpdateMod:
		return modulo
	case gojq.OpEq:
		return func(r *run, a, b any) (any, error) { return asAny(equal(r, a, b)) }
	case gojq.OpNe:
		return func(r *run, a, b any) (any, error) {
			same, err := equal(r, a, b)
			return !same, err
		}
	case gojq.OpLt:
		return ordered(func(order int) bool { return order < 0 })
	case gojq.OpLe:
		return ordered(func(order int) bool { return order <= 0 })
	case gojq.OpGt:
		return ordered(func(order int) bool { return order > 0 })
	case gojq.OpGe:
		return ordered(func(order int) bool { return order >= 0 })
	default:
		return nil
	}
}

func asAny[T any](v T, err error) (any, error) { return v, err }

func ordered(is func(order int) bool) func(*run, any, any) (any, error) {
	return func(r *run, a, b any) (any, error) {
		order, err := compare(r, a, b)
		return is(order), err
	}
}

func add(r *run, a, b any) (any, error) {
	if a == nil {
		return b, nil
	}
	if b == nil {
		return a, nil
	}
	switch x := a.(type) {
	case float64, *Number:
		if isNumber(b) {
			return toFloat(a) + toFloat(b), nil
		}
	case string:
		if y, ok := b.(string); ok {
			return asAny(r.concat(x, y))
		}
	case []any:
		if y, ok := b.([]any); ok {
			return asAny(r.join(x, y))
		}
	case *Object:
		if y, ok := b.(*Object); ok {
			return addObjects(r, x, y)
		}
	}
	return nil, errorf("%s and %s cannot be added", describe(a), describe(b))
}

func addObjects(r *run, x, y *Object) (any, error) {
	if y.Len() > 1 && (x.tail == nil || y.Len() > 8) {
		o := x.clone(y.Len())
		for i, k := range y.keys {
			o.set(k, y.vals[i])
		}
		return o, r.growArray(o.Len(), 4+2*y.Len(), 2*x.Len())
	}
	o := x
	for i, k := range y.keys {
		var copied int
		o, copied = o.with(k, y.vals[i])
		if err := r.growArray(o.Len(), 4, copied); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func subtract(r *run, a, b any) (any, error) {
	if isNumber(a) && isNumber(b) {
		return toFloat(a) - toFloat(b), nil
	}
	x, ok1 := a.([]any)
	y, ok2 := b.([]any)
	if !ok1 || !ok2 {
		return nil, errorf("%s and %s cannot be subtracted", describe(a), describe(b))
	}
	rest := []any{}
	for _, v := range x {
		found, err := anyOf(r, y, func(w any) (bool, error) { return equal(r, v, w) })
		if err != nil {
			return nil, err
		}
		if !found {
			rest = append(rest, v)
		}
	}
	return rest, r.growArray(0, 2, len(rest))
}

// anyOf says whether test holds for an element.
func anyOf(r *run, list []any, test func(any) (bool, error)) (bool, error) {
	for _, v := range list {
		if err := r.tick(); err != nil {
			return false, err
		}
		if ok, err := test(v); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func multiply(r *run, a, b any) (any, error) {
	if isNumber(a) && isNumber(b) {
		return toFloat(a) * toFloat(b), nil
	}
	if s, ok := a.(string); ok && isNumber(b) {
		return repeatString(r, s, toFloat(b))
	}
	if s, ok := b.(string); ok && isNumber(a) {
		return repeatString(r, s, toFloat(a))
	}
	x, ok1 := a.(*Object)
	y, ok2 := b.(*Object)
	if ok1 && ok2 {
		return asAny(mergeDeep(r, x, y, 0))
	}
	return nil, errorf("%s and %s cannot be multiplied", describe(a), describe(b))
}

func repeatString(r *run, s string, n float64) (any, error) {
	if n < 0 || n != n {
		return nil, nil
	}
	if n = math.Floor(n); n*float64(len(s)) >= math.MaxInt32 {
		return nil, errorf("Repeat string result too long")
	}
	if err := r.growString(int(n * float64(len(s)))); err != nil {
		return nil, err
	}
	if s == "" {
		return "", nil
	}
	return strings.Repeat(s, int(n)), nil
}

func mergeDeep(r *run, a, b *Object, depth int) (*Object, error) {
	if depth > maxDepth {
		return nil, errorf("Object merge too deep")
	}
	o := a.clone(b.Len())
	for i, k := range b.keys {
		v := b.vals[i]
		if sub, ok := v.(*Object); ok {
			if old, _ := o.Get(k); old != nil {
				if prev, ok := old.(*Object); ok {
					var err error
					if v, err = asAny(mergeDeep(r, prev, sub, depth+1)); err != nil {
						return nil, err
					}
				}
			}
		}
		o.set(k, v)
	}
	return o, r.growArray(0, 4+2*b.Len(), 2*a.Len())
}

func divide(r *run, a, b any) (any, error) {
	if isNumber(a) && isNumber(b) {
		if toFloat(b) == 0 {
			return nil, errorf("%s and %s cannot be divided because the divisor is zero", describe(a), describe(b))
		}
		return toFloat(a) / toFloat(b), nil
	}
	x, ok1 := a.(string)
	y, ok2 := b.(string)
	if ok1 && ok2 {
		return splitString(r, x, y)
	}
	return nil, errorf("%s and %s cannot be divided", describe(a), describe(b))
}

func modulo(_ *run, a, b any) (any, error) {
	if !isNumber(a) || !isNumber(b) {
		return nil, errorf("%s and %s cannot be divided (remainder)", describe(a), describe(b))
	}
	x, y := toFloat(a), toFloat(b)
	if x != x || y != y {
		return math.NaN(), nil
	}
	xi, yi := toInt64(x), toInt64(y)
	if yi == 0 {
		return nil, errorf("%s and %s cannot be divided (remainder) because the divisor is zero", describe(a), describe(b))
	}
	if yi < 0 { // the sign is that of the dividend; also avoids minInt % -1
		yi = -yi
	}
	if yi < 0 {
		return float64(xi), nil
	}
	return float64(xi % yi), nil
}

func toInt64(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}
