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
// both know what is gone.
//
// Start reading at run.full in mapping/resync/runner.go. Everything is wired here,
// in newApp; nothing else reads the environment or exits.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // the image has no zone files, and CRON_TZ=… names zones

	"github.com/caarlos0/env/v11"
	"github.com/google/uuid"
	"github.com/mattn/go-isatty"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/azuredevops/memory"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/demo"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/listener"
	"github.com/ado-port/ado-port/port/network"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
)

// version is ours, in the User-Agent and in what Port shows; a build sets it
// with -ldflags "-X main.version=…".
var version = "0.1.0"

// coreVersion is the Ocean core whose contract this program keeps.
const coreVersion = "0.48.12"

// hookRoute is where service hooks are delivered, behind base URL and prefix.
const hookRoute = "/integration/webhook"

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
	out, err io.Writer
	screen   io.Writer    // err without the masker, for a display that draws; nil: err is no terminal
	masker   *port.Masker // before out and err; knows the secrets once they are read
	terminal bool         // err is a terminal
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
		out: os.Stdout, err: os.Stderr, terminal: isatty.IsTerminal(os.Stderr.Fd()),
	})
	stop()
	os.Exit(code) // the only exit of the program
}

// Exit codes.
const (
	exitGood   = 0
	exitFailed = 1 // configuration, credentials of Port, unhealthy hooks, or a failed resync under OCEAN__STRICT_EXIT
	exitUsage  = 64
)

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
	err := p.dispatch(ctx)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitGood
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(p.err, "ado-port: %s\n", strings.TrimSpace(line))
	}
	if errors.Is(err, ocean.ErrUsage) {
		return exitUsage
	}
	return exitFailed
}

// dispatch runs the command. Without one it is the service; so are `sail` and
// its flags, the command line of the Python image.
func (p process) dispatch(ctx context.Context) error {
	args := p.args
	if len(args) > 0 && args[0] == "ocean" {
		args = args[1:]
	}
	if len(args) == 0 {
		return p.serve(ctx, nil)
	}
	switch args[0] {
	case "sail", "run":
		return p.serve(ctx, args[1:])
	case "demo":
		return p.demo(ctx, args[1:])
	case "config":
		return p.config(args[1:])
	case "hooks":
		return p.hooks(ctx, args[1:])
	case "version", "--version", "-version", "-v":
		_, err := fmt.Fprintf(p.out, "ado-port %s (%s)\n", version, runtime.Version())
		return err
	case "help", "--help", "-help", "-h":
		return help(p.out)
	}
	if strings.HasPrefix(args[0], "-") {
		return p.serve(ctx, args)
	}
	return fmt.Errorf("unknown command %q: %w", args[0], ocean.ErrUsage)
}

// load reads the configuration of the process; args are those of `sail`.
func (p process) load(args []string) (*config, *ocean.Effective, error) {
	src, err := ocean.ReadSources(p.dir, p.environ)
	if err != nil {
		return nil, nil, err
	}
	if src.Overrides, src.Fallbacks, err = ocean.SailFlags(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, nil, errors.Join(err, help(p.out))
		}
		return nil, nil, fmt.Errorf("%w: %w", err, ocean.ErrUsage)
	}
	maps.Copy(src.Fallbacks, azuredevops.Ambient(p.environ))
	cfg, eff, err := ocean.Load[config](src)
	p.masker.Add(eff.Secrets()...)
	return cfg, eff, err
}

