package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// rewriteQuotes turns single quotes into double quotes by the rules of the Python
// integration: a quote at the start or behind white space opens, a quote at the
// end or before white space closes, unless the other neighbour is white space or
// a double quote. Matches do not overlap: an opening quote uses up the white
// space before it, a closing one that behind it.
func rewriteQuotes(src string) string {
	rs := []rune(src)
	out := make([]rune, 0, len(rs))
	used := -1 // position of the last white space that a match used up
	for i, c := range rs {
		if c != '\'' {
			out = append(out, c)
			continue
		}
		before, after := ' ', ' '
		if i > 0 {
			before = rs[i-1]
		}
		if i+1 < len(rs) {
			after = rs[i+1]
		}
		opens := (i == 0 || unicode.IsSpace(before) && used != i-1) && i+1 < len(rs) && !unicode.IsSpace(after) && after != '"'
		closes := (i+1 == len(rs) || unicode.IsSpace(after)) && i > 0 && !unicode.IsSpace(before) && before != '"'
		switch {
		case opens:
			c = '"'
		case closes:
			c, used = '"', i+1
		}
		out = append(out, c)
	}
	return string(out)
}

// convertQuotes turns every single-quoted token outside of double-quoted strings
// into a double-quoted one.
func convertQuotes(src string) string {
	var b strings.Builder
	for i := 0; i < len(src); {
		switch src[i] {
		case '"':
			end := closing(src, i, '"')
			b.WriteString(src[i:end])
			i = end
		case '\'':
			end := closing(src, i, '\'')
			if end > len(src) || src[end-1] != '\'' || end == i+1 {
				b.WriteString(src[i:])
				return b.String()
			}
			token := strings.ReplaceAll(src[i+1:end-1], `\'`, `'`)
			b.WriteString(`"` + strings.ReplaceAll(token, `"`, `\"`) + `"`)
			i = end
		default:
			_, w := utf8.DecodeRuneInString(src[i:])
			b.WriteString(src[i : i+w])
			i += w
		}
	}
	return b.String()
}

// closing is the position behind the quote that closes the one at i, or the end.
func closing(src string, i int, quote byte) int {
	for j := i + 1; j < len(src); j++ {
		switch src[j] {
		case '\\':
			j++
		case quote:
			return j + 1
		}
	}
	return len(src)
}
