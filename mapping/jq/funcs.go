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
	"keys/0":                 func(_ *run, in any, _ []any) (any, error) { return keysOf(in, true) },
	"keys_unsorted/0":        func(_ *run, in any, _ []any) (any, error) { return keysOf(in, false) },
	"has/1":                  func(_ *run, in any, a []any) (any, error) { return has(in, a[0]) },
	"contains/1":             func(_ *run, in any, a []any) (any, error) { return contains(in, a[0]) },
	"add/0":                  addAll,
	"setpath/2":              setPathFunc,
	"delpaths/1":             deletePathsFunc,
	"from_entries/0":         fromEntries,
	"flatten/1":              func(r *run, in any, a []any) (any, error) { return flatten(r, in, a[0]) },
	"reverse/0":              reverse,
	"sort/0":                 sortFunc,
	"_sort_by/1":             func(_ *run, in any, a []any) (any, error) { return sortBy(in, a[0]) },
	"_group_by/1":            func(_ *run, in any, a []any) (any, error) { return groupBy(in, a[0]) },
	"_min_by/1":              func(_ *run, in any, a []any) (any, error) { return extreme(in, a[0], -1) },
	"_max_by/1":              func(_ *run, in any, a []any) (any, error) { return extreme(in, a[0], 1) },
	"min/0":                  func(_ *run, in any, _ []any) (any, error) { return extreme(in, in, -1) },
	"max/0":                  func(_ *run, in any, _ []any) (any, error) { return extreme(in, in, 1) },
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
	"strftime/1":       func(_ *run, in any, a []any) (any, error) { return strftime(in, a[0], "GMT") },
	"strflocaltime/1":  func(_ *run, in any, a []any) (any, error) { return strftime(in, a[0], "UTC") },
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
	"indices/1":        func(_ *run, in any, a []any) (any, error) { return indices(in, a[0]) },
	"index/1":          func(_ *run, in any, a []any) (any, error) { return oneIndex(in, a[0], true) },
	"rindex/1":         func(_ *run, in any, a []any) (any, error) { return oneIndex(in, a[0], false) },
	"_match/2":         func(r *run, in any, a []any) (any, error) { return matchFunc(r, in, a[0], a[1]) },
	"_split/2":         func(r *run, in any, a []any) (any, error) { return splitPattern(r, in, a[0], a[1]) },
	"_test/2":          func(r *run, in any, a []any) (any, error) { return testFunc(r, in, a[0], a[1]) },
	"_captured/0":      func(_ *run, in any, _ []any) (any, error) { return captured(in), nil },
	"infinite/0":       func(*run, any, []any) (any, error) { return math.Inf(1), nil },
	"nan/0":            func(*run, any, []any) (any, error) { return math.NaN(), nil },
	"isinfinite/0":     numberTest(func(f float64) bool { return math.IsInf(f, 0) }),
	"isnan/0":          numberTest(math.IsNaN),
	"isnormal/0":       numberTest(isNormal),
	"isfinite/0":       numberTest(func(f float64) bool { return !math.IsInf(f, 0) && f == f }),
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

func keysOf(v any, sorted bool) (any, error) {
	switch v := v.(type) {
	case *Object:
		names := v.keys
		if sorted {
			names = v.sortedKeys()
		}
		return anys(names), nil
	case []any:
		list := make([]any, len(v))
		for i := range list {
			list[i] = float64(i)
		}
		return list, nil
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
		if k := kindOf(key); k == kindString || k == kindNumber {
			return false, nil
		}
	}
	return nil, errorf("Cannot check whether %s has a %s key", typeName(v), typeName(key))
}

func contains(a, b any) (any, error) {
	ka, kb := kindOf(a), kindOf(b)
	if ka != kb {
		return nil, errorf("%s and %s cannot have their containment checked", describe(a), describe(b))
	}
	return containsSame(a, b), nil
}

