package jq

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// An Evaluator runs programs given as texts on values given as JSON. It keeps what it
// has compiled, and is safe for concurrent use.
type Evaluator struct {
	mu       sync.Mutex
	compiler *Compiler
	programs map[string]*collected
}

// A collected program gives the list of its outputs.
type collected struct {
	program *Program
	err     error
}

// NewEvaluator makes an Evaluator.
func NewEvaluator(opt Options) *Evaluator {
	return &Evaluator{compiler: NewCompiler(opt), programs: map[string]*collected{}}
}

// maxPrograms bounds what is kept: programs come from files, not from messages.
const maxPrograms = 4096

// Evaluate returns the first output of a program as JSON, null when there is none. A
// program that fails behind its first output fails.
func (e *Evaluator) Evaluate(ctx context.Context, program string, input []byte) ([]byte, error) {
	c := e.compile(program)
	if c.err != nil {
		return nil, c.err
	}
	in, err := Decode(input)
	if err != nil {
		return nil, err
	}
	v, _, err := c.program.Run(ctx, c.program.Value(in), time.Time{})
	if err != nil {
		return nil, err
	}
	var out any
	if list, _ := v.([]any); len(list) > 0 {
		out = list[0]
	}
	return AppendOutput(nil, out)
}

func (e *Evaluator) compile(program string) *collected {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.programs[program]
	if c != nil {
		return c
	}
	c = &collected{}
	// By itself first: a text that closes the bracket is no program.
	if _, c.err = e.compiler.Compile(program); c.err == nil {
		c.program, c.err = e.compiler.Compile("[" + program + "\n]")
	}
	if len(e.programs) < maxPrograms {
		e.programs[program] = c
	}
	return c
}

// Environ writes an environment as Options take it.
func Environ(environ map[string]string) []string {
	out := make([]string, 0, len(environ))
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		out = append(out, name+"="+environ[name])
	}
	return out
}
