package jq

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// nativeFuncs are the built-ins over values, by name and number of arguments.
var nativeFuncs = map[string]func(r *run, in any, args []any) (any, error){
	"not/0":                  func(_ *run, in any, _ []any) (any, error) { return !truthy(in), nil },
	"type/0":                 func(_ *run, in any, _ []any) (any, error) { return typeName(in), nil },
	"length/0":               func(_ *run, in any, _ []any) (any, error) { return lengthOf(in) },
	"utf8bytelength/0":       byteLength,
	"keys/0":                 func(r *run, in any, _ []any) (any, error) { return keysOf(r, in, true) },
	"keys_unsorted/0":        func(r *run, in any, _ []any) (any, error) { return keysOf(r, in, false) },
	"has/1":                  func(_ *run, in any, a []any) (any, error) { return has(in, a[0]) },
	"join/1":                 joinFunc,
	"contains/1":             func(r *run, in any, a []any) (any, error) { return contains(r, in, a[0]) },
	"add/0":                  addAll,
	"setpath/2":              setPathFunc,
	"delpaths/1":             deletePathsFunc,
	"from_entries/0":         fromEntries,
	"flatten/1":              func(r *run, in any, a []any) (any, error) { return flatten(r, in, a[0]) },
	"reverse/0":              reverse,
	"sort/0":                 sortFunc,
	"_sort_by/1":             func(r *run, in any, a []any) (any, error) { return sortBy(r, in, a[0]) },
	"_group_by/1":            func(r *run, in any, a []any) (any, error) { return groupBy(r, in, a[0]) },
	"_min_by/1":              func(r *run, in any, a []any) (any, error) { return extreme(r, in, a[0], -1) },
	"_max_by/1":              func(r *run, in any, a []any) (any, error) { return extreme(r, in, a[0], 1) },
	"min/0":                  func(r *run, in any, _ []any) (any, error) { return extreme(r, in, in, -1) },
	"max/0":                  func(r *run, in any, _ []any) (any, error) { return extreme(r, in, in, 1) },
	"bsearch/1":              bsearch,
	"transpose/0":            transpose,
	"tojson/0":               toJSON,
	"fromjson/0":             fromJSON,
	"tostring/0":             toString,
	"tonumber/0":             toNumber,
	"toboolean/0":            toBoolean,
	"format/1":               formatFunc,
	"halt/0":                 halt,
	"halt_error/0":           halt,
	"halt_error/1":           haltCode,
	"input/0":                func(*run, any, []any) (any, error) { return nil, errorf("break") },
	"debug/0":                pass,
	"stderr/0":               pass,
	"input_filename/0":       func(*run, any, []any) (any, error) { return nil, nil },
	"input_line_number/0":    func(*run, any, []any) (any, error) { return nil, errorf("Unknown input line number") },
	"get_search_list/0":      func(*run, any, []any) (any, error) { return []any{}, nil },
	"have_decnum/0":          func(*run, any, []any) (any, error) { return true, nil },
	"have_literal_numbers/0": func(*run, any, []any) (any, error) { return true, nil },
	"get_prog_origin/0":      halt,
	"get_jq_origin/0":        halt,
	"modulemeta/0":           func(*run, any, []any) (any, error) { return nil, errorf("modules are not available") },

	"now/0":            now,
	"mktime/0":         func(_ *run, in any, _ []any) (any, error) { return mktime(in) },
	"gmtime/0":         func(_ *run, in any, _ []any) (any, error) { return gmtime(in) },
	"localtime/0":      func(_ *run, in any, _ []any) (any, error) { return gmtime(in) },
	"strftime/1":       func(r *run, in any, a []any) (any, error) { return strftime(r, in, a[0], "GMT") },
	"strflocaltime/1":  func(r *run, in any, a []any) (any, error) { return strftime(r, in, a[0], "UTC") },
	"strptime/1":       func(_ *run, in any, a []any) (any, error) { return strptime(in, a[0]) },
	"startswith/1":     func(_ *run, in any, a []any) (any, error) { return affix(in, a[0], strings.HasPrefix, "startswith") },
	"endswith/1":       func(_ *run, in any, a []any) (any, error) { return affix(in, a[0], strings.HasSuffix, "endswith") },
	"ltrimstr/1":       func(_ *run, in any, a []any) (any, error) { return trimAffix(in, a[0], true, false) },
	"rtrimstr/1":       func(_ *run, in any, a []any) (any, error) { return trimAffix(in, a[0], false, true) },
	"trimstr/1":        func(_ *run, in any, a []any) (any, error) { return trimAffix(in, a[0], true, true) },
	"trim/0":           func(_ *run, in any, _ []any) (any, error) { return trim(in, true, true) },
	"ltrim/0":          func(_ *run, in any, _ []any) (any, error) { return trim(in, true, false) },
	"rtrim/0":          func(_ *run, in any, _ []any) (any, error) { return trim(in, false, true) },
	"explode/0":        explode,
	"implode/0":        implode,
	"ascii_downcase/0": func(_ *run, in any, _ []any) (any, error) { return asciiCase(in, 'A', 'Z') },
	"ascii_upcase/0":   func(_ *run, in any, _ []any) (any, error) { return asciiCase(in, 'a', 'z') },
	"split/1":          splitFunc,
	"indices/1":        func(r *run, in any, a []any) (any, error) { return indices(r, in, a[0]) },
	"index/1":          func(r *run, in any, a []any) (any, error) { return oneIndex(r, in, a[0], true) },
	"rindex/1":         func(r *run, in any, a []any) (any, error) { return oneIndex(r, in, a[0], false) },
	"_match/2":         func(r *run, in any, a []any) (any, error) { return matchFunc(r, in, a[0], a[1]) },
	"_split/2":         func(r *run, in any, a []any) (any, error) { return splitPattern(r, in, a[0], a[1]) },
	"_test/2":          func(r *run, in any, a []any) (any, error) { return testFunc(r, in, a[0], a[1]) },
	"_captured/0":      func(_ *run, in any, _ []any) (any, error) { return captured(in), nil },
	"infinite/0":       func(*run, any, []any) (any, error) { return math.Inf(1), nil },
	"nan/0":            func(*run, any, []any) (any, error) { return math.NaN(), nil },
	"isinfinite/0":     numberTest(func(f float64) bool { return math.IsInf(f, 0) }),
	"isnan/0":          numberTest(math.IsNaN),
	"isnormal/0":       numberTest(isNormal),
	"isfinite/0":       numberTest(func(f float64) bool { return !math.IsInf(f, 0) }),
}