// serve runs the integration as the environment says.
func (p process) serve(ctx context.Context, args []string) error {
	cfg, eff, err := p.load(args)
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

// stateRetry is the time between two looks at a state directory that cannot be used.
const stateRetry = 2 * time.Second

// awaitState answers deliveries with 503, and that it is not ready, until the state
// directory that was named can be used: another place is not where the next start
// would look. It returns nil then, and at the end of ctx.
func (p process) awaitState(ctx context.Context, cfg *config, why error) error {
	a := &app{cfg: cfg, waiting: true}
	a.log, _ = port.NewLog(port.LogConfig{Level: cfg.Application.Level(), Masker: p.masker}, p.err, p.terminal, false)
	if err := a.newServer(ctx); err != nil {
		return err
	}
	a.log.ErrorContext(ctx, "waiting for the state directory", "err", why)
	serving, stop := context.WithCancel(ctx)
	var server sync.WaitGroup
	defer server.Wait()
	defer stop()
	server.Go(func() { _ = a.server.Run(serving) }) // it ends with serving
	tick := time.NewTicker(stateRetry)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := ocean.StateDirectory(cfg.Ocean.StateDirectory, p.environ, a.log); err == nil {
			return nil
		}
	}
}

// demo runs the service against simulators inside the process.
func (p process) demo(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	once := fs.Bool("once", false, "end after one resync")
	if err := ocean.ParseFlags(fs, args, p.out); err != nil {
		return err
	}
	p.showTable = true
	return demo.Run(ctx, *once, p.out, func(ctx context.Context, environ map[string]string) error {
		p.environ = environ
		return p.serve(ctx, nil)
	})
}

// config prints the configuration as it was understood, with the origin of each
// value. What is wrong is printed too.
func (p process) config(args []string) error {
	fs := flag.NewFlagSet("config", flag.ContinueOnError)
	asJSON := ocean.OutputFlag(fs)
	if err := ocean.ParseFlags(fs, args, p.out); err != nil {
		return err
	}
	_, eff, err := p.load(nil)
	if eff == nil {
		return err
	}
	return eff.Show(p.out, *asJSON, err)
}

// hooks lists, repairs or removes the service hook subscriptions.
func (p process) hooks(ctx context.Context, args []string) error {
	var opt hooks.CommandOptions
	fs := flag.NewFlagSet("hooks", flag.ContinueOnError)
	fs.BoolVar(&opt.Repair, "repair", false, "mend what can be mended")
	fs.BoolVar(&opt.Cleanup, "cleanup", false, "remove the subscriptions of this installation")
	old := fs.String("old-url", "", "also those that deliver to an `address` of before")
	asJSON := ocean.OutputFlag(fs)
	if err := ocean.ParseFlags(fs, args, p.out); err != nil {
		return err
	}
	if opt.JSON = *asJSON; opt.Repair && opt.Cleanup {
		return fmt.Errorf("hooks takes --repair or --cleanup, not both: %w", ocean.ErrUsage)
	}
	cfg, eff, err := p.load(nil)
	if err != nil {
		return err
	}
	cfg.Application.HTTPLogging = false
	a, err := newClients(ctx, p, cfg, eff, nil)
	if err != nil {
		return err
	}
	k, err := a.newKeeper(*old)
	if err != nil {
		return err
	}
	if k == nil {
		return errors.New("OCEAN__BASE_URL is not set: want the address at which Azure DevOps reaches the service, such as https://ocean.example.com")
	}
	return k.Command(ctx, opt, p.out)
}

const usage = `ado-port keeps a Port catalog in step with Azure DevOps.

  ado-port             run the integration as the environment says
  ado-port --once      the same with one resync, then end
  ado-port demo        run it against a simulated organization and a simulated
                       Port: no account, no network, no file (-once: one resync)
  ado-port config      show the effective configuration (--output json)
  ado-port hooks       show the service hook subscriptions and their health
                       (--repair: mend them, --cleanup: remove them,
                       --old-url URL: also those for an address of before, --output json)
  ado-port version
  ado-port help

Exit codes: 0 good; 1 configuration, credentials of Port, unhealthy hooks, or, with
OCEAN__STRICT_EXIT=true, a failed resync; 64 a command line that is not understood.

Settings come from the environment, .env and config.yaml, in this order:

`

// help prints usage and every variable.
func help(w io.Writer) error {
	rows, without, err := ocean.Describe[config]()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, usage); err != nil {
		return err
	}
	return ocean.WriteHelp(w, rows, without)
}

