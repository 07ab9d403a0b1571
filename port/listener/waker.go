package listener

// A Waker asks for resyncs: it is a Config's Wake. One request waits at most.
type Waker chan string

// NewWaker makes a Waker.
func NewWaker() Waker { return make(Waker, 1) }

// Ask asks for one, for one of the causes above.
func (w Waker) Ask(cause string) {
	select {
	case w <- cause:
	default:
	}
}
