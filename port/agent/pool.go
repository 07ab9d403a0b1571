package agent

import (
	"context"
	"sync"
)

// A pool does jobs: those of one lane one after the other, and of all lanes only so
// many at the same time.
type pool struct {
	slots chan struct{}
	work  context.Context //nolint:containedctx // of the jobs; its owner ends it
	stop  context.Context //nolint:containedctx // when it is done no job begins any more

	mu    sync.Mutex
	jobs  map[string]*job   // that wait or run, by key
	lanes map[string][]*job // that wait or run; the first one runs
	idle  sync.Cond         // something has ended
	wg    sync.WaitGroup
}

// A job is one thing to do.
type job struct {
	key, lane string
	do        func(context.Context)
	ended     chan struct{}
	skipped   bool // it never began; read it after ended
}

func newPool(work, stop context.Context, size int) *pool {
	p := &pool{slots: make(chan struct{}, size), work: work, stop: stop, jobs: map[string]*job{}, lanes: map[string][]*job{}}
	p.idle.L = &p.mu
	context.AfterFunc(stop, p.wake)
	return p
}

func (p *pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle.Broadcast()
}

// add takes a job. One with the same key that has not ended is returned in its place.
func (p *pool) add(key, lane string, do func(context.Context)) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.jobs[key]; j != nil {
		return j
	}
	j := &job{key: key, lane: lane, do: do, ended: make(chan struct{})}
	p.jobs[key] = j
	p.lanes[lane] = append(p.lanes[lane], j)
	if len(p.lanes[lane]) == 1 {
		p.wg.Go(func() { p.run(lane) })
	}
	return j
}

// run does the jobs of a lane until there is none.
func (p *pool) run(lane string) {
	for j := p.first(lane); j != nil; j = p.next(lane, j) {
		select {
		case p.slots <- struct{}{}:
			if p.stop.Err() != nil {
				j.skipped = true
			} else {
				j.do(p.work)
			}
			<-p.slots
		case <-p.stop.Done():
			j.skipped = true
		}
	}
}

func (p *pool) first(lane string) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[lane][0]
}

func (p *pool) next(lane string, j *job) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.jobs, j.key)
	close(j.ended)
	p.idle.Broadcast()
	if p.lanes[lane] = p.lanes[lane][1:]; len(p.lanes[lane]) > 0 {
		return p.lanes[lane][0]
	}
	delete(p.lanes, lane)
	return nil
}

// room waits until fewer than most jobs have not ended, or stop is done.
func (p *pool) room(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.jobs) >= most && p.stop.Err() == nil {
		p.idle.Wait()
	}
}

// has says that a job has not ended.
func (p *pool) has(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.jobs[key] != nil
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.jobs)
}

// wait returns when all jobs have ended or been skipped.
func (p *pool) wait() { p.wg.Wait() }
