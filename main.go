// Command ado-port keeps a Port catalog in step with Azure DevOps.
//
// A tour for readers of the code. Records flow one way:
//
//	azuredevops ─ Record ─► mapping ─ Entity ─► mapping/catalog ─► port ─► Port
//
// Package azuredevops lists raw JSON objects, kind by kind, and says what it could
// not read; azuredevops/rest knows how to ask. Package mapping turns each record
// into entities as the user's jq expressions say; it is pure. Package
// mapping/catalog is the only way into Port: it merges, compares, writes and
// deletes. Package port is the client of Port.
//
// Two packages move records along that way. mapping/resync lists everything, when
// port/listener says so. mapping/resync/live lists again what service hooks say has
// changed: webhook receives and stores them, azuredevops/hooks looks after the
// subscriptions. mapping/resync/origins remembers what was made of what, so that
// both know what is gone. port/actions runs what people start in Port.
//
// Start reading at run.full in mapping/resync/runner.go. Everything is wired here,
// in newApp; nothing else reads the environment or exits.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // the image has no zone files, and CRON_TZ=… names zones

	"github.com/caarlos0/env/v11"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/term"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/azuredevops/memory"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/check"
	"github.com/ado-port/ado-port/mapping/resync/demo"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/mapping/resync/preview"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/actions"
	"github.com/ado-port/ado-port/port/listener"
	"github.com/ado-port/ado-port/port/network"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/status"
)

// version is ours, in the User-Agent and in what Port shows; a build sets it
// with -ldflags "-X main.version=…".
var version = "0.1.0"

// coreVersion is the Ocean core whose contract this program keeps.
const coreVersion = "0.48.12"

// hookRoute is where service hooks are delivered, behind base URL and prefix.
const hookRoute = "/integration/webhook"

// triggerPipeline is the type of the only action of this integration.
const triggerPipeline = "trigger_pipeline"

// config is everything that the environment decides, composed of the rooms' own.
type config struct {
	Port        port.Config        `envPrefix:"OCEAN__PORT__"`
	AzureDevOps azuredevops.Config `envPrefix:"OCEAN__INTEGRATION__CONFIG__"`
	Ocean       ocean.Settings     `envPrefix:"OCEAN__"`
	Limits      port.Limits        `envPrefix:"OCEAN__"`
	Hooks       webhook.Settings   `envPrefix:"OCEAN__HOOKS__"`
	Application ocean.Application  `envPrefix:"APPLICATION__"`
}

// process is what the operating system gives a program. Tests have their own.
type process struct {
	args     []string // without the program's name
	environ  map[string]string
	dir      string // working directory
	in       io.Reader
	out, err io.Writer
	screen   io.Writer                  // err without the masker, for a display that draws; nil: err is no terminal
	size     func() (columns, rows int) // of that terminal
	masker   *port.Masker               // before out and err; knows the secrets once they are read
	terminal bool                       // err is a terminal
	answers  bool                       // in is a terminal: somebody answers questions
	paints   bool                       // out is a terminal
	// showTable prints the summary of every resync, not only in runs that end.
	showTable bool
}

// gcPercent trades processor time for memory: the program streams, so what lives
// is small, and a fifth of it again is enough room between two collections.
const gcPercent = 18

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	code := run(ctx, process{
		args: os.Args[1:], environ: env.ToMap(os.Environ()), dir: ".",
		in: os.Stdin, out: os.Stdout, err: os.Stderr, size: terminalSize,
		terminal: term.IsTerminal(int(os.Stderr.Fd())), answers: term.IsTerminal(int(os.Stdin.Fd())),
		paints: term.IsTerminal(int(os.Stdout.Fd())),
	})
	stop()
	os.Exit(code) // the only exit of the program
}

// terminalSize is that of a usual terminal where it cannot be told.
func terminalSize() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return columns, rows
}

