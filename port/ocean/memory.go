package ocean

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much memory the garbage collector leaves to what is dead, in percent of what is
// alive.
const (
	// mostPercent applies as long as the whole process stays below roomyBytes with it:
	// then collections are rare. It is what the runtime begins with.
	mostPercent = 100
	roomyBytes  = 32 << 20
	// leastPercent applies to a process with much that is alive: with less it would collect
	// all the time.
	leastPercent = 13
	// tuneEvery is how often that is looked at.
	tuneEvery = 200 * time.Millisecond
)

// TuneCollector trades processor time for memory until ctx is done, unless GOGC or
// GOMEMLIMIT say how. A limit of memory would do the same for a small process, and have
// one that is near it collect all the time.
//
// https://pkg.go.dev/runtime#hdr-Environment_Variables
func TuneCollector(ctx context.Context, environ map[string]string) {
	if environ["GOGC"] != "" || environ["GOMEMLIMIT"] != "" {
		return
	}
	percent := mostPercent // which it is at the start
	go func() {
		tick := time.NewTicker(tuneEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				// Each setting stops the program for a moment.
				if now := collectorPercent(readMemory()); now < percent-4 || now > percent+4 {
					percent = now
					debug.SetGCPercent(now)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
}

// collectorPercent is the setting for a process with so many bytes of objects that are
// alive, and others that are no heap.
func collectorPercent(live, other int64) int {
	if live <= 0 {
		return mostPercent
	}
	return int(min(max((roomyBytes-other-live)*100/live, leastPercent), mostPercent))
}

// readMemory reads what the last collection has left, and what the runtime takes besides
// the heap.
func readMemory() (live, other int64) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	v := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return v(0), v(1) - v(2) - v(3) - v(4) - v(5)
}
