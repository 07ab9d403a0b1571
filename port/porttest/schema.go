package porttest

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// property is the schema of a property.
type property struct {
	kind, format string
	enum         []gjson.Result
	items        *property
	pattern      *regexp.Regexp
	bounds       []bound
}

// bound is a limit: of a number, of the characters of a string, of the items of an array.
type bound struct {
	kind  string // the type it applies to
	upper bool
	limit float64
	text  string
}

var boundNames = []struct {
	name string
	bound
}{
	{"minimum", bound{kind: "number", text: "must be >= %g"}},
	{"maximum", bound{kind: "number", upper: true, text: "must be <= %g"}},
	{"minLength", bound{kind: "string", text: "must NOT have fewer than %g characters"}},
	{"maxLength", bound{kind: "string", upper: true, text: "must NOT have more than %g characters"}},
	{"minItems", bound{kind: "array", text: "must NOT have fewer than %g items"}},
	{"maxItems", bound{kind: "array", upper: true, text: "must NOT have more than %g items"}},
}

// parseProperty returns nil for a type that does not exist.
func parseProperty(v gjson.Result) *property {
	p := &property{kind: v.Get("type").Str, format: v.Get("format").Str, enum: v.Get("enum").Array()}
	if !slices.Contains([]string{"string", "number", "boolean", "object", "array"}, p.kind) {
		return nil
	}
	if items := v.Get("items"); items.Get("type").Exists() {
		p.items = parseProperty(items)
	}
	if s := v.Get("pattern").Str; s != "" {
		p.pattern, _ = regexp.Compile(s) // one for another engine is not checked
	}
	for _, x := range boundNames {
		if limit := v.Get(x.name); limit.Type == gjson.Number {
			x.limit = limit.Num
			p.bounds = append(p.bounds, x.bound)
		}
	}
	return p
}

func kindOf(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return "string"
	case v.Type == gjson.Number:
		return "number"
	case v.IsBool():
		return "boolean"
	case v.IsArray():
		return "array"
	case v.IsObject():
		return "object"
	default:
		return "null"
	}
}

// check returns the value as it is stored, perhaps coerced, or the complaint.
func (p *property) check(v gjson.Result, strict bool) (raw, problem string) {
	if kindOf(v) != p.kind && !strict {
		v = coerce(v, p.kind)
	}
	kind := kindOf(v)
	if kind != p.kind {
		return "", " must be " + p.kind
	}
	if len(p.enum) > 0 && !slices.ContainsFunc(p.enum, func(x gjson.Result) bool { return same(x, v) }) {
		return "", " must be equal to one of the allowed values"
	}
	raw = v.Raw
	if kind == "array" && p.items != nil {
		if raw, problem = p.checkItems(v, strict); problem != "" {
			return "", problem
		}
	}
	if kind == "string" {
		if p.pattern != nil && !p.pattern.MatchString(v.Str) {
			return "", " must match pattern \"" + p.pattern.String() + "\""
		}
		if !validFormat(p.format, v.Str) {
			return "", " must match format \"" + p.format + "\""
		}
	}
	for _, b := range p.bounds {
		if b.kind != kind {
			continue
		}
		if n := size(v); b.upper && n > b.limit || !b.upper && n < b.limit {
			return "", " " + fmt.Sprintf(b.text, b.limit)
		}
	}
	return raw, ""
}

// size is what bounds are about.
func size(v gjson.Result) float64 {
	switch kindOf(v) {
	case "number":
		return v.Num
	case "string":
		return float64(utf8.RuneCountInString(v.Str))
	default:
		return float64(len(v.Array()))
	}
}

func (p *property) checkItems(v gjson.Result, strict bool) (raw, problem string) {
	var b []byte
	changed := false
	for i, x := range v.Array() {
		item, problem := p.items.check(x, strict)
		if problem != "" {
			return "", "/" + strconv.Itoa(i) + problem
		}
		changed = changed || item != x.Raw
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item...)
	}
	if !changed {
		return v.Raw, ""
	}
	return "[" + string(b) + "]", ""
}

// coerce changes a scalar the way Port's validator does (JSON schema with
// coerced types); what cannot be changed stays.
func coerce(v gjson.Result, kind string) gjson.Result {
	from := kindOf(v)
	switch {
	case kind == "string" && (from == "number" || from == "boolean"):
		return gjson.Parse(`"` + v.Raw + `"`)
	case kind == "number" && from == "string":
		s := strings.TrimSpace(v.Str)
		if n := gjson.Parse(s); gjson.Valid(s) && n.Type == gjson.Number {
			return n
		}
	case kind == "number" && from == "boolean":
		if v.Bool() {
			return gjson.Parse("1")
		}
		return gjson.Parse("0")
	case kind == "boolean" && from == "string" && (v.Str == "true" || v.Str == "false"):
		return gjson.Parse(v.Str)
	case kind == "boolean" && from == "number" && (v.Num == 0 || v.Num == 1):
		return gjson.Parse(strconv.FormatBool(v.Num == 1))
	case kind == "array" && from != "null" && from != "object":
		return gjson.Parse("[" + v.Raw + "]")
	}
	return v
}

// same compares values; composed ones by their text.
func same(a, b gjson.Result) bool {
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case gjson.String:
		return a.Str == b.Str
	case gjson.Number:
		return a.Num == b.Num
	case gjson.JSON:
		return a.Get("@ugly").Raw == b.Get("@ugly").Raw
	default:
		return true
	}
}

func validFormat(format, s string) bool {
	switch format {
	case "date-time":
		_, ok := parseTime(s)
		return ok
	case "url":
		u, err := url.Parse(s)
		return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "" || u.Path != "")
	case "email":
		a, err := mail.ParseAddress(s)
		return err == nil && a.Address == s
	case "ipv4", "ipv6":
		ip, err := netip.ParseAddr(s)
		return err == nil && ip.Is4() == (format == "ipv4")
	default:
		return true // user, team, markdown, yaml, timer and the like have no form
	}
}

// parseTime reads the forms of RFC 3339, with a blank for the T too.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// identifierPattern is Port's, with at most 1000 characters.
const identifierPattern = `^(?!\.{1,2}$)[\p{L}0-9@_.+:\\/=-]+$`

func validIdentifier(s string) bool {
	if s == "" || s == "." || s == ".." || utf8.RuneCountInString(s) > 1000 {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && (r < '0' || r > '9') && !strings.ContainsRune(`@_.+:\/=-`, r) {
			return false
		}
	}
	return true
}
