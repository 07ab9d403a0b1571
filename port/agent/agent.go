// Package agent is Port's execution agent, in the place of port-agent: it receives
// invocations of self-service actions, automations and workflow nodes, and changes of
// the catalog, makes one HTTP request inside the network of each, and tells Port how
// that went.
//
// An invocation is noted in a ledger before Port is told that it is ours (POLLING) or
// that it has been read (KAFKA), before the service is called, when the answer is
// there, and when Port knows it. So none is lost when the process dies, and none is
// executed twice but the one that was being executed at that moment.
package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/port"
)

// Options are what the agent works with besides its settings. All are required but
// State.
type Options struct {
	Config    *Config
	Evaluator Evaluator // of the mapping file
	// ToPort and ToServices carry the requests to Port and to the services that are
	// called; Dial connects to Port's Kafka brokers. Proxies and certificates are
	// their concern.
	ToPort, ToServices http.RoundTripper
	Dial               func(ctx context.Context, network, address string) (net.Conn, error)
	// State is the directory of the ledger; empty: it lives as long as the process.
	State    string
	Version  string
	Masker   *port.Masker
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Agent is the execution agent.
type Agent struct {
	*Options
	port    *port.Client
	caller  *caller
	ledger  *ledger
	metrics *metrics
	pool    *pool
	health  health
	grace   time.Duration // that calls under way get at the end
	cut     func()        // ends them

	mu   sync.Mutex
	left map[string]bool // invocations that others execute and that were logged
}

// userAgent is how Port knows the agent.
const userAgent = "port-agent"

// The time that calls under way get at the end, and then the reports about them: both
// fit into the 30 seconds that Kubernetes gives.
const (
	callGrace   = 20 * time.Second
	reportGrace = 5 * time.Second
)

// Run executes invocations until ctx is done.
func Run(ctx context.Context, opt Options) error {
	a, err := newAgent(opt)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// newAgent makes an agent. It does not dial.
func newAgent(opt Options) (*Agent, error) {
	a := &Agent{Options: &opt, left: map[string]bool{}, grace: callGrace}
	cfg := opt.Config
	var err error
	a.port, err = port.New(port.ClientConfig{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, BaseURL: cfg.BaseURL, UserAgent: userAgent,
		Variables: port.Variables{ClientID: "PORT_CLIENT_ID", ClientSecret: "PORT_CLIENT_SECRET", BaseURL: "PORT_API_BASE_URL"}, //nolint:gosec // names of variables, not their values
		Transport: opt.ToPort, Masker: opt.Masker, Log: opt.Log, Registry: opt.Registry,
	})
	if err != nil {
		return nil, err
	}
	a.caller = newCaller(opt.ToServices, cfg.Timeout.Duration(), cfg.ClientSecret.Reveal(), "ado-port/"+opt.Version)
	a.metrics = newMetrics(opt.Registry, a)
	dir := ""
	if opt.State != "" {
		dir = filepath.Join(opt.State, "agent")
	}
	a.ledger = openLedger(dir, opt.Log)
	return a, nil
}

// run executes invocations until ctx is done. Calls under way are given time to end.
func (a *Agent) run(ctx context.Context) error {
	defer a.ledger.close()
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	a.cut = cut
	stop, end := context.WithCancelCause(ctx)
	defer end(nil)
	a.pool = newPool(work, stop, a.Config.Concurrency)
	var parts sync.WaitGroup
	if a.Config.ListenPort > 0 {
		parts.Go(func() { a.serve(stop) })
	}
	parts.Go(func() { a.announce(stop) })
	parts.Go(func() { a.redriving(stop) })
	var err error
	if a.Config.Streamer == Polling {
		err = a.poll(stop)
	} else {
		err = a.consume(stop)
	}
	end(err)
	a.drain()
	parts.Wait()
	return err
}

// drain waits for the calls under way, and ends them when they take too long. No job
// begins any more.
func (a *Agent) drain() {
	late := time.AfterFunc(a.grace, a.cut)
	a.pool.wait()
	late.Stop()
}

// announce tells Port by which streamer it can hand out invocations.
func (a *Agent) announce(ctx context.Context) {
	body := bodyOf("settings", objectOf("portAgentStreamerName", a.Config.Streamer))
	if err := a.send(ctx, http.MethodPatch, "/organization", body); err != nil && ctx.Err() == nil {
		a.Log.WarnContext(ctx, "port could not be told the streamer: if it was another one before, set it in Port's settings", "streamer", a.Config.Streamer, "err", err)
	}
}

// send makes a call whose answer does not matter.
func (a *Agent) send(ctx context.Context, method, path string, body json.RawMessage) error {
	_, err := a.port.Do(ctx, port.Request{Method: method, Path: path, Body: body})
	return err
}

// sayWait bounds a line for the log of a run: it must not hold the run up.
const sayWait = 5 * time.Second

// say adds a line to the log of a run in Port, if that is possible.
func (a *Agent) say(ctx context.Context, inv *invocation, text string) {
	if inv.run == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sayWait)
	defer cancel()
	text = a.Masker.String(text)
	body := bodyOf("message", text)
	if inv.node {
		line := &object{members: []member{{"level", "INFO"}, {"message", text}}}
		body = bodyOf("logs", []any{line})
	}
	if _, err := a.port.Do(ctx, port.Request{Method: http.MethodPost, Path: inv.path("/logs"), Body: body, Once: true}); err != nil {
		a.Log.DebugContext(ctx, "a line for the log of a run is lost", "run", inv.run, "err", err)
	}
}

// evaluation is how programs see a message now.
func (a *Agent) evaluation(ctx context.Context, inv *invocation) *evaluation {
	log := a.Log
	if inv.run != "" {
		log = log.With("run", inv.run)
	}
	return &evaluation{ctx: ctx, jq: a.Evaluator, input: appendJSON(nil, inv.message, readable), log: log}
}

// errUnmatched is an invocation that no entry of the mapping file is enabled for.
var errUnmatched = errors.New("no entry of the mapping file is enabled for it")

// errBug is an error of this program.
var errBug = errors.New("internal error of the agent")

// prepare decides whether an invocation is for this agent, and by which entry. A bug
// that one message meets must not end the process, which would meet it again.
func (a *Agent) prepare(ctx context.Context, inv *invocation) (x *entry, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("%w: %v", errBug, bug)
			a.Log.ErrorContext(ctx, "bug", "err", err, "stack", string(debug.Stack()))
		}
	}()
	if inv.queue == runsTopic { // changes are not signed, and what is claimed comes from Port itself
		if err := verify(inv.message, inv.kind(), a.Config.ClientSecret.Reveal()); err != nil {
			return nil, err
		}
	}
	if err := inv.ofKind(); err != nil {
		return nil, err
	}
	if x = a.evaluation(ctx, inv).choose(a.Config.mapping); x == nil {
		return nil, errUnmatched
	}
	return x, nil
}

