package jq

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of one run. What an expression holds is bounded by maxTotal, and by four
// times as much where it copies, which is charged at a quarter: most copies are
// the next state of a loop and replace the one before.
const (
	maxCalls  = 10_000 // nested calls: each takes up to 10 KiB of stack
	maxDepth  = 10_000 // of a value
	maxString = 16 << 20
	maxArray  = 1 << 20 // elements
	maxTotal  = 64 << 20
	maxOutput = 16 << 20
	tickEvery = 1 << 10 // steps between two looks at the clock
)

// A run is the state of one evaluation.
type run struct {
	ctx   context.Context //nolint:containedctx // a run lives no longer than the call that got it
	prog  *Program
	input Input

	left     int       // steps until the next look at the clock
	deadline time.Time // of the caller; zero: none
	until    time.Time // of this run, set by the first look
	depth    int
	total    int
	text     strings.Builder // the string that was built last; see concat
}

// tick is called in every loop, so that the clock ends any program.
func (r *run) tick() error { return r.work(1) }

// work is tick for n steps.
func (r *run) work(n int) error {
	if r.left -= n; r.left > 0 {
		return nil
	}
	return r.look()
}

// look looks at context and clock.
func (r *run) look() error {
	r.left = tickEvery
	if err := r.ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	switch {
	case r.until.IsZero():
		r.until = now.Add(r.prog.timeout)
	case now.After(r.until):
		return fmt.Errorf("jq: %w after %s", ErrTimeout, r.prog.timeout)
	case !r.deadline.IsZero() && now.After(r.deadline):
		return fmt.Errorf("jq: %w", context.DeadlineExceeded)
	}
	return nil
}

// nested is tick for a step into a value that lies depth levels down.
func (r *run) nested(depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	return r.work(1)
}

func (r *run) enter() error { return r.nest(1) }

// nest is enter for as much as weight calls.
func (r *run) nest(weight int) error {
	if r.depth += weight; r.depth > maxCalls {
		return fmt.Errorf("jq: %w: more than %d nested calls", ErrLimit, maxCalls)
	}
	return r.tick()
}

func (r *run) leave() { r.depth-- }

// grow accounts for n bytes that the program builds.
func (r *run) grow(n int) error {
	if r.total += n; r.total > maxTotal {
		return fmt.Errorf("jq: %w: more than %d MiB built", ErrLimit, maxTotal>>20)
	}
	return r.work(1 + n>>10)
}

func (r *run) growString(n int) error {
	if n > maxString {
		return fmt.Errorf("jq: %w: string of more than %d MiB", ErrLimit, maxString>>20)
	}
	return r.grow(n)
}

// growArray accounts for a list, or the members of an object, of n elements,
// some of them added and others copied.
func (r *run) growArray(n, added, copied int) error {
	if n > maxArray {
		return fmt.Errorf("jq: %w: array of more than %d elements", ErrLimit, maxArray)
	}
	return r.grow(16*added + 4*copied)
}

// free marks the place behind a list into which join may write.
var free any = new(struct{})

// join joins two lists. A loop that adds to its result goes on in the room
// behind it, unless another list has taken that.
func (r *run) join(x, y []any) ([]any, error) {
	n := len(x) + len(y)
	if room := x[:cap(x)]; n < len(room) && room[len(x)] == free {
		if err := r.growArray(n, len(y), 0); err != nil {
			return nil, err
		}
		copy(room[len(x):], y)
		room[n] = free
		return room[:n], nil
	}
	if err := r.growArray(n, len(y), len(x)); err != nil {
		return nil, err
	}
	const long = 32
	if n < long {
		return slices.Concat(x, y), nil
	}
	room := make([]any, n+n/2)
	copy(room[copy(room, x):], y)
	room[n] = free
	return room[:n], nil
}

// concat joins two strings. A loop that adds to its result goes on in the room
// behind it, so that it takes linear time.
func (r *run) concat(x, y string) (string, error) {
	const long = 256
	if len(x)+len(y) > maxString {
		return "", r.growString(len(x) + len(y))
	}
	if len(x) < long {
		return x + y, r.grow(len(x) + len(y))
	}
	copied := 0
	if r.text.Len() != len(x) || r.text.String() != x {
		r.text = strings.Builder{}
		r.text.Grow(len(x) + len(y))
		r.text.WriteString(x)
		copied = len(x) / 4
	}
	r.text.WriteString(y)
	return r.text.String(), r.grow(copied + len(y))
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

// A place is a value and, in path expressions, where it comes from.
type place struct {
	val  any
	path *step // nil: nobody asks; computed: no path leads to the value
}

// A step is the last one of a path. That of the whole input has no parent.
type step struct {
	parent *step
	key    any
}

// computed stands for the path of a calculated value: no path goes on from it.
var computed = new(step)

func (s *step) keys() []any {
	n := 0
	for p := s; p.parent != nil; p = p.parent {
		n++
	}
	keys := make([]any, n)
	for p := s; p.parent != nil; p = p.parent {
		n--
		keys[n] = p.key
	}
	return keys
}

// plain is the value for a part of which nobody asks the path.
func (p place) plain() place { return place{val: p.val} }

// with is a value that was calculated from that of p; null is identical to null.
func (p place) with(v any) place {
	if v == nil && p.val == nil && p.path != computed {
		return p
	}
	return p.other(v)
}

// other is a value that has nothing to do with that of p.
func (p place) other(v any) place {
	if p.path == nil {
		return place{val: v}
	}
	return place{v, computed}
}

// A node is a compiled expression: a single, a generator, or both when paths can
// go through it.
type node any

// A generator has any number of outputs. It sends each to out and stops at its
// first error.
type generator interface {
	eval(r *run, e *env, in place, out func(place) error) error
}

// A single has exactly one output or an error.
type single interface {
	one(r *run, e *env, in any) (any, error)
}

// eval sends the outputs of any node to out.
func eval(n node, r *run, e *env, in place, out func(place) error) error {
	s, one := n.(single)
	if g, ok := n.(generator); ok && (!one || in.path != nil) {
		return g.eval(r, e, in, out)
	}
	v, err := s.one(r, e, in.val)
	if err != nil {
		return err
	}
	return out(in.with(v))
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
