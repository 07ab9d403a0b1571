package azuredevopstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// wiql is a parsed query of the flat form
//
//	SELECT [field], … FROM WorkItems [WHERE condition] [ORDER BY [field] [ASC|DESC], …]
//
// with AND, OR, NOT, parentheses, the comparison operators, IN, NOT IN, UNDER,
// CONTAINS, IS EMPTY, strings in either quote with the quote doubled inside,
// numbers, and the macros @today ± n, @me and @project.
//
// https://learn.microsoft.com/azure/devops/boards/queries/wiql-syntax
type wiql struct {
	where predicate
	order []wiqlOrder
}

// A wiqlScope is what a query takes from its request.
type wiqlScope struct {
	project string // the value of @project
	me      string // the value of @me
	precise bool   // compare times of day, not days
}

type wiqlOrder struct {
	field      string
	descending bool
}

// A predicate decides about one item at a point in time.
type predicate func(wi *WorkItem, now time.Time) bool

func (query *wiql) matches(wi *WorkItem, now time.Time) bool {
	return query.where == nil || query.where(wi, now)
}

type wiqlParser struct {
	tokens []wiqlToken
	at     int
	query  *wiql
	scope  wiqlScope
}

// A wiqlToken is a word, operator or bracket ('w'), a field ('f'), a string
// ('s'), a number ('n'), a macro ('@') or the end (0).
type wiqlToken struct {
	kind byte
	text string
}

func parseWIQL(text string, scope wiqlScope) (*wiql, error) {
	tokens, err := wiqlTokens(text)
	if err != nil {
		return nil, err
	}
	p := &wiqlParser{tokens: tokens, query: &wiql{}, scope: scope}
	if !p.word("SELECT") {
		return nil, p.fail("Expecting SELECT")
	}
	for p.next(); p.peek().kind == 'f' || p.word(","); p.next() {
		if p.peek().kind == 'f' {
			if _, err := fieldName(p.peek().text); err != nil {
				return nil, err
			}
		}
	}
	if !p.take("FROM") || !p.take("WorkItems") {
		return nil, p.fail("Expecting FROM WorkItems")
	}
	if p.take("WHERE") {
		if p.query.where, err = p.or(); err != nil {
			return nil, err
		}
	}
	if err := p.orderBy(); err != nil {
		return nil, err
	}
	if p.peek().kind != 0 {
		return nil, p.fail("Expecting end of string")
	}
	return p.query, nil
}

func wiqlTokens(text string) ([]wiqlToken, error) {
	var out []wiqlToken
	for i := 0; i < len(text); {
		c := text[i]
		rest := text[i:]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case c == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, errors.New("TF51006: The query statement is missing a closing square bracket")
			}
			out = append(out, wiqlToken{'f', rest[1:end]})
			i += end + 1
		case c == '\'' || c == '"':
			s, n, closed := quoted(rest)
			if !closed {
				return nil, errors.New("TF51004: The query statement is missing a closing quote")
			}
			out = append(out, wiqlToken{'s', s})
			i += n
		case strings.HasPrefix(rest, "<>"), strings.HasPrefix(rest, "<="), strings.HasPrefix(rest, ">="):
			out = append(out, wiqlToken{'w', rest[:2]})
			i += 2
		case strings.IndexByte("=<>(),+-", c) >= 0:
			out = append(out, wiqlToken{'w', rest[:1]})
			i++
		default:
			n := strings.IndexAny(rest, " \t\r\n[]'\"=<>(),+-")
			if n < 0 {
				n = len(rest)
			}
			if n == 0 {
				return nil, fmt.Errorf("TF51006: The query statement has an unexpected character. The error is caused by «%s»", rest[:1])
			}
			kind := byte('w')
			if c == '@' {
				kind = '@'
			} else if c >= '0' && c <= '9' {
				kind = 'n'
			}
			out = append(out, wiqlToken{kind, rest[:n]})
			i += n
		}
	}
	return out, nil
}

