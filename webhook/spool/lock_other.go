//go:build !unix

package spool

import "os"

// lockFile leaves the lock to bbolt.
func lockFile(*os.File) error { return nil }
