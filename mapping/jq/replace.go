package jq

import "strings"

// replaceNode is sub and gsub. Several outputs of the replacement make several
// results: the n-th result takes the n-th output for each match.
type replaceNode struct {
	re, str, flags node
	extra          string // "g" for gsub
}

// newReplace gives literal replacements a path of their own: most mappings use
// gsub and sub only so.
func newReplace(c *compiler, re, str, flags node, extra string) node {
	n := replaceNode{re, str, flags, extra}
	pattern, ok1 := re.(constant)
	with, ok2 := str.(constant)
	opts, ok3 := flags.(constant)
	if !ok1 || !ok2 || !ok3 {
		return n
	}
	p, ok1 := pattern.v.(string)
	w, ok2 := with.v.(string)
	o, ok3 := opts.v.(string)
	if !ok1 || !ok2 || !ok3 {
		return n
	}
	f, err := parseFlags(o + extra)
	if err != nil {
		return n
	}
	if f.options == "" && !f.longest && p != "" && !strings.ContainsAny(p, `\.+*?()|[]{}^$`) {
		return replaceText{p, w, f.global}
	}
	if _, err := newExpression(p, f, c.prog.regexpTimeout); err != nil {
		return n
	}
	return replaceLiteral{p, w, f}
}

// replaceText replaces plain text by plain text.
type replaceText struct {
	old, with string
	all       bool
}

func (n replaceText) one(r *run, _ *env, in any) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("%s cannot be matched, as it is not a string", describe(in))
	}
	times := min(strings.Count(s, n.old), 1)
	if n.all {
		times = strings.Count(s, n.old)
	}
	if err := r.growString(len(s) + times*(len(n.with)-len(n.old))); err != nil {
		return nil, err
	}
	return strings.Replace(s, n.old, n.with, times), nil
}

// replaceLiteral replaces what a pattern matches by plain text.
type replaceLiteral struct {
	pattern, with string
	flags         matchFlags
}

func (n replaceLiteral) one(r *run, _ *env, in any) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("%s cannot be matched, as it is not a string", describe(in))
	}
	e, err := r.prog.compileExpression(n.pattern, n.flags)
	if err != nil {
		return nil, err
	}
	all, err := e.find(r, s, n.flags)
	if err != nil || len(all) == 0 {
		return s, err
	}
	var b strings.Builder
	from := 0
	for _, m := range all {
		b.WriteString(s[min(from, m[0]):m[0]])
		b.WriteString(n.with)
		from = m[1]
		if b.Len() > maxString {
			break
		}
	}
	b.WriteString(s[from:])
	return b.String(), r.growString(b.Len())
}

func (n replaceNode) eval(r *run, e *env, in place, out func(place) error) error {
	return eval(n.re, r, e, in.plain(), func(re place) error {
		return eval(n.flags, r, e, in.plain(), func(f place) error {
			flags := f.val
			if n.extra != "" {
				s, ok := flags.(string)
				if !ok && flags != nil {
					return errorf("%s and %s cannot be added", describe(flags), describe(n.extra))
				}
				flags = s + n.extra
			}
			return n.replace(r, e, in.val, re.val, flags, func(v any) error { return out(in.with(v)) })
		})
	})
}

func (n replaceNode) replace(r *run, e *env, in, re, flags any, out func(any) error) error {
	s, x, f, err := prepareMatch(r, in, re, flags)
	if err != nil {
		return err
	}
	all, err := x.find(r, s, f)
	if err != nil {
		return err
	}
	var results []any
	from := 0
	for _, m := range all {
		gap := s[min(from, m[0]):m[0]]
		i := 0
		err := eval(n.str, r, e, place{val: x.groups(s, m)}, func(v place) error {
			if i == len(results) {
				results = append(results, nil)
			}
			sum, err := add(r, results[i], gap)
			if err == nil {
				sum, err = add(r, sum, v.val)
			}
			results[i] = sum
			i++
			return err
		})
		if err != nil {
			return err
		}
		from = m[1]
	}
	if results == nil {
		return out(s)
	}
	for _, v := range results {
		sum, err := add(r, v, s[from:])
		if err != nil {
			return err
		}
		if err := out(sum); err != nil {
			return err
		}
	}
	return nil
}
