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
// subscriptions; webhook/queue reads them where nobody can post. mapping/resync/origins remembers what was made of what, so that
// both know what is gone. port/actions runs what people start in Port.
//
// Start reading at run.full in mapping/resync/runner.go. Everything is wired here,
// in newApp; nothing else reads the environment or exits.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // the image has no zone files, and CRON_TZ=… names zones

	"github.com/caarlos0/env/v11"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/azuredevops/records"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/jq"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/check"
	"github.com/ado-port/ado-port/mapping/resync/demo"
	"github.com/ado-port/ado-port/mapping/resync/leader"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/mapping/resync/preview"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/actions"
	"github.com/ado-port/ado-port/port/agent"
	"github.com/ado-port/ado-port/port/listener"
	"github.com/ado-port/ado-port/port/network"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/queue"
	"github.com/ado-port/ado-port/webhook/spool/redis"
	"github.com/ado-port/ado-port/webhook/status"
)

// version is ours, in the User-Agent and in what Port shows; commit and its date are
// for builds that do not see the repository. A build sets them with -ldflags "-X
// main.version=…".
var (
	version      = "0.1.0"
	commit, date string
)

// config is everything that the environment decides, composed of the rooms' own.
type config struct {
	Port        port.Config        `envPrefix:"OCEAN__PORT__"`
	AzureDevOps azuredevops.Config `envPrefix:"OCEAN__INTEGRATION__CONFIG__"`
	Ocean       ocean.Settings     `envPrefix:"OCEAN__"`
	Limits      port.Limits        `envPrefix:"OCEAN__"`
	Hooks       webhook.Settings   `envPrefix:"OCEAN__HOOKS__"`
	Application ocean.Application  `envPrefix:"APPLICATION__"`
	Shared      replica.Settings   `envPrefix:"OCEAN__SHARED_QUEUE_"`
}

// process is what the operating system gives the program, which is its commands.
type process struct {
	ocean.Process
	showTable bool       // the summary of every resync is printed, not only in runs that end
	demo      *demo.Demo // that runs the service; nil: it is a real one
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	environ := env.ToMap(os.Environ())
	ocean.TuneCollector(ctx, environ)
	code := run(ctx, ocean.NewProcess(os.Args[1:], environ, os.Stdin, os.Stdout, os.Stderr))
	stop()
	os.Exit(code) // the only exit of the program
}

// run is main without the process. It returns the exit code.
func run(ctx context.Context, given ocean.Process) int {
	p := &process{Process: given}
	defer p.Mask()()
	return ocean.Exit(p.commands().Run(ctx, p.Args), p.Err)
}

// commands are what the program can do; without a name the first one.
func (p *process) commands() *ocean.Commands {
	return &ocean.Commands{Out: p.Out, Variables: ocean.Describe[config], List: []ocean.Command{
		{Name: "run", Operand: "[PATH]", Setup: p.service},
		{Name: "demo", Setup: p.demonstrate},
		{Name: "check", Setup: p.check},
		{Name: "plan", Setup: p.plan},
		{Name: "map", Operand: "KIND", Values: azuredevops.Kinds(), Setup: p.mapRecords},
		{Name: "export", Operand: "[KIND...]", Values: azuredevops.Kinds(), Setup: p.export},
		ocean.ConfigCommand(func() (*ocean.Effective, error) { _, eff, err := p.load(nil, nil); return eff, err }, p.Out),
		{Name: "hooks", Setup: p.hooks},
		{Name: "agent", Setup: p.agent},
		ocean.VersionCommand(ocean.ReadBuild(version, commit, date), p.Out),
	}}
}

// load reads the configuration; what the command line says is stronger than the
// environment, or weaker.
func (p *process) load(stronger, weaker ocean.Values) (*config, *ocean.Effective, error) {
	return ocean.Read[config](&p.Process, stronger, azuredevops.Ambient(p.Environ), weaker)
}

