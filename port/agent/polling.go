package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/port"
)

// installation is the name under which Port keeps what is for agents.
const installation = "_PORT_EXEC_AGENT"

// reserved marks the calls that only agents and integrations make.
var reserved = map[string]string{"X-Port-Reserved-Usage": "true"}

// A claimer asks Port for one kind of runs.
type claimer struct {
	*Agent
	queue        queue
	path, member string
	body         json.RawMessage
	failing      atomic.Int64 // since when, in nanoseconds since 1970; 0: it is not
}

// poll asks for both kinds of runs, each at its own pace, until ctx is done or
// neither has been answered for too long.
func (a *Agent) poll(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	limit := json.Number(strconv.Itoa(a.Config.BatchSize))
	runs := &claimer{
		Agent: a, queue: claimedRuns, path: "/actions/runs/claim-pending", member: "runs",
		body: bodyOf("installationId", installation, "limit", limit, "invocationMethod", "WEBHOOK"),
	}
	nodes := &claimer{
		Agent: a, queue: claimedNodes, path: "/workflows/runs/claim-pending", member: "nodeRuns",
		body: bodyOf("installationId", installation, "limit", limit),
	}
	var both sync.WaitGroup
	both.Go(func() { runs.loop(ctx, nodes, end) })
	both.Go(func() { nodes.loop(ctx, runs, end) })
	both.Wait()
	return nil
}

// loop claims until ctx is done. It ends the other one as well when both have been
// failing for too long: a new process may do better.
func (c *claimer) loop(ctx context.Context, other *claimer, end context.CancelFunc) {
	cfg := c.Config
	backoff := cfg.InitialBackoff.Duration()
	for ctx.Err() == nil {
		c.pool.room(cfg.BatchSize)
		full, err := c.claim(ctx)
		if err == nil {
			backoff = cfg.InitialBackoff.Duration()
			c.failing.Store(0)
			c.health.well()
			if !full {
				_ = pause(ctx, cfg.Interval.Duration())
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		c.failing.CompareAndSwap(0, now.UnixNano())
		c.metrics.claimFailures.Inc()
		c.Log.WarnContext(ctx, "port hands out no runs", "queue", string(c.queue), "err", err, "wait", backoff.String())
		if other.failing.Load() > 0 && now.Sub(time.Unix(0, max(c.failing.Load(), other.failing.Load()))) > cfg.MaxFailure.Duration() {
			c.Log.ErrorContext(ctx, "port has handed out no runs for too long: the process ends", "seconds", cfg.MaxFailure.Duration().Seconds())
			end()
			return
		}
		_ = pause(ctx, backoff+time.Duration(float64(backoff)*cfg.BackoffJitter*rand.Float64())) //nolint:gosec // no secret depends on it
		backoff = min(time.Duration(float64(backoff)*cfg.BackoffFactor), cfg.MaxBackoff.Duration())
	}
}

// claim asks once. full says that there may be more.
func (c *claimer) claim(ctx context.Context) (full bool, err error) {
	text, err := c.port.Do(ctx, port.Request{Method: http.MethodPost, Path: c.path, Header: reserved, Body: c.body})
	if err != nil {
		return false, err
	}
	var members map[string]json.RawMessage
	var list []json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return false, err
	}
	if raw, ok := members[c.member]; ok {
		if err := json.Unmarshal(raw, &list); err != nil {
			return false, fmt.Errorf("port: %s: %s is not a list", c.path, c.member)
		}
	}
	for _, raw := range list {
		c.offer(ctx, raw)
	}
	return len(list) >= c.Config.BatchSize, nil
}

// offer takes a claimed run if it is for this agent. One that is not stays as it is:
// Port offers it again, to other agents too.
func (c *claimer) offer(ctx context.Context, raw json.RawMessage) {
	inv, err := readClaim(c.queue, raw)
	if inv.run == "" {
		c.Log.ErrorContext(ctx, "port has handed out a run without identifier", "queue", string(c.queue), "err", err)
		return
	}
	if err == nil {
		_, err = c.prepare(ctx, inv)
	}
	if err != nil && !errors.Is(err, errMalformed) { // that is executed to its failure
		c.leave(ctx, inv, err)
		return
	}
	key := "run " + inv.run
	c.pool.add(key, inv.lane, func(ctx context.Context) {
		c.take(ctx, key, note{Queue: c.queue, Raw: raw, Run: inv.run, Node: inv.node, Since: time.Now()})
	})
}

// take executes a run that Port has offered, unless that was done before.
func (c *claimer) take(ctx context.Context, key string, n note) {
	if c.ledger.hasEnded(key) { // Port has not heard that it is ours
		_, err := c.acknowledge(ctx, n, true)
		c.Log.InfoContext(ctx, "a run that has ended was offered again", "run", n.Run, "err", err)
		return
	}
	if known, ok := c.ledger.get(key); ok {
		n = known
	}
	c.execute(ctx, key, n)
}

// acknowledgements of one run before it is left for later.
const acknowledgements = 4

// acknowledge tells Port that a run is executed here. ours is false when somebody else
// has it. That Port knows it already means the same, unless we may have said so before
// (again, or when an answer was lost).
func (a *Agent) acknowledge(ctx context.Context, n note, again bool) (ours bool, err error) {
	path, member, body := "/actions/runs/ack", "ackedCount", bodyOf("runIds", []any{n.Run})
	if n.Node {
		path, member, body = "/workflows/runs/ack", "acked", bodyOf("nodeRunIdentifier", n.Run)
	}
	for attempt := range acknowledgements {
		var answer json.RawMessage
		answer, err = a.port.Do(ctx, port.Request{Method: http.MethodPatch, Path: path, Header: reserved, Body: body, Once: true})
		e, _ := errors.AsType[*port.Error](err)
		switch {
		case err == nil:
			v, _ := parse(answer)
			if ours = truthy(get(v, member)) || again; !ours {
				a.Log.InfoContext(ctx, "a run is executed by another agent", "run", n.Run)
			}
			return ours, nil
		case e != nil && e.StatusCode == http.StatusConflict:
			return again, nil
		case refused(err):
			a.Log.ErrorContext(ctx, "port does not let this agent have a run", "run", n.Run, "err", err)
			return false, nil
		case e == nil || e.StatusCode != http.StatusTooManyRequests && e.StatusCode != http.StatusServiceUnavailable:
			again = true // Port may have noted it
		}
		if perr := pause(ctx, jitter(firstPause<<attempt)); perr != nil {
			return false, perr
		}
	}
	return false, err
}