// app is the service with all its parts.
type app struct {
	cfg     *config
	log     *slog.Logger
	shipper *port.LogShipper // nil when logs stay here
	state   string           // directory for what survives a restart; empty: none
	waiting bool             // for that directory: nothing but the server is there
	port    *port.Client
	orgs    []*azuredevops.Client
	source  *resync.Source
	memory  *memory.Memory // nil when there is none
	book    *origins.Book  // nil where events are not followed
	runner  *resync.Runner
	follow  *live.Follower                // nil where events are not followed
	keeper  *hooks.Keeper                 // nil: there is no public address
	server  *webhook.Server               // nil: nobody listens
	planned func(now time.Time) time.Time // when the next resync is due; nil: none is planned
	woken   chan string                   // why a resync is asked for: POST /resync, or lost events
}

// newClients wires what every command needs: log, network, Port, Azure DevOps, the
// mapping. open opens the memory of Azure DevOps; nil: there is none.
func newClients(ctx context.Context, p process, cfg *config, eff *ocean.Effective, open func(dir string, log *slog.Logger) *memory.Memory) (*app, error) {
	a := &app{cfg: cfg, woken: make(chan string, 1)}
	host, _ := os.Hostname()
	a.log, a.shipper = port.NewLog(port.LogConfig{Level: cfg.Application.Level(), Masker: p.masker, Hostname: host, Instance: uuid.NewString()}, p.err, p.terminal, cfg.Application.HTTPLogging)
	for _, n := range eff.Notices {
		a.log.Log(ctx, n.Level, "configuration", "variable", n.Variable, "text", n.Text)
	}
	net, err := network.New(network.Config{
		UnverifiedPort: !cfg.Ocean.SSL.Port.Verify, UnverifiedThirdParty: !cfg.Ocean.SSL.ThirdParty.Verify,
		BlockPrivate: cfg.Ocean.BlockPrivateAddresses(), Environ: p.environ, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	if a.state, err = ocean.StateDirectory(cfg.Ocean.StateDirectory, p.environ, a.log); err != nil {
		return nil, err
	}
	pc := cfg.Port.ClientConfig()
	pc.IntegrationType, pc.Identifier, pc.Version, pc.CoreVersion = cfg.Ocean.Integration.Type, cfg.Ocean.Integration.Identifier, version, coreVersion
	pc.Limits, pc.Transport, pc.Masker, pc.Log = cfg.Limits, net.Port(), p.masker, a.log
	if a.port, err = port.New(pc); err != nil {
		return nil, err
	}
	if open != nil {
		a.memory = open(a.state, a.component("memory"))
	}
	a.orgs, err = azuredevops.Clients(cfg.AzureDevOps, azuredevops.Shared{
		Memory: a.memory, Timeout: cfg.Ocean.ClientTimeout, Transport: net.ThirdParty(), UserAgent: "ado-port/" + version,
		AuthorityHost: p.environ["AZURE_AUTHORITY_HOST"], Log: a.component("azuredevops"),
	})
	if err != nil {
		return nil, err
	}
	sc := resync.SourceConfig{
		Read: func(ctx context.Context) (json.RawMessage, error) {
			i, err := a.port.Integration(ctx)
			if err != nil {
				return nil, err
			}
			return i.Config, nil
		},
		ItemTimeout: cfg.Ocean.ItemTimeout, TTL: cfg.Port.MappingTTL.Duration(), StateDirectory: a.state, Log: a.log,
	}
	if cfg.Ocean.AllowJQEnvironment {
		sc.Environ = func() []string { return eff.JQEnviron(p.environ) }
	}
	a.source = resync.NewSource(sc)
	return a, nil
}

func (a *app) component(name string) *slog.Logger { return a.log.With("component", name) }

// newApp wires the parts and binds the listener. It dials nothing.
func newApp(ctx context.Context, p process, cfg *config, eff *ocean.Effective) (*app, error) {
	a, err := newClients(ctx, p, cfg, eff, func(dir string, log *slog.Logger) *memory.Memory {
		return memory.OpenIn(dir, cfg.Ocean.StateMemoryBytes, log)
	})
	if err != nil {
		return nil, err
	}
	if err := ocean.SweepState(a.state); err != nil {
		a.log.WarnContext(ctx, "temporary files of an earlier process are left", "err", err)
	}
	if cfg.Ocean.WantsActions() {
		a.log.WarnContext(ctx, "self-service actions are not run by this version, and Port is told so: OCEAN__ACTIONS_PROCESSOR__ENABLED and the listener ACTIONS_ONLY have no effect")
	}
	a.planned = cfg.Ocean.Schedule(time.Now())
	into := catalog.New(catalog.Config{Port: a.port, TempDirectory: a.state, Log: a.component("catalog")})
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
		Observer:      resync.NewObserver(p.out, p.err, p.screen, p.showTable || cfg.Ocean.EventListener.Type == ocean.ListenOnce), Ended: a.resynced, Log: a.component("resync"),
	})
	if err != nil {
		return nil, err
	}
	return a, a.newServer(ctx)
}

