package jq

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode turns JSON into a value for programs. Numbers keep their text, members
// their order; of members with the same name the last one counts. Invalid UTF-8
// and unpaired surrogates become U+FFFD.
func Decode(data []byte) (any, error) {
	d := decoder{s: string(data)} // one copy: all strings without escapes point into it
	return d.document()
}

// decodeLenient is fromjson: it also takes the numbers that jq takes (nan, 01),
// but no unpaired surrogates. built says how many bytes the value has, which
// can be fifty times those of its text.
func decodeLenient(s string) (v any, built int, err error) {
	d := decoder{s: s, lenient: true}
	v, err = d.document()
	return v, d.built, err
}

type decoder struct {
	s       string
	i       int
	depth   int
	lenient bool
	built   int // bytes of the lists and objects of a lenient decoder
}

func (d *decoder) document() (any, error) {
	d.space()
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	if d.space(); d.i < len(d.s) {
		return nil, d.fail("unexpected extra JSON values")
	}
	return v, nil
}

func (d *decoder) fail(what string) error {
	return fmt.Errorf("%s at offset %d", what, d.i)
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) value() (any, error) {
	if d.i >= len(d.s) {
		return nil, d.fail("expected JSON value")
	}
	switch d.s[d.i] {
	case '"':
		return d.str()
	case '{':
		return d.object()
	case '[':
		return d.array()
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		if strings.HasPrefix(d.s[d.i:], "null") {
			return nil, d.word("null")
		}
	}
	return d.number()
}

func (d *decoder) word(w string) error {
	if !strings.HasPrefix(d.s[d.i:], w) {
		return d.fail("invalid literal")
	}
	d.i += len(w)
	if d.i < len(d.s) && isWordByte(d.s[d.i]) {
		return d.fail("invalid literal")
	}
	return nil
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '+' || c == '-'
}

func (d *decoder) number() (any, error) {
	start := d.i
	for d.i < len(d.s) && isWordByte(d.s[d.i]) {
		d.i++
	}
	text := d.s[start:d.i]
	if !d.lenient {
		if text == "-0" { // an integer in Python, which has no other zero
			return 0.0, nil
		}
		if isJSONNumber(text) {
			v := newNumber(text, false)
			if n, ok := v.(*Number); ok {
				n.record = strings.ContainsAny(text, ".eE")
			}
			return v, nil
		}
	} else if v, ok := parseNumber(text, false); ok {
		return v, nil
	}
	d.i = start
	return nil, d.fail("invalid number or literal")
}

func isJSONNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	n := digits(s)
	if n == 0 || n > 1 && s[0] == '0' {
		return false
	}
	if s = s[n:]; strings.HasPrefix(s, ".") {
		if n = digits(s[1:]); n == 0 {
			return false
		}
		s = s[1+n:]
	}
	return s == "" || isExponent(s)
}

