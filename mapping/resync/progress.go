package resync

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A Status looks at a running resync. Safe for concurrent use.
type Status struct{ run *run }

// KindStatus is how far one resource is.
type KindStatus struct {
	Resource string
	State    string // pending, syncing, completed or failed
	Counts   Counts
}

// Kinds returns where every resource stands.
func (s *Status) Kinds() []KindStatus {
	out := make([]KindStatus, len(s.run.resources))
	for i, b := range s.run.resources {
		out[i] = KindStatus{Resource: b.KindIndex(), State: b.state(), Counts: b.counts()}
	}
	return out
}

// A Terminal shows a running resync as one live line per kind.
type Terminal struct {
	screen, table io.Writer
	stop          chan struct{}
	done          sync.WaitGroup
}

// NewTerminal draws progress on a screen that understands ANSI escapes, and
// prints the table, which quotes what others wrote, to another writer.
func NewTerminal(screen, table io.Writer) *Terminal { return &Terminal{screen: screen, table: table} }

const redraw = 200 * time.Millisecond

// Started begins the live lines.
func (t *Terminal) Started(s *Status) {
	t.stop = make(chan struct{})
	t.done.Go(func() {
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		lines := 0
		for {
			select {
			case <-tick.C:
				lines = t.draw(s, lines)
			case <-t.stop:
				t.draw(s, lines)
				return
			}
		}
	})
}

// Ended prints the table below the live lines.
func (t *Terminal) Ended(sum *Summary) {
	if t.stop != nil {
		close(t.stop)
		t.done.Wait()
		t.stop = nil
	}
	_ = sum.WriteTable(t.table)
}

// draw writes over the lines of the last time and returns how many there are.
func (t *Terminal) draw(s *Status, before int) int {
	if before > 0 {
		fmt.Fprintf(t.screen, "\x1b[%dA", before)
	}
	kinds := s.Kinds()
	for _, k := range kinds {
		c := k.Counts
		fmt.Fprintf(t.screen, "\x1b[2K%-28s %-9s %7d listed %7d written %7d unchanged\n", k.Resource, k.State, c.Listed, c.Written, c.Unchanged)
	}
	return len(kinds)
}