// resynced is called at the end of every full resync.
func (a *app) resynced(s *resync.Summary) {
	if err := a.memory.EndResync(s.State == resync.StateCompleted); err != nil {
		a.log.Warn("what cannot have changed is not remembered", "err", err)
	}
	a.keeper.Soon() // there may be new projects
}

// newServer binds the HTTP server.
func (a *app) newServer(ctx context.Context) error {
	cfg, listen := a.cfg, &a.cfg.Ocean.EventListener
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(cfg.Application.Port))
	if err != nil {
		if listen.Type == ocean.ListenOnce {
			a.log.WarnContext(ctx, "nobody listens: the port is taken", "port", cfg.Application.Port, "err", err)
			return nil
		}
		return fmt.Errorf("APPLICATION__PORT: %w", err)
	}
	wc := webhook.Config{
		Settings: cfg.Hooks, Listener: ln, Prefix: cfg.Ocean.PathPrefix, Secret: cfg.AzureDevOps.WebhookSecret.Reveal(), Lenient: cfg.AzureDevOps.WebhookAuthLenient,
		Parse: a.envelope, HandleTimeout: cfg.Ocean.MaxEventProcessing, ShutdownWait: cfg.Ocean.ShutdownWait, Repairing: a.keeper.Repairing, Log: a.component("webhook"),
	}
	if cfg.Ocean.Metrics.Port > 0 {
		if wc.MetricsListener, err = new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(cfg.Ocean.Metrics.Port)); err != nil {
			return errors.Join(fmt.Errorf("OCEAN__METRICS__PORT: %w", err), ln.Close())
		}
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
		wc.Handler = deliveries{a.follow}
	}
	if listen.Type == ocean.ListenWebhook {
		wc.Resync = func() { a.wake("POST /resync") }
	}
	a.server, err = webhook.New(wc)
	return err
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

// deliveries hands what the server has stored to those who follow events.
type deliveries struct{ follow *live.Follower }

// Handle is that of webhook.Handler.
func (d deliveries) Handle(ctx context.Context, _ string, list []webhook.Delivery) error {
	bodies := make([][]byte, len(list))
	for i := range list {
		bodies[i] = list[i].Body
	}
	err := d.follow.Handle(ctx, bodies)
	if errors.Is(err, live.ErrMalformed) {
		return fmt.Errorf("%w: %w", webhook.ErrPermanent, err)
	}
	return err
}

