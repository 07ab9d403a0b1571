// Package networktest finds addresses for servers that tests start.
package networktest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Of ports below 30,000 no common operating system takes any for a connection or for a
// listener that asks for port 0; above them somebody else could get the one that was
// found, before the server has it.
const lowest, highest = 10_000, 30_000

var (
	mu    sync.Mutex
	found = map[int]bool{} // by this process
)

// FreePort finds a port of 127.0.0.1 that nobody uses, for a server that is started
// later or by another process, and that may be started again. No other call in this
// process returns it.
func FreePort(tb testing.TB) int {
	tb.Helper()
	mu.Lock()
	defer mu.Unlock()
	var err error
	for range 1000 {
		port := lowest + rand.IntN(highest-lowest)
		if found[port] {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", Address(port)); err == nil {
			_ = l.Close()
			found[port] = true
			return port
		}
	}
	tb.Fatalf("no port is free: %v", err)
	return 0
}

// Address is that of a port.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
