package jq

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A translator rewrites a pattern of Oniguruma (Perl syntax, UTF-8) for the
// backtracking engine, whose syntax is that of .NET, so that Go's reads the same
// where it can.
type translator struct {
	src string
	i   int

	out        string
	fast       bool // out means the same to Go's engine
	dollar     bool // … except on texts that end with a newline
	canBeEmpty bool
	names      []string
	keep       int
	extended   []bool // option x, by open group
	depth      int
}

// Classes that are Unicode-aware in Oniguruma.
const (
	wordClass  = `\p{L}\p{M}\p{N}\p{Pc}`
	digitClass = `\p{Nd}`
	spaceClass = "\\t-\\r \u0085\\p{Z}"
)

// An atom is what a quantifier applies to.
type atom struct {
	text  string
	empty bool // can match nothing
}

func (t *translator) run(options string) error {
	t.fast = true
	t.extended = []bool{strings.Contains(options, "x")}
	seq, err := t.alternatives()
	if err != nil {
		return err
	}
	if t.i < len(t.src) {
		return errors.New("unmatched close parenthesis")
	}
	t.out, t.canBeEmpty = seq.text, seq.empty
	if flags := strings.ReplaceAll(options, "x", ""); flags != "" {
		t.out = "(?" + flags + ")" + t.out
	}
	return nil
}

func (t *translator) isExtended() bool { return t.extended[len(t.extended)-1] }

// alternatives reads up to the closing parenthesis or the end.
func (t *translator) alternatives() (atom, error) {
	if t.depth++; t.depth > 200 {
		return atom{}, errors.New("too deep nest level")
	}
	defer func() { t.depth-- }()
	all := atom{}
	for first := true; ; first = false {
		seq, err := t.sequence()
		if err != nil {
			return all, err
		}
		if !first {
			all.text += "|"
		}
		all.text += seq.text
		all.empty = all.empty || seq.empty
		if t.i >= len(t.src) || t.src[t.i] != '|' {
			return all, nil
		}
		t.i++
	}
}

func (t *translator) sequence() (atom, error) {
	seq := atom{empty: true}
	for t.i < len(t.src) && t.src[t.i] != '|' && t.src[t.i] != ')' {
		a, err := t.atom()
		if err != nil {
			return seq, err
		}
		if a, err = t.quantified(a); err != nil {
			return seq, err
		}
		seq.text += a.text
		seq.empty = seq.empty && a.empty
	}
	return seq, nil
}

// slow is an atom that only the backtracking engine has.
func (t *translator) slow(s string, empty bool) atom {
	t.fast = false
	return atom{s, empty}
}

func (t *translator) atom() (atom, error) {
	c := t.src[t.i]
	switch c {
	case '(':
		return t.group()
	case '[':
		return t.class()
	case '\\':
		return t.escape()
	case '*', '+', '?':
		return atom{}, errors.New("target of repeat operator is not specified")
	case '.':
		t.i++
		return atom{".", false}, nil
	case '^':
		t.i++
		return atom{"^", true}, nil
	case '$':
		t.i++
		t.dollar = true
		return atom{"$", true}, nil
	}
	if t.isExtended() {
		if c == '#' {
			if n := strings.IndexByte(t.src[t.i:], '\n'); n >= 0 {
				t.i += n + 1
			} else {
				t.i = len(t.src)
			}
			return atom{"", true}, nil
		}
		if isSpace(c) {
			t.i++
			return atom{"", true}, nil
		}
	}
	return t.literal(), nil
}

func (t *translator) literal() atom {
	r, w := utf8.DecodeRuneInString(t.src[t.i:])
	t.i += w
	return literalRune(r)
}

