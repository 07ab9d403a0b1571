//go:build !unix

package memory

import (
	"errors"
	"os"
)

// lock is not there: without one, two processes could write into one file.
func lock(string) (*os.File, error) {
	return nil, errors.New("memory: files cannot be locked on this system")
}
