package jq

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// formats are the `@name` strings: each turns a value into text.
var formats = map[string]func(r *run, v any) (string, error){
	"@text":    textOf,
	"@json":    jsonOf,
	"@html":    formatWith(htmlEscapes.Replace),
	"@uri":     formatWith(escapeURI),
	"@urid":    formatUnescape,
	"@csv":     func(r *run, v any) (string, error) { return formatRow(r, v, "csv", ",", csvEscapes) },
	"@tsv":     func(r *run, v any) (string, error) { return formatRow(r, v, "tsv", "\t", tsvEscapes) },
	"@sh":      formatShell,
	"@base64":  formatWith(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
	"@base64d": formatUnbase64,
}

func formatFunc(r *run, in any, a []any) (any, error) {
	name, ok := a[0].(string)
	if !ok {
		return nil, errorf("%s is not a valid format", describe(a[0]))
	}
	f, ok := formats["@"+name]
	if !ok {
		return nil, errorf("%s is not a valid format", name)
	}
	return f(r, in)
}

func formatWith(f func(string) string) func(*run, any) (string, error) {
	return func(r *run, v any) (string, error) {
		s, err := textOf(r, v)
		if err != nil {
			return "", err
		}
		s = f(s)
		return s, r.growString(len(s))
	}
}

var (
	htmlEscapes = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "'", "&apos;", `"`, "&quot;")
	tsvEscapes  = strings.NewReplacer("\t", `\t`, "\n", `\n`, "\r", `\r`, `\`, `\\`).Replace

	// jq writes \0 for U+0000 in rows and words.
	csvEscapes   = func(s string) string { return `"` + csvQuotes.Replace(s) + `"` }
	csvQuotes    = strings.NewReplacer(`"`, `""`, "\x00", `\0`)
	shellEscapes = strings.NewReplacer("'", `'\''`, "\x00", `\0`)
)

// escapeURI: a query has a plus for a space.
func escapeURI(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func formatUnescape(r *run, v any) (string, error) {
	s, err := textOf(r, v)
	if err != nil {
		return "", err
	}
	plain, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(plain) {
		return "", errorf("%s is not a valid uri encoding", describe(v))
	}
	return plain, nil
}

func formatRow(r *run, v any, name, sep string, quote func(string) string) (string, error) {
	list, ok := v.([]any)
	if !ok {
		return "", errorf("%s cannot be %s-formatted, only array", describe(v), name)
	}
	return words(r, list, sep, func(cell any) (string, error) {
		switch c := cell.(type) {
		case nil:
			return "", nil
		case string:
			return quote(c), nil
		case []any, *Object:
			return "", errorf("%s is not valid in a csv row", describe(cell))
		case float64:
			if c != c {
				return "", nil
			}
		}
		return string(AppendText(nil, cell)), nil
	})
}

// words joins the texts of the elements.
func words(r *run, list []any, sep string, text func(any) (string, error)) (string, error) {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(sep)
		}
		s, err := text(v)
		if err == nil && b.Len()+len(s) > maxString {
			err = r.growString(b.Len() + len(s))
		}
		if err == nil {
			err = r.grow(1 + len(s))
		}
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func formatShell(r *run, v any) (string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	return words(r, list, " ", func(word any) (string, error) {
		switch w := word.(type) {
		case string:
			return "'" + shellEscapes.Replace(w) + "'", nil
		case []any, *Object:
			return "", errorf("%s can not be escaped for shell", describe(word))
		}
		return string(AppendText(nil, word)), nil
	})
}

// formatUnbase64 stops at the first padding and needs none.
func formatUnbase64(r *run, v any) (string, error) {
	s, err := textOf(r, v)
	if err != nil {
		return "", err
	}
	body, _, _ := strings.Cut(s, "=")
	if len(body)%4 == 1 {
		if _, err := base64.RawStdEncoding.DecodeString(body[:len(body)-1]); err == nil {
			return "", errorf("%s trailing base64 byte found", describe(v))
		}
	}
	if strings.ContainsAny(body, "\r\n") { // which the decoder would skip
		return "", errorf("%s is not valid base64 data", describe(v))
	}
	data, err := base64.RawStdEncoding.DecodeString(body)
	if err != nil {
		return "", errorf("%s is not valid base64 data", describe(v))
	}
	return toValidUTF8(string(data)), nil
}
