package rest

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	// leastRate is what an answer has to bring, in bytes a second on the average of a
	// timeout: one that drips ends.
	leastRate = 1 << 10
	// longest is how many timeouts an answer may take in all.
	longest = 10
)

// Causes of a request that was given up.
var (
	errStalled = errors.New("no answer in time")
	errEndless = errors.New("no end of the answer in time")
)

// progress cancels a request that makes too little of it, or that does not end. It is
// the body of the answer.
type progress struct {
	io.ReadCloser
	timeout time.Duration
	stall   *time.Timer
	end     *time.Timer
	left    time.Duration // of the longest duration, at since
	since   time.Time
	owed    int // bytes that have to arrive before stall is set back
}

// newProgress starts the clocks of a request.
func newProgress(timeout time.Duration, cancel context.CancelCauseFunc) *progress {
	return &progress{
		timeout: timeout, left: longest * timeout, since: time.Now(),
		stall: time.AfterFunc(timeout, func() { cancel(errStalled) }),
		end:   time.AfterFunc(longest*timeout, func() { cancel(errEndless) }),
	}
}

// answered notes that the answer begins.
func (p *progress) answered(body io.ReadCloser) {
	p.ReadCloser = body
	p.advance()
}

func (p *progress) advance() {
	p.owed = int(leastRate * p.timeout.Seconds())
	p.stall.Reset(p.timeout)
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.owed -= n; p.owed <= 0 {
		p.advance()
	}
	return n, err
}

// stop ends the clocks.
func (p *progress) stop() {
	p.stall.Stop()
	p.end.Stop()
}

// pause stops the clocks while it is us who do not read.
func (p *progress) pause() (resume func()) {
	p.stop()
	p.left -= time.Since(p.since)
	return func() {
		p.since = time.Now()
		p.end.Reset(p.left)
		p.advance()
	}
}
