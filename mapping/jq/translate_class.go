package jq

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var escapedClasses = map[byte][2]string{ // in a class, and its complement
	'w': {wordClass, `\W`}, 'd': {digitClass, `\P{Nd}`}, 's': {spaceClass, `\S`},
}

// keepGroup is the number of the group that marks \K.
const keepGroup = 9999

// escape reads a backslash outside of a class.
func (t *translator) escape() (atom, error) {
	if t.i+1 >= len(t.src) {
		return atom{}, errors.New("end pattern at escape")
	}
	c := t.src[t.i+1]
	switch c {
	case 'w', 'd', 's':
		t.i += 2
		return atom{"[" + escapedClasses[c][0] + "]", false}, nil
	case 'W', 'D', 'S':
		t.i += 2
		return atom{"[^" + escapedClasses[c|0x20][0] + "]", false}, nil
	case 'b', 'B', 'G', 'Z':
		t.i += 2
		return t.slow(`\`+string(c), true), nil
	case 'A', 'z':
		t.i += 2
		return atom{`\` + string(c), true}, nil
	case 'K':
		t.i += 2
		t.keep = keepGroup
		return t.slow(fmt.Sprintf("(?<%d>)", t.keep), true), nil
	case 'R':
		t.i += 2
		return t.slow(`(?>\r\n|[\n-\r\u0085\u2028\u2029])`, false), nil
	case 'X':
		t.i += 2
		return t.slow(`(?>\r\n|\P{M}\p{M}*|\p{M}+)`, false), nil
	case 'N':
		t.i += 2
		return atom{`[^\n]`, false}, nil
	case 'O':
		t.i += 2
		return atom{`[\s\S]`, false}, nil
	case 'Q':
		return t.quoted(), nil
	case 'k', 'g':
		return t.reference(c)
	case 'p', 'P':
		if p, ok, err := t.property(); ok || err != nil {
			return atom{"[" + p + "]", false}, err
		}
		t.i++
		return t.literal(), nil
	}
	if c >= '1' && c <= '9' {
		return t.numbered()
	}
	r, err := t.char()
	return literalRune(r), err
}

// quoted is \Q…\E.
func (t *translator) quoted() atom {
	rest := t.src[t.i+2:]
	text, _, closed := strings.Cut(rest, `\E`)
	t.i += 2 + len(text)
	if closed {
		t.i += 2
	}
	a := atom{empty: text == ""}
	for _, r := range text {
		a.text += literalRune(r).text
	}
	return a
}

func (t *translator) numbered() (atom, error) {
	n := digits(t.src[t.i+1:])
	num, _ := strconv.Atoi(t.src[t.i+1 : t.i+1+n]) // digits
	if num > len(t.names) && n > 1 {
		r, err := t.char()
		return literalRune(r), err
	}
	t.i += 1 + n
	if num > len(t.names) {
		return atom{}, errors.New("invalid backref number/name")
	}
	return t.slow(fmt.Sprintf(`\k<%d>`, num), true), nil
}

// reference is \k<name>; calls (\g<name>) are not available.
func (t *translator) reference(c byte) (atom, error) {
	rest := t.src[t.i+2:]
	if c == 'g' || rest == "" || rest[0] != '<' && rest[0] != '\'' {
		return atom{}, errors.New("subexpression calls are not supported here")
	}
	closing := byte('>')
	if rest[0] == '\'' {
		closing = '\''
	}
	n := strings.IndexByte(rest[1:], closing)
	if n <= 0 {
		return atom{}, errors.New("group name is empty")
	}
	name := rest[1 : 1+n]
	t.i += 2 + n + 2
	if num, err := strconv.Atoi(name); err == nil {
		if num < 0 {
			num += len(t.names) + 1
		}
		if num < 1 || num > len(t.names) {
			return atom{}, errors.New("invalid backref number/name")
		}
		return t.slow(fmt.Sprintf(`\k<%d>`, num), true), nil
	}
	var refs []string
	for i, v := range slices.Backward(t.names) {
		if v == name {
			refs = append(refs, fmt.Sprintf(`\k<%d>`, i+1))
		}
	}
	if refs == nil {
		return atom{}, fmt.Errorf("undefined name <%s> reference", name)
	}
	return t.slow("(?:"+strings.Join(refs, "|")+")", true), nil
}

// posix are the bracket classes, Unicode-aware, and the property names that
// neither engine knows.
var posix = map[string]string{
	"alnum": `\p{L}\p{M}\p{Nd}`, "alpha": `\p{L}\p{M}`, "blank": `\t\p{Zs}`, "cntrl": `\p{Cc}`,
	"digit": digitClass, "graph": `\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}`, "lower": `\p{Ll}`,
	"print": `\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\p{Zs}`, "punct": `\p{P}$+<=>^` + "`" + `|~`,
	"space": spaceClass, "upper": `\p{Lu}`, "xdigit": `0-9A-Fa-f`, "word": wordClass, "ascii": `\x00-\x7f`,
}

// unicodeClass is a category or script under the name that both engines know.
func unicodeClass(plain string) (string, bool) {
	for _, names := range []iter.Seq[string]{maps.Keys(unicode.CategoryAliases), maps.Keys(unicode.Categories), maps.Keys(unicode.Scripts)} {
		for name := range names {
			if plainName(name) == plain {
				return `\p{` + cmp.Or(unicode.CategoryAliases[name], name) + `}`, true
			}
		}
	}
	return "", false
}

var nameSigns = strings.NewReplacer("_", "", " ", "", "-", "")

// plainName is the name of a property without what does not count in it.
func plainName(name string) string { return strings.ToLower(nameSigns.Replace(name)) }

// property reads \p{Name}, \P{Name} and \p{^Name}; the result goes into a class.
func (t *translator) property() (string, bool, error) {
	rest := t.src[t.i:]
	end := strings.IndexByte(rest, '}')
	if len(rest) < 4 || rest[2] != '{' || end < 0 {
		return "", false, nil
	}
	name, negated := strings.CutPrefix(rest[3:end], "^")
	if rest[1] == 'P' {
		negated = !negated
	}
	t.i += end + 1
	plain := plainName(name)
	body, ok := posix[plain]
	switch {
	case plain == "any":
		body, ok = `\s\S`, true
	case !ok:
		body, ok = unicodeClass(plain)
	}
	if !ok {
		return "", false, fmt.Errorf("invalid character property name {%s}", name)
	}
	if negated {
		return complement(body)
	}
	return body, true, nil
}

// complement of a class that must go into another class: only single
// properties have one.
func complement(body string) (string, bool, error) {
	if strings.Count(body, `\p{`) == 1 && strings.HasSuffix(body, "}") && strings.HasPrefix(body, `\p{`) {
		return `\P` + body[2:], true, nil
	}
	switch body {
	case wordClass:
		return `\W`, true, nil
	case spaceClass:
		return `\S`, true, nil
	case posix["alpha"], posix["alnum"]:
		return `\P{L}`, true, nil
	}
	return "", false, errors.New("this negated property is not supported here")
}

// class reads […]. A `[` inside is a literal unless it opens a POSIX class.
func (t *translator) class() (atom, error) {
	t.i++
	open := "["
	if strings.HasPrefix(t.src[t.i:], "^") {
		t.i++
		open = "[^"
	}
	body := ""
	for first := true; ; first = false {
		if t.i >= len(t.src) {
			return atom{}, errors.New("premature end of char-class")
		}
		if t.src[t.i] == ']' && !first {
			t.i++
			return atom{open + body + "]", false}, nil
		}
		item, err := t.classItem()
		if err != nil {
			return atom{}, err
		}
		body += item
	}
}

func (t *translator) classItem() (string, error) {
	rest := t.src[t.i:]
	if strings.HasPrefix(rest, "[:") {
		if end := strings.Index(rest, ":]"); end > 0 {
			name, negated := strings.CutPrefix(rest[2:end], "^")
			if body, ok := posix[name]; ok {
				t.i += end + 2
				if !negated {
					return body, nil
				}
				body, _, err := complement(body)
				return body, err
			}
		}
	}
	if rest[0] == '\\' && len(rest) > 1 {
		switch c := rest[1]; c {
		case 'w', 'd', 's':
			t.i += 2
			return escapedClasses[c][0], nil
		case 'W', 'S', 'D':
			t.i += 2
			if c != 'D' {
				t.fast = false // Go's are ASCII
			}
			return escapedClasses[c|0x20][1], nil
		case 'p', 'P':
			if p, ok, err := t.property(); ok || err != nil {
				return p, err
			}
		}
	}
	return t.classRange()
}

func (t *translator) classRange() (string, error) {
	lo, err := t.classChar()
	if err != nil {
		return "", err
	}
	rest := t.src[t.i:]
	if len(rest) < 2 || rest[0] != '-' || rest[1] == ']' {
		return classRune(lo), nil
	}
	if rest[1] == '\\' && len(rest) > 2 && strings.IndexByte("wWdDsSpP", rest[2]) >= 0 {
		return "", errors.New("char-class value at end of range")
	}
	t.i++
	hi, err := t.classChar()
	if err != nil {
		return "", err
	}
	if hi < lo {
		return "", errors.New("empty range in char class")
	}
	return classRune(lo) + "-" + classRune(hi), nil
}

func (t *translator) classChar() (rune, error) {
	if t.i >= len(t.src) {
		return 0, errors.New("premature end of char-class")
	}
	if t.src[t.i] == '\\' {
		if strings.HasPrefix(t.src[t.i:], `\b`) {
			t.i += 2
			return '\b', nil
		}
		return t.char()
	}
	r, w := utf8.DecodeRuneInString(t.src[t.i:])
	t.i += w
	return r, nil
}

func classRune(r rune) string {
	switch {
	case strings.ContainsRune(`\[]^-&~|`, r):
		return `\` + string(r)
	case r < ' ' || r == 0x7f:
		return fmt.Sprintf(`\x%02x`, r)
	}
	return string(r)
}

// char reads an escaped character.
func (t *translator) char() (rune, error) {
	rest := t.src[t.i+1:]
	if rest == "" {
		return 0, errors.New("end pattern at escape")
	}
	if i := strings.IndexByte("tnrfae", rest[0]); i >= 0 {
		t.i += 2
		return rune("\t\n\r\f\a\x1b"[i]), nil
	}
	switch {
	case strings.HasPrefix(rest, "x{"):
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return 0, errors.New("invalid code point value")
		}
		return t.code(rest[2:end], 16, end+2)
	case rest[0] == 'x':
		n := 1
		for n < len(rest) && n < 3 && strings.IndexByte("0123456789abcdefABCDEF", rest[n]) >= 0 {
			n++
		}
		return t.code("0"+rest[1:n], 16, n+1)
	case rest[0] >= '0' && rest[0] <= '7':
		n := 1
		for n < len(rest) && n < 3 && rest[n] >= '0' && rest[n] <= '7' {
			n++
		}
		return t.code(rest[:n], 8, n+1)
	case rest[0] == 'c' && len(rest) > 1:
		t.i += 3
		return rune(rest[1] & 0x1f), nil
	}
	r, w := utf8.DecodeRuneInString(rest)
	t.i += 1 + w
	return r, nil
}

func (t *translator) code(text string, base, skip int) (rune, error) {
	v, err := strconv.ParseInt(text, base, 32)
	if err != nil || v > utf8.MaxRune {
		return 0, errors.New("invalid code point value")
	}
	t.i += skip
	return rune(v), nil
}
