package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync/gitops"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
)

// events is the part of the service that follows service hooks.
type events struct {
	app    *app
	orgs   []*azuredevops.Client
	server *webhook.Server
	gitops *gitops.Gitops
	state  string        // directory; empty: none
	hooks  *hooks.Keeper // nil: there is no public address

	mu      sync.Mutex
	doc     string // the mapping document that mapping was made of
	mapping *mapping.Mapping
}

// newEvents binds the HTTP server. Deliveries are stored from then on and
// handled once start has been called.
func (a *app) newEvents(ctx context.Context) (*events, error) {
	e := &events{app: a, orgs: a.orgs, state: a.state, gitops: gitops.New(gitops.Config{Catalog: a.catalog, Log: a.log.With("component", "gitops")})}
	listen := &a.cfg.Ocean.EventListener
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(a.cfg.Application.Port))
	if err != nil {
		if listen.Type == ocean.ListenOnce {
			a.log.WarnContext(ctx, "nobody listens: the port is taken", "port", a.cfg.Application.Port, "err", err)
			return e, nil
		}
		return nil, fmt.Errorf("APPLICATION__PORT: %w", err)
	}
	wc := webhook.Config{
		Settings: a.cfg.Hooks, Listener: ln, Prefix: a.cfg.Ocean.PathPrefix,
		Secret: webhook.Secret(a.cfg.AzureDevOps.WebhookSecret.Reveal()), Lenient: a.cfg.AzureDevOps.WebhookAuthLenient,
		Parse: e.parse, HandleTimeout: a.cfg.Ocean.MaxEventProcessing, ShutdownWait: a.cfg.Ocean.ShutdownWait,
		CoreVersion: coreVersion, Log: a.log.With("component", "webhook"),
		Repairing: func() bool { return e.hooks.Repairing() },
	}
	wc.Settings.Workers = max(wc.Settings.Workers, a.cfg.Ocean.EventWorkers)
	if a.state != "" {
		wc.Directory = filepath.Join(a.state, "hooks")
	}
	if a.receives() {
		wc.Handler = e
	}
	if listen.Type == ocean.ListenWebhook {
		wc.Resync = a.wake
	}
	if a.receives() {
		if e.hooks, err = newKeeper(e); err != nil {
			_ = ln.Close()
			return nil, err
		}
	}
	e.server, err = webhook.New(wc)
	return e, err
}

// serve answers until ctx is done, and then finishes what is under way.
func (e *events) serve(ctx context.Context) {
	if e.server == nil {
		return
	}
	if err := e.server.Run(ctx); err != nil && ctx.Err() == nil {
		e.app.log.ErrorContext(ctx, "the HTTP server has ended", "err", err)
	}
}

// follow begins to handle deliveries. A service that has no memory of a resync
// and shall not begin with one first learns what there is.
func (e *events) follow(ctx context.Context) {
	listen := &e.app.cfg.Ocean.EventListener
	if e.server == nil || !e.app.receives() {
		return
	}
	if !e.app.runner.Remembers() && !(listen.Resyncs() && listen.ResyncOnStart) {
		if _, err := e.app.runner.Learn(ctx); err != nil && ctx.Err() == nil {
			e.app.log.WarnContext(ctx, "what is in the catalog could not be learned: live events delete nothing before the next resync", "err", err)
		}
	}
	e.server.Start()
	if e.hooks != nil {
		e.hooks.Run(ctx)
	}
}

// parse reads the envelope of a delivery.
func (e *events) parse(body []byte) (webhook.Envelope, error) {
	ev, err := azuredevops.ParseEvent(body)
	if err != nil {
		return webhook.Envelope{}, err
	}
	return webhook.Envelope{Key: ev.Key(), EventType: ev.Type, EventID: ev.ID, SubscriptionID: ev.SubscriptionID, Resource: ev.Resource}, nil
}

