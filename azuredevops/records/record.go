package records

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/s2"
)

// A record is a header and a payload, little endian:
//
//	checksum of what follows   4 bytes, CRC-32C
//	length of the payload      4
//	name                      16
//	length of the value        4
//	flags                      4, packed or not
const (
	recordHeader = 32
	alignment    = 8 // where records begin

	flagDeflated = 1 // of a file that an earlier version has left
	flagPacked   = 2

	// packAbove is the size from which packing pays.
	packAbove = 200
)

var (
	padding    [alignment]byte
	castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table
)

// A name stands for a key: half of its SHA-256, so that two keys do not meet.
type name [16]byte

func nameOf(key string) name {
	sum := sha256.Sum256([]byte(key))
	return name(sum[:16])
}

// short is what the index knows a name by. Where two names share it, the later
// one is kept.
func (n name) short() uint64 { return binary.LittleEndian.Uint64(n[:8]) }

func padded(n int) int64 { return int64(n+alignment-1) / alignment * alignment }

// A writer makes records in memory that it uses again.
type writer struct{ plain, out []byte }

// mostScratch is what a writer keeps.
const mostScratch = 4 << 20

// record makes a record of a value, which comes in parts; it is valid until the next.
func (w *writer) record(n name, parts ...[]byte) []byte {
	value := w.plain[:0]
	for _, p := range parts {
		value = append(value, p...)
	}
	w.plain = value
	room, flags := len(value), uint32(0)
	if len(value) >= packAbove {
		room, flags = s2.MaxEncodedLen(len(value)), flagPacked
	}
	rec := slices.Grow(w.out[:0], recordHeader+room+alignment)[:recordHeader+room]
	w.out = rec
	clear(rec[:recordHeader])
	payload := rec[recordHeader:]
	if flags == flagPacked {
		payload = s2.Encode(payload, value)
	} else {
		copy(payload, value)
	}
	rec = rec[:recordHeader+len(payload)]
	binary.LittleEndian.PutUint32(rec[4:], uint32(len(payload)))
	copy(rec[8:], n[:])
	binary.LittleEndian.PutUint32(rec[24:], uint32(len(value)))
	binary.LittleEndian.PutUint32(rec[28:], flags)
	binary.LittleEndian.PutUint32(rec, crc32.Checksum(rec[4:], castagnoli))
	if cap(w.plain)+cap(w.out) > mostScratch {
		w.plain, w.out = nil, nil
	}
	return rec
}

// intact tells whether rec is a whole record.
func intact(rec []byte) bool {
	return len(rec) >= recordHeader && int64(len(rec)) == recordHeader+int64(binary.LittleEndian.Uint32(rec[4:])) &&
		binary.LittleEndian.Uint32(rec) == crc32.Checksum(rec[4:], castagnoli)
}

// valueOf reads the value of a record. other says that it is whole, but that of
// another name.
func valueOf(rec []byte, n name) (value []byte, other, ok bool) {
	if !intact(rec) {
		return nil, false, false
	}
	if name(rec[8:24]) != n {
		return nil, true, false
	}
	payload, size := rec[recordHeader:], binary.LittleEndian.Uint32(rec[24:])
	if size > maxValueBytes {
		return nil, false, false
	}
	var err error
	switch binary.LittleEndian.Uint32(rec[28:]) {
	case 0:
		return payload, false, true
	case flagPacked:
		if n, lengthErr := s2.DecodedLen(payload); lengthErr != nil || n != int(size) {
			return nil, false, false
		}
		value, err = s2.Decode(nil, payload)
	case flagDeflated:
		value, err = inflate(payload, int(size))
	default:
		return nil, false, false
	}
	return value, false, err == nil
}
