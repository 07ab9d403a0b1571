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
// subscriptions; webhook/queue reads deliveries where nobody can post them.
// mapping/resync/origins remembers what was made of what, so that both know what is
// gone. port/actions runs what people start in Port. Where several processes share the
// work, replica divides it among them.
//
// Start reading at run.full in mapping/resync/runner.go. Package service wires all of it
// and orders start and stop. Here are the commands; nothing else reads the environment or
// exits.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // the image has no zone files, and CRON_TZ=… names zones

	"github.com/caarlos0/env/v11"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/mapping/jq"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/check"
	"github.com/ado-port/ado-port/mapping/resync/demo"
	"github.com/ado-port/ado-port/mapping/resync/preview"
	"github.com/ado-port/ado-port/port/agent"
	"github.com/ado-port/ado-port/port/network"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/service"
	"github.com/ado-port/ado-port/webhook/status"
)

// version is ours, in the User-Agent and in what Port shows; commit and its date are
// for builds that do not see the repository. A build sets them with -ldflags "-X
// main.version=…".
var (
	version      = "0.1.0"
	commit, date string
)

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
	return &ocean.Commands{Out: p.Out, Variables: ocean.Describe[service.Config], List: []ocean.Command{
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
func (p *process) load(stronger, weaker ocean.Values) (*service.Config, *ocean.Effective, error) {
	return ocean.Read[service.Config](&p.Process, stronger, azuredevops.Ambient(p.Environ), weaker)
}

// clients are what a command needs that is not the service.
func (p *process) clients(ctx context.Context, use service.Uses) (*service.Clients, error) {
	cfg, eff, err := p.load(nil, nil)
	if err != nil {
		return nil, err
	}
	return service.NewClients(ctx, p.options(cfg, eff), use)
}

func (p *process) options(cfg *service.Config, eff *ocean.Effective) service.Options {
	return service.Options{Process: &p.Process, Build: ocean.ReadBuild(version, commit, date), Config: cfg, Effective: eff, ShowTable: p.showTable, Demo: p.demo}
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
	return service.Run(ctx, p.options(cfg, eff))
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
		c, err := p.clients(ctx, service.Uses{Stored: opt.Stored.On && opt.Stored.File == ""})
		if err != nil {
			return err
		}
		opt.Source, opt.Strict = c.Source, c.Config.Ocean.StrictExit
		opt.Resync = resync.Config{
			Organizations: c.Organizations, Port: c.Port, StateDirectory: c.Remembered(ctx),
			Grace: c.Config.Ocean.ShutdownWait, DeletionBrake: float64(c.Config.Ocean.DeletionBrake), Records: c.Records,
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
		if opt.Offline() {
			if cfg, eff, _ := p.load(nil, nil); eff != nil { // nothing else has to be right
				opt.Source = resync.NewSource(service.Mappings(p.options(cfg, eff)))
				return preview.Map(ctx, opt, p.Out)
			}
		}
		c, err := p.clients(ctx, service.Uses{Stored: opt.Stored.On && opt.Stored.File == ""})
		if err != nil {
			return err
		}
		opt.Organizations, opt.Source = c.Organizations, c.Source
		return preview.Map(ctx, opt, p.Out)
	}
}

// export writes the records of the last resync.
func (p *process) export(*flag.FlagSet) ocean.Action {
	return func(ctx context.Context, kinds string) error {
		c, err := p.clients(ctx, service.Uses{Stored: true})
		if err != nil {
			return err
		}
		return azuredevops.Export(ctx, c.Organizations, strings.Fields(kinds), p.Out)
	}
}

// check signs in to both sides and says what is missing.
func (p *process) check(fs *flag.FlagSet) ocean.Action {
	opt := check.Options{Directory: p.Dir, Colors: p.Colors()}
	opt.Register(fs)
	ocean.OutputFlag(fs, &opt.JSON)
	return func(ctx context.Context, _ string) error {
		c, err := p.clients(ctx, service.Uses{Silent: true})
		if err != nil {
			return err
		}
		return check.Run(ctx, check.Config{
			Settings: c.Config.Ocean, PortURL: c.Config.Port.BaseURL, AzureDevOps: c.Config.AzureDevOps, Notices: c.Effective.Warnings(), Environ: p.Environ,
			Port: c.Port, Organizations: c.Organizations, PortSide: c.Network.Port(), OtherSide: c.Network.ThirdParty(), Source: c.Source,
			Keeper: func() (*hooks.Keeper, error) { return c.Keeper() }, ProveQueue: c.ProveQueue, ProveSharedQueue: c.ProveSharedQueue,
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
		c, err := p.clients(ctx, service.Uses{State: true})
		if err != nil {
			return err
		}
		k, err := c.Keeper(opt.OldURLs...)
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
