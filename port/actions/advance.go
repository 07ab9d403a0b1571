package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/port"
)

// errNotOurs ends the work on a run that somebody else does, or that comes again.
var errNotOurs = errors.New("not our run")

// serve is a worker: it has runs started, one after the other. ctx is done when the
// process is asked to end, work when what is being started must be left as it is;
// then the ledger has what is to be done.
func (p *Processor) serve(ctx, work context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-p.queue:
			p.dequeue(e)
			if ctx.Err() != nil {
				return // both were ready
			}
			if err := p.begin(work, e); err != nil {
				p.leave(ctx, work, e, err)
				continue
			}
			p.live.Go(func() { p.complete(ctx, work, e) })
		}
	}
}

// complete takes a run that has begun to its end.
func (p *Processor) complete(ctx, work context.Context, e *entry) {
	var err error
	if e.State == following {
		err = p.follow(ctx, work, e)
	}
	if err == nil && e.State == ending {
		err = p.end(work, e)
	}
	p.leave(ctx, work, e, err)
}

// leave ends the work on a run, and says so where that is not as it should be.
func (p *Processor) leave(ctx, work context.Context, e *entry, err error) {
	if err != nil && !errors.Is(err, errNotOurs) && work.Err() == nil && ctx.Err() == nil {
		p.log.ErrorContext(ctx, "a run of an action is left as it is until the next start", "run", e.ID, "state", string(e.State), "err", err)
	}
}