// newKeeper makes what looks after the subscriptions; nil without a public address.
func (a *app) newKeeper(oldURLs ...string) (*hooks.Keeper, error) {
	base := strings.TrimRight(a.cfg.Ocean.BaseURL, "/")
	if base == "" {
		a.log.Warn("no service hooks are made because OCEAN__BASE_URL is not set: changes arrive with the next resync")
		return nil, nil //nolint:nilnil // none is a good answer
	}
	gap := catalog.Cause{Event: catalog.EventLive, ID: "gap", Type: "deliveries were missed"}
	return hooks.NewKeeper(hooks.KeeperConfig{
		Organizations: a.orgs, URL: base + a.cfg.Ocean.Prefix() + hookRoute, OldURLs: oldURLs,
		Secret: a.cfg.AzureDevOps.WebhookSecret, Username: a.cfg.AzureDevOps.WebhookAuthUsername,
		PerProject: a.cfg.AzureDevOps.IsProjectsLimited, StateDirectory: a.state,
		Wanted: a.wanted, Resync: a.missed, Log: a.component("hooks"),
		Relist: func(ctx context.Context, org *azuredevops.Client, changes []azuredevops.Change) error {
			return a.follow.Relist(ctx, org, gap, changes)
		},
		Redeliver: func(ctx context.Context, bodies [][]byte) error { return a.follow.Handle(ctx, bodies) },
	})
}

// wanted is what the mapping needs events for.
func (a *app) wanted(ctx context.Context) (hooks.Wanted, error) {
	m, err := a.source.Current(ctx)
	if err != nil {
		return hooks.Wanted{}, err
	}
	return hooks.Wanted{
		Kinds: m.Kinds(), GitOps: len(m.SpecPath) > 0 && len(m.Resources) > 0,
	}, nil
}

// wake asks for a resync; one request waits at most.
func (a *app) wake(cause string) {
	select {
	case a.woken <- cause:
	default:
	}
}

func (a *app) missed() { a.wake("missed deliveries") }

// run sets the installation up and serves until ctx is done. The order of the
// end is that of the work: resyncs and deliveries, then the log.
func (a *app) run(ctx context.Context) error {
	defer a.memory.Close()
	defer a.shipper.Start(ctx, a.port)()
	listen := &a.cfg.Ocean.EventListener
	serving, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	if a.server != nil {
		parts.Go(func() {
			if err := a.server.Run(serving); err != nil && serving.Err() == nil {
				a.log.ErrorContext(serving, "the HTTP server has ended", "err", err)
			}
		})
	}
	if err := a.port.SetupWhenReachable(ctx, a.cfg.Ocean.Setup(a.source.Check), listen.Type != ocean.ListenOnce); err != nil || ctx.Err() != nil {
		return err
	}
	if i := a.port.Installed(); i != nil {
		a.source.Use(ctx, i.Config)
	}
	if listen.Type == ocean.ListenOnce {
		return a.runner.Once(ctx, a.cfg.Ocean.Integration.Lookback(), a.cfg.Ocean.StrictExit)
	}
	if a.follow != nil {
		parts.Go(func() { a.followEvents(serving) })
	}
	lc := listener.Config{
		Resync: func(ctx context.Context, cause string) error { _, err := a.runner.Full(ctx, cause); return err }, Asked: a.runner.Reconsider,
		Wake: a.woken, Interval: listen.Interval, Log: a.component("listener"),
	}
	if listen.Resyncs() {
		lc.OnStart, lc.Requested, lc.Schedule = listen.ResyncOnStart, a.port.ResyncRequest, a.planned
	}
	if listen.Type == ocean.ListenKafka {
		a.log.InfoContext(ctx, "Port is asked for resync requests; its Kafka topic is not read", "every", listen.Interval.String())
	}
	if err := listener.Run(ctx, lc); ctx.Err() == nil {
		return err
	}
	return nil
}

// followEvents begins to handle deliveries. A service that knows no origins and
// shall not begin with a resync first learns what there is.
func (a *app) followEvents(ctx context.Context) {
	listen := &a.cfg.Ocean.EventListener
	if !a.book.Known() && !(listen.Resyncs() && listen.ResyncOnStart) {
		if _, err := a.runner.Learn(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "what is in the catalog could not be learned: live events delete nothing before the next resync", "err", err)
		}
	}
	a.server.Start()
	if a.keeper != nil {
		a.keeper.Run(ctx)
	}
}
