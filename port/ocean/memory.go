package ocean

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much memory the garbage collector leaves to what is dead.
const (
	// roomyPercent applies as long as the whole process stays below roomyBytes: then
	// collections are rare.
	roomyPercent = 100
	roomyBytes   = 40 << 20
	// What does not fit in there gets tightPercent of what is alive, so that the
	// process does not collect all the time.
	tightPercent = 18
	// tuneEvery is how often that is looked at.
	tuneEvery = 500 * time.Millisecond
)

// TuneCollector trades processor time for memory until ctx is done, unless GOGC or
// GOMEMLIMIT say how.
//
// https://pkg.go.dev/runtime#hdr-Environment_Variables
func TuneCollector(ctx context.Context, environ map[string]string) {
	if environ["GOGC"] != "" || environ["GOMEMLIMIT"] != "" {
		return
	}
	debug.SetGCPercent(roomyPercent)
	debug.SetMemoryLimit(roomyBytes)
	go func() {
		tick := time.NewTicker(tuneEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				debug.SetMemoryLimit(memoryLimit(readMemory()))
			case <-ctx.Done():
				return
			}
		}
	}()
}

// memoryLimit is what the process may take, in bytes: live are those of objects, and
// other those that are no heap.
func memoryLimit(live, other int64) int64 {
	return max(roomyBytes, other+live+live*tightPercent/100)
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