// run is main without the process. It returns the exit code.
func run(ctx context.Context, p process) int {
	if p.terminal {
		p.screen = p.err
	}
	p.masker = port.NewMasker()
	out, log := p.masker.Writer(p.out), p.masker.Writer(p.err)
	defer out.Close()
	defer log.Close()
	p.out, p.err = out, log
	return ocean.Exit(p.commands().Run(ctx, p.args), p.err)
}

// commands are what the program can do; without a name the first one.
func (p process) commands() *ocean.Commands {
	return &ocean.Commands{Out: p.out, Variables: ocean.Describe[config], List: []ocean.Command{
		{Name: "run", Operand: "[PATH]", Setup: p.service},
		{Name: "demo", Setup: p.demo},
		{Name: "check", Setup: p.check},
		{Name: "plan", Setup: p.plan},
		{Name: "map", Operand: "KIND", Values: azuredevops.Kinds(), Setup: p.mapRecords},
		ocean.ConfigCommand(func() (*ocean.Effective, error) { _, eff, err := p.load(nil, nil); return eff, err }, p.out),
		{Name: "hooks", Setup: p.hooks},
		ocean.VersionCommand(ocean.ReadBuild(version), p.out),
	}}
}

// load reads the configuration of the process; what the command line says is
// stronger than the environment, or weaker.
func (p process) load(stronger, weaker map[string]string) (*config, *ocean.Effective, error) {
	src, err := ocean.ReadSources(p.dir, p.environ)
	if err != nil {
		return nil, nil, err
	}
	src.Overrides, src.Fallbacks = stronger, azuredevops.Ambient(p.environ)
	maps.Copy(src.Fallbacks, weaker)
	cfg, eff, err := ocean.Load[config](src)
	p.masker.Add(eff.Secrets()...)
	return cfg, eff, err
}

// clients are what a command needs that is not the service: its log stays here, and
// tells of faults only.
func (p process) clients(ctx context.Context, use uses) (*app, error) {
	cfg, eff, err := p.load(nil, nil)
	if err != nil {
		return nil, err
	}
	cfg.Application.HTTPLogging = false
	if cfg.Application.Level() == slog.LevelInfo {
		cfg.Application.LogLevel = "WARNING"
	}
	return newClients(ctx, p, cfg, eff, use)
}

// service is the integration.
func (p process) service(fs *flag.FlagSet) ocean.Action {
	stronger, weaker := ocean.SailFlags(fs)
	return func(ctx context.Context, _ string) error { return p.serve(ctx, stronger, weaker) }
}

// serve runs the integration as the environment says.
func (p process) serve(ctx context.Context, stronger, weaker map[string]string) error {
	cfg, eff, err := p.load(stronger, weaker)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, p, cfg, eff)
	if errors.Is(err, ocean.ErrState) && cfg.Ocean.EventListener.Type != ocean.ListenOnce {
		if err = p.awaitState(ctx, cfg, err); err == nil && ctx.Err() == nil {
			a, err = newApp(ctx, p, cfg, eff)
		}
	}
	if err != nil || a == nil {
		return err
	}
	return a.run(ctx)
}

// awaitState answers deliveries with 503, and that it is not ready, until the state
// directory that was named can be used. It returns nil then, and at the end of ctx.
func (p process) awaitState(ctx context.Context, cfg *config, why error) error {
	a := newBareApp(cfg)
	a.waiting = true
	a.log, _ = port.NewLog(port.LogConfig{Level: cfg.Application.Level(), Masker: p.masker}, p.err, p.terminal, false)
	if err := a.newServer(ctx); err != nil {
		return err
	}
	a.log.ErrorContext(ctx, "waiting for the state directory", "err", why)
	a.server.RunWhile(ctx, func(ctx context.Context) { ocean.AwaitState(ctx, cfg.Ocean.StateDirectory, p.environ, a.log) })
	return nil
}

