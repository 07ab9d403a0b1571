package jq

// objectNode is `{…}`. The first member is the outer loop.
type objectNode struct{ members []member }

type member struct{ key, val node }

// sameKey stands for the value of `{"\(f)"}`: what the input has under each key.
type sameKey struct{ single }

func (n objectNode) eval(r *run, e *env, in place, out func(place) error) error {
	return n.from(r, e, in.plain(), newObject(len(n.members)), 0, func(o *Object) error { return out(in.with(o)) })
}

func (n objectNode) from(r *run, e *env, in place, o *Object, i int, out func(*Object) error) error {
	if i == len(n.members) {
		return out(o)
	}
	m := n.members[i]
	return eval(m.key, r, e, in, func(k place) error {
		name, ok := k.val.(string)
		if !ok {
			return errorf("Cannot use %s as object key", describe(k.val))
		}
		val := m.val
		if same, ok := val.(sameKey); ok {
			val = newField(same.single, name)
		}
		return eval(val, r, e, in, func(v place) error {
			next := o.clone(1) // one for each combination
			next.set(name, v.val)
			if err := r.growArray(0, 4, o.Len()); err != nil {
				return err
			}
			return n.from(r, e, in, next, i+1, out)
		})
	})
}

// objectOne is `{…}` of members with one key and one value each.
type objectOne struct{ members []memberOne }

type memberOne struct{ key, val single }

func newObjectNode(members []member) node {
	one := objectOne{}
	for _, m := range members {
		if !singles(m.key, m.val) {
			return objectNode{members}
		}
		one.members = append(one.members, memberOne{m.key.(single), m.val.(single)})
	}
	return one
}

func (n objectOne) one(r *run, e *env, in any) (any, error) {
	o := newObject(len(n.members))
	for _, m := range n.members {
		k, err := m.key.one(r, e, in)
		if err != nil {
			return nil, err
		}
		name, ok := k.(string)
		if !ok {
			return nil, errorf("Cannot use %s as object key", describe(k))
		}
		val := m.val
		if same, ok := val.(sameKey); ok {
			val = fieldOne{target: same.single, name: name}
		}
		v, err := val.one(r, e, in)
		if err != nil {
			return nil, err
		}
		o.set(name, v)
	}
	return o, r.growArray(0, 4+2*len(n.members), 0)
}

// interpolation is a string with `\(…)`, perhaps with a format. The last
// expression is the outer loop.
type interpolation struct {
	parts  []part
	format func(r *run, v any) (string, error)
}

// A part is literal text or an expression.
type part struct {
	text string
	expr node
}

func (n interpolation) eval(r *run, e *env, in place, out func(place) error) error {
	return n.from(r, e, in.plain(), len(n.parts)-1, "", func(s string) error { return out(in.with(s)) })
}

func (n interpolation) from(r *run, e *env, in place, i int, tail string, out func(string) error) error {
	if i < 0 {
		return out(tail)
	}
	p := n.parts[i]
	if p.expr == nil {
		return n.from(r, e, in, i-1, p.text+tail, out)
	}
	return eval(p.expr, r, e, in, func(v place) error {
		s, err := n.format(r, v.val)
		if err != nil {
			return err
		}
		if err := r.growString(len(s) + len(tail)); err != nil {
			return err
		}
		return n.from(r, e, in, i-1, s+tail, out)
	})
}

type interpolationOne struct{ interpolation }

func newInterpolation(n interpolation) node {
	for _, p := range n.parts {
		if p.expr != nil && !singles(p.expr) {
			return n
		}
	}
	return interpolationOne{n}
}

func (n interpolationOne) one(r *run, e *env, in any) (any, error) {
	var buf []byte
	for _, p := range n.parts {
		if p.expr == nil {
			buf = append(buf, p.text...)
			continue
		}
		v, err := p.expr.(single).one(r, e, in)
		if err != nil {
			return nil, err
		}
		s, err := n.format(r, v)
		if err != nil {
			return nil, err
		}
		buf = append(buf, s...)
	}
	return string(buf), r.growString(len(buf))
}
