// Package jq evaluates jq programs as jq 1.8 does.
//
// Programs are parsed by gojq and evaluated here: gojq itself sorts the members
// of objects, has RE2 instead of Oniguruma and arithmetic on big integers, so
// that mappings written for jq would give other entities. The tests compare this
// package with gojq where both must agree.
//
// A Program reads its input through an Input, which lets a caller answer plain
// paths such as `.fields."System.Title"` without decoding the whole record.
package jq

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/itchyny/gojq"
)

// Options of a Compiler.
type Options struct {
	// Environ is what `env` and `$ENV` show, as "NAME=value".
	Environ []string
	// RegexpTimeout bounds one match of the backtracking engine; 0: 1 s.
	RegexpTimeout time.Duration
	// Timeout bounds one run of a program; 0: 10 s.
	Timeout time.Duration
}

// A Compiler compiles programs that share built-ins, regular expressions and
// environment. It is not safe for concurrent use; its Programs are.
type Compiler struct {
	shared *shared
	comp   *compiler
}

// shared is what programs of one compiler have in common.
type shared struct {
	environ       *Object
	regexpTimeout time.Duration
	timeout       time.Duration
	mu            sync.Mutex
	regexps       map[string]*expression // guarded by mu
	runs          sync.Pool              // of *run
}

// NewCompiler returns a Compiler with its own cache of regular expressions.
func NewCompiler(opt Options) *Compiler {
	environ := &Object{}
	for _, kv := range opt.Environ {
		name, value, _ := strings.Cut(kv, "=")
		environ.set(name, value)
	}
	environ.freeze()
	if opt.RegexpTimeout <= 0 {
		opt.RegexpTimeout = time.Second
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 10 * time.Second
	}
	s := &shared{environ: environ, regexpTimeout: opt.RegexpTimeout, timeout: opt.Timeout, regexps: map[string]*expression{}}
	return &Compiler{
		shared: s,
		comp:   &compiler{builtins: map[string]*funcDef{}, nodes: nodeFunctions()},
	}
}

// A Program is a compiled jq program.
type Program struct {
	*shared
	body  node
	paths [][]string
	notes []string
}

// Notes are remarks on what the program does differently here than in jq.
func (p *Program) Notes() []string { return p.notes }

func (p *Program) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(p.notes, n) {
		p.notes = append(p.notes, n)
	}
}

// Input is the value that a program runs on.
type Input interface {
	// Whole is the complete value.
	Whole() (any, error)
	// Path is the value at the i-th of Program.Paths: null when it is missing.
	// The error is a jq error when a value on the way is neither an object nor
	// null.
	Path(i int) (any, error)
}

// Compile parses and compiles a program.
func (c *Compiler) Compile(src string) (*Program, error) {
	q, err := gojq.Parse(withLocations(src))
	if err != nil {
		return nil, fmt.Errorf("syntax error: %w", err)
	}
	p := &Program{shared: c.shared}
	c.comp.prog, c.comp.root, c.comp.depth, c.comp.err = p, true, 0, nil
	p.body = c.comp.query(q, nil)
	if c.comp.err != nil {
		return nil, c.comp.err
	}
	return p, nil
}

// withLocations replaces $__loc__, whose line the parser does not keep.
func withLocations(src string) string {
	const name = "$__loc__"
	if !strings.Contains(src, name) || strings.Contains(src, "{"+name) {
		return src
	}
	var b strings.Builder
	line := 1
	for {
		before, after, ok := strings.Cut(src, name)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		line += strings.Count(before, "\n")
		fmt.Fprintf(&b, `{"file":"<top-level>","line":%d}`, line)
		src = after
	}
}

// Paths are the plain paths that the program reads from its input.
func (p *Program) Paths() [][]string { return p.paths }

// IsPath says that the program is nothing but a path of Paths.
func (p *Program) IsPath() bool {
	_, ok := p.body.(rootPath)
	return ok
}

// IsIdentity says that the program is `.`.
func (p *Program) IsIdentity() bool {
	_, ok := p.body.(rootWhole)
	return ok
}

// Literal returns the value of a program that is a literal.
func (p *Program) Literal() (any, bool) {
	k, ok := p.body.(constant)
	return k.v, ok
}

// Run evaluates the program and returns its first output; ok is false when
// there is none. The error is the program's own (*Error), a limit of the run
// (ErrLimit, ErrTimeout), or, of all that the caller does, a deadline or a bug.
// A deadline that is not zero bounds the run besides ctx: a timer for each of
// many short runs would cost more than they do.
func (p *Program) Run(ctx context.Context, in Input, deadline time.Time) (v any, ok bool, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			v, ok = nil, false
			err = fmt.Errorf("jq: internal error: %v\n%s", bug, debug.Stack())
		}
	}()
	r, _ := p.runs.Get().(*run)
	if r == nil {
		r = new(run)
	}
	*r = run{ctx: ctx, prog: p, input: in, left: tickEvery, deadline: deadline}
	v, ok, err = first(p.body, r, nil, nil)
	*r = run{}
	p.runs.Put(r)
	if err != nil && errors.Is(err, errHalt) {
		return nil, false, nil
	}
	return v, ok, err
}

// PathOr says that the program is `path // literal`, with path the only one of
// Paths, and returns the literal.
func (p *Program) PathOr() (literal any, ok bool) {
	alt, ok := p.body.(alternativeOne)
	if !ok {
		return nil, false
	}
	_, isPath := alt.left.(rootPath)
	k, isLiteral := alt.right.(constant)
	return k.v, isPath && isLiteral
}

// addPath returns the number of a path of the program.
func (p *Program) addPath(path []string) int {
	for i, known := range p.paths {
		if slices.Equal(known, path) {
			return i
		}
	}
	p.paths = append(p.paths, path)
	return len(p.paths) - 1
}

// rootPath is a plain path from the program's input.
type rootPath struct{ index int }

func (n rootPath) one(r *run, _ *env, _ any) (any, error) { return r.input.Path(n.index) }

// rootWhole is the program's input.
type rootWhole struct{}

func (n rootWhole) one(r *run, _ *env, _ any) (any, error) { return r.input.Whole() }

// Value makes an Input of a decoded value, for p.
func (p *Program) Value(v any) Input { return valueInput{p, v} }

type valueInput struct {
	p *Program
	v any
}

func (i valueInput) Whole() (any, error) { return i.v, nil }

func (i valueInput) Path(n int) (any, error) {
	v := i.v
	for _, name := range i.p.paths[n] {
		var err error
		if v, err = getField(v, name); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// NotIndexable is the error of a path step into v, which is not an object.
func NotIndexable(v any, name string) error {
	_, err := getField(v, name)
	return err
}
