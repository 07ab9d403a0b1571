package port

import (
	"bytes"
	"encoding/json"
)

// The functions of this file walk JSON that gjson.ValidBytes has accepted.
// They work on the bytes of the answer, without decoding or copying them.

// eachMember calls yield for the members of a JSON object until it returns
// false. The key is what stands between its quotes.
func eachMember(object []byte, yield func(key, value []byte) bool) {
	i := skipSpace(object, 0)
	if i >= len(object) || object[i] != '{' {
		return
	}
	for i = skipSpace(object, i+1); i < len(object) && object[i] == '"'; i = skipSpace(object, i+1) {
		end := skipString(object, i)
		key := object[i+1 : end-1]
		i = skipSpace(object, end) // the colon
		i = skipSpace(object, i+1)
		end = skipValue(object, i)
		if !yield(key, object[i:end]) {
			return
		}
		if i = skipSpace(object, end); i >= len(object) || object[i] != ',' {
			return
		}
	}
}

// member returns a member of an object, or nil.
func member(object []byte, name string) (value []byte) {
	eachMember(object, func(k, v []byte) bool {
		if string(k) == name {
			value = v
		}
		return value == nil
	})
	return value
}

// eachElement calls yield for the elements of a JSON array until it returns false.
func eachElement(array []byte, yield func(value []byte) bool) {
	i := skipSpace(array, 0)
	if i >= len(array) || array[i] != '[' {
		return
	}
	for i = skipSpace(array, i+1); i < len(array) && array[i] != ']'; i = skipSpace(array, i+1) {
		end := skipValue(array, i)
		if !yield(array[i:end]) {
			return
		}
		if i = skipSpace(array, end); i >= len(array) || array[i] != ',' {
			return
		}
	}
}

// text returns the string that a JSON string stands for, "" for other values.
func text(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// sameText compares a JSON string with s; the usual case takes no memory.
func sameText(value []byte, s string) bool {
	if len(value) == len(s)+2 && string(value[1:len(value)-1]) == s {
		return bytes.IndexByte(value, '\\') < 0
	}
	return bytes.IndexByte(value, '\\') >= 0 && text(value) == s
}

// number returns a JSON number that is a small whole one, -1 for other values.
func number(value []byte) int {
	if len(value) == 0 || len(value) > 9 {
		return -1
	}
	n := 0
	for _, b := range value {
		if b < '0' || b > '9' {
			return -1
		}
		n = n*10 + int(b-'0')
	}
	return n
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// skipValue returns the index behind the value that begins at i.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

func skipNested(b []byte, i int) int {
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
	return len(b)
}
