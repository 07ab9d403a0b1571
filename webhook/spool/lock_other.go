//go:build !unix

package spool

import "os"

// noFollow has no counterpart here.
const noFollow = 0

// lockFile leaves the lock to bbolt.
func lockFile(*os.File) error { return nil }

func unlockFile(*os.File) {}

// owner is not known here.
func owner(os.FileInfo) (uid int, ok bool) { return 0, false }
