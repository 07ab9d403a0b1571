package jq

import (
	"math"
	"slices"
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

func (n binary) eval(r *run, e *env, in any, out func(any) error) error {
	return n.right.eval(r, e, in, func(b any) error {
		return n.left.eval(r, e, in, func(a any) error {
			v, err := n.op(r, a, b)
			if err != nil {
				return err
			}
			return out(v)
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

func (n binaryOne) eval(r *run, e *env, in any, out func(any) error) error {
	return evalOne(n, r, e, in, out)
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
		return func(_ *run, a, b any) (any, error) { return equal(a, b), nil }
	case gojq.OpNe:
		return func(_ *run, a, b any) (any, error) { return !equal(a, b), nil }
	case gojq.OpLt:
		return func(_ *run, a, b any) (any, error) { return compare(a, b) < 0, nil }
	case gojq.OpLe:
		return func(_ *run, a, b any) (any, error) { return compare(a, b) <= 0, nil }
	case gojq.OpGt:
		return func(_ *run, a, b any) (any, error) { return compare(a, b) > 0, nil }
	case gojq.OpGe:
		return func(_ *run, a, b any) (any, error) { return compare(a, b) >= 0, nil }
	default:
		return nil
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
			return x + y, r.growString(len(x)/16 + len(y))
		}
	case []any:
		if y, ok := b.([]any); ok {
			return slices.Concat(x, y), r.growArray(len(x)+len(y), len(x)/16+len(y))
		}
	case *Object:
		if y, ok := b.(*Object); ok {
			o := x.clone(y.Len())
			for i, k := range y.keys {
				o.set(k, y.vals[i])
			}
			return o, r.growArray(o.Len(), x.Len()/16+y.Len())
		}
	}
	return nil, errorf("%s and %s cannot be added", describe(a), describe(b))
}

func subtract(_ *run, a, b any) (any, error) {
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
		if !slices.ContainsFunc(y, func(w any) bool { return equal(v, w) }) {
			rest = append(rest, v)
		}
	}
	return rest, nil
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
		return mergeDeep(x, y), r.growArray(0, x.Len()+y.Len())
	}
	return nil, errorf("%s and %s cannot be multiplied", describe(a), describe(b))
}

func repeatString(r *run, s string, n float64) (any, error) {
	if n < 0 || n != n {
		return nil, nil
	}
	n = math.Floor(n)
	if err := r.growString(int(min(n*float64(len(s)), maxString+1))); err != nil {
		return nil, err
	}
	if s == "" {
		return "", nil
	}
	return strings.Repeat(s, int(n)), nil
}

func mergeDeep(a, b *Object) *Object {
	o := a.clone(b.Len())
	for i, k := range b.keys {
		v := b.vals[i]
		if sub, ok := v.(*Object); ok {
			if old, _ := o.Get(k); old != nil {
				if prev, ok := old.(*Object); ok {
					v = mergeDeep(prev, sub)
				}
			}
		}
		o.set(k, v)
	}
	return o
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
