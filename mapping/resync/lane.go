package resync

import (
	"context"
	"sync"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/catalog"
)

// A lane loads the entities of resources that depend on each other's order: those
// that write a common blueprint, and those that search in a blueprint which
// another one writes. Its resources are loaded in mapping order, each in the order
// of its records. Lanes run in parallel.
type lane struct {
	run       *run
	resources []*resource
	turns     []*turn
	ordered   bool // a resource searches: batches go out one after another

	in     chan catalog.Layer // of the turn that may send; a layer without a source ends it
	writer *catalog.Writer

	mu      sync.Mutex
	current int // index of the turn that may send; -1 before the first
}

const (
	waitingInMem    = 256 << 10 // bytes of one turn's entities kept in memory before they overflow
	laneQueueLayers = 16
)

func newLane(r *run) *lane {
	return &lane{run: r, current: -1, in: make(chan catalog.Layer, laneQueueLayers)}
}

// A turn is one resource's (and organization's) place in the order of a lane.
// Until it has come, what is put waits in an overflow.
type turn struct {
	lane      *lane
	index     int
	producers int // that have not finished
	overflow  *catalog.Overflow
}

// put hands an entity to the lane. It blocks while the turn has come and the lane
// is busy; the error is that of ctx.
func (t *turn) put(ctx context.Context, layer catalog.Layer) error {
	l := t.lane
	l.mu.Lock()
	if t.index != l.current {
		if t.overflow == nil {
			t.overflow = catalog.NewOverflow(l.run.cfg.TempDirectory, waitingInMem)
		}
		err := t.overflow.Add(layer)
		l.mu.Unlock()
		l.failed(err)
		return nil
	}
	l.mu.Unlock()
	select {
	case l.in <- layer:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish says that one producer of the turn will put nothing more.
func (t *turn) finish(ctx context.Context) {
	l := t.lane
	l.mu.Lock()
	t.producers--
	over := t.producers == 0 && t.index == l.current
	l.mu.Unlock()
	if !over {
		return
	}
	select {
	case l.in <- catalog.Layer{}:
	case <-ctx.Done():
	}
}

// work loads the lane until every turn has finished. ctx ends the wait for more;
// what has arrived is still written, with load.
func (l *lane) work(ctx, load context.Context) {
	for i, t := range l.turns {
		if !l.begin(load, i, t) && !l.serve(ctx, load) {
			break
		}
		if l.ordered {
			l.writer.Flush(load)
		}
	}
	l.writer.Flush(load)
}

// begin loads what was put before the turn came, and lets it send. It reports
// whether it has finished already.
func (l *lane) begin(load context.Context, i int, t *turn) (over bool) {
	for {
		l.mu.Lock()
		waiting := t.overflow
		t.overflow = nil
		if waiting == nil {
			l.current = i
			over := t.producers == 0
			l.mu.Unlock()
			return over
		}
		l.mu.Unlock()
		l.failed(waiting.Drain(func(layer catalog.Layer) error { l.writer.Put(load, layer); return nil }))
	}
}

// serve loads what the current turn puts until it has finished. It reports false
// when ctx ended first.
func (l *lane) serve(ctx, load context.Context) bool {
	for {
		select {
		case layer := <-l.in:
			if layer.Source == nil {
				return true
			}
			l.writer.Put(load, layer)
		case <-ctx.Done():
			return false
		}
	}
}

// failed notes that something of what waited may be lost, unless err is nil: the
// blueprints of the lane are not cleaned.
func (l *lane) failed(err error) {
	if err == nil {
		return
	}
	l.run.dropped.Store(true)
	for _, b := range l.resources {
		b.fail(azuredevops.Scope{}, err.Error(), 0)
	}
}
