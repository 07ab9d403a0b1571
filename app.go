package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/memory"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/listener"
	"github.com/ado-port/ado-port/port/ocean"
)

// app is the service with all its parts.
type app struct {
	cfg     *config
	log     *slog.Logger
	shipper *port.LogShipper // nil when logs stay here
	catalog *port.Client
	runner  *resync.Runner
	memory  *memory.Memory // nil when there is none
	fresh   atomic.Bool    // the mapping that Setup has read is still unused
	environ func() []string
	network *ocean.Network
	state   string // directory for what survives a restart; empty: none
	orgs    []*azuredevops.Client
	events  *events
	woken   chan struct{} // POST /resync
}

// newApp wires the parts. It dials nothing.
func newApp(ctx context.Context, p process, cfg *config, eff *ocean.Effective) (*app, error) {
	a, err := newClients(ctx, p, cfg, eff)
	if err != nil {
		return nil, err
	}
	a.memory = openMemory(a.state, cfg.Ocean.StateMemoryBytes, a.log)
	if a.orgs, err = a.organizations(p, a.memory); err != nil {
		return nil, err
	}
	if a.events, err = a.newEvents(ctx); err != nil {
		return nil, err
	}
	rc := resync.Config{
		Organizations: a.orgs, Catalog: a.catalog, Mapping: a.mapping, SendExamples: cfg.Ocean.SendRawDataExamples,
		StateDirectory: a.state, TempDirectory: a.state,
		Grace: cfg.Ocean.ShutdownWait, Heartbeat: cfg.Ocean.HeartbeatInterval, Schedule: a.schedule(),
		Observer: observer(p, cfg), Log: a.log.With("component", "resync"),
	}
	if a.receives() {
		rc.LiveMapping = a.events.current
	}
	a.runner, err = resync.New(rc)
	return a, err
}

