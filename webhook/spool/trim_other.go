//go:build !linux

package spool

// trim is for Linux.
func (*bolt) trim() {}
