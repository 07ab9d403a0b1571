package jq

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendText appends a value as jq's tojson writes it.
func AppendText(dst []byte, v any) []byte { return appendValue(dst, v, appendTextNumber, true) }

// AppendJSON appends a value as a result for Port: doubles that are whole are
// integers, nan is null, infinities are the largest double, and numbers of the
// input keep their text (port.md 6.8).
func AppendJSON(dst []byte, v any) []byte { return appendValue(dst, v, appendResultNumber, false) }

func appendTextNumber(dst []byte, v any) []byte {
	if n, ok := v.(*Number); ok {
		return append(dst, n.String()...)
	}
	return appendFloat(dst, toFloat(v))
}

func appendResultNumber(dst []byte, v any) []byte {
	f, ok := v.(float64)
	if n, isNumber := v.(*Number); isNumber {
		if !n.literal && !n.overflows() {
			return append(dst, n.text...)
		}
		f, ok = n.float(), true
	}
	switch {
	case !ok || f != f:
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0') // never -0
	case math.IsInf(f, 0):
		return strconv.AppendFloat(dst, math.Copysign(math.MaxFloat64, f), 'g', -1, 64)
	case f == math.Trunc(f) && math.Abs(f) < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	case math.Abs(f) < 1e-6 || math.Abs(f) >= 1e21:
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func appendValue(dst []byte, v any, number func([]byte, any) []byte, del bool) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case string:
		return appendString(dst, v, del)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, e, number, del)
		}
		return append(dst, ']')
	case *Object:
		dst = append(dst, '{')
		for i, k := range v.keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, k, del), ':')
			dst = appendValue(dst, v.vals[i], number, del)
		}
		return append(dst, '}')
	}
	return number(dst, v)
}

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD; `<`
// and `>` stay as they are.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s, false) }

// appendString escapes U+007F too if del, as jq's printer does.
func appendString(dst []byte, s string, del bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' || c == 0x7f && !del {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			_, w := utf8.DecodeRuneInString(s[i:])
			if w > 1 {
				i += w
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

const lowerHex = "0123456789abcdef"

func appendEscape(dst []byte, c byte) []byte {
	switch {
	case c >= utf8.RuneSelf:
		return append(dst, "\uFFFD"...)
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\t':
		return append(dst, `\t`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\b':
		return append(dst, `\b`...)
	case c == '\f':
		return append(dst, `\f`...)
	}
	return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}