// newClients wires what every command needs: log, network, Port, state.
func newClients(ctx context.Context, p process, cfg *config, eff *ocean.Effective) (*app, error) {
	a := &app{cfg: cfg, woken: make(chan struct{}, 1)}
	masker := port.NewMasker(eff.Secrets()...)
	a.log, a.shipper = newLog(p, cfg, masker)
	for _, n := range eff.Notices {
		a.log.Log(ctx, n.Level, "configuration", "variable", n.Variable, "text", n.Text)
	}
	a.environ = func() []string { return eff.JQEnviron(p.environ) }
	var err error
	a.network, err = ocean.NewNetwork(ocean.NetworkConfig{
		SSL: &cfg.Ocean.SSL, BlockPrivate: cfg.Ocean.BlockPrivateAddresses(), Environ: p.environ, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.state = ocean.StateDirectory(cfg.Ocean.StateDirectory, p.environ, a.log)
	a.catalog, err = port.New(port.ClientConfig{
		ClientID: cfg.Port.ClientID, ClientSecret: cfg.Port.ClientSecret, BaseURL: cfg.Port.BaseURL,
		IntegrationType: cfg.Ocean.Integration.Type, Identifier: cfg.Ocean.Integration.Identifier, Version: version, CoreVersion: coreVersion,
		UserAgentLayout: cfg.Port.UserAgentLayout, Limits: cfg.Limits,
		MappingTTL: cfg.Port.MappingTTL.Duration(), FlagsTTL: cfg.Port.FlagsTTL.Duration(), BlueprintTTL: cfg.Port.BlueprintTTL.Duration(),
		Transport: a.network.Port(), Masker: masker, Log: a.log,
	})
	return a, err
}

// organizations makes the clients of Azure DevOps. The memory may be nil.
func (a *app) organizations(p process, m *memory.Memory) ([]*azuredevops.Client, error) {
	return azuredevops.Clients(a.cfg.AzureDevOps, azuredevops.Shared{
		Memory: m, Timeout: a.cfg.Ocean.ClientTimeout, Transport: a.network.ThirdParty(), UserAgent: "ado-port/" + version,
		AuthorityHost: p.environ["AZURE_AUTHORITY_HOST"], Log: a.log.With("component", "azuredevops"),
	})
}

// openMemory opens the memory of what cannot have changed. Without one every
// resync reads everything, which is slower and no worse.
func openMemory(dir string, size int64, log *slog.Logger) *memory.Memory {
	if dir == "" || size == 0 {
		return nil
	}
	dir = filepath.Join(dir, "memory")
	err := os.MkdirAll(dir, 0o700)
	var m *memory.Memory
	if err == nil {
		m, err = memory.Open(dir, memory.Limits{Bytes: size}, log.With("component", "memory"))
	}
	if err != nil {
		log.Warn("nothing is remembered from resync to resync", "err", err)
		return nil
	}
	return m
}

// newLog writes to the process and, unless switched off, to Port.
func newLog(p process, cfg *config, masker *port.Masker) (*slog.Logger, *port.LogShipper) {
	opt := &slog.HandlerOptions{Level: cfg.Application.Level()}
	var local slog.Handler = slog.NewJSONHandler(p.err, opt)
	if p.terminal {
		opt.Level = max(cfg.Application.Level(), slog.LevelWarn) // progress and summary are shown instead
		local = slog.NewTextHandler(p.err, opt)
	}
	local = masker.Handler(local)
	if !cfg.Application.HTTPLogging {
		return slog.New(local), nil
	}
	host, _ := os.Hostname()
	shipper := port.NewLogShipper(port.LogConfig{Level: cfg.Application.Level(), Masker: masker, Hostname: host, Instance: resync.NewID()})
	return slog.New(slog.NewMultiHandler(local, shipper)), shipper
}

// observer shows a resync to people: live on a terminal, as a table at the end
// of a run that ends by itself.
func observer(p process, cfg *config) resync.Observer {
	switch {
	case p.terminal:
		return resync.NewTerminal(p.err)
	case p.showTable || cfg.Ocean.EventListener.Type == ocean.ListenOnce:
		return resync.NewTable(p.out)
	}
	return nil
}

// schedule merges the two settings that plan a resync; nil when there is none.
func (a *app) schedule() func(time.Time) time.Time {
	every, cron := a.cfg.Ocean.ScheduledResync, a.cfg.Ocean.ResyncCron
	if every.IsZero() && cron.IsZero() {
		return nil
	}
	return func(now time.Time) time.Time {
		e, c := every.Next(now), cron.Next(now)
		if e.IsZero() || !c.IsZero() && c.Before(e) {
			return c
		}
		return e
	}
}

// run sets the installation up and serves until ctx is done. The order of the
// end is that of the work: resyncs, then the log.
func (a *app) run(ctx context.Context) error {
	defer a.memory.Close()
	var ship sync.WaitGroup
	defer ship.Wait()
	if a.shipper != nil {
		a.shipper.Attach(a.catalog)
		shipping, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		ship.Go(func() { a.shipper.Run(shipping) })
		defer a.flushLog(ctx)
	}
	listen := &a.cfg.Ocean.EventListener
	serving, stop := context.WithCancel(ctx)
	var http sync.WaitGroup
	defer http.Wait()
	defer stop()
	http.Go(func() { a.events.serve(serving) })
	if err := a.install(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if listen.Type == ocean.ListenOnce {
		return a.once(ctx)
	}
	http.Go(func() { a.events.follow(serving) })
	lc := listener.Config{Resync: a.resync, Wake: a.woken, Interval: listen.Interval, Log: a.log.With("component", "listener")}
	if listen.Resyncs() {
		lc.OnStart, lc.Requested = listen.ResyncOnStart, a.requested
		if next := a.schedule(); next != nil {
			lc.Schedule = listener.ScheduleFunc(next)
		}
	}
	if listen.Type == ocean.ListenKafka {
		a.log.InfoContext(ctx, "Port is asked for resync requests; its Kafka topic is not read", "every", listen.Interval.String())
	}
	if err := listener.Run(ctx, lc); ctx.Err() == nil {
		return err
	}
	return nil
}

// setupPause is the time between two attempts to set the installation up.
const setupPause = 5 * time.Second

// install sets the installation up. A service waits for a Port that is away:
// deliveries are stored meanwhile. What waiting does not mend is an error.
func (a *app) install(ctx context.Context) error {
	for {
		err := a.catalog.Setup(ctx, a.setup())
		if err == nil {
			a.fresh.Store(true)
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // a stop is no error
		}
		a.log.ErrorContext(ctx, "the integration could not be set up", "err", err)
		if a.cfg.Ocean.EventListener.Type == ocean.ListenOnce || errors.Is(err, port.ErrUnauthorized) || !port.Temporary(err) {
			return err
		}
		timer := time.NewTimer(setupPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// wake asks for a resync; one request waits at most.
func (a *app) wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// flushGrace bounds the sending of the last log lines.
const flushGrace = 3 * time.Second

func (a *app) flushLog(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
	defer cancel()
	_ = a.shipper.Flush(ctx) // what cannot be shipped has been printed
}

func (a *app) setup() port.SetupConfig {
	s := port.SetupConfig{
		Origin: a.cfg.Ocean.CreatePortResourcesOrigin, InitializeResources: a.cfg.Ocean.InitializePortResources,
		ActionsProcessing: a.cfg.Ocean.ActionsProcessor.Enabled, IncrementalSync: a.cfg.Ocean.Integration.Incremental,
		CheckMapping: func(doc []byte) error { _, err := a.parse(doc); return err },
	}
	if l := &a.cfg.Ocean.EventListener; l.Type == ocean.ListenWebhook {
		s.ChangelogDestination, _ = json.Marshal(map[string]string{"type": "WEBHOOK", "url": l.AppHost.Reveal() + "/resync"}) //nolint:errchkjson // strings always do
	}
	if a.cfg.Ocean.DefaultResources == "corrected" {
		s.Resources = port.CorrectedDefaults()
	}
	if info, err := os.Stat(a.cfg.Ocean.ResourcesPath); err == nil && info.IsDir() {
		s.Resources = os.DirFS(a.cfg.Ocean.ResourcesPath)
	}
	return s
}

// once runs one resync. A failed one is no error unless that was asked for, as
// in the Python integration (port.md 4.6).
func (a *app) once(ctx context.Context) error {
	run := a.full
	if a.cfg.Ocean.Integration.Incremental {
		run = func(ctx context.Context) (*resync.Summary, error) {
			return a.runner.Incremental(ctx, a.cfg.Ocean.Integration.IncrementalInterval.Duration())
		}
	}
	sum, _ := run(ctx) // its error is a stop, which is a good end
	if sum.State != resync.StateFailed || !a.cfg.Ocean.StrictExit {
		return nil
	}
	return fmt.Errorf("the resync failed: %s", sum.Reason())
}

func (a *app) resync(ctx context.Context) error {
	_, err := a.full(ctx)
	return err
}

// full runs a resync and says what to do when Azure DevOps refuses us.
func (a *app) full(ctx context.Context) (*resync.Summary, error) {
	sum, err := a.runner.Full(ctx)
	if err := a.memory.EndResync(sum.State == resync.StateCompleted); err != nil {
		a.log.WarnContext(ctx, "what cannot have changed is not remembered", "err", err)
	}
	a.events.hooks.Soon() // there may be new projects
	if sum.Unauthorized() {
		a.log.ErrorContext(ctx, "Azure DevOps refuses the credentials: check that OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN (or the service principal) is complete, not expired and may read the organization of OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL; nothing was deleted")
	}
	return sum, err
}

// requested is when Port was last asked for a resync.
func (a *app) requested(ctx context.Context) (time.Time, error) {
	at, err := a.catalog.ResyncRequest(ctx)
	if err != nil || at == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return time.Time{}, fmt.Errorf("port's resync request: %w", err)
	}
	return t, nil
}

// mapping reads the mapping from Port. The first resync uses what Setup has
// just read.
func (a *app) mapping(ctx context.Context) (*mapping.Mapping, error) {
	read := a.catalog.Integration
	if a.fresh.CompareAndSwap(true, false) {
		read = a.catalog.CachedIntegration
	}
	i, err := read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the mapping: %w", err)
	}
	return a.parse(i.Config)
}

func (a *app) parse(doc []byte) (*mapping.Mapping, error) {
	opt := mapping.Options{
		ItemTimeout: a.cfg.Ocean.ItemTimeout,
		Bind: func(kind string, selector json.RawMessage) ([]string, error) {
			_, warnings, err := azuredevops.Bind(kind, selector)
			return warnings, err
		},
	}
	if a.cfg.Ocean.AllowJQEnvironment {
		opt.Environ = a.environ
	}
	m, err := mapping.Parse(doc, opt)
	if err != nil {
		return nil, fmt.Errorf("the mapping cannot be used: %w", err)
	}
	return m, nil
}