func pass(_ *run, in any, _ []any) (any, error) { return in, nil }

func halt(*run, any, []any) (any, error) { return nil, errHalt }

func haltCode(_ *run, _ any, a []any) (any, error) {
	if !isNumber(a[0]) {
		return nil, errorf("halt_error/1: number required")
	}
	return nil, errHalt
}

func lengthOf(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return 0.0, nil
	case string:
		return float64(utf8.RuneCountInString(v)), nil
	case []any:
		return float64(len(v)), nil
	case *Object:
		return float64(v.Len()), nil
	case float64:
		return math.Abs(v), nil
	case *Number:
		return magnitude(v), nil
	}
	return nil, errorf("%s has no length", describe(v))
}

// magnitude is the absolute value, text kept.
func magnitude(n *Number) any {
	if strings.HasPrefix(n.text, "-") {
		return negate(n)
	}
	return n
}

func byteLength(_ *run, in any, _ []any) (any, error) {
	s, ok := in.(string)
	if !ok {
		return nil, errorf("%s only strings have UTF-8 byte length", describe(in))
	}
	return float64(len(s)), nil
}

func keysOf(r *run, v any, sorted bool) (any, error) {
	switch v := v.(type) {
	case *Object:
		names := v.keys
		if sorted {
			names = v.sortedKeys()
		}
		return anys(names), r.growArray(0, 2+2*len(names), 0)
	case []any:
		list := make([]any, len(v))
		for i := range list {
			list[i] = float64(i)
		}
		return list, r.growArray(0, 2+2*len(list), 0)
	}
	return nil, errorf("%s has no keys", describe(v))
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func has(v, key any) (any, error) {
	switch v := v.(type) {
	case *Object:
		if k, ok := key.(string); ok {
			_, found := v.Get(k)
			return found, nil
		}
	case []any:
		if isNumber(key) {
			i := math.Floor(toFloat(key))
			return i >= 0 && i < float64(len(v)), nil
		}
	case nil:
		if k := kindOf(key); k == kindString || k == kindNumber || k == kindNull {
			return false, nil
		}
	}
	return nil, errorf("Cannot check whether %s has a %s key", typeName(v), typeName(key))
}

func contains(r *run, a, b any) (any, error) {
	ka, kb := kindOf(a), kindOf(b)
	if ka != kb {
		return nil, errorf("%s and %s cannot have their containment checked", describe(a), describe(b))
	}
	in, err := containsSame(r, a, b, 0)
	if err == errTooDeep { //nolint:errorlint // never wrapped
		err = errorf("Containment check too deep")
	}
	return in, err
}

func containsSame(r *run, a, b any, depth int) (bool, error) {
	if err := r.nested(depth); err != nil {
		return false, err
	}
	switch x := a.(type) {
	case *Object:
		y, ok := b.(*Object)
		if !ok {
			return false, nil
		}
		for i, k := range y.keys {
			v, found := x.Get(k)
			if !found {
				return false, nil
			}
			if in, err := containsSame(r, v, y.vals[i], depth+1); !in || err != nil {
				return false, err
			}
		}
		return true, nil
	case []any:
		y, ok := b.([]any)
		if !ok {
			return false, nil
		}
		for _, v := range y {
			in, err := anyOf(r, x, func(w any) (bool, error) { return containsSame(r, w, v, depth+1) })
			if !in || err != nil {
				return false, err
			}
		}
		return true, nil
	case string:
		if y, ok := b.(string); ok {
			return strings.Contains(x, y), nil
		}
	}
	return equal(r, a, b)
}

func addAll(r *run, in any, _ []any) (sum any, err error) {
	err = each(r, in, func(v any) (err error) {
		sum, err = add(r, sum, v)
		return err
	})
	return sum, err
}

// joinFunc is join/1: null is nothing, numbers and booleans are their text.
func joinFunc(r *run, in any, a []any) (any, error) {
	var sum any = ""
	first := true
	err := each(r, in, func(v any) (err error) {
		switch v.(type) {
		case nil:
			v = ""
		case bool, float64, *Number:
			if v, err = asAny(jsonOf(r, v)); err != nil {
				return err
			}
		}
		if !first {
			if sum, err = add(r, sum, a[0]); err != nil {
				return err
			}
		}
		first = false
		sum, err = add(r, sum, v)
		return err
	})
	return sum, err
}

func setPathFunc(r *run, in any, a []any) (any, error) {
	keys, ok := a[0].([]any)
	if !ok {
		return nil, errorf("Path must be specified as an array")
	}
	return (&updater{r: r}).set(in, keys, a[1])
}

func deletePathsFunc(r *run, in any, a []any) (any, error) {
	paths, ok := a[0].([]any)
	if !ok {
		return nil, errorf("Paths must be specified as an array")
	}
	return deletePaths(r, in, paths)
}

func fromEntries(r *run, in any, _ []any) (any, error) {
	o := &Object{}
	err := each(r, in, func(entry any) error {
		key, err := firstOf(entry, "key", "name", "Name", "Key")
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errorf("Cannot use %s as object key", describe(key))
		}
		val, err := getField(entry, "value")
		if e, ok := entry.(*Object); ok && err == nil && val == nil {
			if _, has := e.Get("value"); !has {
				val, _ = e.Get("Value")
			}
		}
		o.set(name, val)
		if err == nil {
			err = r.growArray(o.Len(), 4, 0)
		}
		return err
	})
	return o, err
}

