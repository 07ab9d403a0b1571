package spool

import (
	"errors"
	"time"
)

// A Delivery is one accepted POST of a hook.
type Delivery struct {
	ID             uint64 // of the spool; grows with every delivery
	Key            string // of the object that it is about
	EventType      string
	EventID        string // may be empty
	SubscriptionID string // may be empty
	Received       time.Time
	Stranger       bool // nothing speaks for the sender
	Redriven       bool // was a dead letter before; Received is when it came back
	Attempt        int  // 1 the first time, counted since the process started
	Stored         int  // bytes of the record; of a shared spool
	Body           []byte
}

// A DeadLetter is a delivery that was given up.
type DeadLetter struct {
	Delivery
	Died     time.Time
	Attempts int
	Reason   string // the handler's last error
}

// Errors of the package.
var (
	// ErrFull means that the limit of count or bytes is reached.
	ErrFull = errors.New("the spool is full")
	// ErrClosed means that the spool is closed or about to be.
	ErrClosed = errors.New("the spool is closed")
	// ErrLocked means that another process has the directory.
	ErrLocked = errors.New("the directory of the spool belongs to another process")
	// ErrNotFound means that there is no dead letter of that id.
	ErrNotFound = errors.New("no such dead letter")
	// ErrPermanent is wrapped by errors after which another try is of no use.
	ErrPermanent = errors.New("permanent")
)
