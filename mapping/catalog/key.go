package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/ado-port/ado-port/port"
)

// A Key stands for an entity, or for other texts, in 16 bytes: half a SHA-256,
// so that two of them never share one, not even on purpose.
type Key [16]byte

// KeyOf is the key of some texts.
func KeyOf(parts ...string) Key {
	var stack [256]byte
	b := stack[:0]
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return Key(sum[:16])
}

// EntityKey is the key of an entity.
func EntityKey(ref port.Ref) Key { return KeyOf(ref.Blueprint, ref.Identifier) }

func (k Key) compare(other Key) int { return bytes.Compare(k[:], other[:]) }
