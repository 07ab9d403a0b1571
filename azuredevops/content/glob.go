package content

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	// maxAlternatives bounds what the braces of one pattern expand to.
	maxAlternatives = 1000

	globMeta = `*?[`
)

// Files is a list of paths and patterns of files. Paths are exact; patterns disregard
// case, except in the folders that stand before the first wildcard. `*` and `?` stay
// inside a segment and match leading dots, `**` is any number of folders, braces are
// alternatives, a backslash takes a wildcard literally.
type Files struct {
	paths map[string]bool // with a leading slash
	globs []fileGlob
}

type fileGlob struct {
	Place

	rest string // pattern below the place, in lower case
}

// NewFiles compiles the patterns; an error says which is bad.
func NewFiles(patterns []string) (*Files, error) {
	f := &Files{paths: map[string]bool{}}
	for i, pattern := range patterns {
		if err := f.add(pattern); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return f, nil
}

func (f *Files) add(pattern string) error {
	all, err := expandBraces(pattern)
	if err != nil {
		return err
	}
	for _, p := range all {
		segments := split(p)
		if len(segments) == 0 {
			return errors.New("want the path of a file")
		}
		first := slices.IndexFunc(segments, hasMeta)
		if first < 0 && len(all) == 1 {
			f.paths[join(unescaped(segments))] = true
			continue
		}
		if first < 0 {
			first = len(segments) - 1
		}
		rest, err := globPattern(strings.ToLower(strings.Join(segments[first:], "/")))
		if err != nil {
			return err
		}
		deep := first < len(segments)-1 || strings.Contains(rest, "**")
		f.globs = append(f.globs, fileGlob{Place{join(unescaped(segments[:first])), deep}, rest})
	}
	return nil
}

// Places are where files can be.
func (f *Files) Places() []Place {
	var out []Place
	for path := range f.paths {
		out = append(out, Place{Path: Parent(path)})
	}
	for _, g := range f.globs {
		out = append(out, g.Place)
	}
	return out
}

// Match tells whether a file is meant; named, whether by its path.
func (f *Files) Match(path string) (ok, named bool) {
	if f.paths[path] {
		return true, true
	}
	for _, g := range f.globs {
		rest, below := strings.CutPrefix(path, g.Path+"/")
		if below && doublestar.MatchUnvalidated(g.rest, strings.ToLower(rest)) {
			return true, false
		}
	}
	return false, false
}

// globPattern makes a pattern of segments one of doublestar's: braces that are
// left stand for themselves, and so does a bracket that nothing closes.
func globPattern(p string) (string, error) {
	p = escapeAny(p, "{}")
	if !doublestar.ValidatePattern(p) {
		p = escapeAny(p, "[")
	}
	if !doublestar.ValidatePattern(p) {
		return "", fmt.Errorf("bad pattern %q", p)
	}
	return p, nil
}

// escapeAny puts a backslash before each of chars that has none.
func escapeAny(s, chars string) string {
	if !strings.ContainsAny(s, chars) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			b.WriteByte(s[i])
			i++
		case strings.IndexByte(chars, s[i]) >= 0:
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hasMeta tells whether a segment has a wildcard without a backslash.
func hasMeta(segment string) bool {
	for i := 0; i < len(segment); i++ {
		if segment[i] == '\\' {
			i++
		} else if strings.IndexByte(globMeta, segment[i]) >= 0 {
			return true
		}
	}
	return false
}

// unescaped are segments as the service spells them.
func unescaped(segments []string) []string {
	out := make([]string, len(segments))
	for i, s := range segments {
		var b strings.Builder
		for j := 0; j < len(s); j++ {
			if s[j] == '\\' && j+1 < len(s) {
				j++
			}
			b.WriteByte(s[j])
		}
		out[i] = b.String()
	}
	return out
}

// expandBraces makes a pattern for every choice of the alternatives in braces, in
// their order. Braces without a comma stand for themselves.
func expandBraces(pattern string) ([]string, error) {
	todo, out := []string{pattern}, []string(nil)
	for len(todo) > 0 {
		p := todo[0]
		before, choices, after, ok := cutBraces(p)
		if !ok {
			out, todo = append(out, p), todo[1:]
			continue
		}
		next := make([]string, 0, len(choices)+len(todo))
		for _, c := range choices {
			next = append(next, before+c+after)
		}
		todo = append(next, todo[1:]...)
		if len(todo)+len(out) > maxAlternatives || len(todo[0]) > 64<<10 {
			return nil, fmt.Errorf("more than %d alternatives", maxAlternatives)
		}
	}
	return out, nil
}

// cutBraces finds the first braces that have a comma of their own.
func cutBraces(p string) (before string, choices []string, after string, ok bool) {
	for from := 0; from < len(p); from++ {
		switch p[from] {
		case '\\':
			from++
		case '{':
			if choices, end := alternatives(p, from); len(choices) > 1 {
				return p[:from], choices, p[end:], true
			}
		}
	}
	return "", nil, "", false
}

// alternatives are the parts between the brace at from and its partner, which
// ends before end.
func alternatives(p string, from int) (parts []string, end int) {
	depth, start := 0, from+1
	for i := from; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '{':
			depth++
		case ',':
			if depth == 1 {
				parts, start = append(parts, p[start:i]), i+1
			}
		case '}':
			if depth--; depth == 0 {
				return append(parts, p[start:i]), i + 1
			}
		}
	}
	return nil, len(p)
}
