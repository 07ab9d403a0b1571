package jq

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// A Number is a JSON number that keeps its text until it is calculated with:
// integers beyond 2^53 stay exact, and tostring shows `1.50` as jq 1.8 does.
type Number struct {
	text string
	// literal marks a number of the program: it is a double when it becomes
	// part of a result, as in jq. Numbers of the input stay as they are.
	literal bool
	// record marks a decimal of a record: the Python integration decodes it to
	// a double before jq sees it, so its text is that of Python.
	record bool
}

// maxExponent bounds the decimals that are compared exactly: beyond, a Rat
// would need memory in proportion to the exponent.
const maxExponent = 400

func (n *Number) float() float64 {
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil && math.IsInf(f, 0) {
		return math.Copysign(math.MaxFloat64, f)
	}
	return f
}

// overflows says that no double is near the number.
func (n *Number) overflows() bool {
	if len(n.text) < 300 && !strings.ContainsAny(n.text, "eE") {
		return false
	}
	return math.Abs(n.float()) >= math.MaxFloat64
}

func (n *Number) rat() (*big.Rat, bool) {
	if _, _, exp := n.decimal(); len(n.text) > maxExponent || exp > maxExponent || exp < -maxExponent {
		return nil, false
	}
	return new(big.Rat).SetString(n.text)
}

// decimal splits the number into sign, digits without leading zeros, and the
// exponent of the last digit.
func (n *Number) decimal() (neg bool, digits string, exp int) {
	s := n.text
	if strings.HasPrefix(s, "-") {
		neg, s = true, s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exp, _ = strconv.Atoi(s[i+1:]) // out of range: the largest int, which is as good
		exp = max(min(exp, 1<<30), -1<<30)
		s = s[:i]
	}
	if whole, frac, ok := strings.Cut(s, "."); ok {
		exp -= len(frac)
		s = whole + frac
	}
	if s = strings.TrimLeft(s, "0"); s == "" {
		s = "0"
	}
	return neg, s, exp
}

// String is the number as jq's decimal library writes it: scientific notation
// with a capital E when the exponent is positive or the number very small.
func (n *Number) String() string {
	record := n.record
	if record {
		if n.overflows() {
			return string(appendFloat(nil, n.float()))
		}
		n = &Number{text: pythonFloat(n.float())}
	}
	neg, digits, exp := n.decimal()
	var b strings.Builder
	if neg && (digits != "0" || record) {
		b.WriteByte('-')
	}
	adjusted := exp + len(digits) - 1
	switch {
	case exp == 0:
		b.WriteString(digits)
	case exp < 0 && adjusted >= -6:
		writePlain(&b, digits, -exp)
	default:
		b.WriteByte(digits[0])
		if len(digits) > 1 {
			b.WriteByte('.')
			b.WriteString(digits[1:])
		}
		b.WriteByte('E')
		if adjusted >= 0 {
			b.WriteByte('+')
		}
		b.WriteString(strconv.Itoa(adjusted))
	}
	return b.String()
}

// pythonFloat is repr of a Python float.
func pythonFloat(f float64) string {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// writePlain writes digits with the point before the last frac ones.
func writePlain(b *strings.Builder, digits string, frac int) {
	digits = strings.Repeat("0", max(0, frac+1-len(digits))) + digits
	b.WriteString(digits[:len(digits)-frac] + "." + digits[len(digits)-frac:])
}

// newNumber makes a value of a valid JSON number. Short integers are doubles at
// once: their text is the canonical one.
func newNumber(text string, literal bool) any {
	if s := strings.TrimPrefix(text, "-"); len(s) <= 15 && text != "-0" && digits(s) == len(s) {
		i, _ := strconv.Atoi(text) // digits
		return float64(i)
	}
	return &Number{text: text, literal: literal}
}

func toFloat(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case *Number:
		return v.float()
	}
	return math.NaN()
}

func isNumber(v any) bool { return kindOf(v) == kindNumber }

func negate(v any) any {
	n, ok := v.(*Number)
	if !ok {
		return 0 - toFloat(v) // never -0, which jq does not print either
	}
	text, minus := strings.CutPrefix(n.text, "-")
	if !minus {
		text = "-" + text
	}
	return &Number{text: text, literal: n.literal, record: n.record}
}

// appendFloat writes a double as jq's printer does: the shortest digits that
// read back, plain unless the exponent is far from the digits.
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case f != f:
		return append(dst, "null"...)
	case math.IsInf(f, 1) || f > math.MaxFloat64:
		return append(dst, "1.7976931348623157e+308"...)
	case math.IsInf(f, -1):
		return append(dst, "-1.7976931348623157e+308"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.AppendInt(dst, int64(f), 10)
	}
	var buf [32]byte
	s := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	mantissa, exponent, _ := bytes.Cut(s, []byte("e"))
	exp, _ := strconv.Atoi(string(exponent)) // written by AppendFloat
	digits := max(1, len(bytes.TrimPrefix(mantissa, []byte("-")))-1)
	if exp < -4 || exp >= digits+15 {
		return append(dst, s...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// SameNumber compares two JSON numbers by value, exactly.
func SameNumber(a, b string) bool {
	na, da, ea := (&Number{text: a}).decimal()
	nb, db, eb := (&Number{text: b}).decimal()
	ta, tb := strings.TrimRight(da, "0"), strings.TrimRight(db, "0")
	if ta == "" || tb == "" {
		return ta == tb
	}
	return na == nb && ta == tb && ea+len(da)-len(ta) == eb+len(db)-len(tb)
}