func literalRune(r rune) atom {
	switch r {
	case '\n', '\t', '\v', '\f', '\r':
		return atom{fmt.Sprintf(`\x%02x`, r), false}
	}
	if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
		return atom{`\` + string(r), false}
	}
	return atom{string(r), false}
}

// quantified reads the quantifiers behind an atom; possessive ones become
// atomic groups.
func (t *translator) quantified(a atom) (atom, error) {
	for n := 0; t.i < len(t.src); n++ {
		q, least, ok := t.quantifier()
		if !ok {
			return a, nil
		}
		if a.text == "" {
			return a, errors.New("target of repeat operator is not specified")
		}
		if n > 0 {
			a.text = "(?:" + a.text + ")"
		}
		a.text += q
		a.empty = a.empty || least == 0
		if t.i >= len(t.src) {
			return a, nil
		}
		switch {
		case t.src[t.i] == '?':
			t.i++
			a.text += "?"
		case t.src[t.i] == '+' && q[0] != '{':
			t.i++
			t.fast = false
			a.text = "(?>" + a.text + ")"
		}
	}
	return a, nil
}

func (t *translator) quantifier() (q string, least int, ok bool) {
	switch t.src[t.i] {
	case '*', '?':
		t.i++
		return t.src[t.i-1 : t.i], 0, true
	case '+':
		t.i++
		return "+", 1, true
	case '{':
		end := strings.IndexByte(t.src[t.i:], '}')
		if end < 0 {
			return "", 0, false
		}
		lo, hi, comma := strings.Cut(t.src[t.i+1:t.i+end], ",")
		if lo == "" || digits(lo) != len(lo) || comma && digits(hi) != len(hi) || len(lo) > 6 || len(hi) > 6 {
			return "", 0, false
		}
		q = t.src[t.i : t.i+end+1]
		t.i += end + 1
		least, _ = strconv.Atoi(lo)
		if least > 1000 {
			t.fast = false
		}
		return q, least, true
	}
	return "", 0, false
}

func (t *translator) group() (atom, error) {
	rest := t.src[t.i:]
	switch {
	case !strings.HasPrefix(rest, "(?"):
		t.names = append(t.names, "")
		return t.body(1, "(", false)
	case strings.HasPrefix(rest, "(?#"):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return atom{}, errors.New("end pattern in group")
		}
		t.i += end + 1
		return atom{"", true}, nil
	case strings.HasPrefix(rest, "(?:"):
		return t.body(3, "(?:", false)
	case strings.HasPrefix(rest, "(?="), strings.HasPrefix(rest, "(?!"):
		t.fast = false
		return t.body(3, rest[:3], true)
	case strings.HasPrefix(rest, "(?<="), strings.HasPrefix(rest, "(?<!"):
		t.fast = false
		return t.body(4, rest[:4], true)
	case strings.HasPrefix(rest, "(?>"):
		t.fast = false
		return t.body(3, "(?>", false)
	case strings.HasPrefix(rest, "(?<"):
		return t.named(rest, '>')
	case strings.HasPrefix(rest, "(?'"):
		return t.named(rest, '\'')
	}
	return t.options(rest)
}

func (t *translator) named(rest string, end byte) (atom, error) {
	n := strings.IndexByte(rest[3:], end)
	if n <= 0 {
		return atom{}, errors.New("group name is empty")
	}
	t.names = append(t.names, rest[3:3+n])
	return t.body(4+n, "(", false)
}

// body reads a group whose opening is skip bytes long.
func (t *translator) body(skip int, open string, empty bool) (atom, error) {
	t.i += skip
	t.extended = append(t.extended, t.isExtended())
	in, err := t.alternatives()
	if err != nil {
		return atom{}, err
	}
	t.extended = t.extended[:len(t.extended)-1]
	if t.i >= len(t.src) {
		return atom{}, errors.New("end pattern with unmatched parenthesis")
	}
	t.i++
	return atom{open + in.text + ")", empty || in.empty}, nil
}

// options reads (?imsx-imsx) and (?imsx-imsx:…).
func (t *translator) options(rest string) (atom, error) {
	end := strings.IndexAny(rest, ":)")
	if end < 0 {
		return atom{}, errors.New("end pattern in group")
	}
	spec := rest[2:end]
	if spec == "" || strings.Trim(spec, "imsx-") != "" {
		return atom{}, errors.New("undefined group option")
	}
	on, off, _ := strings.Cut(spec, "-")
	if strings.Contains(on, "m") {
		t.dollar = false
	}
	if strings.Contains(spec, "m") {
		t.fast = false // where lines end is told apart from the end of the text
	}
	set := func() {
		t.extended[len(t.extended)-1] = (t.isExtended() || strings.Contains(on, "x")) && !strings.Contains(off, "x")
	}
	spec = strings.TrimSuffix(strings.ReplaceAll(on, "x", "")+"-"+strings.ReplaceAll(off, "x", ""), "-")
	if rest[end] == ':' {
		outer := t.isExtended()
		set()
		a, err := t.body(end+1, "(?"+spec+":", false)
		t.extended[len(t.extended)-1] = outer
		return a, err
	}
	// Without a colon the options hold to the end of the enclosing group.
	set()
	t.i += end + 1
	in, err := t.alternatives()
	return atom{"(?" + spec + ":" + in.text + ")", in.empty}, err
}
