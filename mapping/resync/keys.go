package resync

import (
	"crypto/sha256"
	"encoding/binary"
)

// A key stands for an entity (blueprint and identifier) in 16 bytes: half a
// SHA-256, so that two entities never share one, not even on purpose.
type key [16]byte

func keyOf(parts ...string) key {
	var stack [256]byte
	b := stack[:0]
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return key(sum[:16])
}