// clients are what a command needs that is not the service.
func (p *process) clients(ctx context.Context, use uses) (*app, error) {
	cfg, eff, err := p.load(nil, nil)
	if use.mapping && eff != nil { // nothing else has to be right
		return &app{source: resync.NewSource(p.mappings(cfg, eff))}, nil
	}
	if err != nil {
		return nil, err
	}
	cfg.Application.ForCommand(use.silent)
	return newClients(ctx, p, cfg, eff, use)
}

// service is what the environment is for: the integration, the execution agent, or both.
func (p *process) service(fs *flag.FlagSet) ocean.Action {
	stronger, weaker := ocean.SailFlags(fs)
	return func(ctx context.Context, _ string) error {
		integration := func(ctx context.Context) error { return p.serve(ctx, stronger, weaker) }
		return agent.Choose(ctx, p.Environ, p.runAgent, integration, func(err error) { ocean.Exit(err, p.Err) })
	}
}

// serve runs the integration as the environment says.
func (p *process) serve(ctx context.Context, stronger, weaker ocean.Values) error {
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
func (p *process) awaitState(ctx context.Context, cfg *config, why error) error {
	a := newBareApp(cfg)
	a.waiting = true
	a.log, _ = p.NewLog(cfg.Application.Level(), false)
	if err := a.newServer(ctx); err != nil {
		return err
	}
	a.log.ErrorContext(ctx, "waiting for the state directory", "err", why)
	a.server.RunWhile(ctx, func(ctx context.Context) { ocean.AwaitState(ctx, cfg.Ocean.StateDirectory, p.Environ, a.log) })
	return nil
}

// demonstrate runs the service against simulators inside the process.
func (p *process) demonstrate(fs *flag.FlagSet) ocean.Action {
	once := fs.Bool("once", false, "end after one resync")
	return func(ctx context.Context, _ string) error {
		p.showTable = true
		return demo.Run(ctx, *once, p.Out, func(ctx context.Context, environ map[string]string, d *demo.Demo) error {
			p.Environ, p.demo = environ, d
			return p.serve(ctx, nil, nil)
		})
	}
}

// plan shows what a resync would do.
func (p *process) plan(fs *flag.FlagSet) ocean.Action {
	opt := preview.PlanOptions{Directory: p.Dir, Color: p.Colors()}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		a, err := p.clients(ctx, uses{stored: opt.Stored.On && opt.Stored.File == ""})
		if err != nil {
			return err
		}
		opt.Source, opt.Strict = a.source, a.cfg.Ocean.StrictExit
		opt.Resync = resync.Config{
			Organizations: a.orgs, Port: a.port, StateDirectory: ocean.Remembered(ctx, a.cfg.Ocean.StateDirectory, p.Environ, a.log),
			Grace: a.cfg.Ocean.ShutdownWait, DeletionBrake: float64(a.cfg.Ocean.DeletionBrake), Records: a.records,
		}
		return preview.Plan(ctx, opt, p.Out)
	}
}

// mapRecords shows what the mapping makes of a few records.
func (p *process) mapRecords(fs *flag.FlagSet) ocean.Action {
	opt := preview.MapOptions{Directory: p.Dir, Input: p.In}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, kind string) error {
		opt.Kind = kind
		a, err := p.clients(ctx, uses{mapping: opt.Offline(), stored: opt.Stored.On && opt.Stored.File == ""})
		if err != nil {
			return err
		}
		opt.Organizations, opt.Source = a.orgs, a.source
		return preview.Map(ctx, opt, p.Out)
	}
}

// export writes the records of the last resync.
func (p *process) export(*flag.FlagSet) ocean.Action {
	return func(ctx context.Context, kinds string) error {
		a, err := p.clients(ctx, uses{stored: true})
		if err != nil {
			return err
		}
		return azuredevops.Export(ctx, a.orgs, strings.Fields(kinds), p.Out)
	}
}

