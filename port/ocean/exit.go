package ocean

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit codes of every command. Errors with an ExitCode method have others.
const (
	ExitGood   = 0
	ExitFailed = 1
	ExitUsage  = 64
)

// Usage makes an error of the command line of one; nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", err, ErrUsage)
}

// Exit tells people of an error and returns the exit code that stands for it.
func Exit(err error, w io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return ExitGood
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "ado-port: %s\n", strings.TrimSpace(line))
	}
	if errors.Is(err, ErrUsage) {
		return ExitUsage
	}
	if own, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return own.ExitCode()
	}
	return ExitFailed
}
