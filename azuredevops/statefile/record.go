package statefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
)

// Files of which a part is read, or to which something is added, are made of records,
// so that whatever happens to them is noticed. A record is a header and a payload, little
// endian, and begins at a multiple of Alignment:
//
//	checksum of what follows   4 bytes, CRC-32C
//	length of the payload      4
//	name                      16
//	length of the value        4
//	flags                      2, packed or not, or that there is no value any more
//	length of the part of the
//	value that is not packed   2, it comes first
const (
	RecordHeader = 32
	Alignment    = 8

	// MaxValue is the most bytes of a value.
	MaxValue = 16 << 20

	flagDeflated = 1 // of a file that an earlier version has left
	flagPacked   = 2
	flagErased   = 4

	// packAbove is the size from which packing pays.
	packAbove = 200
	mostPlain = 1<<16 - 1
)

var (
	padding    [Alignment]byte
	castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table
)

// Checksum is the one of a record, CRC-32C.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// A Name says what a record is about.
type Name [16]byte

// NameOf is the name of a record.
func NameOf(rec []byte) Name { return Name(rec[8:24]) }

// Padded is how many bytes a record of n takes in a file.
func Padded(n int) int64 { return int64(n+Alignment-1) / Alignment * Alignment }

// Pad adds to a record what lies between it and the next one.
func Pad(rec []byte) []byte { return append(rec, padding[:Padded(len(rec))-int64(len(rec))]...) }

// A Packer makes records in memory that it uses again.
type Packer struct{ out []byte }

// mostScratch is what a Packer keeps.
const mostScratch = 2 << 20

// Record makes a record of a value, which comes in parts, the last of which is packed if
// that pays. It is valid until the next, and has room for Pad.
func (w *Packer) Record(n Name, parts ...[]byte) []byte {
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
	rec := slices.Grow(w.out[:0], RecordHeader+room+Alignment)[:RecordHeader]
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
	packed := s2.Encode(rec[len(rec):cap(rec)-Alignment], body)
	return seal(rec[:len(rec)+len(packed)], n, head+len(body), flagPacked|uint32(head)<<16)
}

// Erasure is a record that says that what was put for a name is not there any more.
func Erasure(n Name) []byte {
	return seal(make([]byte, RecordHeader, RecordHeader+Alignment), n, 0, flagErased)
}

// seal writes the header of a record.
func seal(rec []byte, n Name, size int, flags uint32) []byte {
	binary.LittleEndian.PutUint32(rec[4:], uint32(len(rec)-RecordHeader))
	copy(rec[8:], n[:])
	binary.LittleEndian.PutUint32(rec[24:], uint32(size))
	binary.LittleEndian.PutUint32(rec[28:], flags)
	binary.LittleEndian.PutUint32(rec, Checksum(rec[4:]))
	return rec
}

// Erased tells whether a record is an erasure.
func Erased(rec []byte) bool { return binary.LittleEndian.Uint16(rec[28:]) == flagErased }

// half tells whether what a file ends with is the beginning of a record, as a process
// leaves it that is killed: not one that is all there and damaged, nor one whose length
// is damaged, so that it seems to be longer than the file.
func half(end []byte) bool {
	if len(end) < RecordHeader {
		return true
	}
	length := binary.LittleEndian.Uint32(end[4:])
	if length > MaxValue+MaxValue/4 || Padded(RecordHeader+int(length)) <= int64(len(end)) || binary.LittleEndian.Uint16(end[28:]) > flagErased {
		return false
	}
	whole := slices.Clone(end)
	for n := max(RecordHeader, len(end)-Alignment+1); n <= len(end); n++ {
		binary.LittleEndian.PutUint32(whole[4:], uint32(n-RecordHeader))
		if Intact(whole[:n]) {
			return false
		}
	}
	for at := Alignment; at+RecordHeader <= len(end); at += Alignment {
		rec := end[at:]
		if n := RecordHeader + int64(binary.LittleEndian.Uint32(rec[4:])); n <= int64(len(rec)) && binary.LittleEndian.Uint16(rec[28:]) <= flagErased && Intact(rec[:n]) {
			return false
		}
	}
	return true
}

// Intact tells whether rec is a whole record.
func Intact(rec []byte) bool {
	return len(rec) >= RecordHeader && int64(len(rec)) == RecordHeader+int64(binary.LittleEndian.Uint32(rec[4:])) &&
		binary.LittleEndian.Uint32(rec) == Checksum(rec[4:])
}

// Value reads the value of a record. other says that it is whole, but that of
// another name.
func Value(rec []byte, n Name) (value []byte, other, ok bool) {
	if !Intact(rec) {
		return nil, false, false
	}
	if NameOf(rec) != n {
		return nil, true, false
	}
	payload, size := rec[RecordHeader:], binary.LittleEndian.Uint32(rec[24:])
	if size > MaxValue {
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

// inflate is a deflated text, size bytes long.
func inflate(packed []byte, size int) ([]byte, error) {
	text := make([]byte, size)
	_, err := io.ReadFull(flate.NewReader(bytes.NewReader(packed)), text)
	return text, err
}

// Records visits the whole records of a file from one place to another, up to the
// first that is not whole, and returns where they end. rec is valid during the visit.
// Errors are the visitor's and the disk's.
func Records(f io.ReaderAt, from, to int64, visit func(at int64, rec []byte) error) (end int64, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), int(min(to-from, 256<<10)))
	rec := make([]byte, RecordHeader)
	at := from
	for at+RecordHeader <= to {
		if _, err := io.ReadFull(r, rec[:RecordHeader]); err != nil {
			return at, err
		}
		size := RecordHeader + int64(binary.LittleEndian.Uint32(rec[4:]))
		if size > RecordHeader+MaxValue {
			break
		}
		next := at + Padded(int(size))
		if next > to {
			break
		}
		if int64(cap(rec)) < next-at {
			rec = append(make([]byte, 0, next-at), rec[:RecordHeader]...)
		}
		rec = rec[:next-at]
		if _, err := io.ReadFull(r, rec[RecordHeader:]); err != nil {
			return at, err
		}
		if !Intact(rec[:size]) {
			break
		}
		if err := visit(at, rec[:size]); err != nil {
			return at, err
		}
		at = next
	}
	return at, nil
}

// Torn tells whether what lies behind the last whole record of a file, from one place
// to its end, is the beginning of a record, as a process leaves it that is killed.
func Torn(f io.ReaderAt, from, size int64) (bool, error) {
	if size-from > 2*MaxValue {
		return false, nil
	}
	end := make([]byte, size-from)
	if _, err := f.ReadAt(end, from); err != nil {
		return false, err
	}
	return half(end), nil
}

// ReadRecord reads the record at a place of a file; io.EOF means that the file ends
// there. Whether it is intact is not looked at.
func ReadRecord(f io.ReaderAt, at int64) ([]byte, error) {
	head := make([]byte, RecordHeader)
	if n, err := f.ReadAt(head, at); n < len(head) {
		if n > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head[4:])
	if length > MaxValue {
		return nil, io.ErrUnexpectedEOF
	}
	rec := make([]byte, RecordHeader+int(length))
	copy(rec, head)
	if n, err := f.ReadAt(rec[RecordHeader:], at+RecordHeader); n < int(length) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return rec, nil
}
