package azuredevops

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// members are the members that a kind adds to an object, as text: each begins
// with a comma.
type members struct {
	b     []byte
	names []string
}

// newMembers makes an empty list with room for n.
func newMembers(n int) members { return members{b: make([]byte, 0, 64*n)} }

// raw adds a member whose value is JSON already.
func (m members) raw(name string, value []byte) members {
	m.b = append(m.b, ',')
	m.b = gjson.AppendJSONString(m.b, name)
	m.b = append(m.b, ':')
	m.b = append(m.b, value...)
	m.names = append(slices.Clip(m.names), name)
	return m
}

// text adds a string.
func (m members) text(name, value string) members {
	return m.raw(name, gjson.AppendJSONString(nil, value))
}

// object returns a copy of a JSON object with members added at its end. An
// object that has a member of that name already loses it: readers differ in
// which of two they see. The copy shares no memory with the arguments.
func object(obj []byte, added ...members) []byte {
	obj = bytes.TrimSpace(obj)
	n := len(obj)
	for _, m := range added {
		n += len(m.b)
	}
	out := make([]byte, 0, n)
	if clash(obj, added) {
		out = appendOthers(out, obj, added)
	} else {
		out = append(out, obj[:len(obj)-1]...)
	}
	empty := len(bytes.TrimSpace(out)) == 1
	for _, m := range added {
		if len(m.b) == 0 {
			continue
		}
		if b := m.b; empty {
			out, empty = append(out, b[1:]...), false
		} else {
			out = append(out, b...)
		}
	}
	return append(out, '}')
}

// clash tells, cheaply, whether obj may have one of the added members. A name
// may be spelled with escapes.
func clash(obj []byte, added []members) bool {
	special := true // only names that begin with two underscores
	for _, m := range added {
		for _, name := range m.names {
			if !strings.HasPrefix(name, "__") {
				special = false
			}
		}
	}
	if special && !bytes.Contains(obj, []byte(`"__`)) && !bytes.Contains(obj, []byte(`\u005`)) {
		return false
	}
	found := false
	gjson.Parse(view(obj)).ForEach(func(key, _ gjson.Result) bool {
		found = isAdded(key.String(), added)
		return !found
	})
	return found
}

func isAdded(name string, added []members) bool {
	for _, m := range added {
		if slices.Contains(m.names, name) {
			return true
		}
	}
	return false
}

// appendOthers writes obj without its closing brace and without the added names.
func appendOthers(out, obj []byte, added []members) []byte {
	out = append(out, '{')
	gjson.Parse(view(obj)).ForEach(func(key, value gjson.Result) bool {
		if isAdded(key.String(), added) {
			return true
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, key.Raw...)
		out = append(out, ':')
		out = append(out, value.Raw...)
		return true
	})
	return out
}