// begin brings a run to where it is followed.
func (p *Processor) begin(work context.Context, e *entry) error {
	if e.State == "" {
		if !time.Now().Before(e.Lease) {
			return errNotOurs // it comes again
		}
		if err := p.to(e, acknowledging); err != nil {
			return err
		}
	}
	for {
		var err error
		switch e.State {
		case acknowledging:
			err = p.acknowledge(work, e)
		case acknowledged:
			err = p.order(work, e)
		case starting:
			err = p.start(work, e)
		case started:
			err = p.tellStarted(work, e)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// to notes a state.
func (p *Processor) to(e *entry, s state) error {
	e.State, e.lived = s, true
	return p.ledger.Load().note(e)
}

// A run whose acknowledgement fails is asked about again after these times.
const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
)

// acknowledge takes the run for good. That somebody has done so before is no reason
// to leave it when that somebody may be us: an answer got lost, or the process died,
// and the lease lasts.
func (p *Processor) acknowledge(work context.Context, e *entry) error {
	e.Unsure = e.Unsure || !e.lived
	wait := pause{first: firstPause, most: mostPause}
	for {
		err := p.cfg.Port.AcknowledgeRun(work, &e.Run)
		switch {
		case err == nil, errors.Is(err, port.ErrRunTaken) && e.Unsure && time.Now().Before(e.Lease):
			return p.to(e, acknowledged)
		case work.Err() != nil:
			return err
		case errors.Is(err, port.ErrRunTaken) && e.Unsure:
			return p.fail(e, "It is not known whether this run was begun: ado-port was interrupted when it took it. It is not started again; start the action once more if nothing has run.")
		case port.Temporary(err):
			e.Unsure = true
			p.log.WarnContext(work, "a run of an action could not be acknowledged", "run", e.ID, "err", err)
			if err := wait.sleep(work); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, port.ErrRunTaken) {
			p.metrics.taken.Inc()
		} else {
			p.log.ErrorContext(work, "a run of an action is not executed: it cannot be acknowledged, and comes again", "run", e.ID, "err", err)
		}
		return errors.Join(errNotOurs, p.ledger.Load().forget(e.ID))
	}
}

// order has the inputs checked and notes that the run will be started.
func (p *Processor) order(work context.Context, e *entry) error {
	x := p.cfg.Executors[e.Type]
	if x == nil {
		return p.fail(e, fmt.Sprintf("No executor registered for action type '%s'", e.Type))
	}
	order, title, err := x.Prepare(work, e.Properties)
	switch {
	case work.Err() != nil:
		return work.Err()
	case err != nil:
		return p.fail(e, err.Error())
	}
	e.Order, e.Title, e.Began, e.Doubt = order, title, time.Now(), ""
	p.say(work, e, "INFO", "Triggering "+title)
	return p.to(e, starting)
}

// maxThrottled is how often a start that is refused for now is tried again.
const maxThrottled = 10

// start starts what a run asks for, once. Of a run that an earlier process left, or
// whose answer got lost, it first has to be found out whether that has happened.
func (p *Processor) start(work context.Context, e *entry) error {
	if !e.lived || e.Doubt != "" {
		return p.resolve(work, e)
	}
	x := p.cfg.Executors[e.Type]
	wait := pause{first: firstPause, most: mostPause}
	for n := 0; ; n++ {
		if err := p.starts.Acquire(work, 1); err != nil {
			return err
		}
		if err := port.CheckFence(work); err != nil {
			p.starts.Release(1)
			return err // another process has it
		}
		external, link, err := x.Start(work, e.Order)
		if err == nil {
			e.External, e.Link = external, link
			err := p.to(e, started)
			p.starts.Release(1)
			return err
		}
		p.starts.Release(1)
		switch {
		case work.Err() != nil:
			return work.Err() // it may have been started: the next process looks
		case doubtful(err):
			e.Doubt = err.Error()
			return p.to(e, starting)
		case !temporary(err) || n == maxThrottled:
			return p.fail(e, err.Error())
		case n == 0:
			p.say(work, e, "WARN", "Azure DevOps asks to wait; the pipeline is started as soon as it allows it.")
		}
		if err := wait.sleep(work); err != nil {
			return err
		}
	}
}

// tellStarted tells Port what was started.
func (p *Processor) tellStarted(work context.Context, e *entry) error {
	r := e.report()
	message := "Started " + e.Title
	if e.Link != "" {
		message += ": " + e.Link
	}
	p.say(work, e, "INFO", message)
	err := p.insist(work, e, func() error { return p.cfg.Port.StartRun(work, r, e.Link) })
	if err != nil && work.Err() == nil && e.Link != "" { // it may be the link that Port refuses
		err = p.insist(work, e, func() error { return p.cfg.Port.StartRun(work, r, "") })
	}
	switch {
	case work.Err() != nil:
		return work.Err()
	case err != nil:
		p.log.ErrorContext(work, "Port does not take what was started for a run of an action; the run is followed all the same", "run", e.ID, "external_id", e.External, "err", err)
	}
	p.metrics.started.Inc()
	if !reports(e.Properties) {
		return p.finish(e)
	}
	return p.to(e, following)
}

// report is the run as Port is told about it.
func (e *entry) report() *port.Run {
	r := e.Run
	r.ExternalID = e.External
	if !r.Node || e.External == "" {
		return &r
	}
	output := map[string]any{"workflowRunUrl": e.Link}
	if n, err := strconv.ParseInt(e.External[strings.LastIndexByte(e.External, '_')+1:], 10, 64); err == nil {
		output["pipelineRunId"] = n
	}
	r.Output, _ = json.Marshal(output) //nolint:errchkjson // texts and numbers always do
	return &r
}

// insist calls f until it succeeds or fails for good.
func (p *Processor) insist(work context.Context, e *entry, f func() error) error {
	wait := pause{first: firstPause, most: time.Minute}
	for {
		err := f()
		if err == nil || work.Err() != nil || !port.Temporary(err) && !errors.Is(err, port.ErrUnauthorized) {
			return err
		}
		p.log.WarnContext(work, "Port could not be told about a run of an action", "run", e.ID, "err", err)
		if err := wait.sleep(work); err != nil {
			return err
		}
	}
}

// say adds a line to the run's log. That it cannot be added changes nothing.
func (p *Processor) say(ctx context.Context, e *entry, level, message string) {
	if err := p.cfg.Port.LogRun(ctx, &e.Run, level, message); err != nil && ctx.Err() == nil {
		p.log.WarnContext(ctx, "a line could not be added to the log of a run", "run", e.ID, "err", err)
	}
}

// fail notes that the run has failed, and why.
func (p *Processor) fail(e *entry, message string) error {
	e.Result, e.Message = port.Failed, message
	return p.to(e, ending)
}

// finish notes that nothing is left to do. What is only needed until then is dropped.
func (p *Processor) finish(e *entry) error {
	e.Order, e.Properties, e.Output = nil, nil, nil
	return p.to(e, done)
}
