//go:build !unix

package records

import (
	"errors"
	"os"
)

// lock is not there: without one, two processes could write into one file.
func lock(string) (*os.File, error) {
	return nil, errors.New("records: files cannot be locked on this system")
}
