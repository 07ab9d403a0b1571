package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
)

// hookRoute is where service hooks are delivered, behind base URL and prefix.
const hookRoute = "/integration/webhook"

const (
	reconcileEvery = time.Hour
	aliveEvery     = time.Minute
	aliveFile      = "hooks-alive" // its time says until when deliveries were received
)

// hooks look after the subscriptions of all organizations.
type hooks struct {
	events *events
	state  *azuredevops.HookState
	each   []*azuredevops.Hooks // as the organizations of events
	again  chan struct{}        // something has changed that subscriptions depend on
	looked atomic.Bool          // every organization has been looked after once
}

// newHooks checks the settings, for a service. Without a public address there are no
// subscriptions, and nil.
func newHooks(e *events, oldURLs ...string) (*hooks, error) {
	a := e.app
	base := strings.TrimRight(a.cfg.Ocean.BaseURL, "/")
	if base == "" {
		a.log.Warn("no service hooks are made because OCEAN__BASE_URL is not set: changes arrive with the next resync")
		return nil, nil //nolint:nilnil // none is a good answer
	}
	h := &hooks{events: e, again: make(chan struct{}, 1)}
	var err error
	if e.state == "" {
		h.state = azuredevops.NewHookState()
	} else if h.state, err = azuredevops.OpenHookState(filepath.Join(e.state, "hooks-state.json"), a.log); err != nil {
		a.log.Warn("what is known of service hooks is lost: they are repaired as if they were new", "err", err)
	}
	for _, org := range e.orgs {
		one, err := azuredevops.NewHooks(org, azuredevops.HooksConfig{
			URL: base + a.cfg.Ocean.Prefix() + hookRoute, Secret: a.cfg.AzureDevOps.WebhookSecret, Username: a.cfg.AzureDevOps.WebhookAuthUsername,
			OldURLs: oldURLs, PerProject: a.cfg.AzureDevOps.IsProjectsLimited, State: h.state, Log: a.log.With("component", "hooks"),
		})
		if err != nil {
			return nil, err
		}
		h.each = append(h.each, one)
	}
	return h, nil
}

// wanted is what the mapping needs events for.
func (h *hooks) wanted(ctx context.Context) (azuredevops.Wanted, error) {
	m, err := h.events.current(ctx)
	if err != nil {
		return azuredevops.Wanted{}, err
	}
	w := azuredevops.Wanted{GitOps: len(m.SpecPath) > 0 && len(m.Resources) > 0, Actions: h.events.app.cfg.Ocean.ActionsProcessor.Enabled}
	for _, r := range m.Resources {
		w.Kinds = append(w.Kinds, r.Kind)
	}
	for _, p := range m.Problems {
		if p.Kind != "" {
			w.Kinds = append(w.Kinds, p.Kind)
		}
	}
	return w, nil
}

// run reconciles at once, hourly, and when it is told to, until ctx is done.
func (h *hooks) run(ctx context.Context) {
	since := h.lastAlive()
	next := time.NewTimer(0)
	defer next.Stop()
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		select {
		case <-next.C:
		case <-h.again:
		case <-alive.C:
			h.noteAlive()
			continue
		case <-ctx.Done():
			h.noteAlive()
			return
		}
		now := time.Now()
		h.reconcile(ctx)
		if !since.IsZero() {
			h.catchUp(ctx, since)
		}
		since = now
		next.Reset(reconcileEvery)
	}
}

// repairing says whether subscriptions may still lack their credentials: until
// they have been looked after once.
func (h *hooks) repairing() bool { return h != nil && !h.looked.Load() }

// soon asks for a reconciliation.
func (h *hooks) soon() {
	if h == nil {
		return
	}
	select {
	case h.again <- struct{}{}:
	default:
	}
}

func (h *hooks) reconcile(ctx context.Context) {
	log := h.events.app.log
	w, err := h.wanted(ctx)
	if err != nil {
		log.WarnContext(ctx, "service hooks wait for a mapping", "err", err)
		return
	}
	looked := true
	defer func() { h.looked.Store(looked || h.looked.Load()) }()
	for i, one := range h.each {
		report, err := one.Reconcile(ctx, w)
		if err != nil {
			looked = false
			if ctx.Err() == nil {
				log.WarnContext(ctx, "service hooks could not be looked after", "organization", h.events.orgs[i].Organization(), "err", err)
			}
			continue
		}
		h.close(ctx, i, report.Gaps)
	}
}

// close lists again what was not delivered while subscriptions were off.
func (h *hooks) close(ctx context.Context, i int, gaps []azuredevops.HookGap) {
	if len(gaps) == 0 {
		return
	}
	var changes []azuredevops.Change
	for _, g := range gaps {
		if g.Project == "" {
			h.events.app.wake() // the whole organization is what a resync is for
			h.each[i].Caught(gaps)
			return
		}
		for _, kind := range g.Kinds {
			changes = append(changes, azuredevops.Change{Kind: kind, Scope: azuredevops.Scope{Project: g.Project, ProjectName: g.ProjectName}})
		}
	}
	if err := h.events.app.runner.Live(ctx, h.events.orgs[i], changes); err != nil {
		h.events.app.log.WarnContext(ctx, "what was not delivered could not be listed again; trying later", "err", err)
		return
	}
	h.each[i].Caught(gaps)
}

