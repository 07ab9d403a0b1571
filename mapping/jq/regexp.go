package jq

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// A pattern of jq is Oniguruma with Perl's syntax. It runs on Go's engine when
// that means the same and on a backtracking one, with a time limit, otherwise.
type expression struct {
	fast  *regexp.Regexp // nil: not expressible
	noEnd bool           // fast differs on texts that end with a newline
	slow  *regexp2.Regexp
	names []string // of the groups, from 1; empty: no name
	keep  int      // group that marks the start of the match (\K); 0: none
}

// flags of a match.
type matchFlags struct {
	global, skipEmpty, longest bool
	options                    string // for the translation: subset of "ixs"
}

func parseFlags(flags any) (matchFlags, error) {
	var f matchFlags
	if flags == nil {
		return f, nil
	}
	s, ok := flags.(string)
	if !ok {
		return f, errorf("%s is not a string", describe(flags))
	}
	for _, c := range s {
		switch c {
		case 'g':
			f.global = true
		case 'i', 'x':
			f.options += string(c)
		case 'p', 'm': // the dot matches newlines
			f.options += "s"
		case 's':
		case 'n':
			f.skipEmpty = true
		case 'l':
			f.longest = true
		default:
			return f, errorf("%s is not a valid modifier string", s)
		}
	}
	return f, nil
}

