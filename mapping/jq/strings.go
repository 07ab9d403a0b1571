package jq

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func affix(in, arg any, test func(s, part string) bool, name string) (any, error) {
	s, ok1 := in.(string)
	part, ok2 := arg.(string)
	if !ok1 || !ok2 {
		return nil, errorf("%s() requires string inputs", name)
	}
	return test(s, part), nil
}

// trimAffix is ltrimstr, rtrimstr and trimstr; like jq 1.8 it insists on strings.
func trimAffix(in, arg any, left, right bool) (any, error) {
	s, ok1 := in.(string)
	part, ok2 := arg.(string)
	if !ok1 || !ok2 {
		name := "endswith"
		if left {
			name = "startswith"
		}
		return nil, errorf("%s() requires string inputs", name)
	}
	if left {
		s = strings.TrimPrefix(s, part)
	}
	if right {
		s = strings.TrimSuffix(s, part)
	}
	return s, nil
}

func trim(in any, left, right bool) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("trim input must be a string")
	}
	if left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s, nil
}

func explode(r *run, in any, _ []any) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("explode input must be a string")
	}
	n := utf8.RuneCountInString(s)
	if err := r.growArray(n, n+n/2, 0); err != nil {
		return nil, err
	}
	list := make([]any, 0, n)
	for _, c := range s {
		list = append(list, float64(c))
	}
	return list, nil
}

func implode(r *run, in any, _ []any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return nil, errorf("implode input must be an array")
	}
	buf := make([]byte, 0, len(list))
	for _, v := range list {
		if !isNumber(v) {
			return nil, errorf("%s can't be imploded, unicode codepoint needs to be numeric", describe(v))
		}
		c := rune(utf8.RuneError)
		if f := toFloat(v); f >= 0 && f <= unicode.MaxRune {
			c = rune(f)
		}
		buf = utf8.AppendRune(buf, c)
	}
	return string(buf), r.growString(len(buf))
}

// asciiCase flips the case of the ASCII letters from lo to hi.
func asciiCase(in any, lo, hi byte) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("explode input must be a string")
	}
	if strings.IndexFunc(s, func(c rune) bool { return c >= rune(lo) && c <= rune(hi) }) < 0 {
		return s, nil
	}
	buf := []byte(s)
	for i, c := range buf {
		if c >= lo && c <= hi {
			buf[i] = c ^ 0x20
		}
	}
	return string(buf), nil
}

func splitFunc(r *run, in any, a []any) (any, error) {
	s, ok1 := in.(string)
	sep, ok2 := a[0].(string)
	if !ok1 || !ok2 {
		return nil, errorf("split input and separator must be strings")
	}
	return splitString(r, s, sep)
}

func splitString(r *run, s, sep string) (any, error) {
	if s == "" {
		return []any{}, nil
	}
	n := strings.Count(s, sep) + 1
	if err := r.growArray(n, 2*n, 0); err != nil {
		return nil, err
	}
	return anys(strings.Split(s, sep)), nil
}

// indices counts in code points, as jq does since 1.8.
func indices(r *run, in, arg any) (any, error) {
	list, isList := in.([]any)
	switch sub := arg.(type) {
	case []any:
		if isList {
			return indicesOfList(r, list, sub)
		}
	case string:
		if s, ok := in.(string); ok {
			return stringIndices(r, s, sub)
		}
	}
	if isList {
		return indicesOfList(r, list, []any{arg})
	}
	return getIndex(r, in, arg)
}

func stringIndices(r *run, s, sub string) (any, error) {
	found := []any{}
	if sub == "" {
		return found, nil
	}
	runes, from := 0, 0
	for {
		i := strings.Index(s[from:], sub)
		if i < 0 {
			return found, nil
		}
		runes += utf8.RuneCountInString(s[from : from+i])
		found = append(found, float64(runes))
		if err := r.growArray(len(found), 2, 0); err != nil {
			return nil, err
		}
		_, w := utf8.DecodeRuneInString(s[from+i:])
		from += i + w
		runes++
	}
}

func oneIndex(r *run, in, arg any, first bool) (any, error) {
	all, err := indices(r, in, arg)
	if err != nil {
		return nil, err
	}
	list, ok := all.([]any)
	if !ok {
		return getIndex(r, all, 0.0)
	}
	if len(list) == 0 {
		return nil, nil
	}
	if first {
		return list[0], nil
	}
	return list[len(list)-1], nil
}

func toString(r *run, in any, _ []any) (any, error) {
	if s, ok := in.(string); ok {
		return s, nil
	}
	return toJSON(r, in, nil)
}

func toJSON(r *run, in any, _ []any) (any, error) {
	return asAny(jsonOf(r, in))
}

func fromJSON(r *run, in any, _ []any) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("%s only strings can be parsed", describe(in))
	}
	v, built, err := decodeLenient(s)
	if limit := r.grow(len(s) + built); limit != nil {
		return nil, limit
	}
	if err != nil {
		return nil, errorf("%s (while parsing '%s')", err, s)
	}
	return v, nil
}

func toNumber(_ *run, in any, _ []any) (any, error) {
	if isNumber(in) {
		return in, nil
	}
	if s, ok := in.(string); ok {
		if v, ok := parseNumber(s, false); ok {
			return v, nil
		}
	}
	return nil, errorf("%s cannot be parsed as a number", describe(in))
}

func toBoolean(_ *run, in any, _ []any) (any, error) {
	switch in {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return nil, errorf("%s cannot be parsed as a boolean", describe(in))
}