// check signs in to both sides and says what is missing.
func (p *process) check(fs *flag.FlagSet) ocean.Action {
	opt := check.Options{Directory: p.Dir, Colors: p.Colors()}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		a, err := p.clients(ctx, uses{silent: true})
		if err != nil {
			return err
		}
		return check.Run(ctx, check.Config{
			Settings: a.cfg.Ocean, PortURL: a.cfg.Port.BaseURL, AzureDevOps: a.cfg.AzureDevOps, Notices: a.eff.Warnings(), Environ: p.Environ,
			Port: a.port, Organizations: a.orgs, PortSide: a.network.Port(), OtherSide: a.network.ThirdParty(), Source: a.source,
			Keeper: func() (*hooks.Keeper, error) { return a.newKeeper() }, ProveQueue: a.proveQueue,
		}, opt, p.Out)
	}
}

// hooks lists, repairs or removes the service hook subscriptions.
func (p *process) hooks(fs *flag.FlagSet) ocean.Action {
	opt := hooks.CommandOptions{Ask: p.Ask}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		if err := ocean.Usage(opt.Check(p.Answers)); err != nil {
			return err
		}
		a, err := p.clients(ctx, uses{state: true})
		if err != nil {
			return err
		}
		k, err := a.newKeeper(opt.OldURLs...)
		if err != nil {
			return err
		}
		return k.Command(ctx, opt, p.Out)
	}
}

// agent is Port's execution agent.
func (p *process) agent(*flag.FlagSet) ocean.Action {
	return func(ctx context.Context, _ string) error { return p.runAgent(ctx) }
}

// runAgent runs it as the environment says.
func (p *process) runAgent(ctx context.Context) error {
	cfg, err := agent.Load(p.Dir, p.Environ)
	if err != nil {
		return err
	}
	p.Masker.Add(cfg.Secrets()...)
	log, _ := p.NewLog(cfg.Level(), false)
	side, err := network.New(network.Config{UnverifiedThirdParty: !bool(cfg.VerifySSL), ThirdPartyVariable: "WEBHOOK_VERIFY_SSL", Environ: p.Environ, Log: log})
	if err != nil {
		return err
	}
	state, err := ocean.StateDirectory(cfg.StateDirectory, p.Environ, log)
	if err != nil {
		return err
	}
	build := ocean.ReadBuild(version, commit, date)
	return agent.Run(ctx, agent.Options{
		Config: cfg, ToPort: side.Port(), ToServices: side.ThirdParty(), Dial: side.DialPort(cfg.Encrypted()),
		State: state, Version: version, Masker: p.Masker, Log: log,
		Evaluator: jq.NewEvaluator(jq.Options{Environ: jq.Environ(p.Environ)}), Registry: status.NewRegistry(build.Version, build.Commit, build.Go),
	})
}

// app is the service with all its parts.
type app struct {
	cfg      *config
	log      *slog.Logger
	shipper  *port.LogShipper // nil when logs stay here
	state    string           // directory for what survives a restart; empty: none
	waiting  bool             // for that directory: nothing but the server is there
	port     *port.Client
	orgs     []*azuredevops.Client
	source   *resync.Source
	records  *records.Store // nil when there is none
	audit    *catalog.Audit // nil when it is off
	book     *origins.Book  // nil where events are not followed
	runner   *resync.Runner
	follow   *live.Follower                                   // nil where events are not followed
	keeper   *hooks.Keeper                                    // nil: there is no way for events to come
	server   *webhook.Server                                  // nil: nobody listens
	queue    *queue.Queue                                     // nil: events are posted
	actions  *actions.Processor                               // nil where actions are not enabled
	deliver  func(ctx context.Context, bodies [][]byte) error // handles deliveries of hooks
	woken    listener.Waker                                   // why a resync is asked for: POST /resync, or lost events
	network  *network.Network
	complete bool                          // the last resync came to its end
	planned  func(now time.Time) time.Time // when the next resync is due; nil: none is planned
	build    ocean.Build
	metrics  *prometheus.Registry
	eff      *ocean.Effective // nil while waiting
	demo     *demo.Demo       // nil: the service is a real one
	group    *replica.Group   // nil: this process is alone
	leader   *leader.Leader
	touches  *leader.Touches // nil: this process is alone
}

