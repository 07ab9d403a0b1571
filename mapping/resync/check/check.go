// Package check finds out, without writing anything but a message of its own to the storage
// queue and keys of its own to a shared Redis, whether a service would work:
// whether it may sign in to Port and Azure DevOps and read what its mapping needs,
// whether mapping and blueprints fit, and what live events and the state need.
package check

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/azuredevops/rest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/replica"
)

// Config is what a check works with. Zero fields mean that there is none of it.
type Config struct {
	Settings    ocean.Settings
	PortURL     string // of its region
	AzureDevOps azuredevops.Config
	Notices     []string // remarks on the configuration
	Environ     map[string]string

	Port          *port.Client
	Organizations []*azuredevops.Client
	PortSide      http.RoundTripper // to Port, and to Azure DevOps and everybody else
	OtherSide     http.RoundTripper
	Source        *resync.Source // how a mapping is used
	Keeper        func() (*hooks.Keeper, error)
	// ProveQueue sends a message through the storage queue; other says that somebody else
	// has read it.
	ProveQueue func(context.Context) (other bool, err error)
	// ProveSharedQueue has the Redis that several processes share do what they need of it;
	// it returns nil when they share none.
	ProveSharedQueue func(context.Context) (*replica.Proof, error)
}

// Options are the flags of the command, and how findings are written.
type Options struct {
	Mapping   string // file; empty: the mapping in Port
	Directory string // where a relative file is
	JSON      bool   // one document instead of lines
	Colors    bool
}

// Register adds the flags.
func (o *Options) Register(fs *flag.FlagSet) {
	fs.StringVar(&o.Mapping, "mapping", "", "`file` with a mapping, YAML or JSON (default: the mapping in Port)")
}

// patience bounds what one check waits for.
const patience = 45 * time.Second

// usesToken tells whether we sign in with a personal access token, which has scopes.
func (c *check) usesToken() bool { return c.cfg.AzureDevOps.SignIn() == rest.SignInPAT }

// A check is one run.
type check struct {
	cfg    Config
	opt    Options
	report *report

	installed bool              // Port has the installation
	planned   []*port.Blueprint // that the first start makes
	mapping   *mapping.Mapping  // nil: there is none to look at
	probes    []*azuredevops.Probe
	samples   []sample
}

// Run checks everything and writes what it finds, line by line as it goes. Failed
// checks are an error.
func Run(ctx context.Context, cfg Config, opt Options, out io.Writer) error {
	c := &check{cfg: cfg, opt: opt, report: &report{out: out, opt: opt}, probes: make([]*azuredevops.Probe, len(cfg.Organizations))}
	for _, text := range cfg.Notices {
		c.warn("configuration", "", text, "")
	}
	c.port(ctx)
	c.azureDevOps(ctx)
	c.kinds(ctx)
	c.fit(ctx)
	c.address(ctx)
	c.queue(ctx)
	c.sharedQueue(ctx)
	c.hooks(ctx)
	c.state()
	if err := c.report.end(); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	switch n := c.report.failed; n {
	case 0:
		return nil
	case 1:
		return errors.New("1 check failed")
	default:
		return fmt.Errorf("%d checks failed", n)
	}
}

func (c *check) ok(what, subject, format string, args ...any) {
	c.report.add(Finding{Check: what, Subject: subject, State: StateOK, Text: fmt.Sprintf(format, args...)})
}

func (c *check) warn(what, subject, text, remedy string) {
	c.report.add(Finding{Check: what, Subject: subject, State: StateWarning, Text: text, Remedy: remedy})
}

func (c *check) fail(what, subject, text, remedy string) {
	c.report.add(Finding{Check: what, Subject: subject, State: StateFailed, Text: text, Remedy: remedy})
}
