package actions

import (
	"context"
	"slices"
	"time"

	"github.com/ado-port/ado-port/port"
)

// pruneEvery is how often what has ended long ago is forgotten.
const pruneEvery = time.Hour

// claim takes runs until ctx is done.
func (p *Processor) claim(ctx context.Context) {
	var pruned time.Time
	nodesFirst := false
	for ctx.Err() == nil {
		if now := time.Now(); now.Sub(pruned) > pruneEvery {
			pruned = now
			if err := p.ledger.Load().prune(now); err != nil {
				p.log.WarnContext(ctx, "old runs of actions could not be forgotten", "err", err)
			}
		}
		n := 0
		if free := p.cfg.HighWatermark - p.waiting(); free > 0 {
			n = p.claimBoth(ctx, free, nodesFirst)
			nodesFirst = !nodesFirst
		}
		if n == 0 {
			_ = sleep(ctx, p.cfg.Interval)
		}
	}
}

// claimBoth asks for runs of actions and of nodes, and returns how many are new. Who
// is first takes turns, as that one may take all the room.
func (p *Processor) claimBoth(ctx context.Context, free int, nodesFirst bool) (fresh int) {
	result := claimResult{At: time.Now()}
	for _, node := range []bool{nodesFirst, !nodesFirst} {
		if free <= 0 || ctx.Err() != nil {
			break
		}
		lease := time.Now().Add(p.cfg.Lease) // it begins later than this
		runs, err := p.cfg.Port.ClaimRuns(ctx, port.Claim{
			Installation: p.cfg.Installation, Node: node, Limit: free, Lease: p.cfg.Lease, Exclude: p.crowded(node),
		})
		if err != nil {
			if ctx.Err() == nil {
				p.metrics.claimErrors.Inc()
				p.log.WarnContext(ctx, "runs of actions could not be asked for", "err", err)
				result.Error = err.Error()
			}
			continue
		}
		free -= len(runs)
		for i := range runs {
			if p.enqueue(&runs[i], lease) {
				fresh++
			}
		}
	}
	result.Runs = fresh
	p.last.Store(&result)
	return fresh
}

// enqueue has a run executed when its turn comes. One that is known is not new.
func (p *Processor) enqueue(r *port.Run, lease time.Time) bool {
	p.mu.Lock()
	_, waits := p.queued[r.ID]
	if waits || p.ledger.Load().has(r.ID) {
		p.mu.Unlock()
		return false
	}
	p.queued[r.ID] = source{r.Source, r.Node}
	p.mu.Unlock()
	p.metrics.claimed.Inc()
	e := &entry{Run: *r, Lease: lease}
	p.queue <- e // there is room: no more than the watermark wait
	return true
}

// dequeue ends the waiting of a run.
func (p *Processor) dequeue(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.queued, e.ID)
}

func (p *Processor) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queued)
}

// A source is an action, or a node of a workflow.
type source struct {
	name string
	node bool
}

// crowded are the sources whose runs have taken their share of the room.
func (p *Processor) crowded(node bool) []string {
	if p.cfg.MaxShare <= 0 {
		return nil
	}
	most := max(1, p.cfg.HighWatermark*p.cfg.MaxShare/100)
	p.mu.Lock()
	defer p.mu.Unlock()
	n := map[string]int{}
	var out []string
	for _, s := range p.queued {
		if s.node != node {
			continue
		}
		if n[s.name]++; n[s.name] == most {
			out = append(out, s.name)
		}
	}
	slices.Sort(out)
	return out
}
