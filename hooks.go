package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
)

// hookRoute is where service hooks are delivered, behind base URL and prefix.
const hookRoute = "/integration/webhook"

// newKeeper wires what looks after service hooks. Without a public address there
// are none, and nil.
func newKeeper(e *events, oldURLs ...string) (*hooks.Keeper, error) {
	a := e.app
	base := strings.TrimRight(a.cfg.Ocean.BaseURL, "/")
	if base == "" {
		a.log.Warn("no service hooks are made because OCEAN__BASE_URL is not set: changes arrive with the next resync")
		return nil, nil //nolint:nilnil // none is a good answer
	}
	return hooks.NewKeeper(hooks.KeeperConfig{
		Organizations: e.orgs, URL: base + a.cfg.Ocean.Prefix() + hookRoute, OldURLs: oldURLs,
		Secret: a.cfg.AzureDevOps.WebhookSecret, Username: a.cfg.AzureDevOps.WebhookAuthUsername,
		PerProject: a.cfg.AzureDevOps.IsProjectsLimited, StateDirectory: e.state,
		Wanted: e.wanted, Resync: a.wake, Log: a.log.With("component", "hooks"),
		Relist: func(ctx context.Context, org *azuredevops.Client, changes []azuredevops.Change) error {
			return a.runner.Live(ctx, org, changes)
		},
		Redeliver: func(ctx context.Context, bodies [][]byte) error {
			var deliveries []webhook.Delivery
			for _, b := range bodies {
				deliveries = append(deliveries, webhook.Delivery{Body: b})
			}
			return e.Handle(ctx, "", deliveries)
		},
	})
}

// wanted is what the mapping needs events for.
func (e *events) wanted(ctx context.Context) (hooks.Wanted, error) {
	m, err := e.current(ctx)
	if err != nil {
		return hooks.Wanted{}, err
	}
	w := hooks.Wanted{GitOps: len(m.SpecPath) > 0 && len(m.Resources) > 0, Actions: e.app.cfg.Ocean.ActionsProcessor.Enabled}
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

// receives says whether this process follows service hooks.
func (a *app) receives() bool {
	l := &a.cfg.Ocean.EventListener
	return l.ProcessesWebhooks() && l.Type != ocean.ListenOnce
}

// showHooks runs the hooks command.
func showHooks(ctx context.Context, p process, args []string) error {
	asJSON, args, err := outputFlag(args)
	if err != nil {
		return err
	}
	opt, args := hooks.CommandOptions{JSON: asJSON}, slices.Clone(args)
	for name, flag := range map[string]*bool{"--repair": &opt.Repair, "--cleanup": &opt.Cleanup} {
		if i := slices.Index(args, name); i >= 0 {
			*flag, args = true, slices.Delete(args, i, i+1)
		}
	}
	var oldURLs []string
	if i := slices.Index(args, "--old-url"); i >= 0 && i+1 < len(args) {
		oldURLs, args = args[i+1:i+2:i+2], slices.Delete(args, i, i+2)
	}
	if len(args) > 0 || opt.Repair && opt.Cleanup {
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
	k, err := newKeeper(&events{app: a, orgs: a.orgs, state: a.state}, oldURLs...)
	if err != nil {
		return err
	}
	if k == nil {
		return errors.New("OCEAN__BASE_URL is not set: want the address at which Azure DevOps reaches the service, such as https://ocean.example.com")
	}
	return k.Command(ctx, opt, p.out)
}