// newBareApp is an app without parts.
func newBareApp(cfg *config) *app {
	a := &app{cfg: cfg, woken: listener.NewWaker(), build: ocean.ReadBuild(version, commit, date)}
	a.metrics = status.NewRegistry(a.build.Version, a.build.Commit, a.build.Go)
	return a
}

// uses says what a command needs besides clients, or instead.
type uses struct {
	state   bool // files in the state directory
	records bool // the record store, which one process has at a time
	stored  bool // what is in the record store now, also while a service has it
	silent  bool // no log: what matters is printed
	mapping bool // nothing but a way to read one
}

// newClients wires what every command needs: log, network, Port, Azure DevOps, the
// mapping.
func newClients(ctx context.Context, p *process, cfg *config, eff *ocean.Effective, use uses) (*app, error) {
	a := newBareApp(cfg)
	a.eff, a.demo = eff, p.demo
	a.log, a.shipper = p.NewLog(cfg.Application.Level(), cfg.Application.HTTPLogging)
	eff.Log(ctx, a.log)
	var err error
	a.network, err = network.New(network.Config{
		UnverifiedPort: !cfg.Ocean.SSL.Port.Verify, UnverifiedThirdParty: !cfg.Ocean.SSL.ThirdParty.Verify,
		BlockPrivate: cfg.Ocean.BlockPrivateAddresses(), Environ: p.Environ, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	if use.state {
		if a.state, err = ocean.StateDirectory(cfg.Ocean.StateDirectory, p.Environ, a.log); err != nil {
			return nil, err
		}
	}
	pc := cfg.Port.ClientConfig()
	pc.IntegrationType, pc.Identifier, pc.Version, pc.CoreVersion = cfg.Ocean.Integration.Type, cfg.Ocean.Integration.Identifier, version, ocean.CoreVersion
	pc.Limits, pc.Transport, pc.Masker, pc.Log, pc.Registry = cfg.Limits, a.network.Port(), p.Masker, a.log, a.metrics
	pc.MetricsWebhook, pc.MetricsTransport = cfg.Ocean.Metrics.Target(), a.network.ThirdParty()
	if a.port, err = port.New(pc); err != nil {
		return nil, err
	}
	if use.records {
		a.records = records.OpenIn(a.state, cfg.Ocean.StateRecordsBytes, a.component("records"))
	}
	if use.stored {
		if a.records, err = records.ReadIn(ocean.Remembered(ctx, cfg.Ocean.StateDirectory, p.Environ, a.log), a.component("records")); err != nil {
			return nil, err
		}
	}
	a.orgs, err = azuredevops.Clients(cfg.AzureDevOps, azuredevops.Shared{
		Store: a.records, Timeout: cfg.Ocean.ClientTimeout, Transport: a.network.ThirdParty(), UserAgent: "ado-port/" + version,
		AuthorityHost: p.Environ["AZURE_AUTHORITY_HOST"], Log: a.component("azuredevops"), Registry: a.metrics,
	})
	if err != nil {
		return nil, err
	}
	sc := p.mappings(cfg, eff)
	sc.Read, sc.StateDirectory, sc.Log = a.port.Mapping, a.state, a.log
	a.source = resync.NewSource(sc)
	return a, nil
}

// mappings is how a mapping is used, wherever it comes from.
func (p *process) mappings(cfg *config, eff *ocean.Effective) resync.SourceConfig {
	return resync.SourceConfig{ItemTimeout: cfg.Ocean.ItemTimeout, TTL: cfg.Port.MappingTTL.Duration(), Environ: eff.JQAccess(&cfg.Ocean, p.Environ)}
}

func (a *app) component(name string) *slog.Logger { return a.log.With("component", name) }

// newApp wires the parts and binds the listener. It dials nothing.
func newApp(ctx context.Context, p *process, cfg *config, eff *ocean.Effective) (*app, error) {
	a, err := newClients(ctx, p, cfg, eff, uses{state: true, records: true})
	if err != nil {
		return nil, err
	}
	ocean.SweepState(a.state, a.log)
	if a.group, err = a.newGroup(); err != nil {
		return nil, err
	}
	a.touches = leader.NewTouches(a.group, a.records, a.orgs, a.component("leader"))
	a.leader = leader.New(leader.Config{Group: a.group, Wake: a.woken.Ask, Log: a.component("leader")})
	a.planned = cfg.Ocean.Schedule(time.Now())
	if cfg.Ocean.Audit.Enabled {
		a.audit = catalog.NewAudit(catalog.AuditConfig{PerResync: cfg.Ocean.Audit.MaxLines, PerMinute: catalog.LivePerMinute, Tell: a.demoTold, Log: a.component("audit")})
	}
	into := catalog.New(catalog.Config{Port: a.port, TempDirectory: a.state, Audit: a.audit, Registry: a.metrics, Log: a.component("catalog")})
	pipelines := azuredevops.NewPipelines(a.orgs, func(id string) *azuredevops.Client { return a.keeper.Registered(id) })
	if err := a.newActions(pipelines); err != nil {
		return nil, err
	}
	if cfg.Ocean.FollowsEvents() {
		a.book = origins.OpenOrShare(a.state, a.group, a.component("resync"))
		fc := live.Config{
			Organizations: a.orgs, Catalog: into, Mapping: a.source.Current, Book: a.book, StateDirectory: a.state,
			Registered: func(id string) *azuredevops.Client { return a.keeper.Registered(id) }, Touched: a.touches.Note, Log: a.component("live"),
		}
		if a.group != nil {
			fc.GitOps = a.group.Table("gitops", false)
		}
		a.follow = live.New(fc)
		a.deliver = a.actions.Hooked(triggerPipeline, pipelines.Ended, a.follow.Handle)
		if a.keeper, err = a.newKeeper(); errors.Is(err, hooks.ErrCredential) {
			a.log.ErrorContext(ctx, "service hooks are neither made nor repaired", "err", err)
		} else if err != nil {
			return nil, err
		}
		a.source.OnChange(a.keeper.Soon) // another mapping may need other events
	}
	a.runner, err = resync.New(resync.Config{
		Organizations: a.orgs, Port: a.port, Catalog: into, Mapping: a.source.Fresh, Book: a.book,
		StateDirectory: a.state, TempDirectory: a.state, SendExamples: cfg.Ocean.SendRawDataExamples,
		Schedule: a.planned, Interval: cfg.Ocean.Distance(), Heartbeat: cfg.Ocean.HeartbeatInterval, Grace: cfg.Ocean.ShutdownWait,
		DeletionBrake: float64(cfg.Ocean.DeletionBrake),
		Observer: resync.NewObserver(p.Out, resync.NewScreen(p.Terminal, p.Masker.Line, p.Environ["NO_COLOR"] == ""),
			p.showTable || cfg.Ocean.EventListener.Type == ocean.ListenOnce, cfg.Ocean.Verbose), Ended: a.resynced, Log: a.component("resync"),
		Records: a.records, Touched: a.touches.TakeOver, ResumeWithin: a.storedWithin(cfg.Ocean.ResumeWithin), ReplayWithin: a.storedWithin(cfg.Ocean.ReplayWithin), Replays: []string{listener.CauseAsked, listener.CauseMapping}, Reads: []string{listener.CauseMissed, listener.CausePosted},
		Causes: listener.Causes(), Registry: a.metrics,
	})
	if err != nil {
		return nil, err
	}
	if err := a.newServer(ctx); err != nil {
		return nil, err
	}
	if a.follow != nil {
		a.queue, err = a.openQueue(a.server)
	}
	return a, err
}

// openQueue makes what reads the storage queue; nil without one.
func (a *app) openQueue(into queue.Receiver) (*queue.Queue, error) {
	q := &a.cfg.Ocean.StorageQueue
	account, _ := q.Parts()
	return queue.New(queue.Config{
		URL: q.URL, Account: account, Key: q.AccountKey.Reveal(), Into: into, Transport: a.network.ThirdParty(), Registry: a.metrics, Log: a.component("queue"),
	})
}

// proveQueue sends a message through the storage queue.
func (a *app) proveQueue(ctx context.Context) (other bool, err error) {
	q, err := a.openQueue(nil)
	if err != nil {
		return false, err
	}
	return q.Prove(ctx)
}

// storedWithin is how old records may be that are used: 0 where another process may
// follow the events of this installation, because what it has written is newer than
// what is stored here.
func (a *app) storedWithin(age time.Duration) time.Duration {
	if a.group == nil && a.cfg.Shared.Enabled() || a.follow == nil && (a.cfg.Ocean.PublicURL(hooks.Route) != "" || a.cfg.Ocean.StorageQueue.URL != "") {
		return 0
	}
	return age
}

// newGroup makes what several processes share; nil for one that is alone, or ends.
func (a *app) newGroup() (*replica.Group, error) {
	if a.cfg.Ocean.EventListener.Type == ocean.ListenOnce {
		return nil, nil //nolint:nilnil // none is a good answer
	}
	i := &a.cfg.Ocean.Integration
	return replica.New(replica.Config{
		Settings: a.cfg.Shared, Name: i.Type + "/" + i.Identifier, Lost: a.missed, Directory: a.state, Log: a.component("replica"), Registry: a.metrics,
	})
}

// triggerPipeline is the type of the only action of this integration.
const triggerPipeline = "trigger_pipeline"

// newActions makes what runs self-service actions, or hears of their end only.
func (a *app) newActions(pipelines *azuredevops.Pipelines) (err error) {
	if !a.cfg.Ocean.HasActions() {
		return nil
	}
	s := &a.cfg.Ocean.ActionsProcessor
	ac := actions.Config{
		Port: a.port, Installation: a.cfg.Ocean.Integration.Identifier, Executors: map[string]actions.Executor{triggerPipeline: pipelines},
		Directory: a.state, HighWatermark: s.HighWatermark, MaxShare: s.MaxShare, Lease: s.VisibilityTimeout, Interval: s.PollInterval, Workers: s.Workers,
		Grace: a.cfg.Ocean.ShutdownWait, Log: a.component("actions"), Registry: a.metrics,
	}
	if a.group != nil {
		ac.Store = a.group.Table("actions", true)
	}
	a.actions, err = actions.New(ac)
	return err
}

// resynced is called at the end of every full resync.
func (a *app) resynced(s *resync.Summary) {
	a.complete = s.State == resync.StateCompleted
	a.keeper.Soon() // there may be new projects
}

// newServer binds the HTTP server.
func (a *app) newServer(ctx context.Context) (err error) {
	cfg, listen := a.cfg, &a.cfg.Ocean.EventListener
	wc := webhook.Config{
		Settings: cfg.Hooks, Prefix: cfg.Ocean.PathPrefix, Secret: cfg.AzureDevOps.WebhookSecret.Reveal(), Lenient: cfg.AzureDevOps.WebhookAuthLenient,
		Directory: webhook.DirectoryIn(a.state), Used: a.keeper.WasAlive(ctx), Lost: a.missed, Spool: redis.Opener(a.group, cfg.Shared.MinReplicas), Fenced: port.WithFence, Ready: func() bool { return !a.waiting },
		Parse: a.envelope, HandleTimeout: cfg.Ocean.MaxEventProcessing, ShutdownWait: cfg.Ocean.ShutdownWait, Repairing: a.keeper.Repairing, Log: a.component("webhook"),
		Registry: a.metrics, Events: hooks.EventTypes(), ShowStatus: cfg.Ocean.StatusPage,
	}
	if wc.Status, err = a.status(); err != nil {
		return err
	}
	wc.Settings.Workers = max(wc.Settings.Workers, cfg.Ocean.EventWorkers)
	if a.follow != nil {
		wc.Handler = webhook.BodiesHandler(a.deliver, live.ErrMalformed)
	}
	if listen.Type == ocean.ListenWebhook {
		wc.Resync = func() { a.leader.Ask(listener.CausePosted) }
	}
	a.server, err = webhook.Listen(ctx, wc, webhook.Ports{Host: a.demo.Host(), HTTP: cfg.Application.Port, Metrics: cfg.Ocean.Metrics.Port, Optional: listen.Type == ocean.ListenOnce && !cfg.Ocean.EventsOnly()})
	return err
}

// status is what /status.json and the page show, which has more: what the rooms know.
func (a *app) status() (*status.Site, error) {
	build := func() any { return a.build }
	if a.waiting {
		return status.NewSite(status.SiteConfig{Document: status.New(a.metrics, a.cfg.Ocean.StateDirectory, status.Sections{"build": build})})
	}
	return status.NewSite(status.SiteConfig{
		Document: status.New(a.metrics, a.state, status.Sections{
			"build": build, "port": func() any { return a.port.Health() }, "organizations": func() any { return azuredevops.HealthOf(a.orgs) },
			"queue": func() any { return a.server.Queue() }, "hooks": func() any { return a.keeper.Health() }, "resync": func() any { return a.runner.View() },
			"actions": func() any { return a.actions.Status() }, "replica": func() any { return a.group.Status() },
			"storageQueue": func() any { return a.queue.Status() },
		}),
		More: status.Sections{
			"config": func() any { return a.eff.Rows }, "demo": a.demo.Show, "live": func() any { return a.server.Minutes() },
			"audit": func() any { return a.audit.Recent() }, "deadLetters": func() any { return a.server.DeadLetters(status.MostDeadLetters) },
		},
		Press:   a.demo.Presses(),
		Redrive: func(ctx context.Context, ids ...uint64) (int, error) { return a.server.Redrive(ctx, ids...) },
	})
}

// demoTold tells a demo what a line of the audit says.
func (a *app) demoTold(l catalog.Line) { a.demo.Changed(l.Cause, l.Blueprint, l.Identifier) }

// envelope reads what the server needs to know of a delivery.
func (a *app) envelope(body []byte) (webhook.Envelope, error) {
	ev, err := azuredevops.ParseEvent(body)
	if err != nil {
		return webhook.Envelope{}, err
	}
	return webhook.Envelope{
		Key: ev.Key(), EventType: ev.Type, EventID: ev.ID, SubscriptionID: ev.SubscriptionID, Resource: ev.Resource,
		Known: a.follow.Knows(&ev),
	}, nil
}

// newKeeper makes what looks after the subscriptions; nil without a public address and
// without a queue.
func (a *app) newKeeper(oldURLs ...string) (*hooks.Keeper, error) {
	url := a.cfg.Ocean.PublicURL(hooks.Route)
	q := &a.cfg.Ocean.StorageQueue
	account, name := q.Parts()
	if url == "" && name == "" {
		return nil, nil //nolint:nilnil // none is a good answer
	}
	kc := hooks.KeeperConfig{
		Organizations: a.orgs, URL: url, Queue: hooks.QueueOf(account, name, q.AccountKey.Reveal()), OldURLs: oldURLs,
		Secret: a.cfg.AzureDevOps.WebhookSecret, Username: a.cfg.AzureDevOps.WebhookAuthUsername, Registry: a.metrics,
		PerProject: a.cfg.AzureDevOps.IsProjectsLimited, StateDirectory: a.state,
		Wanted: hooks.WantedBy(a.source.Current, a.cfg.Ocean.HasActions()), Resync: a.missed, Log: a.component("hooks"),
		Relist: a.follow.RelistMissed, Redeliver: a.deliver,
	}
	if a.group != nil {
		kc.State, kc.Alive = a.group.Value("hooks"), a.group.Value("hooks-alive")
	}
	return hooks.NewKeeper(kc)
}

// missed asks whoever leads for a resync, because deliveries did not arrive.
func (a *app) missed() { a.leader.Ask(listener.CauseMissed) }

// once ends after one resync, or after what waits in the storage queue.
func (a *app) once(ctx context.Context) error {
	set := &a.cfg.Ocean
	if !set.EventsOnly() {
		return a.runner.Once(ctx, set.Integration.Lookback(), set.StrictExit)
	}
	o := queue.Once{
		Queue: a.queue, Subscriptions: a.keeper.Once, Note: a.keeper.Note, Known: a.book.Known(), Handle: a.server.Start, Waiting: a.server.Unhandled,
		Asked: a.woken, Strict: set.StrictExit, Log: a.component("queue"),
	}
	o.Resync = func(ctx context.Context) (bool, error) {
		err := a.runner.Once(ctx, 0, set.StrictExit)
		return a.complete, err
	}
	return o.Run(ctx)
}

// run sets the installation up and serves until ctx is done. The order of the
// end is that of the work: resyncs and deliveries, then the log.
func (a *app) run(ctx context.Context) error {
	defer a.records.Close()
	defer a.shipper.Start(ctx, a.port)()
	defer a.audit.Close(context.WithoutCancel(ctx))
	a.cfg.Ocean.Announce(ctx, a.log, ocean.Start{
		Build: a.build, Organizations: azuredevops.Addresses(a.orgs), Credential: a.cfg.AzureDevOps.SignIn(), State: a.state, Address: a.server.Address(),
	})
	listen := &a.cfg.Ocean.EventListener
	once := listen.Type == ocean.ListenOnce
	if !once {
		defer a.group.Start(ctx)() // after the server, which gives back what it has
	}
	serving, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() {
		if <-serving.Done(); ctx.Err() != nil {
			a.cfg.Ocean.Stopping(ctx, a.log, a.runner.UnderWay(), a.server.UnderWay(), a.actions.UnderWay())
		}
	})
	parts.Go(func() { a.server.Serve(serving) })
	parts.Go(func() { a.group.Watch(serving, func(n int) { azuredevops.Share(a.orgs, n) }) })
	setup := a.cfg.Ocean.Setup(a.source.Check, func(ctx context.Context) error { return azuredevops.Ask(ctx, a.orgs) })
	if err := a.group.Alone(ctx, "setup", func() error { return a.port.SetupWhenReachable(ctx, setup, !once) }); err != nil || ctx.Err() != nil {
		return err
	}
	a.source.Use(ctx, a.port.Installed().Config)
	if once {
		return a.once(ctx)
	}
	if a.follow != nil {
		parts.Go(func() { a.keeper.Follow(serving) })
		parts.Go(func() {
			if a.leader.AwaitOpen(serving) {
				a.server.Start()
			}
		})
	}
	return a.leader.Run(ctx, a.lead)
}

// lead does what one process does, until ctx is done.
func (a *app) lead(ctx context.Context, turn leader.Turn) error {
	serving, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	if a.cfg.Ocean.RunsActions() {
		parts.Go(func() { a.actions.Run(serving) })
	}
	listen := &a.cfg.Ocean.EventListener
	begins, since := listen.After(a.port.Installed().Resynced())
	begins, since = turn.Begins(begins), turn.Since(since)
	if a.follow != nil {
		parts.Go(func() {
			a.runner.Prepare(serving, begins)
			a.leader.Open(serving)
			a.keeper.Run(serving)
		})
	}
	parts.Go(func() { a.book.Tend(serving) })
	parts.Go(func() { a.touches.Tend(serving) })
	full := func(ctx context.Context, cause string) error { _, err := a.runner.Full(ctx, cause); return err }
	parts.Go(func() { a.queue.Run(serving) })
	lc := listener.Config{
		Resync: a.leader.Noted(full), Asked: a.runner.Reconsider,
		Wake: a.woken, Interval: listen.Interval, OnStart: begins, Since: since, Schedule: a.planned, Log: a.component("listener"),
	}
	if listen.Listens() {
		lc.Requested = a.port.ResyncRequest
	}
	if listen.ReadsKafka() {
		lc.Kafka = listener.NewKafka(listener.KafkaConfig{
			Brokers: listen.Brokers, Mechanism: listen.KafkaMechanism(), Dial: a.network.DialPort(listen.KafkaEncrypted()),
			Topic: a.port.KafkaTopic, Credentials: a.port.KafkaCredentials,
			Type: a.cfg.Ocean.Integration.Type, Identifier: a.cfg.Ocean.Integration.Identifier, Log: a.component("listener"),
		})
	}
	if err := listener.Run(ctx, lc); ctx.Err() == nil {
		return err
	}
	return nil
}