// compileExpression is cached: patterns are few and used for every record.
func (p *Program) compileExpression(pattern string, f matchFlags) (*expression, error) {
	key := f.options + "/" + pattern
	if f.longest {
		key = "l" + key
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.regexps[key]; ok {
		return e, nil
	}
	e, err := newExpression(pattern, f, p.regexpTimeout)
	if err != nil {
		return nil, errorf("Regex failure: %s", err)
	}
	if len(p.regexps) >= 256 { // patterns made from data: start over
		p.regexps = map[string]*expression{}
	}
	p.regexps[key] = e
	return e, nil
}

func newExpression(pattern string, f matchFlags, timeout time.Duration) (*expression, error) {
	t := translator{src: pattern}
	if err := t.run(f.options); err != nil {
		return nil, err
	}
	e := &expression{names: t.names, keep: t.keep}
	if t.fast && !t.canBeEmpty {
		if re, err := regexp.Compile(t.out); err == nil {
			if f.longest {
				re.Longest()
			}
			e.fast, e.noEnd = re, t.dollar
		}
	}
	if e.fast != nil && !e.noEnd {
		return e, nil
	}
	re, err := regexp2.Compile(t.out, regexp2.None)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = timeout
	e.slow = re
	return e, nil
}

func (e *expression) isFast(s string) bool {
	return e.fast != nil && !(e.noEnd && strings.HasSuffix(s, "\n"))
}

// find lists the matches, one unless global, as offsets in bytes of the whole and
// of each group, -1 where a group took no part.
func (e *expression) find(r *run, s string, f matchFlags) ([][]int, error) {
	if err := r.work(1 + len(s)>>6); err != nil {
		return nil, err
	}
	if !e.isFast(s) {
		return e.findSlow(r, s, f)
	}
	n := 1
	if f.global {
		n = maxArray + 1
	}
	all := e.fast.FindAllStringSubmatchIndex(s, n)
	return all, r.growArray(len(all), 0, len(all)*(3+len(e.names)))
}

// findSlow looks at the clock after each match, which can take long.
func (e *expression) findSlow(r *run, s string, f matchFlags) ([][]int, error) {
	if err := r.growArray(0, 0, len(s)); err != nil {
		return nil, err
	}
	runes := []rune(s)
	offsets := byteOffsets(s, len(runes))
	var all [][]int
	for at := 0; at <= len(runes); {
		m, err := e.slow.FindRunesMatchStartingAt(runes, at)
		if late := r.look(); late != nil {
			return nil, late
		}
		if err != nil {
			return nil, errorf("Regex failure: the match took too long")
		}
		if m == nil {
			break
		}
		span := e.spanOf(m, offsets)
		at = m.Index + max(m.Length, 1)
		if f.skipEmpty && span[0] == span[1] {
			continue
		}
		all = append(all, span)
		if err := r.growArray(len(all), 0, 3+len(span)); err != nil {
			return nil, err
		}
		if !f.global {
			break
		}
	}
	return all, nil
}

func byteOffsets(s string, n int) []int {
	offsets := make([]int, 0, n+1)
	for i := range s {
		offsets = append(offsets, i)
	}
	return append(offsets, len(s))
}

func (e *expression) spanOf(m *regexp2.Match, offsets []int) []int {
	span := make([]int, 2*(len(e.names)+1))
	span[0], span[1] = offsets[m.Index], offsets[m.Index+m.Length]
	for i := range e.names {
		g := m.GroupByNumber(i + 1)
		span[2*i+2], span[2*i+3] = -1, -1
		if g != nil && len(g.Captures) > 0 {
			span[2*i+2], span[2*i+3] = offsets[g.Index], offsets[g.Index+g.Length]
		}
	}
	if e.keep > 0 {
		if g := m.GroupByNumber(e.keep); g != nil && len(g.Captures) > 0 {
			span[0] = offsets[g.Index]
		}
	}
	return span
}

func prepareMatch(r *run, in, re, flags any) (string, *expression, matchFlags, error) {
	s, ok := in.(string)
	if !ok {
		return "", nil, matchFlags{}, errorf("%s cannot be matched, as it is not a string", describe(in))
	}
	pattern, ok := re.(string)
	if !ok {
		return "", nil, matchFlags{}, errorf("%s is not a string", describe(re))
	}
	f, err := parseFlags(flags)
	if err != nil {
		return "", nil, f, err
	}
	e, err := r.prog.compileExpression(pattern, f)
	return s, e, f, err
}

func testFunc(r *run, in, re, flags any) (any, error) {
	s, e, f, err := prepareMatch(r, in, re, flags)
	if err != nil {
		return nil, err
	}
	if e.isFast(s) {
		return e.fast.MatchString(s), r.work(1 + len(s)>>6)
	}
	f.global = false
	all, err := e.find(r, s, f)
	return len(all) > 0, err
}

// matchFunc lists match objects.
func matchFunc(r *run, in, re, flags any) (any, error) {
	s, e, f, err := prepareMatch(r, in, re, flags)
	if err != nil {
		return nil, err
	}
	all, err := e.find(r, s, f)
	if err != nil {
		return nil, err
	}
	counter := runeCounter{s: s}
	list := make([]any, 0, len(all))
	for _, m := range all {
		list = append(list, e.matchObject(s, m, &counter))
		if err := r.growArray(len(list), 16*(1+len(e.names)), 0); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// splitPattern is split/2.
func splitPattern(r *run, in, re, flags any) (any, error) {
	s, e, f, err := prepareMatch(r, in, re, flags)
	if err != nil {
		return nil, err
	}
	all, err := e.find(r, s, f)
	if err != nil {
		return nil, err
	}
	parts := make([]any, 0, len(all)+1)
	from := 0
	for _, m := range all {
		parts = append(parts, s[min(from, m[0]):m[0]])
		from = m[1]
	}
	parts = append(parts, s[from:])
	return parts, r.growArray(len(parts), 2*len(parts), 0)
}

// A runeCounter turns byte offsets into code points, walking forward.
type runeCounter struct {
	s           string
	bytes, runs int
}

func (c *runeCounter) at(offset int) float64 {
	if offset < c.bytes {
		c.bytes, c.runs = 0, 0
	}
	c.runs += utf8.RuneCountInString(c.s[c.bytes:offset])
	c.bytes = offset
	return float64(c.runs)
}

func (e *expression) matchObject(s string, m []int, c *runeCounter) any {
	captures := make([]any, len(e.names))
	o := newObject(4)
	o.set("offset", c.at(m[0]))
	o.set("length", float64(utf8.RuneCountInString(s[m[0]:m[1]])))
	o.set("string", s[m[0]:m[1]])
	o.set("captures", captures)
	for i, name := range e.names {
		var named any
		if name != "" {
			named = name
		}
		g := newObject(4)
		from, to := m[2*i+2], m[2*i+3]
		switch {
		case from < 0:
			g.set("offset", -1.0)
			g.set("string", nil)
			g.set("length", 0.0)
		case from == to: // in the order of jq
			g.set("offset", c.at(from))
			g.set("string", "")
			g.set("length", 0.0)
		default:
			g.set("offset", c.at(from))
			g.set("length", float64(utf8.RuneCountInString(s[from:to])))
			g.set("string", s[from:to])
		}
		g.set("name", named)
		captures[i] = g
	}
	return o
}

// captured is the object of the named groups of a match object.
func captured(m any) any {
	o := &Object{}
	match, ok := m.(*Object)
	if !ok {
		return o
	}
	list, _ := match.Get("captures")
	groups, _ := list.([]any)
	for _, g := range groups {
		group, ok := g.(*Object)
		if !ok {
			continue
		}
		name, _ := group.Get("name")
		if n, ok := name.(string); ok {
			v, _ := group.Get("string")
			o.set(n, v)
		}
	}
	return o
}

// groups is captured without the detour of a match object.
func (e *expression) groups(s string, m []int) *Object {
	o := newObject(len(e.names))
	for i, name := range e.names {
		if name == "" {
			continue
		}
		var v any
		if from := m[2*i+2]; from >= 0 {
			v = s[from:m[2*i+3]]
		}
		o.set(name, v)
	}
	return o
}