// catchUp handles the events that Azure DevOps could not deliver since a time.
func (h *hooks) catchUp(ctx context.Context, since time.Time) {
	log := h.events.app.log
	for i, one := range h.each {
		failed, err := one.FailedNotifications(ctx, since)
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "not all deliveries that failed are known", "err", err)
		}
		var deliveries []webhook.Delivery
		for _, f := range failed.Events {
			deliveries = append(deliveries, webhook.Delivery{Body: f.Body})
		}
		if len(deliveries) > 0 {
			log.InfoContext(ctx, "handling what Azure DevOps could not deliver", "events", len(deliveries), "since", since)
			if err := h.events.Handle(ctx, "", deliveries); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "a resync makes up for deliveries that failed", "err", err)
				h.events.app.wake()
			}
		}
		h.close(ctx, i, failed.Gaps)
	}
}

func (h *hooks) alivePath() string {
	if h.events.state == "" {
		return ""
	}
	return filepath.Join(h.events.state, aliveFile)
}

// noteAlive records that deliveries are received now.
func (h *hooks) noteAlive() {
	path := h.alivePath()
	if path == "" {
		return
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); errors.Is(err, os.ErrNotExist) {
		_ = os.WriteFile(path, nil, 0o600) // lost, it only costs a look at failed deliveries
	}
}

// lastAlive is when an earlier process received deliveries last.
func (h *hooks) lastAlive() time.Time {
	info, err := os.Stat(h.alivePath())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// registered tells which organization a subscription belongs to.
func (h *hooks) registered(subscription string) *azuredevops.Client {
	if h == nil {
		return nil
	}
	o, ok := h.state.Origin(subscription)
	if !ok {
		return nil
	}
	i := slices.IndexFunc(h.events.orgs, func(c *azuredevops.Client) bool { return c.Organization() == o.Organization })
	if i < 0 {
		return nil
	}
	return h.events.orgs[i]
}

// receives says whether this process follows service hooks.
func (a *app) receives() bool {
	l := &a.cfg.Ocean.EventListener
	return l.ProcessesWebhooks() && l.Type != ocean.ListenOnce
}

// showHooks lists the subscriptions with their health, or repairs or removes
// them. Broken ones, or any that could not be looked after, are an error.
func showHooks(ctx context.Context, p process, args []string) error {
	asJSON, args, err := outputFlag(args)
	if err != nil {
		return err
	}
	action, args := "list", slices.Clone(args)
	for _, flag := range []string{"--repair", "--cleanup"} {
		if i := slices.Index(args, flag); i >= 0 {
			action, args = flag, slices.Delete(args, i, i+1)
		}
	}
	var oldURLs []string
	if i := slices.Index(args, "--old-url"); i >= 0 && i+1 < len(args) {
		oldURLs, args = args[i+1:i+2:i+2], slices.Delete(args, i, i+2)
	}
	if len(args) > 0 {
		return fmt.Errorf("hooks takes --repair or --cleanup, --old-url URL and --output: %w", errUsage)
	}
	cfg, eff, err := load(p, nil)
	if err != nil {
		return err
	}
	cfg.Application.HTTPLogging = false
	a, err := newClients(ctx, p, cfg, eff)
	if err != nil {
		return err
	}
	if a.orgs, err = a.organizations(p, nil); err != nil {
		return err
	}
	h, err := newHooks(&events{app: a, orgs: a.orgs, state: a.state}, oldURLs...)
	if err != nil {
		return err
	}
	if h == nil {
		return errors.New("OCEAN__BASE_URL is not set: want the address at which Azure DevOps reaches the service, such as https://ocean.example.com")
	}
	var w azuredevops.Wanted
	if action != "--cleanup" {
		if w, err = h.wanted(ctx); err != nil {
			return err
		}
	}
	healthy := true
	var out []writesText
	for _, one := range h.each {
		r, good, err := act(ctx, one, action, w)
		if err != nil {
			return err
		}
		out, healthy = append(out, r), healthy && good
	}
	if err := writeAll(p.out, out, asJSON); err != nil {
		return err
	}
	if !healthy {
		return errors.New("not all service hooks are as they should be; ado-port hooks --repair mends what can be mended")
	}
	return nil
}

// act does what the hooks command was asked for in one organization; good says
// that nothing is left to mend.
func act(ctx context.Context, one *azuredevops.Hooks, action string, w azuredevops.Wanted) (shown writesText, good bool, err error) {
	switch action {
	case "--repair":
		r, err := one.Reconcile(ctx, w)
		return r, len(r.Refused)+len(r.Unknown) == 0, err
	case "--cleanup":
		r, err := one.Cleanup(ctx)
		return r, err == nil && len(r.Unknown) == 0, err
	}
	r, err := one.List(ctx, w)
	return r, err == nil && r.Healthy(), err
}

// writesText is what the hooks command shows of an organization.
type writesText interface{ WriteText(w io.Writer) error }

func writeAll(w io.Writer, out []writesText, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	}
	for _, r := range out {
		if err := r.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}