// demo runs the service against simulators inside the process.
func (p process) demo(fs *flag.FlagSet) ocean.Action {
	once := fs.Bool("once", false, "end after one resync")
	return func(ctx context.Context, _ string) error {
		p.showTable = true
		return demo.Run(ctx, *once, p.out, func(ctx context.Context, environ map[string]string) error {
			p.environ = environ
			return p.serve(ctx, nil, nil)
		})
	}
}

// plan shows what a resync would do.
func (p process) plan(fs *flag.FlagSet) ocean.Action {
	opt := preview.PlanOptions{Directory: p.dir, Color: p.colors()}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		a, err := p.clients(ctx, uses{})
		if err != nil {
			return err
		}
		state, err := ocean.InspectState(a.cfg.Ocean.StateDirectory, p.environ)
		if err != nil {
			a.log.WarnContext(ctx, "what is remembered of the last resync cannot be used", "err", err)
		}
		opt.Source, opt.Strict = a.source, a.cfg.Ocean.StrictExit
		opt.Resync = resync.Config{
			Organizations: a.orgs, Port: a.port, Catalog: catalog.New(catalog.Config{Port: a.port, TempDirectory: os.TempDir(), Log: a.component("catalog")}),
			StateDirectory: state.Directory, TempDirectory: os.TempDir(), Grace: a.cfg.Ocean.ShutdownWait, DeletionBrake: float64(a.cfg.Ocean.DeletionBrake),
		}
		return preview.Plan(ctx, opt, p.out)
	}
}

// mapRecords shows what the mapping makes of a few records.
func (p process) mapRecords(fs *flag.FlagSet) ocean.Action {
	opt := preview.MapOptions{Directory: p.dir, Input: p.in}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, kind string) error {
		opt.Kind = kind
		if opt.Offline() {
			cfg, eff, err := p.load(nil, nil)
			if eff == nil {
				return err
			}
			opt.Source = resync.NewSource(p.sourceConfig(cfg, eff))
		} else {
			a, err := p.clients(ctx, uses{})
			if err != nil {
				return err
			}
			opt.Organizations, opt.Source = a.orgs, a.source
		}
		return preview.Map(ctx, opt, p.out)
	}
}

// check signs in to both sides and says what is missing.
func (p process) check(fs *flag.FlagSet) ocean.Action {
	opt := check.Options{Directory: p.dir, Colors: p.colors()}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		cfg, eff, err := p.load(nil, nil)
		if err != nil {
			return err
		}
		cfg.Application.HTTPLogging, cfg.Application.LogLevel = false, "CRITICAL" // what matters is printed
		a, err := newClients(ctx, p, cfg, eff, uses{})
		if err != nil {
			return err
		}
		return check.Run(ctx, check.Config{
			Port: a.port, PortURL: cfg.Port.BaseURL, Identifier: cfg.Ocean.Integration.Identifier, Setup: cfg.Ocean.Setup(a.source.Check),
			Organizations: a.orgs, SignIn: cfg.AzureDevOps.SignIn(), PortSide: a.network.Port(), OtherSide: a.network.ThirdParty(), Source: a.source,
			Live: cfg.Ocean.EventListener.FollowsEvents(), BaseURL: cfg.Ocean.BaseURL, Health: cfg.Ocean.Prefix() + "/health/live",
			Secret: cfg.AzureDevOps.WebhookSecret != "", Keeper: func() (*hooks.Keeper, error) { return a.newKeeper() },
			StateNamed: cfg.Ocean.StateDirectory != "", Notices: eff.Warnings(),
			State: func() (check.State, error) {
				s, err := ocean.InspectState(cfg.Ocean.StateDirectory, p.environ)
				return check.State(s), err
			},
		}, opt, p.out)
	}
}

// colors tells whether what is printed may have some: https://no-color.org
func (p process) colors() bool { return p.paints && p.environ["NO_COLOR"] == "" }

