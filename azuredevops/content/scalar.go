package content

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
)

// How YAML 1.1 tells plain scalars apart: the expressions of PyYAML's resolver.
//
// https://github.com/yaml/pyyaml/blob/main/lib/yaml/resolver.py
var (
	yamlInt = regexp.MustCompile(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)` +
		`|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?` +
		`|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	yamlStamp = regexp.MustCompile(`^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?` +
		`(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$`)
	stampParts = regexp.MustCompile(`^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?` +
		`(?:[ \t]*(Z|([-+])(\d\d?)(?::(\d\d))?))?)?$`)
)

// plainTag is the type of a plain scalar without a tag.
func plainTag(v string) string {
	switch v {
	case "", "~", "null", "Null", "NULL":
		return "!!null"
	case "=":
		return "!!value"
	case "<<":
		return "!!merge"
	case "yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "FALSE", "on", "On", "ON", "off", "Off", "OFF":
		return "!!bool"
	}
	if strings.IndexByte("-+.0123456789", v[0]) < 0 {
		return "!!str"
	}
	switch {
	case yamlFloat.MatchString(v):
		return "!!float"
	case yamlInt.MatchString(v):
		return "!!int"
	case yamlStamp.MatchString(v):
		return "!!timestamp"
	}
	return "!!str"
}

// appendScalar appends a scalar. An error means that Python would not take it.
func appendScalar(out []byte, n *yaml.Node) ([]byte, error) {
	tag := "!!str"
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		tag = n.ShortTag()
	case n.Style == 0:
		tag = plainTag(n.Value)
	}
	switch tag {
	case "!!str":
		return gjson.AppendJSONString(out, n.Value), nil
	case "!!null":
		return append(out, "null"...), nil
	case "!!bool":
		return appendYAMLBool(out, n.Value)
	case "!!int":
		return appendYAMLInt(out, n.Value)
	case "!!float":
		return appendYAMLFloat(out, n.Value)
	case "!!timestamp":
		return appendStamp(out, n.Value)
	}
	return nil, fmt.Errorf("%w: tag %s", errNotData, tag)
}

func appendYAMLBool(out []byte, v string) ([]byte, error) {
	switch strings.ToLower(v) {
	case "yes", "true", "on":
		return append(out, "true"...), nil
	case "no", "false", "off":
		return append(out, "false"...), nil
	}
	return nil, errNotData
}

// appendYAMLInt reads binary, octal, decimal, hexadecimal and sexagesimal numbers
// of any size.
func appendYAMLInt(out []byte, v string) ([]byte, error) {
	v = strings.ReplaceAll(v, "_", "")
	digits := strings.TrimLeft(v, "+-")
	if len(v)-len(digits) > 1 || len(digits) > 10_000 {
		return nil, errNotData
	}
	sum, ok := new(big.Int), true
	switch {
	case strings.HasPrefix(digits, "0b"):
		_, ok = sum.SetString(digits[2:], 2)
	case strings.HasPrefix(digits, "0x"):
		_, ok = sum.SetString(digits[2:], 16)
	case len(digits) > 1 && digits[0] == '0':
		_, ok = sum.SetString(digits[1:], 8)
	case strings.Contains(digits, ":"):
		for part := range strings.SplitSeq(digits, ":") {
			n, err := strconv.ParseInt(part, 10, 64)
			if err != nil {
				return nil, errNotData
			}
			sum.Add(sum.Mul(sum, big.NewInt(60)), big.NewInt(n))
		}
	default:
		_, ok = sum.SetString(digits, 10)
	}
	if !ok {
		return nil, errNotData
	}
	if strings.HasPrefix(v, "-") {
		sum.Neg(sum)
	}
	return sum.Append(out, 10), nil
}

func appendYAMLFloat(out []byte, v string) ([]byte, error) {
	v = strings.ToLower(strings.ReplaceAll(v, "_", ""))
	sign := 1.0
	switch {
	case strings.HasPrefix(v, "-"):
		sign, v = -1, v[1:]
	case strings.HasPrefix(v, "+"):
		v = v[1:]
	}
	switch v {
	case ".inf":
		return appendFloat(out, math.Inf(int(sign))), nil
	case ".nan":
		return appendFloat(out, math.NaN()), nil
	}
	sum := 0.0
	for part := range strings.SplitSeq(v, ":") {
		if strings.ContainsAny(part, "xp") || strings.Contains(part, "n") {
			return nil, errNotData // Go's numbers, not Python's
		}
		f, err := strconv.ParseFloat(part, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, errNotData
		}
		sum = sum*60 + f
	}
	return appendFloat(out, sign*sum), nil
}

// appendStamp appends a date or a time in the form of ISO 8601, as Python does:
// microseconds when there are any, an offset when one is given.
func appendStamp(out []byte, v string) ([]byte, error) {
	m := stampParts.FindStringSubmatch(v)
	if m == nil {
		return nil, errNotData
	}
	n := func(i int) int {
		v, _ := strconv.Atoi(m[i]) // digits, or nothing
		return v
	}
	offset := n(10)*3600 + n(11)*60
	if offset >= 24*3600 || n(4) > 23 || n(5) > 59 || n(6) > 59 {
		return nil, errNotData
	}
	if m[9] == "-" {
		offset = -offset
	}
	micros, _ := strconv.Atoi((m[7] + "000000")[:6])
	t := time.Date(n(1), time.Month(n(2)), n(3), n(4), n(5), n(6), micros*1000, time.FixedZone("", offset))
	if t.Year() != n(1) || int(t.Month()) != n(2) || t.Day() != n(3) || n(1) == 0 {
		return nil, errNotData // such as the 13th month
	}
	layout := "2006-01-02"
	if m[4] != "" {
		layout += "T15:04:05"
	}
	if micros != 0 {
		layout += ".000000"
	}
	if m[8] != "" {
		layout += "-07:00"
	}
	return append(t.AppendFormat(append(out, '"'), layout), '"'), nil
}
