package mapping

import (
	"bytes"

	"github.com/ado-port/ado-port/mapping/jq"
)

// Reading of encoded values, without decoding what is not needed.

// isFalsy says what the Python integration takes for no identifier or blueprint: null,
// false, 0 and whatever is empty.
func isFalsy(val []byte) bool {
	switch string(val) {
	case "", "null", "false", `""`, "[]", "{}":
		return true
	}
	if val[0] == '-' || val[0] >= '0' && val[0] <= '9' {
		return len(bytes.TrimLeft(val, "-0.")) == 0 || !bytes.ContainsAny(val, "123456789")
	}
	return false
}

// textValue is a string without its quotes, or the JSON of anything else.
func textValue(val []byte) string {
	if len(val) < 2 || val[0] != '"' {
		return string(val)
	}
	if inner := val[1 : len(val)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	v, err := jq.Decode(val)
	if s, ok := v.(string); ok && err == nil {
		return s
	}
	return string(val)
}

// targets are the identifiers in the value of a relation.
func targets(val []byte) []string {
	switch val[0] {
	case '"':
		return []string{textValue(val)}
	case '[':
		var list []string
		eachElement(val, func(raw []byte) bool {
			if raw[0] == '"' {
				list = append(list, textValue(raw))
			}
			return true
		})
		return list
	}
	return nil
}

// listOfObjects says whether an encoded list has an object in it.
func listOfObjects(val []byte) bool {
	found := false
	eachElement(val, func(raw []byte) bool {
		found = raw[0] == '{'
		return !found
	})
	return found
}

// eachElement calls yield for the raw elements of an encoded list until it
// returns false, as far as the list can be read.
func eachElement(d []byte, yield func(raw []byte) bool) {
	eachValue(d, '[', ']', func(_, raw []byte) bool { return yield(raw) })
}

// eachMember calls yield for the members of an encoded object: key with its
// quotes and value, both raw. It reports whether the object was read to its end.
func eachMember(d []byte, yield func(key, val []byte) bool) bool {
	return eachValue(d, '{', '}', yield)
}

func eachValue(d []byte, begin, end byte, yield func(key, val []byte) bool) bool {
	i := skipSpace(d, 0)
	if i >= len(d) || d[i] != begin {
		return false
	}
	if i = skipSpace(d, i+1); i < len(d) && d[i] == end {
		return true
	}
	for {
		var key []byte
		if begin == '{' {
			if key, i = readKey(d, i); i < 0 {
				return false
			}
		}
		after := skipValue(d, i)
		if after <= i {
			return false
		}
		if !yield(key, d[i:after]) {
			return true
		}
		if i = skipSpace(d, after); i >= len(d) || d[i] != ',' {
			return i < len(d) && d[i] == end
		}
		i = skipSpace(d, i+1)
	}
}

// readKey reads the key at i, with its quotes, and what is between it and its
// value; next is -1 when there is none.
func readKey(d []byte, i int) (key []byte, next int) {
	if i >= len(d) || d[i] != '"' {
		return nil, -1
	}
	after := skipString(d, i)
	if after < 0 {
		return nil, -1
	}
	colon := skipSpace(d, after)
	if colon >= len(d) || d[colon] != ':' {
		return nil, -1
	}
	return d[i:after], skipSpace(d, colon+1)
}
