package azuredevops

import (
	"bytes"
	"iter"
	"strings"

	"github.com/tidwall/gjson"
)

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n + 1
		slashes := 0
		for k := i - 2; k >= 0 && b[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return i
}

// skipValue returns the index behind the value that begins at b[i]. b is valid
// JSON.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
	default:
		for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
			i++
		}
		return i
	}
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	return i
}

// memberAt returns the index of the value of a top-level member of an object, or
// -1. b is valid JSON. Names of the service's envelopes are never escaped.
func memberAt(b []byte, name string) int {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return -1
	}
	for i = skipSpace(b, i+1); i < len(b) && b[i] == '"'; {
		end := skipString(b, i)
		key := b[i+1 : end-1]
		i = skipSpace(b, skipSpace(b, end)+1) // behind the colon
		if string(key) == name {
			return i
		}
		i = skipSpace(b, skipValue(b, i))
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return -1
}

// elements yields the values of the array that begins at b[i], as parts of b.
func elements(b []byte, i int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i = skipSpace(b, i+1); i < len(b) && b[i] != ']'; {
			end := skipValue(b, i)
			if !yield(b[i:end:end]) {
				return
			}
			i = skipSpace(b, end)
			if i < len(b) && b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

// listAt returns the index of the array under key, or -1. Where versions of the
// service differ, key names several, as "items|members": the first array counts.
func listAt(b []byte, key string) int {
	for name := range strings.SplitSeq(key, "|") {
		if at := memberAt(b, name); at >= 0 && at < len(b) && b[at] == '[' {
			return at
		}
	}
	return -1
}

// list returns the objects of a list in its envelope, as parts of b: the array
// at listAt. Null entries are left out. ok is false when there is no such array,
// which is not the same as an empty one.
func list(b []byte, key string) (objects iter.Seq[[]byte], ok bool) {
	at := listAt(b, key)
	if at < 0 {
		return nil, false
	}
	return func(yield func([]byte) bool) {
		for e := range elements(b, at) {
			if e[0] == '{' && !yield(e) {
				return
			}
		}
	}, true
}

// textAt is a top-level member as text: a string unquoted, a number as spelled,
// empty when absent or null. The result does not alias obj.
func textAt(obj []byte, name string) string {
	i := memberAt(obj, name)
	if i < 0 {
		return ""
	}
	v := obj[i:skipValue(obj, i)]
	switch {
	case len(v) == 0 || string(v) == "null":
		return ""
	case v[0] == '"' && bytes.IndexByte(v, '\\') >= 0:
		return gjson.ParseBytes(v).String()
	case v[0] == '"':
		return string(v[1 : len(v)-1])
	}
	return string(v)
}

// rawAt is a top-level member as it is spelled, as a part of obj; nil when
// absent or null.
func rawAt(obj []byte, name string) []byte {
	i := memberAt(obj, name)
	if i < 0 {
		return nil
	}
	v := obj[i:skipValue(obj, i)]
	if string(v) == "null" {
		return nil
	}
	return v
}
