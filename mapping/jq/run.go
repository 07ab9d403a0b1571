package jq

import (
	"context"
	"fmt"
	"time"
)

// Limits of one run; see Runner.
const (
	maxDepth  = 10_000   // nested calls: each takes about 1 KiB of stack
	maxString = 16 << 20 // bytes
	maxArray  = 1 << 20  // elements
	maxTotal  = 64 << 20
	tickEvery = 1 << 10 // steps between two looks at the context
)

// A run is the state of one evaluation.
type run struct {
	ctx   context.Context //nolint:containedctx // a run lives no longer than the call that got it
	prog  *Program
	input Input
	steps int

	deadline time.Time // zero: none
	depth    int
	total    int
}

// tick is called in every loop, so that a deadline ends any program.
func (r *run) tick() error {
	r.steps++
	if r.steps%tickEvery != 0 {
		return nil
	}
	if !r.deadline.IsZero() && time.Now().After(r.deadline) {
		return fmt.Errorf("jq: %w", context.DeadlineExceeded)
	}
	return r.ctx.Err()
}

func (r *run) enter() error {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("jq: %w: more than %d nested calls", ErrLimit, maxDepth)
	}
	return r.tick()
}

func (r *run) leave() { r.depth-- }

// grow accounts for n bytes that the program builds.
func (r *run) grow(n int) error {
	if r.total += n; r.total > maxTotal {
		return fmt.Errorf("jq: %w: more than %d MiB built", ErrLimit, maxTotal>>20)
	}
	return nil
}

func (r *run) growString(n int) error {
	if n > maxString {
		return fmt.Errorf("jq: %w: string of more than %d MiB", ErrLimit, maxString>>20)
	}
	return r.grow(n)
}

func (r *run) growArray(n, added int) error {
	if n > maxArray {
		return fmt.Errorf("jq: %w: array of more than %d elements", ErrLimit, maxArray)
	}
	return r.grow(16 * added)
}

// An env is one binding and those around it. The compiler counts how many
// steps away each name is.
type env struct {
	parent *env
	val    any
	fn     *closure
}

// A closure is a function with the bindings at its definition.
type closure struct {
	def *funcDef
	env *env
}

func (e *env) up(hops int) *env {
	for range hops {
		e = e.parent
	}
	return e
}

// A place is a value and the path that leads to it. Without ok it is a computed
// value, and no path expression may go on from it.
type place struct {
	path *step
	val  any
	ok   bool
}

type step struct {
	parent *step
	key    any
}

func (s *step) keys() []any {
	n := 0
	for p := s; p != nil; p = p.parent {
		n++
	}
	keys := make([]any, n)
	for p := s; p != nil; p = p.parent {
		n--
		keys[n] = p.key
	}
	return keys
}

// A node is a compiled expression. eval sends every output to out and stops at
// its first error.
type node interface {
	eval(r *run, e *env, in any, out func(any) error) error
}

// A single is a node with exactly one output or an error.
type single interface {
	node
	one(r *run, e *env, in any) (any, error)
}

// A pather is a node that can say where its outputs come from.
type pather interface {
	paths(r *run, e *env, in place, out func(place) error) error
}

func evalOne(s single, r *run, e *env, in any, out func(any) error) error {
	v, err := s.one(r, e, in)
	if err != nil {
		return err
	}
	return out(v)
}

// evalPaths are the outputs of any node as places.
func evalPaths(n node, r *run, e *env, in place, out func(place) error) error {
	if p, ok := n.(pather); ok {
		return p.paths(r, e, in, out)
	}
	return n.eval(r, e, in.val, func(v any) error {
		if v == nil && in.val == nil && in.ok { // null is identical to null
			return out(in)
		}
		return out(place{val: v})
	})
}

// singles says whether every node is a single.
func singles(ns ...node) bool {
	for _, n := range ns {
		if _, ok := n.(single); !ok {
			return false
		}
	}
	return true
}
