package listener

// A Waker asks for resyncs: it is a Config's Wake. One request waits at most.
type Waker chan string

// NewWaker makes a Waker.
func NewWaker() Waker { return make(Waker, 1) }

// Missed asks for one that brings what deliveries did not.
func (w Waker) Missed() { w.wake(CauseMissed) }

// Posted asks for one because somebody has posted to /resync.
func (w Waker) Posted() { w.wake(CausePosted) }

func (w Waker) wake(cause string) {
	select {
	case w <- cause:
	default:
	}
}
