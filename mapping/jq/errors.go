package jq

import (
	"errors"
	"fmt"
)

// An Error is what a program raises and `try` catches.
type Error struct {
	// Value is what `catch` sees: the message, or any value given to error/1.
	Value any
}

func (e *Error) Error() string {
	if s, ok := e.Value.(string); ok {
		return s
	}
	return shortText(e.Value) + " (not a string)"
}

func errorf(format string, args ...any) error {
	return &Error{Value: fmt.Sprintf(format, args...)}
}

// ErrLimit is wrapped by errors of programs that use more memory or nest deeper
// than a run may, ErrTimeout by those that take longer. Neither can be caught
// inside the program.
var (
	ErrLimit   = errors.New("limit exceeded")
	ErrTimeout = errors.New("gave up")
)

var (
	errHalt    = errors.New("halt")     // ends the program without an output
	errDown    = errors.New("down")     // the receiver of an output failed; see guard
	errTooDeep = errors.New("too deep") // more than maxDepth levels of a value
)

// A breakError leaves the label whose cell it names.
type breakError struct{ label *env }

func (*breakError) Error() string { return "break" }

// guard runs a generator and tells its own failure apart from that of the
// receiver of its outputs: only the former may be caught.
func guard(gen func(out func(place) error) error, out func(place) error) (own, down error) {
	own = gen(func(p place) error {
		if err := out(p); err != nil {
			down = err
			return errDown
		}
		return nil
	})
	if down != nil {
		return nil, down
	}
	return own, nil
}

// describe shows a value in a message, at most 29 bytes of it and the closing
// bracket or quote, as jq does.
func describe(v any) string { return fmt.Sprintf("%s (%s)", typeName(v), shortText(v)) }

func shortText(v any) string {
	const most = 29
	s := string(textUpTo(v, most))
	if len(s) <= most {
		return s
	}
	end := ""
	switch kindOf(v) {
	case kindString:
		end = `"`
	case kindArray:
		end = "]"
	case kindObject:
		end = "}"
	default:
	}
	cut := 26 - len(end)
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "..." + end
}
