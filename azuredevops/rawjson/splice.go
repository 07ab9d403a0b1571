package rawjson

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// Members are members to add to objects. The zero value is none.
type Members struct {
	text  []byte // each with a comma before it
	names []string
}

// Raw adds a member whose value is JSON already. m stays as it is.
func (m Members) Raw(name string, value []byte) Members {
	text := make([]byte, 0, len(m.text)+len(name)+len(value)+4)
	text = append(text, m.text...)
	text = append(gjson.AppendJSONString(append(text, ','), name), ':')
	return Members{append(text, value...), append(slices.Clip(m.names), name)}
}

// Text adds a string.
func (m Members) Text(name, value string) Members {
	return m.Raw(name, gjson.AppendJSONString(make([]byte, 0, len(value)+2), value))
}

// MembersOf are the members of an object.
func MembersOf(obj []byte) Members {
	obj = bytes.TrimSpace(obj)
	inner := bytes.TrimSpace(obj[1 : len(obj)-1])
	if len(inner) == 0 {
		return Members{}
	}
	m := Members{text: slices.Concat([]byte{','}, inner)}
	gjson.Parse(View(obj)).ForEach(func(key, _ gjson.Result) bool {
		m.names = append(m.names, strings.Clone(key.String()))
		return true
	})
	return m
}

// With returns a copy of an object with members added at its end. An object that has
// a member of that name already loses it: readers differ in which of two they see.
// The copy shares no memory with the arguments.
func With(obj []byte, added ...Members) []byte { return AppendWith(nil, obj, added...) }

// AppendWith is [With] in the memory of out, which is empty.
func AppendWith(out, obj []byte, added ...Members) []byte {
	obj = bytes.TrimSpace(obj)
	n := len(obj)
	for _, m := range added {
		n += len(m.text)
	}
	if cap(out) < n {
		out = make([]byte, 0, n)
	}
	if clash(obj, added) {
		out = appendOthers(out, obj, added)
	} else {
		out = append(out, obj[:len(obj)-1]...)
	}
	empty := len(bytes.TrimSpace(out)) == 1
	for _, m := range added {
		text := m.text
		if empty && len(text) > 0 {
			text, empty = text[1:], false
		}
		out = append(out, text...)
	}
	return append(out, '}')
}

// Without returns a copy of an object less some members.
func Without(obj []byte, names ...string) []byte {
	return append(appendOthers(nil, obj, []Members{{names: names}}), '}')
}

// clash tells, cheaply, whether obj may have one of the added members. A name
// may be spelled with escapes.
func clash(obj []byte, added []Members) bool {
	special := true // only names that begin with two underscores
	for _, m := range added {
		for _, name := range m.names {
			special = special && strings.HasPrefix(name, "__")
		}
	}
	if special && !bytes.Contains(obj, []byte("__")) && !bytes.Contains(obj, []byte(`\u005`)) {
		return false
	}
	found := false
	gjson.Parse(View(obj)).ForEach(func(key, _ gjson.Result) bool {
		found = isAdded(key.String(), added)
		return !found
	})
	return found
}

func isAdded(name string, added []Members) bool {
	return slices.ContainsFunc(added, func(m Members) bool { return slices.Contains(m.names, name) })
}

// appendOthers writes obj without its closing brace and without the added names.
func appendOthers(out, obj []byte, added []Members) []byte {
	out = append(out, '{')
	gjson.Parse(View(obj)).ForEach(func(key, value gjson.Result) bool {
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
