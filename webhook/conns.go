package webhook

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

const (
	// maxConns bounds the open connections.
	maxConns = 2048
	// spareConns are open beyond that while every other one has a request under
	// way, so that probes are answered; deliveries are not taken over them.
	spareConns = 64
)

// conns is a listener that bounds its open connections. At the bound the one
// that sends nothing for the longest time makes way for a new one.
type conns struct {
	net.Listener

	mu    sync.Mutex
	open  map[net.Conn]*list.Element // nil: a request is under way
	quiet list.List                  // the others, the oldest first
}

func newConns(l net.Listener) *conns {
	return &conns{Listener: l, open: map[net.Conn]*list.Element{}}
}

// Accept returns the next connection that may stay open.
func (c *conns) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if gone := c.admit(conn); gone != nil {
			_ = gone.Close()
			if gone == conn {
				continue
			}
		}
		return conn, nil
	}
}

// admit counts a connection and returns the one that is too much, which may be
// the new one.
func (c *conns) admit(conn net.Conn) (gone net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= maxConns {
		oldest := c.quiet.Front()
		switch {
		case oldest != nil:
			gone, _ = c.quiet.Remove(oldest).(net.Conn)
			delete(c.open, gone)
		case len(c.open) >= maxConns+spareConns:
			return conn
		}
	}
	c.open[conn] = c.quiet.PushBack(conn)
	return gone
}

// changed is the ConnState of the http.Server. It calls a connection active once
// the header of a request has been read.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, open := c.open[conn]
	if !open {
		return
	}
	if e != nil && state != http.StateNew {
		c.quiet.Remove(e)
		c.open[conn] = nil
	}
	switch state {
	case http.StateIdle:
		c.open[conn] = c.quiet.PushBack(conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateNew, http.StateActive:
	}
}

// crowded says that all connections but the spare ones have a request under way.
func (c *conns) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)-c.quiet.Len() > maxConns
}
