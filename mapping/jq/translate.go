package jq

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A translator rewrites a pattern of Oniguruma (Perl syntax, UTF-8) for the
// backtracking engine, whose syntax is that of .NET, and for Go's where it can.
type translator struct {
	src string
	i   int

	out, goOut strings.Builder
	fast       bool // goOut means the same
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
	spaceClass = `\t-\r \x{85}\p{Z}`
)

// An atom is what a quantifier applies to.
type atom struct {
	net, re2 string
	empty    bool // can match nothing
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
	prefix := ""
	if flags := strings.ReplaceAll(dedupe(options), "x", ""); flags != "" {
		prefix = "(?" + flags + ")"
	}
	t.out.WriteString(prefix + seq.net)
	t.goOut.WriteString(prefix + seq.re2)
	t.canBeEmpty = seq.empty
	return nil
}

func dedupe(s string) string {
	out := ""
	for _, c := range s {
		if !strings.ContainsRune(out, c) {
			out += string(c)
		}
	}
	return out
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
			all.net += "|"
			all.re2 += "|"
		}
		all.net += seq.net
		all.re2 += seq.re2
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
		seq.net += a.net
		seq.re2 += a.re2
		seq.empty = seq.empty && a.empty
	}
	return seq, nil
}

// both is an atom spelled the same for both engines.
func both(s string, empty bool) atom { return atom{s, s, empty} }

// slow is an atom that only the backtracking engine has.
func (t *translator) slow(s string, empty bool) atom {
	t.fast = false
	return atom{net: s, empty: empty}
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
		return both(".", false), nil
	case '^':
		t.i++
		return both("^", true), nil
	case '$':
		t.i++
		t.dollar = true
		return both("$", true), nil
	}
	if t.isExtended() {
		if c == '#' {
			if n := strings.IndexByte(t.src[t.i:], '\n'); n >= 0 {
				t.i += n + 1
			} else {
				t.i = len(t.src)
			}
			return both("", true), nil
		}
		if isSpace(c) {
			t.i++
			return both("", true), nil
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
	if r < utf8.RuneSelf && strings.ContainsRune(`\.+*?()|[]{}^$# `+"\t\n\v\f\r-", r) {
		switch r {
		case ' ', '#', '-':
			return atom{`\` + string(r), string(r), false}
		case '\n', '\t', '\v', '\f', '\r':
			return both(fmt.Sprintf(`\x%02x`, r), false)
		}
		return both(`\`+string(r), false)
	}
	return both(string(r), false)
}

// quantified reads the quantifiers behind an atom; possessive ones become
// atomic groups.
func (t *translator) quantified(a atom) (atom, error) {
	for n := 0; t.i < len(t.src); n++ {
		q, least, ok := t.quantifier()
		if !ok {
			return a, nil
		}
		if a.net == "" && a.re2 == "" {
			return a, errors.New("target of repeat operator is not specified")
		}
		if n > 0 {
			a.net, a.re2 = "(?:"+a.net+")", "(?:"+a.re2+")"
		}
		a.net += q
		a.re2 += q
		a.empty = a.empty || least == 0
		if t.i >= len(t.src) {
			return a, nil
		}
		switch {
		case t.src[t.i] == '?':
			t.i++
			a.net += "?"
			a.re2 += "?"
		case t.src[t.i] == '+' && q[0] != '{':
			t.i++
			t.fast = false
			a.net = "(?>" + a.net + ")"
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
		return t.body(1, fmt.Sprintf("(?<%d>", len(t.names)), "(", false)
	case strings.HasPrefix(rest, "(?#"):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return atom{}, errors.New("end pattern in group")
		}
		t.i += end + 1
		return both("", true), nil
	case strings.HasPrefix(rest, "(?:"):
		return t.body(3, "(?:", "(?:", false)
	case strings.HasPrefix(rest, "(?="), strings.HasPrefix(rest, "(?!"):
		t.fast = false
		return t.body(3, rest[:3], "", true)
	case strings.HasPrefix(rest, "(?<="), strings.HasPrefix(rest, "(?<!"):
		t.fast = false
		return t.body(4, rest[:4], "", true)
	case strings.HasPrefix(rest, "(?>"):
		t.fast = false
		return t.body(3, "(?>", "", false)
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
	return t.body(4+n, fmt.Sprintf("(?<%d>", len(t.names)), "(", false)
}

// body reads a group whose opening is skip bytes long.
func (t *translator) body(skip int, net, re2 string, empty bool) (atom, error) {
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
	return atom{net + in.net + ")", re2 + in.re2 + ")", empty || in.empty}, nil
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
		a, err := t.body(end+1, "(?"+spec+":", "(?"+spec+":", false)
		t.extended[len(t.extended)-1] = outer
		return a, err
	}
	// Without a colon the options hold to the end of the enclosing group.
	set()
	t.i += end + 1
	in, err := t.alternatives()
	return atom{"(?" + spec + ":" + in.net + ")", "(?" + spec + ":" + in.re2 + ")", in.empty}, err
}
