package mapping

import (
	"errors"
	"slices"
)

var errBody = errors.New("mapping: an entity's body is not a JSON object")

// bodyKeys is the order of the keys of an entity.
var bodyKeys = []string{`"identifier"`, `"icon"`, `"blueprint"`, `"title"`, `"team"`, `"properties"`, `"relations"`}

// MergeBodies lays the body later over earlier: per key, and per member for
// properties and relations. The result shares no memory with either.
func MergeBodies(earlier, later []byte) ([]byte, error) {
	old, ok1 := membersOf(earlier)
	top, ok2 := membersOf(later)
	if !ok1 || !ok2 {
		return nil, errBody
	}
	merged := overlay(old, top)
	slices.SortStableFunc(merged, func(a, b rawMember) int { return rank(a.key) - rank(b.key) })
	out := make([]byte, 0, len(earlier)+len(later))
	out = append(out, '{')
	for i, m := range merged {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, m.key...), ':')
		switch string(m.key) {
		case `"properties"`, `"relations"`:
			out = appendMerged(out, old.get(m.key), top.get(m.key))
		default:
			out = append(out, m.val...)
		}
	}
	return append(out, '}'), nil
}

func rank(key []byte) int {
	if i := slices.Index(bodyKeys, string(key)); i >= 0 {
		return i
	}
	return len(bodyKeys)
}

// overlay keeps the order of old; what only top has comes behind.
func overlay(old, top rawMembers) rawMembers {
	merged := make(rawMembers, 0, len(old)+len(top))
	for _, layer := range []rawMembers{old, top} {
		for _, m := range layer {
			i := slices.IndexFunc(merged, func(k rawMember) bool { return sameString(k.key, m.key) })
			if i >= 0 {
				merged[i].val = m.val
				continue
			}
			merged = append(merged, m)
		}
	}
	return merged
}

// appendMerged appends a group of both layers, or the only one that is an object.
func appendMerged(out, earlier, later []byte) []byte {
	old, ok1 := membersOf(earlier)
	top, ok2 := membersOf(later)
	switch {
	case later == nil:
		return append(out, earlier...)
	case !ok1 || !ok2:
		return append(out, later...)
	}
	out = append(out, '{')
	for i, m := range overlay(old, top) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.key...), ':'), m.val...)
	}
	return append(out, '}')
}