// leave says, once for each run, that an invocation is not executed here.
func (a *Agent) leave(ctx context.Context, inv *invocation, why error) {
	key := cmp.Or(inv.run, text(get(inv.method, "url"))) + " " + why.Error()
	a.mu.Lock()
	known := a.left[key]
	if len(a.left) > maxLeft {
		clear(a.left)
	}
	a.left[key] = true
	a.mu.Unlock()
	if known {
		return
	}
	a.metrics.count(inv.queue, resultSkipped)
	_, refused := errors.AsType[*refusal](why)
	if refused {
		a.say(ctx, inv, why.Error()+".")
	}
	level := slog.LevelInfo
	if refused || errors.Is(why, errUnsigned) {
		level = slog.LevelWarn
	}
	a.Log.Log(ctx, level, "invocation is left alone", "queue", string(inv.queue), "run", inv.run, "why", why.Error())
}

// maxLeft bounds the memory of what was logged.
const maxLeft = 10_000

// execute takes an invocation from where its note says to its end.
func (a *Agent) execute(ctx context.Context, key string, n note) {
	again := n.State != ""
	if !again {
		n.State = accepted
		if err := a.ledger.put(key, n); err != nil {
			a.Log.ErrorContext(ctx, "the ledger cannot be written: the invocation is executed all the same", "run", n.Run, "err", err)
		}
	}
	if n.State == accepted && (n.Queue == claimedRuns || n.Queue == claimedNodes) {
		ours, err := a.acknowledge(ctx, n, again)
		switch {
		case err != nil:
			a.Log.WarnContext(ctx, "port could not be told that a run is executed here: it is tried again", "run", n.Run, "err", err)
			return // redriving comes back to it
		case !ours:
			a.check(ctx, a.ledger.drop(key))
			return
		}
	}
	if n.State == calling {
		a.metrics.repeated.Inc()
		a.Log.WarnContext(ctx, "the process ended while a service was being called: it is called again", "run", n.Run)
	}
	if n.State != answered {
		n = a.perform(ctx, key, n)
		a.check(ctx, a.ledger.put(key, n))
		if n.Outcome.Text != "" {
			a.say(ctx, &invocation{run: n.Run, node: n.Node}, n.Outcome.Text)
		}
	}
	a.tell(ctx, key, n)
}

