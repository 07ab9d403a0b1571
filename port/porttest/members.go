package porttest

import (
	"cmp"
	"slices"

	"github.com/tidwall/gjson"
)

// members is a JSON object whose values stay encoded: decoding a catalog into
// maps is what a simulator spends its time and memory on. Sorted by name;
// read-only once stored.
type members []member

type member struct{ name, raw string }

// parseMembers splits an object; the last of equal names wins.
func parseMembers(object gjson.Result) members {
	var m members
	object.ForEach(func(k, v gjson.Result) bool {
		m = append(m, member{k.Str, v.Raw})
		return true
	})
	slices.SortStableFunc(m, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	out := m[:0]
	for i, x := range m {
		if i+1 == len(m) || m[i+1].name != x.name {
			out = append(out, x)
		}
	}
	return out
}

func (m members) find(name string) (int, bool) {
	return slices.BinarySearchFunc(m, name, func(x member, name string) int { return cmp.Compare(x.name, name) })
}

// get returns the value of a member; one that is missing does not exist.
func (m members) get(name string) gjson.Result {
	if i, ok := m.find(name); ok {
		return gjson.Parse(m[i].raw)
	}
	return gjson.Result{}
}

func (m members) text(name string) string { return m.get(name).Str }

// set changes m, with changes a copy of it.
func (m *members) set(name, raw string) {
	i, ok := m.find(name)
	if ok {
		(*m)[i].raw = raw
		return
	}
	*m = slices.Insert(*m, i, member{name, raw})
}

func (m members) with(name, raw string) members {
	c := slices.Clone(m)
	c.set(name, raw)
	return c
}

func (m members) append(b []byte) []byte {
	b = append(b, '{')
	for i, x := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, x.name)
		b = append(b, ':')
		b = append(b, x.raw...)
	}
	return append(b, '}')
}
