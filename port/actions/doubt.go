package actions

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// settled is how long after its start a run is sure to be seen.
	settled = 30 * time.Second
	// lookEvery is the time between two looks before that.
	lookEvery = 5 * time.Second
)

// resolve finds out whether what a run asks for was started: by looking for it until
// it would be seen. What is found is taken for it unless it belongs to another run.
// What is not found was not started. It is started then when no answer was expected,
// because the process died; after a lost answer it is not: whatever kept the answer
// may still bring the request to its end.
func (p *Processor) resolve(work context.Context, e *entry) error {
	x := p.cfg.Executors[e.Type]
	if x == nil {
		return p.fail(e, "It is not known whether "+e.Title+" was started: nothing here can tell.")
	}
	p.metrics.doubts.Inc()
	wait := pause{first: lookEvery, most: time.Minute}
	for {
		last := time.Since(e.Began) >= settled
		found, err := p.adopt(work, x, e)
		switch {
		case work.Err() != nil:
			return work.Err()
		case found:
			p.log.WarnContext(work, "what was started for a run of an action was found again", "run", e.ID, "external_id", e.External, "doubt", e.Doubt)
			return p.to(e, started)
		case err != nil && !temporary(err):
			return p.fail(e, e.Title+" may have been started: "+err.Error())
		case err != nil:
			p.log.WarnContext(work, "it could not be found out whether a run of an action was started", "run", e.ID, "err", err)
		case last && e.Doubt == "":
			return p.to(e, acknowledged)
		case last:
			return p.fail(e, e.Doubt+". No such run was found, and it is not started again by itself. If it shows up in Azure DevOps, it was started all the same.")
		default:
			wait.next = lookEvery
		}
		if err := wait.sleep(work); err != nil {
			return err
		}
	}
}

// adopt looks for what was started and takes the oldest that belongs to no other
// run. Nothing is started meanwhile, or it could be taken for it.
func (p *Processor) adopt(work context.Context, x Executor, e *entry) (bool, error) {
	if err := p.starts.Acquire(work, int64(p.cfg.Workers)); err != nil {
		return false, err
	}
	defer p.starts.Release(int64(p.cfg.Workers))
	found, err := x.Find(work, e.Order, e.Began)
	if err != nil {
		return false, err
	}
	ids := slices.SortedFunc(maps.Keys(found), func(a, b string) int { // by the number at the end
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	for _, external := range ids {
		if id := p.ledger.Load().holder(external); id != "" && id != e.ID {
			continue
		}
		other, err := p.cfg.Port.FindRun(work, external)
		if err != nil {
			return false, &lookError{err}
		}
		if other != nil && other.ID != e.ID {
			continue
		}
		e.External, e.Link = external, found[external]
		return true, p.to(e, started)
	}
	return false, nil
}

// A lookError is an answer of Port that is waited for.
type lookError struct{ error }

func (*lookError) Temporary() bool { return true }
func (e *lookError) Unwrap() error { return e.error }
