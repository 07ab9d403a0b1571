package ocean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// A State is the state directory that a service would use.
type State struct {
	Directory string // empty: everything is kept in memory
	Exists    bool
	Free      uint64 // bytes of its volume; 0 where the system does not tell
}

// InspectState finds what StateDirectory would choose and makes nothing: a
// directory that does not exist is judged by the one in which it would be made. The
// error is why the named directory, or each of the others, cannot be used.
func InspectState(configured string, environ map[string]string) (State, error) {
	if configured != "" {
		s, err := inspect(configured, false)
		if err != nil {
			err = fmt.Errorf("%s: %w: %w", stateVariable, ErrState, err)
		}
		return s, err
	}
	var errs []error
	for _, dir := range stateOrder(stateCandidates(environ, "/tmp")) {
		s, err := inspect(dir, true)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return State{}, errors.Join(errs...)
}

// Remembered is the directory that InspectState finds, empty when there is none; the
// log says why.
func Remembered(ctx context.Context, configured string, environ map[string]string, log *slog.Logger) string {
	s, err := InspectState(configured, environ)
	if err != nil {
		log.WarnContext(ctx, "what is remembered of the last resync cannot be used", "err", err)
	}
	return s.Directory
}

// inspect is prepare without any change.
func inspect(dir string, own bool) (State, error) {
	s := State{Directory: dir}
	at := dir
	info, err := os.Stat(at)
	for ; err != nil; info, err = os.Stat(at) {
		if !errors.Is(err, os.ErrNotExist) || at == filepath.Dir(at) {
			return State{}, fmt.Errorf("%w; make it a directory that this process may write", err)
		}
		at = filepath.Dir(at)
	}
	s.Exists = at == dir
	link, err := os.Lstat(dir)
	switch {
	case !info.IsDir():
		return State{}, fmt.Errorf("%s is not a directory; make it a directory that this process may write", at)
	case own && err == nil && link.Mode()&os.ModeSymlink != 0:
		return State{}, linkError(dir)
	}
	user, err := writable(at)
	if err != nil {
		return State{}, fmt.Errorf("%w; let this process write there", err)
	}
	if s.Exists {
		if err := trusted(dir, own, user); err != nil {
			return State{}, err
		}
	}
	s.Free = freeBytes(at)
	return s, nil
}
