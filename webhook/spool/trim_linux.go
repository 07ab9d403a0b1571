package spool

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// trimBytes is the size of the file from which trim does something.
const trimBytes = 4 << 20

// trim lets go of the pages of the file that reading has put into the process.
// They stay in the system's cache, which takes them back when it needs room, but
// no longer count as memory of ours: after a long queue that is the whole file.
// Only the committer calls it, between two commits: nobody else maps the file
// anew, and who reads meanwhile gets the pages back. The length is what bbolt has
// in use, which lies inside its mapping.
func (b *bolt) trim() {
	if b.broken.Load() {
		return
	}
	_ = guard(func() error {
		return b.db.View(func(t *bbolt.Tx) error {
			if size := t.Size(); size >= trimBytes {
				_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, b.db.Info().Data, uintptr(size), syscall.MADV_DONTNEED)
			}
			return nil
		})
	})
}
