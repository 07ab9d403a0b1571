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
	return string(AppendText(nil, e.Value)) + " (not a string)"
}

func errorf(format string, args ...any) error {
	return &Error{Value: fmt.Sprintf(format, args...)}
}

// ErrLimit is wrapped by errors of programs that use more memory or nest deeper
// than a Runner allows. It cannot be caught inside the program.
var ErrLimit = errors.New("limit exceeded")

var (
	errHalt = errors.New("halt") // ends the program without an output
	errDown = errors.New("down") // the receiver of an output failed; see guard
)

// A breakError leaves the label whose cell it names.
type breakError struct{ label *env }

func (*breakError) Error() string { return "break" }

// guard runs a generator and tells its own failure apart from that of the
// receiver of its outputs: only the former may be caught.
func guard(gen func(out func(any) error) error, out func(any) error) (own, down error) {
	own = gen(func(v any) error {
		if err := out(v); err != nil {
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
func describe(v any) string {
	s := string(AppendText(nil, v))
	if len(s) > 29 {
		end := s[len(s)-1:]
		if _, ok := v.(string); !ok && kindOf(v) < kindArray {
			end = ""
		}
		cut := 25
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		s = s[:cut] + "..." + end
	}
	return fmt.Sprintf("%s (%s)", typeName(v), s)
}
