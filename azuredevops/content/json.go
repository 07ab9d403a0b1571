package content

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// appendJSON reads JSON as Python does: the last of two members of one name
// counts, NaN and Infinity are numbers. Other numbers stay as they are spelled.
func appendJSON(out []byte, text string) ([]byte, error) {
	b := []byte(text)
	if !json.Valid(b) {
		if b = withoutNaN(b); b == nil || !json.Valid(b) {
			return nil, errNotData
		}
	}
	w := jsonCopier{in: b, out: out}
	w.value(rawjson.SkipSpace(b, 0), 0)
	return w.out, w.err
}

// A jsonCopier copies valid JSON without blanks and repeated members.
type jsonCopier struct {
	in, out []byte
	err     error
}

// value copies the value at in[i] and returns the index behind it.
func (w *jsonCopier) value(i, depth int) int {
	if depth > maxDepth {
		w.err = errNotData
		return len(w.in)
	}
	switch w.in[i] {
	case '{':
		return w.object(i, depth)
	case '[':
		w.out = append(w.out, '[')
		for i = rawjson.SkipSpace(w.in, i+1); w.err == nil && w.in[i] != ']'; {
			i = rawjson.SkipSpace(w.in, w.value(i, depth+1))
			if i < len(w.in) && w.in[i] == ',' {
				w.out = append(w.out, ',')
				i = rawjson.SkipSpace(w.in, i+1)
			}
		}
		w.out = append(w.out, ']')
		return i + 1
	}
	end := rawjson.SkipValue(w.in, i)
	if v := w.in[i:end]; v[0] == '-' || v[0] >= '0' && v[0] <= '9' {
		w.out = appendNumber(w.out, v)
	} else {
		w.out = append(w.out, v...)
	}
	return end
}

// A jsonMember is where the copy of a member is.
type jsonMember struct {
	name     string
	from, to int
}

func (w *jsonCopier) object(i, depth int) int {
	start := len(w.out)
	w.out = append(w.out, '{')
	var members []jsonMember
	var index map[string]int
	again := false
	for i = rawjson.SkipSpace(w.in, i+1); w.err == nil && w.in[i] != '}'; {
		end := rawjson.SkipString(w.in, i)
		m := jsonMember{name: gjson.ParseBytes(w.in[i:end]).String(), from: len(w.out)}
		w.out = append(append(w.out, w.in[i:end]...), ':')
		i = rawjson.SkipSpace(w.in, w.value(rawjson.SkipSpace(w.in, rawjson.SkipSpace(w.in, end)+1), depth+1))
		m.to = len(w.out)
		again = again || known(members, &index, m.name)
		members = append(members, m)
		if i < len(w.in) && w.in[i] == ',' {
			w.out = append(w.out, ',')
			i = rawjson.SkipSpace(w.in, i+1)
		}
	}
	w.out = append(w.out, '}')
	if again && w.err == nil {
		w.out = append(w.out[:start], lastMembers(w.out, members)...)
	}
	return i + 1
}

// known tells whether a name is among the members before it. Beyond a few it
// takes an index.
func known(members []jsonMember, index *map[string]int, name string) bool {
	const few = 8
	if len(members) < few {
		for _, m := range members {
			if m.name == name {
				return true
			}
		}
		return false
	}
	if *index == nil {
		*index = make(map[string]int, 2*few)
		for i, m := range members {
			(*index)[m.name] = i
		}
	}
	_, ok := (*index)[name]
	(*index)[name] = len(members)
	return ok
}

// lastMembers is the object with the last member of each name in the place of the
// first.
func lastMembers(b []byte, members []jsonMember) []byte {
	last := map[string]jsonMember{}
	for _, m := range members {
		last[m.name] = m
	}
	out := []byte{'{'}
	for _, m := range members {
		if l, ok := last[m.name]; ok {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, b[l.from:l.to]...)
			delete(last, m.name)
		}
	}
	return append(out, '}')
}

// appendNumber keeps a number, unless no double can hold its magnitude.
func appendNumber(out, v []byte) []byte {
	if bytes.ContainsAny(v, ".eE") {
		if f, err := strconv.ParseFloat(string(v), 64); err != nil || math.IsInf(f, 0) {
			if v[0] == '-' {
				out = append(out, '-')
			}
			return append(out, largestFloat...)
		}
	}
	return append(out, v...)
}

// withoutNaN replaces the numbers that JSON does not have; nil when there are
// none.
func withoutNaN(b []byte) []byte {
	if !bytes.Contains(b, []byte("NaN")) && !bytes.Contains(b, []byte("Infinity")) {
		return nil
	}
	var out []byte
	for i := 0; i < len(b); {
		switch rest := b[i:]; {
		case b[i] == '"':
			end := rawjson.SkipString(b, i)
			out = append(out, b[i:end]...)
			i = end
		case bytes.HasPrefix(rest, []byte("NaN")):
			out, i = append(out, "null"...), i+len("NaN")
		case bytes.HasPrefix(rest, []byte("Infinity")):
			out, i = append(out, largestFloat...), i+len("Infinity")
		default:
			out, i = append(out, b[i]), i+1
		}
	}
	return out
}

// appendFloat spells a double as Python does.
func appendFloat(out []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, "null"...)
	case math.IsInf(f, 1):
		return append(out, largestFloat...)
	case math.IsInf(f, -1):
		return append(append(out, '-'), largestFloat...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(out, f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return append(out, s...)
}