// quoted reads a string with its quotes and says how long it was.
func quoted(s string) (text string, n int, closed bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == s[0] {
			b.WriteByte(s[0])
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

func (p *wiqlParser) peek() wiqlToken {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return wiqlToken{}
}

func (p *wiqlParser) next() wiqlToken {
	t := p.peek()
	p.at++
	return t
}

func (p *wiqlParser) word(text string) bool {
	t := p.peek()
	return t.kind == 'w' && strings.EqualFold(t.text, text)
}

func (p *wiqlParser) take(text string) bool {
	if p.word(text) {
		p.at++
		return true
	}
	return false
}

func (p *wiqlParser) fail(what string) error {
	return fmt.Errorf("TF51006: The query statement is not valid. %s. The error is caused by «%s»", what, p.peek().text)
}

func (p *wiqlParser) or() (predicate, error) {
	left, err := p.and()
	for err == nil && p.take("OR") {
		var right predicate
		right, err = p.and()
		a, b := left, right
		left = func(wi *WorkItem, now time.Time) bool { return a(wi, now) || b(wi, now) }
	}
	return left, err
}

func (p *wiqlParser) and() (predicate, error) {
	left, err := p.not()
	for err == nil && p.take("AND") {
		var right predicate
		right, err = p.not()
		a, b := left, right
		left = func(wi *WorkItem, now time.Time) bool { return a(wi, now) && b(wi, now) }
	}
	return left, err
}

func (p *wiqlParser) not() (predicate, error) {
	switch {
	case p.take("NOT"):
		inner, err := p.not()
		return negate(inner), err
	case p.take("("):
		inner, err := p.or()
		if err == nil && !p.take(")") {
			err = p.fail("Expecting )")
		}
		return inner, err
	default:
		return p.condition()
	}
}

func negate(inner predicate) predicate {
	return func(wi *WorkItem, now time.Time) bool { return !inner(wi, now) }
}

func (p *wiqlParser) condition() (predicate, error) {
	t := p.next()
	if t.kind != 'f' && (t.kind != 'w' || !strings.Contains(t.text, ".")) {
		p.at--
		return nil, p.fail("Expecting a field name")
	}
	field, err := fieldName(t.text)
	if err != nil {
		return nil, err
	}
	if p.take("IS") {
		no := p.take("NOT")
		if !p.take("EMPTY") {
			return nil, p.fail("Expecting EMPTY")
		}
		return func(wi *WorkItem, _ time.Time) bool { return (wi.value(field) != nil) == no }, nil
	}
	no := p.take("NOT")
	op := strings.ToUpper(p.next().text)
	test, err := p.comparison(field, op)
	if no {
		test = negate(test)
	}
	return test, err
}

func (p *wiqlParser) comparison(field, op string) (predicate, error) {
	if op == "IN" {
		return p.in(field)
	}
	if op == "CONTAINS" {
		p.take("WORDS")
	}
	literal := p.peek()
	want, err := p.value()
	if err != nil {
		return nil, err
	}
	if literal.kind == 's' && !p.scope.precise && strings.HasSuffix(field, "date") {
		if t := parseTime(literal.text); t != t.Truncate(24*time.Hour) {
			return nil, fmt.Errorf("TF51011: You cannot supply a time with the date when running a query using date precision. The error is caused by «%s»", literal.text)
		}
	}
	text := func(v any) string { return strings.ToLower(fmt.Sprint(v)) }
	switch op {
	case "=", "<>", "<", "<=", ">", ">=":
		return func(wi *WorkItem, now time.Time) bool {
			return compare(wi.value(field), op, want(wi, now), p.scope.precise)
		}, nil
	case "CONTAINS":
		return func(wi *WorkItem, now time.Time) bool {
			have := wi.value(field)
			return have != nil && strings.Contains(text(have), text(want(wi, now)))
		}, nil
	case "UNDER":
		return func(wi *WorkItem, now time.Time) bool {
			have, root := text(wi.value(field)), text(want(wi, now))
			return have == root || strings.HasPrefix(have, root+`\`)
		}, nil
	}
	p.at -= 2
	return nil, p.fail("Expecting a comparison operator")
}

func (p *wiqlParser) in(field string) (predicate, error) {
	if !p.take("(") {
		return nil, p.fail("Expecting (")
	}
	var tests []predicate
	for {
		want, err := p.value()
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(wi *WorkItem, now time.Time) bool {
			return compare(wi.value(field), "=", want(wi, now), p.scope.precise)
		})
		if p.take(",") {
			continue
		}
		if !p.take(")") {
			return nil, p.fail("Expecting )")
		}
		break
	}
	return func(wi *WorkItem, now time.Time) bool {
		for _, t := range tests {
			if t(wi, now) {
				return true
			}
		}
		return false
	}, nil
}

// value reads a literal, a macro or another field.
func (p *wiqlParser) value() (func(*WorkItem, time.Time) any, error) {
	negative := p.take("-")
	t := p.next()
	switch {
	case t.kind == 's':
		return func(*WorkItem, time.Time) any { return t.text }, nil
	case t.kind == 'n':
		n, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.at--
			return nil, p.fail("Expecting a number")
		}
		if negative {
			n = -n
		}
		return func(*WorkItem, time.Time) any { return n }, nil
	case t.kind == 'f':
		field, err := fieldName(t.text)
		return func(wi *WorkItem, _ time.Time) any { return wi.value(field) }, err
	case t.kind == '@':
		return p.macro(t.text)
	case strings.EqualFold(t.text, "true"), strings.EqualFold(t.text, "false"):
		return func(*WorkItem, time.Time) any { return strings.EqualFold(t.text, "true") }, nil
	}
	p.at--
	return nil, p.fail("Expecting a value")
}

func (p *wiqlParser) macro(name string) (func(*WorkItem, time.Time) any, error) {
	switch strings.ToLower(name) {
	case "@me":
		return func(*WorkItem, time.Time) any { return p.scope.me }, nil
	case "@project":
		return func(*WorkItem, time.Time) any { return p.scope.project }, nil
	case "@today", "@startofday":
	default:
		p.at--
		return nil, p.fail("The macro is not supported")
	}
	days := 0
	for _, sign := range []string{"+", "-"} {
		if !p.take(sign) {
			continue
		}
		n, err := strconv.Atoi(p.next().text)
		if err != nil {
			p.at--
			return nil, p.fail("Expecting a number")
		}
		days = n
		if sign == "-" {
			days = -n
		}
	}
	return func(_ *WorkItem, now time.Time) any { return now.Truncate(24*time.Hour).AddDate(0, 0, days) }, nil
}

func (p *wiqlParser) orderBy() error {
	if !p.take("ORDER") {
		return nil
	}
	if !p.take("BY") {
		return p.fail("Expecting BY")
	}
	for {
		t := p.next()
		if t.kind != 'f' {
			p.at--
			return p.fail("Expecting a field name")
		}
		field, err := fieldName(t.text)
		if err != nil {
			return err
		}
		o := wiqlOrder{field: field}
		if !p.take("ASC") {
			o.descending = p.take("DESC")
		}
		p.query.order = append(p.query.order, o)
		if !p.take(",") {
			return nil
		}
	}
}