// hooks lists, repairs or removes the service hook subscriptions.
func (p process) hooks(fs *flag.FlagSet) ocean.Action {
	opt := hooks.CommandOptions{Ask: func(question string) bool { return ocean.Ask(p.in, p.err, question) }}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		if err := opt.Check(p.answers); err != nil {
			return fmt.Errorf("%w: %w", err, ocean.ErrUsage)
		}
		a, err := p.clients(ctx, uses{state: true})
		if err != nil {
			return err
		}
		k, err := a.newKeeper(opt.OldURLs...)
		if err != nil {
			return err
		}
		return k.Command(ctx, opt, p.out)
	}
}

// app is the service with all its parts.
type app struct {
	cfg       *config
	log       *slog.Logger
	shipper   *port.LogShipper // nil when logs stay here
	state     string           // directory for what survives a restart; empty: none
	waiting   bool             // for that directory: nothing but the server is there
	port      *port.Client
	orgs      []*azuredevops.Client
	source    *resync.Source
	memory    *memory.Memory // nil when there is none
	audit     *catalog.Audit // nil when it is off
	book      *origins.Book  // nil where events are not followed
	runner    *resync.Runner
	follow    *live.Follower         // nil where events are not followed
	keeper    *hooks.Keeper          // nil: there is no public address
	server    *webhook.Server        // nil: nobody listens
	actions   *actions.Processor     // nil where actions are not enabled
	pipelines *azuredevops.Pipelines // that they start
	woken     listener.Waker         // why a resync is asked for: POST /resync, or lost events
	network   *network.Network
	kafka     *listener.Kafka               // nil: Port's topic is not read
	planned   func(now time.Time) time.Time // when the next resync is due; nil: none is planned
	build     ocean.Build
	metrics   *prometheus.Registry
}

// newBareApp is an app without parts.
func newBareApp(cfg *config) *app {
	a := &app{cfg: cfg, woken: listener.NewWaker(), build: ocean.ReadBuild(version)}
	a.metrics = status.NewRegistry(a.build.Version, a.build.Commit, a.build.Go)
	return a
}

// uses says what a command needs of the state directory.
type uses struct {
	state  bool // files in it
	memory bool // of Azure DevOps, which one process has at a time
}

