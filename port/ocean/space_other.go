//go:build !linux && !darwin

package ocean

// freeBytes is unknown.
func freeBytes(string) uint64 { return 0 }