// Handle brings the catalog in step with what the deliveries say has changed.
func (e *events) Handle(ctx context.Context, _ string, deliveries []webhook.Delivery) error {
	type work struct {
		org     *azuredevops.Client
		changes []azuredevops.Change
		seen    map[azuredevops.Change]bool
		pushes  []gitops.Push
	}
	var all []*work
	var errs []error
	for _, d := range deliveries {
		ev, err := azuredevops.ParseEvent(d.Body)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", webhook.ErrPermanent, err))
			continue
		}
		org, err := azuredevops.Resolve(&ev, e.orgs, e.hooks.Registered)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", webhook.ErrPermanent, err))
			continue
		}
		var w *work
		for _, x := range all {
			if x.org == org {
				w = x
			}
		}
		if w == nil {
			w = &work{org: org, seen: map[azuredevops.Change]bool{}}
			all = append(all, w)
		}
		for _, c := range azuredevops.Changes(&ev) {
			if !w.seen[c] {
				w.seen[c] = true
				w.changes = append(w.changes, c)
			}
		}
		w.pushes = addPushes(w.pushes, &ev)
	}
	for _, w := range all {
		if err := e.app.runner.Live(ctx, w.org, w.changes); err != nil {
			errs = append(errs, err)
		}
		if err := e.push(ctx, w.org, w.pushes); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// addPushes adds the pushes of an event to earlier ones of the same branches:
// what counts is the first old commit and the last new one.
func addPushes(pushes []gitops.Push, ev *azuredevops.Event) []gitops.Push {
	if ev.Type != "git.push" {
		return pushes
	}
	repository := gjson.GetBytes(ev.Resource, "repository")
	for _, ref := range gjson.GetBytes(ev.Resource, "refUpdates").Array() {
		p := gitops.Push{
			Project: ev.Project, Repository: repository.Get("id").String(), DefaultBranch: repository.Get("defaultBranch").String(),
			Ref: ref.Get("name").String(), Old: ref.Get("oldObjectId").String(), New: ref.Get("newObjectId").String(),
		}
		i := slices.IndexFunc(pushes, func(o gitops.Push) bool { return o.Repository == p.Repository && o.Ref == p.Ref })
		if i < 0 {
			pushes = append(pushes, p)
			continue
		}
		pushes[i].New, pushes[i].DefaultBranch = p.New, p.DefaultBranch
	}
	return pushes
}

// push reads the entities that repositories declare.
func (e *events) push(ctx context.Context, org *azuredevops.Client, pushes []gitops.Push) error {
	if len(pushes) == 0 {
		return nil
	}
	m, err := e.current(ctx)
	if err != nil || len(m.SpecPath) == 0 {
		return err
	}
	var errs []error
	for _, p := range pushes {
		excluded, err := org.Excluded(ctx, p.Project)
		if err == nil && !excluded {
			err = e.gitops.Push(ctx, org, p, m)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("gitops of repository %s: %w", p.Repository, err))
		}
	}
	return errors.Join(errs...)
}

// lastMapping keeps the mapping that was used last for the time when Port
// cannot be asked.
const lastMapping = "mapping.json"

// current is the mapping for live events: at most a minute old, or the last one
// that is known while Port is away.
func (e *events) current(ctx context.Context) (*mapping.Mapping, error) {
	doc, err := e.document(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		if e.mapping != nil {
			return e.mapping, nil
		}
		return nil, err
	}
	if doc == e.doc {
		return e.mapping, nil
	}
	m, err := e.app.parse([]byte(doc))
	if err != nil {
		if e.mapping != nil {
			return e.mapping, nil
		}
		return nil, err
	}
	if e.mapping != nil {
		e.hooks.Soon() // another mapping may need other events
	}
	e.doc, e.mapping = doc, m
	if e.state != "" {
		_ = os.WriteFile(filepath.Join(e.state, lastMapping), []byte(doc), 0o600) // without it a restart has to wait for Port
	}
	return m, nil
}

func (e *events) document(ctx context.Context) (string, error) {
	asking, cancel := context.WithTimeout(ctx, mappingWait)
	defer cancel()
	i, err := e.app.catalog.CachedIntegration(asking)
	if err == nil {
		return string(i.Config), nil
	}
	e.mu.Lock()
	known := e.mapping != nil
	e.mu.Unlock()
	if known || e.state == "" {
		return "", err
	}
	b, ferr := os.ReadFile(filepath.Join(e.state, lastMapping))
	if ferr != nil {
		return "", err
	}
	return string(b), nil
}

// mappingWait bounds the question for the mapping: a known one does as well.
const mappingWait = 10 * time.Second
