package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
)

const (
	firstLook = 5 * time.Second
	mostLook  = time.Minute
	// maxLost is how often what was started has to be missing to be gone.
	maxLost = 3
)

// follow waits for the end of what was started: by asking, less and less often, and
// at once when a hook says so.
func (p *Processor) follow(ctx, work context.Context, e *entry) error {
	wake := make(chan struct{}, 1)
	p.mu.Lock()
	p.wakes[e.External] = wake
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wakes, e.External)
	}()
	x := p.cfg.Executors[e.Type]
	if x == nil {
		return p.fail(e, fmt.Sprintf("No executor registered for action type '%s'", e.Type))
	}
	wait, lost := firstLook, 0
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx) // the next process follows it
		case <-wake:
			timer.Stop()
		case <-timer.C:
			wait = min(wait*3/2, mostLook)
		}
		result, link, err := x.State(work, e.Order, e.External)
		switch {
		case work.Err() != nil:
			return work.Err()
		case err != nil && temporary(err):
			p.log.WarnContext(ctx, "what a run of an action has started cannot be followed", "run", e.ID, "err", err)
			continue
		case err != nil:
			if lost++; lost < maxLost {
				continue
			}
			return p.fail(e, err.Error()+" (it may have been deleted)")
		case result != "":
			if e.Link == "" {
				e.Link = link
			}
			e.Result, e.Message = verdict(e.Title, result, e.Link)
			return p.to(e, ending)
		}
		lost = 0
	}
}

// verdict is what a result of Azure DevOps is to Port. Only a run that succeeded is
// a success: one that succeeded partially has failed steps.
func verdict(title, result, link string) (port.Result, string) {
	message := fmt.Sprintf("The run of %s ended with the result %s", title, result)
	if link != "" {
		message += ": " + link
	}
	switch result {
	case "succeeded":
		return port.Succeeded, message
	case "canceled":
		return port.Canceled, message
	}
	return port.Failed, message
}

// end tells Port how a run has ended, unless somebody else has ended it there.
func (p *Processor) end(work context.Context, e *entry) error {
	ended := false
	if e.External != "" {
		var known *port.Run
		err := p.insist(work, e, func() (err error) { known, err = p.cfg.Port.FindRun(work, e.External); return err })
		if work.Err() != nil {
			return work.Err()
		}
		ended = err == nil && known != nil && known.ID == e.ID && !known.InProgress
	}
	if !ended {
		if err := p.tellEnd(work, e); err != nil {
			return err
		}
	}
	p.metrics.ended(e.Result)
	return p.finish(e)
}

// tellEnd adds the line about the end and ends the run.
func (p *Processor) tellEnd(work context.Context, e *entry) error {
	level := "INFO"
	if e.Result != port.Succeeded {
		level = "ERROR"
	}
	p.say(work, e, level, e.Message)
	err := p.insist(work, e, func() error { return p.cfg.Port.EndRun(work, e.report(), e.Result) })
	if work.Err() != nil {
		return work.Err()
	}
	if err != nil {
		p.log.ErrorContext(work, "Port does not take the end of a run of an action", "run", e.ID, "err", err)
	}
	return nil
}

// reports tells whether the end of what was started shall be reported.
func reports(properties json.RawMessage) bool {
	v := gjson.GetBytes(properties, "reportPipelineStatus")
	return !(v.Type == gjson.False || v.Type == gjson.String && v.Str == "false")
}

// Ended is told by a hook that what has an external id has ended; order is what State
// of the executor of its type wants. Nothing of it is believed: it is looked at. What
// was started here is, as soon as possible; anything else is looked for in Port,
// where it may be a run of another process of this installation. A hook for a run
// that is being started right now needs nothing: it is looked at after its start.
func (p *Processor) Ended(ctx context.Context, kind, externalID string, order json.RawMessage) error {
	if l := p.ledger.Load(); l != nil && l.holder(externalID) != "" {
		p.mu.Lock()
		wake := p.wakes[externalID]
		p.mu.Unlock()
		select {
		case wake <- struct{}{}:
		default: // it has been woken, or needs not be
		}
		return nil
	}
	r, err := p.cfg.Port.FindRun(ctx, externalID)
	if err != nil || r == nil || !r.InProgress || !reports(r.Properties) {
		return err
	}
	result, link, err := p.cfg.Executors[kind].State(ctx, order, externalID)
	if err != nil || result == "" {
		return err
	}
	e := &entry{Run: *r, External: externalID}
	e.Result, e.Message = verdict("the pipeline", result, link)
	p.say(ctx, e, "INFO", e.Message)
	if err := p.cfg.Port.EndRun(ctx, r, e.Result); err != nil {
		return err
	}
	p.metrics.ended(e.Result)
	return nil
}

// Hooked handles deliveries of hooks: next does, after the ends of what was started
// have been found in them by ended, as Ended wants them. A nil Processor leaves all to
// next.
func (p *Processor) Hooked(kind string, ended func(body []byte) (string, json.RawMessage, bool), next func(context.Context, [][]byte) error) func(context.Context, [][]byte) error {
	if p == nil {
		return next
	}
	return func(ctx context.Context, bodies [][]byte) error {
		for _, body := range bodies {
			externalID, order, ok := ended(body)
			if !ok {
				continue
			}
			if err := p.Ended(ctx, kind, externalID, order); err != nil {
				return fmt.Errorf("the end of %s: %w", externalID, err)
			}
		}
		return next(ctx, bodies)
	}
}
