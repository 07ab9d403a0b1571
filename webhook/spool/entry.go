package spool

import "time"

// An Entry is what a spool elsewhere needs to know of a record to put it in line.
type Entry struct {
	ID       uint64
	Key      string
	Received time.Time
	Stranger bool
	Stored   int // bytes of the record

	raw uint32
}

// ReadEntry reads an Entry from a record; the error says that it is damaged.
func ReadEntry(id uint64, rec []byte) (*Entry, error) {
	h, err := readHeader(rec)
	if err != nil {
		return nil, err
	}
	return &Entry{ID: id, Key: h.key, Received: h.received, Stranger: h.stranger, Stored: len(rec), raw: h.raw}, nil
}

// Encode makes the record of a delivery. The error is ErrInvalid.
func Encode(d *Delivery) ([]byte, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	if d.Received.IsZero() {
		d.Received = time.Now()
	}
	rec, _ := encode(nil, d)
	return rec, nil
}

// Revive makes a delivery of a dead letter that waits again, as if it had just come;
// false when its record is damaged.
func Revive(letter []byte) (*Delivery, bool) {
	_, rec, err := readDead(0, letter)
	if err != nil {
		return nil, false
	}
	d, err := readRecord(0, rec)
	if err != nil {
		return nil, false
	}
	d.Received, d.Redriven, d.Stranger = time.Now(), true, false // somebody wants it
	return &d, true
}

// DeadHead is what stands before the record in the text of a dead letter.
func DeadHead(died time.Time, attempts int, reason string) []byte {
	return appendDead(died, attempts, reason, nil)
}

// ReadDead reads the text of a dead letter. One whose record is damaged has no body.
func ReadDead(id uint64, letter []byte) DeadLetter {
	l, rec, err := readDead(id, letter)
	if err == nil {
		l.Delivery, err = readRecord(id, rec)
	}
	if err != nil {
		l.Reason = err.Error()
	}
	return l
}

// Same tells which other deliveries say the same as one: hashes of 16 bytes, empty
// where there is none, and that of the subscription which brought it.
type Same struct{ ID, Content, Subscription []byte }

// SameAs makes the hashes of a delivery; resource is what tells its content.
func SameAs(d *Delivery, resource []byte) Same {
	m := marksOf(d, resource)
	var s Same
	if m.id != nil {
		s.ID = m.id[:]
	}
	if m.content != nil {
		s.Content = m.content[:]
		s.Subscription = []byte(d.SubscriptionID)
	}
	return s
}

// How long deliveries are remembered by id and by content.
const (
	RememberID      = idTTL
	RememberContent = contentTTL
)

// Bounds of what is kept.
const (
	MaxDead      = maxDead
	StrangerPart = strangerPart // of the room that strangers may take: one so-many-th
)
