package content

import "strings"

// A Place is where files or folders that match can be: in the folder Path or, if
// Deep, at any depth below it. Path is that of [CleanPath].
type Place struct {
	Path string
	Deep bool
}

// Covers tells whether what is in v is in p too.
func (p Place) Covers(v Place) bool {
	if p.Path == v.Path {
		return p.Deep || !v.Deep
	}
	return p.Deep && strings.HasPrefix(v.Path, p.Path+"/")
}

// CleanPath is a path as the service lists it: with a slash before each segment, ""
// for the root. Empty segments and "." do not count.
func CleanPath(path string) string { return join(split(path)) }

// Parent is the folder of a path of [CleanPath].
func Parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

func split(path string) []string {
	var out []string
	for s := range strings.SplitSeq(path, "/") {
		if s != "" && s != "." {
			out = append(out, s)
		}
	}
	return out
}

func join(segments []string) string {
	if len(segments) == 0 {
		return ""
	}
	return "/" + strings.Join(segments, "/")
}