func containsSame(a, b any) bool {
	switch x := a.(type) {
	case *Object:
		y, ok := b.(*Object)
		if !ok {
			return false
		}
		for i, k := range y.keys {
			v, found := x.Get(k)
			if !found || !containsSame(v, y.vals[i]) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok {
			return false
		}
		for _, v := range y {
			if !slices.ContainsFunc(x, func(w any) bool { return containsSame(w, v) }) {
				return false
			}
		}
		return true
	case string:
		if y, ok := b.(string); ok {
			return strings.Contains(x, y)
		}
	}
	return equal(a, b)
}

func addAll(r *run, in any, _ []any) (any, error) {
	var vals []any
	switch v := in.(type) {
	case []any:
		vals = v
	case *Object:
		vals = v.vals
	default:
		return nil, errorf("Cannot iterate over %s", describeShort(in))
	}
	if s, ok := joinStrings(vals); ok {
		return s, r.growString(len(s))
	}
	if l, ok := joinLists(vals); ok {
		return l, r.growArray(len(l), len(l))
	}
	var sum any
	for _, v := range vals {
		var err error
		if sum, err = add(r, sum, v); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// joinStrings and joinLists add what is all of one type at once: one by one
// every step would copy all before it.
func joinStrings(vals []any) (string, bool) {
	var b strings.Builder
	for _, v := range vals {
		s, ok := v.(string)
		if !ok {
			return "", false
		}
		b.WriteString(s)
	}
	return b.String(), len(vals) > 0
}

func joinLists(vals []any) ([]any, bool) {
	var all []any
	for _, v := range vals {
		l, ok := v.([]any)
		if !ok || len(all) > maxArray {
			return nil, false
		}
		all = append(all, l...)
	}
	if all == nil {
		all = []any{}
	}
	return all, len(vals) > 0
}

func setPathFunc(r *run, in any, a []any) (any, error) {
	keys, ok := a[0].([]any)
	if !ok {
		return nil, errorf("Path must be specified as an array")
	}
	return setPath(r, in, keys, a[1])
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
	var walk func(v any, depth float64) error
	walk = func(v any, depth float64) error {
		return each(r, v, func(v any) error {
			if _, ok := v.([]any); ok && depth > 0 {
				return walk(v, depth-1)
			}
			list = append(list, v)
			return r.growArray(len(list), 1)
		})
	}
	return list, walk(in, toFloat(depth))
}

func reverse(_ *run, in any, _ []any) (any, error) {
	switch v := in.(type) {
	case []any:
		v = slices.Clone(v)
		slices.Reverse(v)
		return v, nil
	case nil:
		return []any{}, nil
	case *Object:
		if v.Len() == 0 {
			return []any{}, nil
		}
	case float64:
		if v == 0 {
			return []any{}, nil
		}
	case string:
		if v == "" {
			return []any{}, nil
		}
	}
	return nil, errorf("Cannot index %s with number", typeName(in))
}

func sortFunc(_ *run, in any, _ []any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return nil, errorf("%s cannot be sorted, as it is not an array", describe(in))
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list, nil
}

type keyed struct{ key, val any }

func keyedList(in, keys any) ([]keyed, error) {
	list, ok1 := in.([]any)
	ks, ok2 := keys.([]any)
	if !ok1 || !ok2 || len(list) != len(ks) {
		return nil, errorf("%s and %s cannot be sorted, as they are not both arrays", describe(in), describe(keys))
	}
	out := make([]keyed, len(list))
	for i := range list {
		out[i] = keyed{ks[i], list[i]}
	}
	return out, nil
}

func sortedBy(in, keys any) ([]keyed, error) {
	list, err := keyedList(in, keys)
	slices.SortStableFunc(list, func(a, b keyed) int { return compare(a.key, b.key) })
	return list, err
}

func sortBy(in, keys any) (any, error) {
	list, err := sortedBy(in, keys)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	for i, k := range list {
		out[i] = k.val
	}
	return out, nil
}

func groupBy(in, keys any) (any, error) {
	list, err := sortedBy(in, keys)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for i := 0; i < len(list); {
		group := []any{list[i].val}
		j := i + 1
		for ; j < len(list) && equal(list[i].key, list[j].key); j++ {
			group = append(group, list[j].val)
		}
		out = append(out, group)
		i = j
	}
	return out, nil
}

// extreme finds the first smallest (sign -1) or last largest (sign 1) element.
func extreme(in, keys any, sign int) (any, error) {
	list, err := keyedList(in, keys)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	best := list[0]
	for _, k := range list[1:] {
		c := compare(k.key, best.key)
		if sign < 0 && c < 0 || sign > 0 && c >= 0 {
			best = k
		}
	}
	return best.val, nil
}

func bsearch(_ *run, in any, a []any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return nil, errorf("%s cannot be searched from", describe(in))
	}
	i, found := slices.BinarySearchFunc(list, a[0], compare)
	if !found {
		i = -1 - i
	}
	return float64(i), nil
}

func transpose(_ *run, in any, _ []any) (any, error) {
	rows, ok := in.([]any)
	if o, isObject := in.(*Object); isObject && o.Len() == 0 {
		return []any{}, nil
	}
	if !ok {
		return nil, errorf("%s cannot be transposed", describe(in))
	}
	width := 0
	for _, row := range rows {
		list, ok := row.([]any)
		if !ok && row != nil {
			return nil, errorf("Cannot index %s with number", typeName(row))
		}
		width = max(width, len(list))
	}
	out := make([]any, width)
	for i := range out {
		col := make([]any, len(rows))
		for j, row := range rows {
			if list, _ := row.([]any); i < len(list) {
				col[j] = list[i]
			}
		}
		out[i] = col
	}
	return out, nil
}
