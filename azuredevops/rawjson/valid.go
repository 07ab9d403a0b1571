package rawjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// MaxDepth is how many brackets of a valid document may be open at a time. Services have
// some dozens at most, and those who read a document recurse.
const MaxDepth = 1000

// Valid tells whether a text is a JSON document (RFC 8259), not nested more deeply than
// MaxDepth.
func Valid(b []byte) bool {
	end := validValue(b, validSpace(b, 0), MaxDepth)
	return end >= 0 && validSpace(b, end) == len(b)
}

// validValue returns where the value at i ends, -1 when there is none. depth brackets may
// be open in it.
func validValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return validString(b, i)
	case '{', '[':
		return validContainer(b, i, depth)
	case 't':
		return validWord(b, i, "true")
	case 'f':
		return validWord(b, i, "false")
	case 'n':
		return validWord(b, i, "null")
	}
	return validNumber(b, i)
}

func validContainer(b []byte, i, depth int) int {
	if depth == 0 {
		return -1
	}
	object := b[i] == '{'
	closing := b[i] + 2 // in ASCII
	if i = validSpace(b, i+1); i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if object {
			if i >= len(b) || b[i] != '"' {
				return -1
			}
			if i = validString(b, i); i < 0 {
				return -1
			}
			if i = validSpace(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i = validSpace(b, i+1)
		}
		if i = validValue(b, i, depth-1); i < 0 {
			return -1
		}
		if i = validSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = validSpace(b, i+1)
		case closing:
			return i + 1
		default:
			return -1
		}
	}
}

// validSpace is SkipSpace, for what JSON takes for space.
func validSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func validWord(b []byte, i int, word string) int {
	if !bytes.HasPrefix(b[i:], []byte(word)) {
		return -1
	}
	return i + len(word)
}

func validNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = validDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = validDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return validDigits(b, i)
	}
	return i
}

func validDigits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

// validString looks at eight bytes at a time: nearly all of a document is in strings.
func validString(b []byte, i int) int {
	for i++; ; {
		for i+8 <= len(b) {
			v := binary.LittleEndian.Uint64(b[i:])
			if special := specials(v); special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = validEscape(b, i+1); i < 0 {
				return -1
			}
		case c < ' ':
			return -1
		default: // among the last seven
			i++
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// specials has a bit for the first of eight bytes that is a quote, a backslash or a
// control character. Bits for later ones may be wrong.
func specials(v uint64) uint64 {
	quote, slash := v^'"'*ones, v^'\\'*ones
	return ((quote-ones)&^quote | (slash-ones)&^slash | (v-' '*ones)&^v) & highs
}

// validEscape returns where the escape whose letter is at i ends.
func validEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if len(b) < i+5 {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if (c < '0' || c > '9') && (c|' ' < 'a' || c|' ' > 'f') {
				return -1
			}
		}
		return i + 5
	}
	return -1
}
