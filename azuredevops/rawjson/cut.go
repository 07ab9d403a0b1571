// Package rawjson cuts values out of JSON text and splices members into it without
// decoding: what is not asked for keeps every byte, such as 1.50 or a number that no
// float64 can hold. It expects valid JSON and does not check it again.
//
// Names are compared as they are spelled, and the first of two equal ones counts:
// the service escapes and repeats none in its envelopes. [With] and [Without] see
// through escapes.
package rawjson

import (
	"bytes"
	"iter"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// SkipSpace returns the index of the first byte at or behind i that is no space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	return i
}

// SkipString returns the index behind the string that begins at b[i].
func SkipString(b []byte, i int) int {
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

// SkipValue returns the index behind the value that begins at b[i].
func SkipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return SkipString(b, i)
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
			i = SkipString(b, i)
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

// Deeper tells whether a text, valid JSON or not, has more than n brackets open at a
// time.
func Deeper(b []byte, n int) bool {
	for i, depth := 0, 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = SkipString(b, i) - 1
		case '{', '[':
			if depth++; depth > n {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// from is obj from the value of a member on, nil without one.
func from(obj []byte, name string) []byte {
	i := SkipSpace(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return nil
	}
	for i = SkipSpace(obj, i+1); i < len(obj) && obj[i] == '"'; {
		end := SkipString(obj, i)
		key := obj[i+1 : end-1]
		i = SkipSpace(obj, SkipSpace(obj, end)+1) // behind the colon
		if string(key) == name {
			return obj[i:]
		}
		i = Next(obj, SkipValue(obj, i))
	}
	return nil
}

// Walk calls visit for every member of an object, in their order, with the name as it
// is spelled, without quotes, and the text that begins with the value. visit returns
// the length of the value, see [SkipValue], or less than 0 to stop. Anything else
// has no members.
func Walk(obj []byte, visit func(name, value []byte) int) {
	i := SkipSpace(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return
	}
	for i = SkipSpace(obj, i+1); i < len(obj) && obj[i] == '"'; {
		end := SkipString(obj, i)
		from := SkipSpace(obj, SkipSpace(obj, end)+1) // behind the colon
		n := visit(obj[i+1:end-1], obj[from:])
		if n < 0 {
			return
		}
		i = Next(obj, from+n)
	}
}

// Next returns the index of what follows the comma at or behind i, or of what is
// there instead of one.
func Next(b []byte, i int) int {
	if i = SkipSpace(b, i); i < len(b) && b[i] == ',' {
		i = SkipSpace(b, i+1)
	}
	return i
}

// Has tells whether an object has a member, be it null.
func Has(obj []byte, name string) bool { return from(obj, name) != nil }

// Raw is a member as it is spelled, as a part of obj; nil when absent or null.
func Raw(obj []byte, name string) []byte {
	v := from(obj, name)
	if len(v) == 0 {
		return nil
	}
	end := SkipValue(v, 0)
	if v = v[:end:end]; string(v) == "null" {
		return nil
	}
	return v
}

// Text is a member as text: a string unquoted, anything else as it is spelled, empty
// when absent or null. The result does not alias obj.
func Text(obj []byte, name string) string {
	v := Raw(obj, name)
	switch {
	case len(v) == 0 || v[0] != '"':
		return string(v)
	case bytes.IndexByte(v, '\\') >= 0:
		return gjson.ParseBytes(v).String()
	}
	return string(v[1 : len(v)-1])
}

// Array is obj from the array under key on, for [Elements]; nil when there is none,
// which is not the same as an empty one. Where versions of the service differ, key
// names several, as "items|members": the first array counts.
func Array(obj []byte, key string) []byte {
	for name := range strings.SplitSeq(key, "|") {
		if v := from(obj, name); len(v) > 0 && v[0] == '[' {
			return v
		}
	}
	return nil
}

// Elements yields the values of the array that b begins with, as parts of b. What
// follows the array does not matter.
func Elements(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := SkipSpace(b, SkipSpace(b, 0)+1); i < len(b) && b[i] != ']'; {
			end := SkipValue(b, i)
			if !yield(b[i:end:end]) {
				return
			}
			i = Next(b, end)
		}
	}
}

// Objects yields the objects in the array under key, see [Array]. Whatever else is in
// it is left out.
func Objects(obj []byte, key string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for e := range Elements(Array(obj, key)) {
			if e[0] == '{' && !yield(e) {
				return
			}
		}
	}
}

// Get looks up a path of gjson. The result is a part of b.
func Get(b []byte, path string) gjson.Result { return gjson.Get(View(b), path) }

// View is b as a string without a copy. The string must not outlive b.
func View(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // readers only read; a copy would be one of whole pages
}
