package catalog

import (
	"regexp"
	"slices"
	"strings"
)

// varies is what differs between two messages about the same problem: addresses,
// quoted values, ids and numbers.
var varies = regexp.MustCompile(`https?://\S+|"[^"]*"|'[^']*'|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|[0-9]+`)

// Alike is a message without what varies, so that one line tells of all of them.
// What is quoted stays when it is one of the names.
func Alike(message string, names ...string) string {
	return varies.ReplaceAllStringFunc(message, func(s string) string {
		if slices.Contains(names, strings.Trim(s, `"'`)) {
			return s
		}
		return "…"
	})
}

// names are those that a message about a layer may be about.
func (l *Layer) names() []string {
	out := []string{l.Blueprint}
	for _, m := range l.Source.Members() {
		out = append(out, m[strings.IndexByte(m, '.')+1:])
	}
	return out
}
