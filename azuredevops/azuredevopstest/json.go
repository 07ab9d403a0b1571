package azuredevopstest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// An object is a JSON object as alternating keys and values, so that the keys
// keep the order in which the service writes them.
type object []any

// An array is a JSON array.
type array []any

// raw is text that is JSON already.
type raw string

// absent is the value of a member that is left out.
type absent struct{}

// link is the {"href": …} object of a _links member.
func link(href string) object { return object{"href", href} }

// opt leaves a member out when its value is the zero value.
func opt[T comparable](v T) any {
	var zero T
	if v == zero {
		return absent{}
	}
	return v
}

// some leaves a member out unless the condition holds.
func some(cond bool, v any) any {
	if cond {
		return v
	}
	return absent{}
}

// encode writes a value as JSON. It knows the types that this package and
// decoded JSON use; another type is a bug and panics.
func encode(v any) []byte { return appendJSON(nil, v) }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return appendString(b, v)
	case raw:
		return append(b, v...)
	case json.RawMessage:
		return append(b, v...)
	case json.Number:
		return append(b, v...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case time.Time:
		return appendTime(b, v)
	case object:
		return appendObject(b, v)
	case map[string]any:
		o := make(object, 0, 2*len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			o = append(o, k, v[k])
		}
		return appendObject(b, o)
	case map[string]string:
		o := make(object, 0, 2*len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			o = append(o, k, v[k])
		}
		return appendObject(b, o)
	case array:
		return appendArray(b, v)
	case []any:
		return appendArray(b, v)
	case []string:
		return appendArray(b, v)
	case []object:
		return appendArray(b, v)
	default:
		panic("azuredevopstest: value of a type that has no JSON form")
	}
}

func appendObject(b []byte, o object) []byte {
	b = append(b, '{')
	first := true
	for i := 0; i+1 < len(o); i += 2 {
		if _, skip := o[i+1].(absent); skip {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, o[i].(string))
		b = append(b, ':')
		b = appendJSON(b, o[i+1])
	}
	return append(b, '}')
}

func appendArray[T any](b []byte, list []T) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, v)
	}
	return append(b, ']')
}

// appendTime writes a date the way the service does: UTC, no trailing zeros,
// and the zero time without a zone.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, `"0001-01-01T00:00:00"`...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendString writes a JSON string. Unlike encoding/json it leaves <, > and &
// alone, as the service does.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), `\ufffd`...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
