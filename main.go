// Command ado-port keeps a Port catalog in step with Azure DevOps.
//
// A tour for readers of the code. Records flow one way:
//
//	azuredevops ─ Record ─► mapping ─ Entity ─► port
//
// Package azuredevops lists raw JSON objects, kind by kind, and says what it
// could not read. Package mapping turns each into entities as the user's jq
// expressions say; it is pure. Package port is the client of Port. Package
// mapping/resync ties them together: what is listed once, in which order entities
// are written, what may be deleted. Package port/listener decides when that
// happens, port/ocean where settings come from.
//
// Start reading at run.full in mapping/resync/runner.go. Everything is wired
// here, in newApp; nothing else reads the environment or exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // the image has no zone files, and CRON_TZ=… names zones

	"github.com/caarlos0/env/v11"
	"github.com/mattn/go-isatty"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/webhook"
)

// version is ours, in the User-Agent and in what Port shows; a build sets it
// with -ldflags "-X main.version=…".
var version = "0.1.0"

// coreVersion is the Ocean core whose contract this program keeps.
const coreVersion = "0.48.12"

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
	terminal bool // err is a terminal
	// showTable prints the summary of every resync, not only in runs that end.
	showTable bool
}

// gcPercent trades processor time for memory: the program streams, so what lives
// is small, and a quarter of it again is enough room between two collections.
const gcPercent = 25

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	exitFailed = 1 // configuration, credentials of Port, or a failed resync under OCEAN__STRICT_EXIT
	exitUsage  = 64
)

// errUsage is a command line that cannot be understood.
var errUsage = errors.New("see ado-port --help")

// run is main without the process. It returns the exit code.
func run(ctx context.Context, p process) int {
	err := dispatch(ctx, p)
	if err == nil {
		return exitGood
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(p.err, "ado-port: %s\n", strings.TrimSpace(line))
	}
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}

// dispatch runs the command. Without one it is the service; so are `sail` and
// its flags, the command line of the Python image.
func dispatch(ctx context.Context, p process) error {
	args := p.args
	if len(args) > 0 && args[0] == "ocean" {
		args = args[1:]
	}
	cmd := "sail"
	if len(args) > 0 && !slices.Contains([]string{"-O", "--once", "-l", "-p", "-i"}, args[0]) {
		cmd, args = args[0], args[1:]
	}
	switch cmd {
	case "sail", "run":
		return serve(ctx, p, args)
	case "demo":
		return demo(ctx, p, args)
	case "config":
		return showConfig(p, args)
	case "hooks":
		return showHooks(ctx, p, args)
	case "version", "--version", "-v":
		_, err := fmt.Fprintf(p.out, "ado-port %s (%s)\n", version, runtime.Version())
		return err
	case "help", "--help", "-h":
		return help(p.out)
	}
	return fmt.Errorf("unknown command %q: %w", cmd, errUsage)
}

// load reads the configuration of the process; args are those of `sail`.
func load(p process, args []string) (*config, *ocean.Effective, error) {
	src, err := ocean.ReadSources(p.dir, p.environ)
	if err != nil {
		return nil, nil, err
	}
	if src.Overrides, src.Fallbacks, err = ocean.SailFlags(args); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", err, errUsage)
	}
	maps.Copy(src.Fallbacks, azuredevops.Ambient(p.environ))
	return ocean.Load[config](src)
}

// serve runs the integration as the environment says.
func serve(ctx context.Context, p process, args []string) error {
	cfg, eff, err := load(p, args)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, p, cfg, eff)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// showConfig prints the configuration as it was understood, with the origin of
// each value. What is wrong is printed too, and returned.
func showConfig(p process, args []string) error {
	asJSON, args, err := outputFlag(args)
	if err != nil {
		return err
	}
	_, eff, err := load(p, args)
	if eff == nil {
		return err
	}
	write := eff.WriteText
	if asJSON {
		write = eff.WriteJSON
	}
	if werr := write(p.out, err); werr != nil {
		return werr
	}
	if err != nil {
		return errShown
	}
	return nil
}

// errShown ends with exit code 1 after the reason has been printed.
var errShown = errors.New("the configuration cannot be used")

// outputFlag takes `--output json` or `--output=text` out of the arguments.
func outputFlag(args []string) (asJSON bool, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		value, inline := strings.CutPrefix(args[i], "--output=")
		if args[i] == "--output" || args[i] == "-o" {
			if i++; i == len(args) {
				return false, nil, fmt.Errorf("--output wants text or json: %w", errUsage)
			}
			value, inline = args[i], true
		}
		switch {
		case !inline:
			rest = append(rest, args[i])
		case value != "text" && value != "json":
			return false, nil, fmt.Errorf("--output %s: want text or json: %w", value, errUsage)
		default:
			asJSON = value == "json"
		}
	}
	return asJSON, rest, nil
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
	if _, err := io.WriteString(w, usage); err != nil {
		return err
	}
	rows, without, err := ocean.Describe[config]()
	if err != nil {
		return err
	}
	return ocean.WriteHelp(w, rows, without)
}