func isExponent(s string) bool {
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && digits(s) == len(s)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// parseNumber reads a number as jq's decimal library does: a sign, leading
// zeros, a missing whole or fractional part, infinities and nan are fine.
func parseNumber(s string, literal bool) (any, bool) {
	if isJSONNumber(s) && s != "-0" {
		return newNumber(s, literal), true
	}
	sign, body := "", s
	if body != "" && (body[0] == '+' || body[0] == '-') {
		sign, body = strings.TrimPrefix(body[:1], "+"), body[1:]
	}
	switch strings.ToLower(body) {
	case "nan", "snan":
		return math.NaN(), true
	case "inf", "infinity":
		if sign == "-" {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	whole := digits(body)
	rest, frac := body[whole:], 0
	if strings.HasPrefix(rest, ".") {
		frac = digits(rest[1:])
		rest = rest[1+frac:]
	}
	if whole+frac == 0 || rest != "" && !isExponent(rest) {
		return nil, false
	}
	n := &Number{text: sign + "0" + body}
	n.text = n.String()
	if sign == "-" && n.text == "0" && !literal {
		return math.Copysign(0, -1), true
	}
	return newNumber(n.text, literal), true
}

func (d *decoder) str() (string, error) {
	d.i++
	start := d.i
	ascii := true
	for i := start; i < len(d.s); i++ {
		switch c := d.s[i]; {
		case c == '"':
			d.i = i + 1
			s := d.s[start:i]
			if !ascii {
				s = toValidUTF8(s)
			}
			return s, nil
		case c == '\\':
			d.i = i
			return d.escaped(start)
		case c < ' ':
			d.i = i
			return "", d.fail("control characters from U+0000 through U+001F must be escaped")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	d.i = len(d.s)
	return "", d.fail("unterminated string")
}

// escaped reads a string that has a backslash at d.i.
func (d *decoder) escaped(start int) (string, error) {
	buf := make([]byte, 0, 2*(d.i-start)+32)
	buf = append(buf, d.s[start:d.i]...)
	for d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			d.i++
			return toValidUTF8(string(buf)), nil
		case c < ' ':
			return "", d.fail("control characters from U+0000 through U+001F must be escaped")
		case c == '\\':
			var err error
			if buf, err = d.escape(buf); err != nil {
				return "", err
			}
		default:
			buf = append(buf, c)
			d.i++
		}
	}
	return "", d.fail("unterminated string")
}

func (d *decoder) escape(buf []byte) ([]byte, error) {
	if d.i+1 >= len(d.s) {
		return nil, d.fail("unterminated string")
	}
	c := d.s[d.i+1]
	d.i += 2
	switch c {
	case '"', '\\', '/':
		return append(buf, c), nil
	case 'b':
		return append(buf, '\b'), nil
	case 'f':
		return append(buf, '\f'), nil
	case 'n':
		return append(buf, '\n'), nil
	case 'r':
		return append(buf, '\r'), nil
	case 't':
		return append(buf, '\t'), nil
	case 'u':
		return d.unicode(buf)
	}
	return nil, d.fail("invalid escape")
}

// unicode reads the digits of \uXXXX and of a second half behind it.
func (d *decoder) unicode(buf []byte) ([]byte, error) {
	c, ok := d.hex4()
	if !ok {
		return nil, d.fail("invalid escape")
	}
	if utf16.IsSurrogate(c) {
		mark := d.i
		pair := rune(utf8.RuneError)
		if strings.HasPrefix(d.s[d.i:], `\u`) {
			d.i += 2
			if low, ok := d.hex4(); ok {
				pair = utf16.DecodeRune(c, low)
			}
		}
		if pair == utf8.RuneError {
			d.i = mark
			if d.lenient {
				return nil, d.fail("invalid surrogate pair escape")
			}
		}
		c = pair
	}
	return utf8.AppendRune(buf, c), nil
}

func (d *decoder) hex4() (rune, bool) {
	if d.i+4 > len(d.s) {
		return 0, false
	}
	n, err := strconv.ParseUint(d.s[d.i:d.i+4], 16, 16)
	if err != nil {
		return 0, false
	}
	d.i += 4
	return rune(n), true
}

func (d *decoder) enter() error {
	if d.depth++; d.depth > maxDepth {
		return d.fail("Exceeds depth limit for parsing")
	}
	if d.lenient {
		if d.built += 256; d.built > maxTotal {
			return d.fail("Exceeds the limit of memory")
		}
	}
	d.i++
	d.space()
	return nil
}

func (d *decoder) array() (any, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	if d.i < len(d.s) && d.s[d.i] == ']' {
		d.i++
		d.depth--
		return list, nil
	}
	for {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		d.built += 16
		more, err := d.separator(']')
		if err != nil {
			return nil, err
		}
		if !more {
			return list, nil
		}
	}
}

// separator reads a comma (more follows) or the closing bracket.
func (d *decoder) separator(end byte) (more bool, err error) {
	d.space()
	if d.i >= len(d.s) || d.s[d.i] != ',' && d.s[d.i] != end {
		return false, d.fail("expected separator between values")
	}
	more = d.s[d.i] == ','
	d.i++
	if !more {
		d.depth--
		return false, nil
	}
	d.space()
	return true, nil
}

func (d *decoder) object() (any, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	if d.i < len(d.s) && d.s[d.i] == '}' {
		d.i++
		d.depth--
		return &Object{}, nil
	}
	o := newObject(8)
	for {
		if d.i >= len(d.s) || d.s[d.i] != '"' {
			return nil, d.fail("object keys must be strings")
		}
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		if d.space(); d.i >= len(d.s) || d.s[d.i] != ':' {
			return nil, d.fail("expected colon")
		}
		d.i++
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		o.set(key, v)
		d.built += 32
		more, err := d.separator('}')
		if err != nil {
			return nil, err
		}
		if !more {
			return o, nil
		}
	}
}

// toValidUTF8 replaces what is not UTF-8 as jq does: a sequence that is too long
// for the text, or means no character, as a whole, else byte by byte.
func toValidUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	buf := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); {
		c, w := utf8.DecodeRuneInString(s[i:])
		if c == utf8.RuneError && w == 1 {
			w = invalidLength(s[i:])
		}
		buf = utf8.AppendRune(buf, c)
		i += w
	}
	return string(buf)
}

func invalidLength(s string) int {
	want := 1
	switch c := s[0]; {
	case c >= 0xf0 && c <= 0xf4:
		want = 4
	case c >= 0xe0 && c < 0xf0:
		want = 3
	case c >= 0xc2 && c < 0xe0:
		want = 2
	}
	if want > len(s) {
		return len(s)
	}
	for i := 1; i < want; i++ {
		if s[i]&0xc0 != 0x80 {
			return i
		}
	}
	return want
}
