package spool

import "time"

// Where no password is asked for, anybody can post deliveries, and each may cost
// calls to Azure DevOps. A delivery that nothing speaks for is a stranger, and so
// is its key as long as no other delivery of it is known. Strangers are worked on
// a few at once (Config.Strangers), after a burst one every three seconds, and may
// take a small part of the room. To find out that something does not exist takes
// about three calls, so a flood of forgeries costs about a call a second, and the
// known ones have the other workers and the other room. Honest strangers come
// through, too, only late while there is a flood.
const (
	strangerBurst = 10
	strangerEvery = 3 * time.Second
	strangerPart  = 8 // of the room: an eighth
)

// An allowance says when the next stranger may be worked on. The zero value is a
// full one.
type allowance struct {
	spent time.Time // when all that was taken will have been earned again
}

// next is the earliest time for the next one.
func (a *allowance) next(now time.Time) time.Time {
	if at := a.spent.Add(-(strangerBurst - 1) * strangerEvery); at.After(now) {
		return at
	}
	return now
}

// take takes one; false when it is too early.
func (a *allowance) take(now time.Time) bool {
	if a.next(now).After(now) {
		return false
	}
	if a.spent.Before(now) {
		a.spent = now
	}
	a.spent = a.spent.Add(strangerEvery)
	return true
}
