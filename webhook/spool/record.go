package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/s2"
)

// A record is a delivery as stored:
//
//	version  1 byte, 1
//	flags    1 byte
//	crc      4 bytes, Castagnoli, of all that follows
//	received 8 bytes, nanoseconds since 1970
//	raw      uvarint, length of the body before compression
//	key, event type, event id, subscription id: uvarint length and bytes
//	body     to the end
//
// Integers are big endian. Times that nanoseconds cannot tell are not used.
const (
	recordVersion = 1
	recordFixed   = 1 + 1 + 4 + 8

	flagRedriven   = 1 << 0
	flagCompressed = 1 << 1
	flagStranger   = 1 << 2
)

// Longest texts of a delivery; longer ones are no delivery of Azure DevOps.
const (
	maxKey   = 1024
	maxField = 256
)

// maxRawBody bounds what one body may unpack to, whatever a record says.
const maxRawBody = 64 << 20

// ErrInvalid means that a delivery cannot be stored, whatever is tried.
var ErrInvalid = errors.New("no key, or a field that is too long")

// errRecord means that a record cannot be read: the file is damaged.
var errRecord = errors.New("the record is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A header is a record without its body.
type header struct {
	key, eventType, eventID, subscription string
	received                              time.Time
	redriven, compressed, stranger        bool
	raw                                   uint32
	body                                  []byte // as stored; aliases the record
}

// valid reports whether d can be stored.
func (d *Delivery) valid() error {
	if d.Key == "" || len(d.Key) > maxKey || len(d.EventType) > maxField || len(d.EventID) > maxField ||
		len(d.SubscriptionID) > maxField || len(d.Body) > maxRawBody {
		return ErrInvalid
	}
	return nil
}

// encode makes the record of d. scratch is where the body is compressed; the
// grown one is returned for the next call.
func encode(scratch []byte, d *Delivery) (record, grown []byte) {
	flags, body := byte(0), d.Body
	if d.Redriven {
		flags |= flagRedriven
	}
	if d.Stranger {
		flags |= flagStranger
	}
	if n := s2.MaxEncodedLen(len(d.Body)); cap(scratch) < n {
		scratch = make([]byte, n)
	}
	if packed := s2.Encode(scratch[:cap(scratch)], d.Body); len(packed) < len(d.Body) {
		flags, body = flags|flagCompressed, packed
	}
	b := make([]byte, 0, recordFixed+5*binary.MaxVarintLen32+len(d.Key)+len(d.EventType)+len(d.EventID)+len(d.SubscriptionID)+len(body))
	b = append(b, recordVersion, flags, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(d.Received.UnixNano()))
	b = binary.AppendUvarint(b, uint64(len(d.Body)))
	for _, s := range []string{d.Key, d.EventType, d.EventID, d.SubscriptionID} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b, scratch
}

// readHeader reads a record without looking at its body or its checksum, so
// that a long list of records can be read without touching all their pages.
func readHeader(rec []byte) (header, error) {
	var h header
	if len(rec) < recordFixed {
		return h, errRecord
	}
	if rec[0] != recordVersion {
		return h, fmt.Errorf("%w: version %d", errRecord, rec[0])
	}
	h.redriven, h.compressed, h.stranger = rec[1]&flagRedriven != 0, rec[1]&flagCompressed != 0, rec[1]&flagStranger != 0
	h.received = time.Unix(0, int64(binary.BigEndian.Uint64(rec[6:])))
	rest := rec[recordFixed:]
	raw, n := binary.Uvarint(rest)
	if n <= 0 || raw > maxRawBody {
		return h, errRecord
	}
	h.raw, rest = uint32(raw), rest[n:]
	for _, f := range []struct {
		to    *string
		limit uint64
	}{{&h.key, maxKey}, {&h.eventType, maxField}, {&h.eventID, maxField}, {&h.subscription, maxField}} {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > f.limit || size > uint64(len(rest)-n) {
			return h, errRecord
		}
		*f.to, rest = string(rest[n:n+int(size)]), rest[n+int(size):]
	}
	if h.key == "" {
		return h, errRecord
	}
	h.body = rest
	return h, nil
}

// readRecord reads a whole record and checks it. The result does not alias rec.
func readRecord(id uint64, rec []byte) (Delivery, error) {
	h, err := readHeader(rec)
	if err != nil {
		return Delivery{ID: id}, err
	}
	d := Delivery{
		ID: id, Key: h.key, EventType: h.eventType, EventID: h.eventID, SubscriptionID: h.subscription,
		Received: h.received, Redriven: h.redriven, Stranger: h.stranger,
	}
	if crc32.Checksum(rec[6:], castagnoli) != binary.BigEndian.Uint32(rec[2:]) {
		return d, fmt.Errorf("%w: wrong checksum", errRecord)
	}
	if !h.compressed {
		if len(h.body) != int(h.raw) {
			return d, errRecord
		}
		d.Body = append([]byte{}, h.body...)
		return d, nil
	}
	if n, err := s2.DecodedLen(h.body); err != nil || n != int(h.raw) {
		return d, errRecord
	}
	if d.Body, err = s2.Decode(nil, h.body); err != nil {
		return d, fmt.Errorf("%w: %w", errRecord, err)
	}
	return d, nil
}

// maxReason bounds the reason of a dead letter, in bytes.
const maxReason = 1 << 10

// appendDead encodes a dead letter: version, time of death, attempts, reason,
// then the record as it was.
func appendDead(died time.Time, attempts int, reason string, rec []byte) []byte {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	b := make([]byte, 0, 1+8+4+2+len(reason)+len(rec))
	b = append(b, recordVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(died.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, uint32(attempts))
	b = binary.BigEndian.AppendUint16(b, uint16(len(reason)))
	b = append(b, reason...)
	return append(b, rec...)
}

// readDead splits a dead letter from its record, which aliases b.
func readDead(id uint64, b []byte) (DeadLetter, []byte, error) {
	letter := DeadLetter{Delivery: Delivery{ID: id}}
	if len(b) < 15 || b[0] != recordVersion {
		return letter, nil, errRecord
	}
	letter.Died = time.Unix(0, int64(binary.BigEndian.Uint64(b[1:])))
	letter.Attempts = int(binary.BigEndian.Uint32(b[9:]))
	n := int(binary.BigEndian.Uint16(b[13:]))
	if n > len(b)-15 {
		return letter, nil, errRecord
	}
	letter.Reason = string(b[15 : 15+n])
	return letter, b[15+n:], nil
}
