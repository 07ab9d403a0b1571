package service

import (
	"context"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/listener"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool/redis"
	"github.com/ado-port/ado-port/webhook/status"
)

// newServer binds the HTTP server.
func (s *Service) newServer(ctx context.Context) (err error) {
	cfg, listen := s.Config, &s.Config.Ocean.EventListener
	wc := webhook.Config{
		Settings: cfg.Hooks, Prefix: cfg.Ocean.PathPrefix, Secret: cfg.AzureDevOps.WebhookSecret.Reveal(), Lenient: cfg.AzureDevOps.WebhookAuthLenient,
		Directory: webhook.DirectoryIn(s.state), Used: s.keeper.WasAlive(ctx), Lost: s.missed, Ready: func() bool { return !s.waiting },
		Spool: redis.Opener(s.group, cfg.Shared.MinReplicas), Fenced: port.WithFence,
		Parse: s.envelope, HandleTimeout: cfg.Ocean.MaxEventProcessing, ShutdownWait: cfg.Ocean.ShutdownWait, Repairing: s.keeper.Repairing, Log: s.component("webhook"),
		Registry: s.metrics, Events: hooks.EventTypes(), ShowStatus: cfg.Ocean.StatusPage,
	}
	if wc.Status, err = s.status(); err != nil {
		return err
	}
	wc.Settings.Workers = max(wc.Settings.Workers, cfg.Ocean.EventWorkers)
	if s.follow != nil {
		wc.Handler = webhook.BodiesHandler(s.deliver, live.ErrMalformed)
	}
	if listen.Type == ocean.ListenWebhook {
		wc.Resync = func() { s.leader.Ask(listener.CausePosted) }
	}
	s.server, err = webhook.Listen(ctx, wc, webhook.Ports{
		Host: s.Demo.Host(), HTTP: cfg.Application.Port, Metrics: cfg.Ocean.Metrics.Port, Optional: listen.Type == ocean.ListenOnce && !cfg.Ocean.EventsOnly(),
	})
	return err
}

// status is what /status.json and the page show, which has more: what the rooms know.
func (s *Service) status() (*status.Site, error) {
	build := func() any { return s.Build }
	if s.waiting {
		return status.NewSite(status.SiteConfig{Document: status.New(s.metrics, s.Config.Ocean.StateDirectory, status.Sections{"build": build})})
	}
	return status.NewSite(status.SiteConfig{
		Document: status.New(s.metrics, s.state, status.Sections{
			"build": build, "port": func() any { return s.Port.Health() }, "organizations": func() any { return azuredevops.HealthOf(s.Organizations) },
			"queue": func() any { return s.server.Queue() }, "hooks": func() any { return s.keeper.Health() }, "resync": func() any { return s.runner.View() },
			"actions": func() any { return s.actions.Status() }, "replica": func() any { return s.group.Status() },
			"storageQueue": func() any { return s.queue.Status() },
		}),
		More: status.Sections{
			"config": func() any { return s.Effective.Rows }, "demo": s.Demo.Show, "live": func() any { return s.server.Minutes() },
			"audit": func() any { return s.audit.Recent() }, "deadLetters": func() any { return s.server.DeadLetters(status.MostDeadLetters) },
		},
		Press:   s.Demo.Presses(),
		Redrive: func(ctx context.Context, ids ...uint64) (int, error) { return s.server.Redrive(ctx, ids...) },
	})
}

// demoTold tells a demo what a line of the audit says.
func (s *Service) demoTold(l catalog.Line) { s.Demo.Changed(l.Cause, l.Blueprint, l.Identifier) }

// envelope reads what the server needs to know of a delivery.
func (s *Service) envelope(body []byte) (webhook.Envelope, error) {
	ev, err := azuredevops.ParseEvent(body)
	if err != nil {
		return webhook.Envelope{}, err
	}
	return webhook.Envelope{
		Key: ev.Key(), EventType: ev.Type, EventID: ev.ID, SubscriptionID: ev.SubscriptionID, Resource: ev.Resource,
		Known: s.follow.Knows(&ev),
	}, nil
}

// newKeeper makes what looks after the subscriptions; nil without a public address and
// without a queue.
func (s *Service) newKeeper() (*hooks.Keeper, error) {
	kc := s.keeperConfig()
	kc.Resync, kc.Relist, kc.Redeliver = s.missed, s.follow.RelistMissed, s.deliver
	if s.group != nil {
		kc.State, kc.Alive, kc.Left = s.group.Value("hooks"), s.group.Value("hooks-alive"), s.group.Common("hooks-removed")
	}
	return newKeeper(kc)
}
