//go:build unix

package records

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes a file for this process; closing it, or the end of the process,
// gives it back.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a fixed name in the directory of the store
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrTaken
	}
	return nil, fmt.Errorf("records: %s: %w", path, err)
}