func firstOf(entry any, names ...string) (any, error) {
	for _, name := range names {
		v, err := getField(entry, name)
		if err != nil || truthy(v) {
			return v, err
		}
	}
	return nil, nil
}

func flatten(r *run, in, depth any) (any, error) {
	if !isNumber(depth) {
		return nil, errorf("flatten depth must be a number")
	}
	if toFloat(depth) < 0 {
		return nil, errorf("flatten depth must not be negative")
	}
	list := []any{}
	var walk func(v any, depth float64, level int) error
	walk = func(v any, depth float64, level int) error {
		return each(r, v, func(v any) error {
			if _, ok := v.([]any); ok && depth != 0 {
				if level == maxDepth {
					return errorf("Flatten too deep")
				}
				return walk(v, depth-1, level+1)
			}
			list = append(list, v)
			return r.growArray(len(list), 1, 0)
		})
	}
	err := walk(in, toFloat(depth), 0)
	return list, err
}

func reverse(r *run, in any, _ []any) (any, error) {
	if list, ok := in.([]any); ok {
		list = slices.Clone(list)
		slices.Reverse(list)
		return list, r.growArray(0, 2, len(list))
	}
	if n, err := lengthOf(in); err == nil && toFloat(n) == 0 {
		return []any{}, nil
	}
	return nil, errorf("Cannot index %s with number", typeName(in))
}

func transpose(r *run, in any, _ []any) (any, error) {
	var rows []any
	width := 0.0
	err := each(r, in, func(row any) error {
		n, err := lengthOf(row)
		rows, width = append(rows, row), max(width, toFloat(n))
		return err
	})
	if err != nil {
		return nil, err
	}
	size := min(math.Ceil(width), maxArray+1) * float64(len(rows)+2)
	if err := r.growArray(int(min(width, maxArray+1)), int(min(size, maxTotal)), 0); err != nil {
		return nil, err
	}
	out := []any{}
	for i := 0; float64(i) < width; i++ {
		col := make([]any, len(rows))
		for j, row := range rows {
			if col[j], err = getIndex(r, row, float64(i)); err != nil {
				return nil, err
			}
		}
		out = append(out, col)
	}
	return out, nil
}
