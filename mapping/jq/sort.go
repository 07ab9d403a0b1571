package jq

import "slices"

func sortFunc(r *run, in any, _ []any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return nil, errorf("%s cannot be sorted, as it is not an array", describe(in))
	}
	list = slices.Clone(list)
	if err := sortByKey(r, list, func(v any) any { return v }); err != nil {
		return nil, err
	}
	return list, r.growArray(0, 2, len(list))
}

type keyed struct{ key, val any }

func keyedList(r *run, in, keys any) ([]keyed, error) {
	list, ok1 := in.([]any)
	ks, ok2 := keys.([]any)
	if !ok1 || !ok2 || len(list) != len(ks) {
		return nil, errorf("%s and %s cannot be sorted, as they are not both arrays", describe(in), describe(keys))
	}
	out := make([]keyed, len(list))
	for i := range list {
		out[i] = keyed{ks[i], list[i]}
	}
	return out, r.growArray(0, 0, 2*len(list))
}

func sortedBy(r *run, in, keys any) ([]keyed, error) {
	list, err := keyedList(r, in, keys)
	if err != nil {
		return nil, err
	}
	return list, sortByKey(r, list, func(k keyed) any { return k.key })
}

func sortBy(r *run, in, keys any) (any, error) {
	list, err := sortedBy(r, in, keys)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	for i, k := range list {
		out[i] = k.val
	}
	return out, r.growArray(0, 2, len(out))
}

func groupBy(r *run, in, keys any) (any, error) {
	list, err := sortedBy(r, in, keys)
	if err != nil {
		return nil, err
	}
	out := []any{}
	var group []any
	for i, k := range list {
		if i > 0 {
			same, err := equal(r, list[i-1].key, k.key)
			if err != nil {
				return nil, err
			}
			if !same {
				out, group = append(out, group), nil
			}
		}
		group = append(group, k.val)
		if err := r.growArray(0, 3, 0); err != nil {
			return nil, err
		}
	}
	if group != nil {
		out = append(out, group)
	}
	return out, nil
}

// extreme finds the first smallest (sign -1) or last largest (sign 1) element.
func extreme(r *run, in, keys any, sign int) (any, error) {
	list, err := keyedList(r, in, keys)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	best := list[0]
	for _, k := range list[1:] {
		order, err := compare(r, k.key, best.key)
		if err != nil {
			return nil, err
		}
		if sign < 0 && order < 0 || sign > 0 && order >= 0 {
			best = k
		}
	}
	return best.val, nil
}

func bsearch(r *run, in any, a []any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return nil, errorf("%s cannot be searched from", describe(in))
	}
	c := comparer{r: r}
	i, found := slices.BinarySearchFunc(list, a[0], c.compare)
	if !found {
		i = -1 - i
	}
	return float64(i), c.tooDeep("Comparison")
}
