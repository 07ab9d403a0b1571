package listener

// A Waker asks for resyncs: it is a Config's Wake. One request waits at most.
type Waker chan string

// NewWaker makes a Waker.
func NewWaker() Waker { return make(Waker, 1) }

// Wake asks for a resync.
func (w Waker) Wake(cause string) {
	select {
	case w <- cause:
	default:
	}
}
