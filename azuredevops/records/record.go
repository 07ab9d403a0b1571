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
//	flags                      2, packed or not, or that there is no value any more
//	length of the part of the
//	value that is not packed   2, it comes first
const (
	recordHeader = 32
	alignment    = 8 // where records begin

	flagDeflated = 1 // of a file that an earlier version has left
	flagPacked   = 2
	flagErased   = 4

	// packAbove is the size from which packing pays.
	packAbove = 200
	mostPlain = 1<<16 - 1
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
type writer struct{ out []byte }

// mostScratch is what a writer keeps.
const mostScratch = 2 << 20

// record makes a record of a value, which comes in parts, the last of which is packed if
// that pays. It is valid until the next.
func (w *writer) record(n name, parts ...[]byte) []byte {
	last := len(parts) - 1
	head := 0
	for _, p := range parts[:last] {
		head += len(p)
	}
	body := parts[last]
	packs := len(body) >= packAbove && head <= mostPlain
	room := head + len(body)
	if packs {
		room = head + s2.MaxEncodedLen(len(body))
	}
	rec := slices.Grow(w.out[:0], recordHeader+room+alignment)[:recordHeader]
	if w.out = rec; cap(rec) > mostScratch {
		w.out = nil
	}
	clear(rec)
	for _, p := range parts[:last] {
		rec = append(rec, p...)
	}
	if !packs {
		return seal(append(rec, body...), n, head+len(body), 0)
	}
	packed := s2.Encode(rec[len(rec):cap(rec)-alignment], body)
	return seal(rec[:len(rec)+len(packed)], n, head+len(body), flagPacked|uint32(head)<<16)
}

// erasure is a record that says that what was put for a name is not there any more.
func erasure(n name) []byte {
	return seal(make([]byte, recordHeader, recordHeader+alignment), n, 0, flagErased)
}

// seal writes the header of a record.
func seal(rec []byte, n name, size int, flags uint32) []byte {
	binary.LittleEndian.PutUint32(rec[4:], uint32(len(rec)-recordHeader))
	copy(rec[8:], n[:])
	binary.LittleEndian.PutUint32(rec[24:], uint32(size))
	binary.LittleEndian.PutUint32(rec[28:], flags)
	binary.LittleEndian.PutUint32(rec, crc32.Checksum(rec[4:], castagnoli))
	return rec
}

// erased tells whether a record is an erasure.
func erased(rec []byte) bool { return binary.LittleEndian.Uint16(rec[28:]) == flagErased }

// half tells whether what a file ends with is the beginning of a record, as a process
// leaves it that is killed: not one that is all there and damaged, nor one whose length
// is damaged, so that it seems to be longer than the file.
func half(end []byte) bool {
	if len(end) < recordHeader {
		return true
	}
	length := binary.LittleEndian.Uint32(end[4:])
	if length > maxValueBytes+maxValueBytes/4 || padded(recordHeader+int(length)) <= int64(len(end)) || binary.LittleEndian.Uint16(end[28:]) > flagErased {
		return false
	}
	whole := slices.Clone(end)
	for n := max(recordHeader, len(end)-alignment+1); n <= len(end); n++ {
		binary.LittleEndian.PutUint32(whole[4:], uint32(n-recordHeader))
		if intact(whole[:n]) {
			return false
		}
	}
	for at := alignment; at+recordHeader <= len(end); at += alignment {
		rec := end[at:]
		if n := recordHeader + int64(binary.LittleEndian.Uint32(rec[4:])); n <= int64(len(rec)) && binary.LittleEndian.Uint16(rec[28:]) <= flagErased && intact(rec[:n]) {
			return false
		}
	}
	return true
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
	head := int(binary.LittleEndian.Uint16(rec[30:]))
	switch binary.LittleEndian.Uint16(rec[28:]) {
	case 0:
		return payload, false, true
	case flagPacked:
		if head > len(payload) {
			return nil, false, false
		}
		if n, lengthErr := s2.DecodedLen(payload[head:]); lengthErr != nil || head+n != int(size) {
			return nil, false, false
		}
		value = make([]byte, size)
		copy(value, payload[:head])
		_, err = s2.Decode(value[head:], payload[head:])
	case flagDeflated:
		value, err = inflate(payload, int(size))
	default:
		return nil, false, false
	}
	return value, false, err == nil
}
