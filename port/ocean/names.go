package ocean

import (
	"strings"
	"unicode"
)

// decamelise turns a camelCase key into snake_case as Ocean does (pyhumps):
// clientID → client_id, OAuth2Token → o_auth2token, x509Strict → x509strict.
func decamelise(key string) string {
	r := []rune(strings.ReplaceAll(key, "-", "_"))
	var b strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && startsWord(r, i) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// startsWord reports whether the capital at i begins a word.
func startsWord(r []rune, i int) bool {
	prev := r[i-1]
	if prev == '_' || unicode.IsDigit(prev) {
		return false
	}
	return !unicode.IsUpper(prev) || (i+1 < len(r) && unicode.IsLower(r[i+1]))
}
