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
	listAt(d, skipSpace(d, 0), func(at int) int {
		end := skipValue(d, at)
		if end < 0 || !yield(d[at:end]) {
			return -1
		}
		return end
	})
}

// eachMember calls yield for the members of an encoded object until it returns false: key
// with its quotes and value, both raw. It reports whether the object was read to its end,
// or as far as yield wanted.
func eachMember(d []byte, yield func(key, val []byte) bool) bool {
	enough := false
	end := objectAt(d, skipSpace(d, 0), func(key []byte, at int) int {
		end := skipValue(d, at)
		if end >= 0 && !yield(key, d[at:end]) {
			enough = true
			return -1
		}
		return end
	})
	return enough || end >= 0
}

// objectAt calls each with the key, in quotes, and the place of the value of every member
// of the object at i; each says where the value ends. It returns where the object ends,
// -1 where there is none.
func objectAt(b []byte, i int, each func(key []byte, at int) (end int)) (end int) {
	if i >= len(b) || b[i] != '{' {
		return -1
	}
	return itemsAt(b, i, '}', func(at int) int {
		key, at := readKey(b, at)
		if at < 0 {
			return -1
		}
		return each(key, at)
	})
}

// listAt does the same for the elements of a list.
func listAt(b []byte, i int, each func(at int) (end int)) (end int) {
	if i >= len(b) || b[i] != '[' {
		return -1
	}
	return itemsAt(b, i, ']', each)
}

// itemsAt calls each with the places of what is between commas, up to the closing bracket.
func itemsAt(b []byte, i int, closing byte, each func(at int) (end int)) (end int) {
	if i = skipSpace(b, i+1); i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if i = each(i); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case closing:
			return i + 1
		default:
			return -1
		}
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