func (a *Agent) check(ctx context.Context, err error) {
	if err != nil {
		a.Log.ErrorContext(ctx, "the ledger cannot be written", "err", err)
	}
}

// perform calls the service, and returns the note with the outcome.
func (a *Agent) perform(ctx context.Context, key string, n note) note {
	inv, err := read(n.Queue, n.Raw)
	var x *entry
	if err == nil {
		x, err = a.prepare(ctx, inv)
	}
	var o *outcome
	if err != nil {
		o = inv.failure("The agent could not execute the run: " + err.Error() + ".")
		o.Text = "" // there is nothing to add to the summary
	} else {
		o = a.call(ctx, key, n, inv, x)
	}
	result := resultSucceeded
	if o.Failed {
		result = resultFailed
	}
	a.metrics.count(n.Queue, result)
	a.Log.InfoContext(ctx, "invocation was executed", "queue", string(n.Queue), "run", n.Run, "result", result)
	n.State, n.Outcome, n.Raw = answered, o, nil
	return n
}

// call makes the request for an invocation.
func (a *Agent) call(ctx context.Context, key string, n note, inv *invocation, x *entry) (o *outcome) {
	defer func() {
		if bug := recover(); bug != nil {
			o = inv.failure(errBug.Error() + ".")
			a.Log.ErrorContext(ctx, "bug", "run", inv.run, "err", bug, "stack", string(debug.Stack()))
		}
	}()
	for _, path := range x.decrypt {
		if err := decryptPath(inv.message, path, a.Config.ClientSecret.Reveal()); err != nil {
			a.Log.WarnContext(ctx, "a field is not decrypted", "run", inv.run, "err", err)
		}
	}
	e := a.evaluation(ctx, inv)
	r, err := e.request(x, inv)
	var s *signed
	if err == nil {
		s, err = a.caller.sign(r)
	}
	if err != nil {
		return inv.failure("The webhook was not called: " + err.Error() + ".")
	}
	a.say(ctx, inv, "The agent calls the webhook with "+s.method)
	n.State = calling
	a.check(ctx, a.ledger.put(key, n))
	begin := time.Now()
	answer, err := a.caller.do(ctx, s)
	a.metrics.seconds.Observe(time.Since(begin).Seconds())
	if err != nil {
		summary := fmt.Sprintf("The webhook gave no answer: %s.", a.Masker.String(err.Error()))
		if ctx.Err() != nil {
			summary = "The agent was stopped before the webhook answered."
		}
		a.Log.WarnContext(ctx, "a called service gave no answer", "run", inv.run, "err", err)
		return inv.failure(summary)
	}
	return e.outcome(x, inv, s, answer, bool(a.Config.Detailed))
}

// farewell is a context for what has to be said when the time for calls is over.
func (*Agent) farewell(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), reportGrace)
}

// tell reports an outcome to Port. What cannot be reported now is tried again later.
func (a *Agent) tell(ctx context.Context, key string, n note) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = a.farewell(ctx)
		defer cancel()
	}
	inv := &invocation{run: n.Run, node: n.Node}
	for _, r := range n.Outcome.Reports {
		err := a.report(ctx, inv, r.Path, r.Body)
		if err == nil {
			continue
		}
		if !refused(err) {
			a.Log.WarnContext(ctx, "port could not be told how a run ended: it is tried again", "run", n.Run, "err", err)
			return // redriving comes back to it
		}
		if r.Instead == nil {
			continue
		}
		if err := a.report(ctx, inv, r.Path, r.Instead); err != nil && !refused(err) {
			return
		}
	}
	a.check(ctx, a.ledger.end(key))
}

// report tells Port one thing, and the log of the run when Port refuses it.
func (a *Agent) report(ctx context.Context, inv *invocation, path string, body json.RawMessage) error {
	err := a.send(ctx, http.MethodPatch, path, body)
	if err != nil && refused(err) {
		a.Log.WarnContext(ctx, "port refuses a report", "run", inv.run, "err", err)
		a.say(ctx, inv, "Port refuses a report of the agent: "+err.Error())
	}
	return err
}

// refused says that Port will never take a call.
func refused(err error) bool {
	e, ok := errors.AsType[*port.Error](err)
	return ok && e.StatusCode < http.StatusInternalServerError && e.StatusCode != http.StatusTooManyRequests &&
		e.StatusCode != http.StatusRequestTimeout && e.StatusCode != http.StatusUnauthorized
}
