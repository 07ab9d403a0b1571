package jq

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// An encoder writes values as JSON. Values share their parts, so that a small one
// can have a text without end: it stops at a length.
type encoder struct {
	dst    []byte
	most   int // bytes of dst; beyond, the text is cut somewhere
	number func([]byte, any) []byte
	del    bool // escape U+007F too, as jq's printer does
	deep   bool // something lay too deep and was skipped
}

// AppendText appends a value, not one that a program built, as jq's tojson
// writes it.
func AppendText(dst []byte, v any) []byte {
	e := encoder{dst: dst, most: math.MaxInt, number: appendTextNumber, del: true}
	e.value(v, 0)
	return e.dst
}

// textUpTo is the text of a value, cut behind the first most bytes.
func textUpTo(v any, most int) []byte {
	e := encoder{most: most, number: appendTextNumber, del: true}
	e.value(v, 0)
	return e.dst
}

// textOf is the text of a value that a program makes a string of.
func textOf(r *run, v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return jsonOf(r, v)
}

func jsonOf(r *run, v any) (string, error) {
	s := string(textUpTo(v, maxString))
	return s, r.growString(len(s))
}

// AppendJSON appends a value, not one that a program built, as a result for
// Port: doubles that are whole are integers, nan is null, infinities are the
// largest double, and numbers of the input keep their text.
func AppendJSON(dst []byte, v any) []byte {
	e := encoder{dst: dst, most: math.MaxInt, number: appendResultNumber}
	e.value(v, 0)
	return e.dst
}

// AppendOutput is AppendJSON for the output of a program: ErrLimit when its text
// is too long or nests too deep, with dst as it was.
func AppendOutput(dst []byte, v any) ([]byte, error) {
	if s, ok := v.(string); ok && len(s) < 1<<10 { // what most expressions give
		return AppendString(dst, s), nil
	}
	e := encoder{dst: dst, most: min(len(dst)+maxOutput, maxTotal), number: appendResultNumber}
	e.value(v, 0)
	switch {
	case len(e.dst) > e.most:
		return dst, fmt.Errorf("jq: %w: the result has more than %d MiB", ErrLimit, maxOutput>>20)
	case e.deep:
		return dst, fmt.Errorf("jq: %w: the result has more than %d levels", ErrLimit, maxDepth)
	}
	return e.dst, nil
}

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
	case math.Abs(f) < 1e-6 || math.Abs(f) >= 1e21:
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func (e *encoder) value(v any, depth int) {
	if len(e.dst) > e.most {
		return
	}
	switch v := v.(type) {
	case nil:
		e.dst = append(e.dst, "null"...)
	case bool:
		e.dst = strconv.AppendBool(e.dst, v)
	case string:
		e.str(v)
	case []any:
		if e.tooDeep(depth) {
			return
		}
		e.dst = append(e.dst, '[')
		for i, el := range v {
			if i > 0 {
				e.dst = append(e.dst, ',')
			}
			if e.value(el, depth+1); len(e.dst) > e.most {
				return
			}
		}
		e.dst = append(e.dst, ']')
	case *Object:
		e.object(v, depth)
	default:
		e.dst = e.number(e.dst, v)
	}
}

func (e *encoder) object(o *Object, depth int) {
	if e.tooDeep(depth) {
		return
	}
	e.dst = append(e.dst, '{')
	for i, k := range o.keys {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.str(k)
		e.dst = append(e.dst, ':')
		if e.value(o.vals[i], depth+1); len(e.dst) > e.most {
			return
		}
	}
	e.dst = append(e.dst, '}')
}

// str leaves out the end of a string that is too long anyway.
func (e *encoder) str(s string) {
	if room := e.most - len(e.dst); room < len(s) {
		s = s[:min(max(room, 0)+1, len(s))]
	}
	e.dst = appendString(e.dst, s, e.del)
}

// tooDeep writes what jq's printer writes for a value that lies too deep.
func (e *encoder) tooDeep(depth int) bool {
	if depth <= maxDepth {
		return false
	}
	e.dst, e.deep = append(e.dst, "<skipped: too deep>"...), true
	return true
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