// newClients wires what every command needs: log, network, Port, Azure DevOps, the
// mapping.
func newClients(ctx context.Context, p process, cfg *config, eff *ocean.Effective, use uses) (*app, error) {
	a := newBareApp(cfg)
	host, _ := os.Hostname()
	a.log, a.shipper = port.NewLog(port.LogConfig{Level: cfg.Application.Level(), Masker: p.masker, Hostname: host, Instance: uuid.NewString()}, p.err, p.terminal, cfg.Application.HTTPLogging)
	for _, n := range eff.Notices {
		a.log.Log(ctx, n.Level, "configuration", "variable", n.Variable, "text", n.Text)
	}
	var err error
	a.network, err = network.New(network.Config{
		UnverifiedPort: !cfg.Ocean.SSL.Port.Verify, UnverifiedThirdParty: !cfg.Ocean.SSL.ThirdParty.Verify,
		BlockPrivate: cfg.Ocean.BlockPrivateAddresses(), Environ: p.environ, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	if use.state {
		if a.state, err = ocean.StateDirectory(cfg.Ocean.StateDirectory, p.environ, a.log); err != nil {
			return nil, err
		}
	}
	pc := cfg.Port.ClientConfig()
	pc.IntegrationType, pc.Identifier, pc.Version, pc.CoreVersion = cfg.Ocean.Integration.Type, cfg.Ocean.Integration.Identifier, version, coreVersion
	pc.Limits, pc.Transport, pc.Masker, pc.Log, pc.Registry = cfg.Limits, a.network.Port(), p.masker, a.log, a.metrics
	if cfg.Ocean.Metrics.Enabled {
		pc.MetricsWebhook, pc.MetricsTransport = cfg.Ocean.Metrics.WebhookURL, a.network.ThirdParty()
	}
	if a.port, err = port.New(pc); err != nil {
		return nil, err
	}
	if use.memory {
		a.memory = memory.OpenIn(a.state, cfg.Ocean.StateMemoryBytes, a.component("memory"))
	}
	a.orgs, err = azuredevops.Clients(cfg.AzureDevOps, azuredevops.Shared{
		Memory: a.memory, Timeout: cfg.Ocean.ClientTimeout, Transport: a.network.ThirdParty(), UserAgent: "ado-port/" + version,
		AuthorityHost: p.environ["AZURE_AUTHORITY_HOST"], Log: a.component("azuredevops"), Registry: a.metrics,
	})
	if err != nil {
		return nil, err
	}
	sc := p.sourceConfig(cfg, eff)
	sc.StateDirectory, sc.Log = a.state, a.log
	sc.Read = func(ctx context.Context) (json.RawMessage, error) {
		i, err := a.port.Integration(ctx)
		if err != nil {
			return nil, err
		}
		return i.Config, nil
	}
	a.source = resync.NewSource(sc)
	return a, nil
}

// sourceConfig is how a mapping is used, wherever it comes from.
func (p process) sourceConfig(cfg *config, eff *ocean.Effective) resync.SourceConfig {
	sc := resync.SourceConfig{ItemTimeout: cfg.Ocean.ItemTimeout, TTL: cfg.Port.MappingTTL.Duration()}
	if cfg.Ocean.AllowJQEnvironment {
		sc.Environ = func() []string { return eff.JQEnviron(p.environ) }
	}
	return sc
}

func (a *app) component(name string) *slog.Logger { return a.log.With("component", name) }

// newApp wires the parts and binds the listener. It dials nothing.
func newApp(ctx context.Context, p process, cfg *config, eff *ocean.Effective) (*app, error) {
	a, err := newClients(ctx, p, cfg, eff, uses{state: true, memory: true})
	if err != nil {
		return nil, err
	}
	if err := ocean.SweepState(a.state); err != nil {
		a.log.WarnContext(ctx, "temporary files of an earlier process are left", "err", err)
	}
	if cfg.Ocean.EventListener.Type == ocean.ListenActionsOnly && !cfg.Ocean.RunsActions() {
		a.log.WarnContext(ctx, "this process does nothing: its listener is ACTIONS_ONLY, and self-service actions are switched off")
	}
	if cfg.Ocean.HasActions() {
		if err := a.newActions(); err != nil {
			return nil, err
		}
	}
	if cfg.Ocean.EventListener.Type == ocean.ListenKafka {
		if a.kafka, err = a.newKafka(); err != nil {
			return nil, err
		}
	}
	a.planned = cfg.Ocean.Schedule(time.Now())
	if cfg.Ocean.Audit.Enabled {
		a.audit = catalog.NewAudit(catalog.AuditConfig{PerResync: cfg.Ocean.Audit.MaxLines, PerMinute: catalog.LivePerMinute, Log: a.component("audit")})
	}
	into := catalog.New(catalog.Config{Port: a.port, TempDirectory: a.state, Audit: a.audit, Registry: a.metrics, Log: a.component("catalog")})
	follows := cfg.Ocean.EventListener.FollowsEvents()
	if follows {
		a.book = origins.Open(a.state, a.component("resync"))
		a.follow = live.New(live.Config{
			Organizations: a.orgs, Catalog: into, Mapping: a.source.Current, Book: a.book, StateDirectory: a.state,
			Registered: func(id string) *azuredevops.Client { return a.keeper.Registered(id) }, Log: a.component("live"),
		})
		if a.keeper, err = a.newKeeper(); err != nil {
			return nil, err
		}
		a.source.OnChange(a.keeper.Soon) // another mapping may need other events
	}
	a.runner, err = resync.New(resync.Config{
		Organizations: a.orgs, Port: a.port, Catalog: into, Mapping: a.source.Fresh, Book: a.book,
		StateDirectory: a.state, TempDirectory: a.state, SendExamples: cfg.Ocean.SendRawDataExamples,
		Schedule: a.planned, Interval: cfg.Ocean.Distance(), Heartbeat: cfg.Ocean.HeartbeatInterval, Grace: cfg.Ocean.ShutdownWait,
		DeletionBrake: float64(cfg.Ocean.DeletionBrake),
		Observer: resync.NewObserver(p.out, resync.Screen{Writer: p.screen, Size: p.size, Clean: p.masker.Line, Color: p.environ["NO_COLOR"] == ""},
			p.showTable || cfg.Ocean.EventListener.Type == ocean.ListenOnce, cfg.Ocean.Verbose), Ended: a.resynced, Log: a.component("resync"),
		Causes: append(listener.Causes(), causeMissed, causePosted), Registry: a.metrics,
	})
	if err != nil {
		return nil, err
	}
	return a, a.newServer(ctx)
}

// newActions makes what runs self-service actions, or hears of their end only.
func (a *app) newActions() (err error) {
	s := &a.cfg.Ocean.ActionsProcessor
	a.pipelines = azuredevops.NewPipelines(a.orgs, func(id string) *azuredevops.Client { return a.keeper.Registered(id) })
	a.actions, err = actions.New(actions.Config{
		Port: a.port, Installation: a.cfg.Ocean.Integration.Identifier, Executors: map[string]actions.Executor{triggerPipeline: a.pipelines},
		Directory: a.state, HighWatermark: s.HighWatermark, MaxShare: s.MaxShare, Lease: s.VisibilityTimeout, Interval: s.PollInterval, Workers: s.Workers,
		Grace: a.cfg.Ocean.ShutdownWait, Log: a.component("actions"), Registry: a.metrics,
	})
	return err
}

// deliver handles deliveries of hooks.
func (a *app) deliver(ctx context.Context, bodies [][]byte) error {
	if a.actions != nil {
		for _, body := range bodies {
			if externalID, order, ok := a.pipelines.Ended(body); ok {
				if err := a.actions.Ended(ctx, triggerPipeline, externalID, order); err != nil {
					return fmt.Errorf("the end of %s: %w", externalID, err)
				}
			}
		}
	}
	return a.follow.Handle(ctx, bodies)
}

// resynced is called at the end of every full resync.
func (a *app) resynced(s *resync.Summary) {
	if err := a.memory.EndResync(s.State == resync.StateCompleted); err != nil {
		a.log.Warn("what cannot have changed is not remembered", "err", err)
	}
	a.keeper.Soon() // there may be new projects
}

// newServer binds the HTTP server.
func (a *app) newServer(ctx context.Context) (err error) {
	cfg, listen := a.cfg, &a.cfg.Ocean.EventListener
	wc := webhook.Config{
		Settings: cfg.Hooks, Prefix: cfg.Ocean.PathPrefix, Secret: cfg.AzureDevOps.WebhookSecret.Reveal(), Lenient: cfg.AzureDevOps.WebhookAuthLenient,
		Parse: a.envelope, HandleTimeout: cfg.Ocean.MaxEventProcessing, ShutdownWait: cfg.Ocean.ShutdownWait, Repairing: a.keeper.Repairing, Log: a.component("webhook"),
		Registry: a.metrics, Events: hooks.EventTypes(), Status: a.status(), ShowStatus: cfg.Ocean.StatusPage,
	}
	wc.Settings.Workers = max(wc.Settings.Workers, cfg.Ocean.EventWorkers)
	if a.state != "" {
		wc.Directory = filepath.Join(a.state, "hooks")
		wc.Used, wc.Lost = a.keeper.WasAlive(), a.missed
	}
	if a.waiting {
		wc.Ready = func() bool { return false }
	}
	if a.follow != nil {
		wc.Handler = webhook.BodiesHandler(a.deliver, live.ErrMalformed)
	}
	if listen.Type == ocean.ListenWebhook {
		wc.Resync = func() { a.woken.Wake(causePosted) }
	}
	a.server, err = webhook.Listen(ctx, wc, webhook.Ports{HTTP: cfg.Application.Port, Metrics: cfg.Ocean.Metrics.Port, Optional: listen.Type == ocean.ListenOnce})
	return err
}

// status is what /status.json shows: what the rooms know.
func (a *app) status() *status.Document {
	section := func(name string, of func() any) status.Section { return status.Section{Name: name, Of: of} }
	if a.waiting {
		state := status.WatchState(a.metrics, a.cfg.Ocean.StateDirectory)
		return status.New(section("build", func() any { return a.build }), section("stateDirectory", func() any { return state() }))
	}
	state := status.WatchState(a.metrics, a.state)
	return status.New(
		section("build", func() any { return a.build }), section("stateDirectory", func() any { return state() }),
		section("port", func() any { return a.port.Health() }), section("organizations", func() any { return azuredevops.HealthOf(a.orgs) }),
		section("queue", func() any { return a.server.Queue() }), section("hooks", func() any { return a.keeper.Health() }),
		section("resync", func() any { return a.runner.View() }), section("actions", func() any { return a.actions.Status() }),
	)
}

// envelope reads what the server needs to know of a delivery.
func (a *app) envelope(body []byte) (webhook.Envelope, error) {
	ev, err := azuredevops.ParseEvent(body)
	if err != nil {
		return webhook.Envelope{}, err
	}
	return webhook.Envelope{
		Key: ev.Key(), EventType: ev.Type, EventID: ev.ID, SubscriptionID: ev.SubscriptionID, Resource: ev.Resource,
		Known: a.follow != nil && a.follow.Knows(&ev),
	}, nil
}

// newKafka makes the reader of Port's topic.
func (a *app) newKafka() (*listener.Kafka, error) {
	listen := &a.cfg.Ocean.EventListener
	mechanism, encrypted := listen.KafkaAccess()
	return listener.NewKafka(listener.KafkaConfig{
		Brokers: listen.Brokers, Mechanism: mechanism, Dial: a.network.DialPort(encrypted),
		Topic: a.port.KafkaTopic, Credentials: a.port.KafkaCredentials,
		Type: a.cfg.Ocean.Integration.Type, Identifier: a.cfg.Ocean.Integration.Identifier, Log: a.component("listener"),
	})
}

// newKeeper makes what looks after the subscriptions; nil without a public address.
func (a *app) newKeeper(oldURLs ...string) (*hooks.Keeper, error) {
	base := strings.TrimRight(a.cfg.Ocean.BaseURL, "/")
	if base == "" {
		return nil, nil //nolint:nilnil // none is a good answer
	}
	return hooks.NewKeeper(hooks.KeeperConfig{
		Organizations: a.orgs, URL: base + a.cfg.Ocean.Prefix() + hookRoute, OldURLs: oldURLs,
		Secret: a.cfg.AzureDevOps.WebhookSecret, Username: a.cfg.AzureDevOps.WebhookAuthUsername, Registry: a.metrics,
		PerProject: a.cfg.AzureDevOps.IsProjectsLimited, StateDirectory: a.state,
		Wanted: hooks.WantedBy(a.source.Current, a.cfg.Ocean.HasActions()), Resync: a.missed, Log: a.component("hooks"),
		Relist: a.follow.RelistMissed, Redeliver: a.deliver,
	})
}

// missed asks for a resync that brings what deliveries did not.
func (a *app) missed() { a.woken.Wake(causeMissed) }

// Causes of a resync besides those of the listener.
const (
	causeMissed = "missed deliveries"
	causePosted = "POST /resync"
)

// announce says in one line what this process is and does.
func (a *app) announce(ctx context.Context) {
	var orgs []string
	for _, c := range a.orgs {
		orgs = append(orgs, c.Organization())
	}
	s := &a.cfg.Ocean
	address := ""
	if a.server != nil {
		address = ":" + strconv.Itoa(a.cfg.Application.Port)
	}
	a.log.InfoContext(ctx, "service starts", "version", version, "commit", a.build.Commit, "organizations", strings.Join(orgs, " "), "credential", a.cfg.AzureDevOps.SignIn(),
		"listener", string(s.EventListener.Type), "next_resync", s.NextResync(time.Now()), "state_directory", cmp.Or(a.state, "none, everything is kept in memory"),
		"address", address, "base_url", s.BaseURL, "off", strings.Join(s.Off(), "; "))
}

// underWay is what a stop waits for.
func (a *app) underWay() string {
	var work []string
	if id := a.runner.Running(); id != "" {
		work = append(work, "resync "+id)
	}
	if a.server != nil {
		if n := a.server.Queue().Working; n > 0 {
			work = append(work, fmt.Sprintf("live events of %d objects", n))
		}
	}
	if n := a.actions.Starting(); n > 0 {
		work = append(work, fmt.Sprintf("%d runs of actions that are being started", n))
	}
	return cmp.Or(strings.Join(work, " and "), "nothing")
}

// run sets the installation up and serves until ctx is done. The order of the
// end is that of the work: resyncs and deliveries, then the log.
func (a *app) run(ctx context.Context) error {
	defer a.memory.Close()
	defer a.shipper.Start(ctx, a.port)()
	defer a.audit.Close(context.WithoutCancel(ctx))
	a.announce(ctx)
	listen := &a.cfg.Ocean.EventListener
	serving, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() {
		if <-serving.Done(); ctx.Err() != nil {
			a.log.InfoContext(ctx, "stopping", "finishing", a.underWay(), "within", a.cfg.Ocean.ShutdownWait)
		}
	})
	if a.server != nil {
		parts.Go(func() {
			if err := a.server.Run(serving); err != nil && serving.Err() == nil {
				a.log.ErrorContext(serving, "the HTTP server has ended", "err", err)
			}
		})
	}
	setup := a.cfg.Ocean.Setup(a.source.Check)
	setup.BeforeCreate = func(ctx context.Context) error { return azuredevops.Ask(ctx, a.orgs) }
	switch err := a.port.SetupWhenReachable(ctx, setup, listen.Type != ocean.ListenOnce); {
	case errors.Is(err, port.ErrPostponed) && !a.cfg.Ocean.StrictExit:
		return nil // what Azure DevOps answers does not decide about the exit code
	case err != nil || ctx.Err() != nil:
		return err
	}
	var last time.Time
	begins := false
	if i := a.port.Installed(); i != nil {
		began, ended := i.Resynced()
		last, begins = began, listen.Begins(ended)
		a.source.Use(ctx, i.Config)
	}
	if listen.Type == ocean.ListenOnce {
		return a.runner.Once(ctx, a.cfg.Ocean.Integration.Lookback(), a.cfg.Ocean.StrictExit)
	}
	if a.cfg.Ocean.RunsActions() {
		parts.Go(func() { a.actions.Run(serving) })
	}
	if a.follow != nil {
		parts.Go(func() { a.followEvents(serving, begins) })
	}
	lc := listener.Config{
		Resync: func(ctx context.Context, cause string) error { _, err := a.runner.Full(ctx, cause); return err }, Asked: a.runner.Reconsider,
		Wake: a.woken, Interval: listen.Interval, Log: a.component("listener"),
	}
	if listen.Listens() {
		lc.OnStart, lc.Requested, lc.Schedule, lc.Kafka = begins, a.port.ResyncRequest, a.planned, a.kafka
		if listen.Called() {
			lc.Since = last
		}
	}
	if err := listener.Run(ctx, lc); ctx.Err() == nil {
		return err
	}
	return nil
}

// followEvents begins to handle deliveries. A service that knows no origins and
// shall not begin with a resync first learns what there is.
func (a *app) followEvents(ctx context.Context, begins bool) {
	if !a.book.Known() && !begins {
		if _, err := a.runner.Learn(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "what is in the catalog could not be learned: live events delete nothing before the next resync", "err", err)
		}
	}
	a.server.Start()
	if a.keeper != nil {
		a.keeper.Run(ctx)
	}
}
