package content

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// A Folder is a pattern of folders. It is matched like a file name in a shell, segment
// by segment, with regard to case; a slash at its end does not matter. A backslash and
// braces have no meaning, and neither has a caret or a bracket that nothing closes.
type Folder struct {
	Place Place

	segments []string
	root     bool
}

// NewFolder compiles a pattern.
func NewFolder(pattern string) Folder {
	f := Folder{root: strings.Trim(pattern, "/*") == ""}
	plain := strings.Split(strings.Trim(pattern, "/"), "/")
	first := slices.IndexFunc(plain, func(s string) bool { return strings.ContainsAny(s, globMeta) })
	if first < 0 {
		first = len(plain) - 1
	}
	f.Place = Place{CleanPath(strings.Join(plain[:first], "/")), first < len(plain)-1}
	if plain[0] == "" {
		return f
	}
	for _, s := range plain {
		s = strings.NewReplacer(`\`, `\\`, `{`, `\{`, `}`, `\}`, `[^`, `[\^`).Replace(s)
		if !doublestar.ValidatePattern(s) {
			s = strings.ReplaceAll(s, `[`, `\[`)
		}
		f.segments = append(f.segments, s)
	}
	return f
}

// Match tells whether a folder is meant. The root is "/"; a lone asterisk means it
// too.
func (f Folder) Match(path string) bool {
	path = strings.Trim(path, "/")
	if path == "" {
		return len(f.segments) == 0 || len(f.segments) == 1 && f.root
	}
	parts := strings.Split(path, "/")
	if len(parts) != len(f.segments) {
		return false
	}
	for i, s := range f.segments {
		if ok, err := doublestar.Match(s, parts[i]); !ok || err != nil {
			return false
		}
	}
	return true
}
