package service

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/azuredevops/records"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/demo"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/network"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/queue"
	"github.com/ado-port/ado-port/webhook/status"
)

// Config is everything that the environment decides, composed of the rooms' own.
type Config struct {
	Port        port.Config        `envPrefix:"OCEAN__PORT__"`
	AzureDevOps azuredevops.Config `envPrefix:"OCEAN__INTEGRATION__CONFIG__"`
	Ocean       ocean.Settings     `envPrefix:"OCEAN__"`
	Limits      port.Limits        `envPrefix:"OCEAN__"`
	Hooks       webhook.Settings   `envPrefix:"OCEAN__HOOKS__"`
	Application ocean.Application  `envPrefix:"APPLICATION__"`
	Shared      replica.Settings   `envPrefix:"OCEAN__SHARED_QUEUE_"`
}

// Options are what a service, or a command beside it, is made of.
type Options struct {
	Process   *ocean.Process
	Build     ocean.Build
	Config    *Config
	Effective *ocean.Effective // where the configuration comes from
	ShowTable bool             // the summary of every resync is printed, not only in runs that end
	Demo      *demo.Demo       // that runs the service; nil: it is a real one
}

// Clients are what every command needs: the ways to Port and to Azure DevOps, and the
// mapping.
type Clients struct {
	Options

	Log           *slog.Logger
	Port          *port.Client
	Organizations []*azuredevops.Client
	Source        *resync.Source
	Records       *records.Store // nil when there is none
	Network       *network.Network

	shipper *port.LogShipper // nil when logs stay here
	state   string           // directory for what survives a restart; empty: none
	metrics *prometheus.Registry
}

// Uses says what a command needs besides clients.
type Uses struct {
	State  bool // files in the state directory
	Stored bool // what is in the record store now, also while a service has it
	Silent bool // no log: what matters is printed

	records bool // the record store, which one process has at a time
}

// newBare is clients without parts.
func newBare(opt Options) *Clients {
	return &Clients{Options: opt, metrics: status.NewRegistry(opt.Build.Version, opt.Build.Commit, opt.Build.Go)}
}

// NewClients wires what a command needs. It dials nothing.
func NewClients(ctx context.Context, opt Options, use Uses) (*Clients, error) {
	opt.Config.Application.ForCommand(use.Silent)
	return newClients(ctx, opt, use)
}

func newClients(ctx context.Context, opt Options, use Uses) (*Clients, error) {
	cfg, p := opt.Config, opt.Process
	c := newBare(opt)
	c.Log, c.shipper = p.NewLog(cfg.Application.Level(), cfg.Application.HTTPLogging)
	opt.Effective.Log(ctx, c.Log)
	var err error
	c.Network, err = network.New(network.Config{
		UnverifiedPort: !cfg.Ocean.SSL.Port.Verify, UnverifiedThirdParty: !cfg.Ocean.SSL.ThirdParty.Verify,
		BlockPrivate: cfg.Ocean.BlockPrivateAddresses(), Environ: p.Environ, Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	if use.State {
		if c.state, err = ocean.StateDirectory(cfg.Ocean.StateDirectory, p.Environ, c.Log); err != nil {
			return nil, err
		}
	}
	pc := cfg.Port.ClientConfig()
	pc.IntegrationType, pc.Identifier, pc.Version, pc.CoreVersion = cfg.Ocean.Integration.Type, cfg.Ocean.Integration.Identifier, opt.Build.Version, ocean.CoreVersion
	pc.Limits, pc.Transport, pc.Masker, pc.Log, pc.Registry = cfg.Limits, c.Network.Port(), p.Masker, c.Log, c.metrics
	pc.MetricsWebhook, pc.MetricsTransport = cfg.Ocean.Metrics.Target(), c.Network.ThirdParty()
	if c.Port, err = port.New(pc); err != nil {
		return nil, err
	}
	if use.records {
		c.Records = records.OpenIn(c.state, cfg.Ocean.StateRecordsBytes, c.component("records"))
	}
	if use.Stored {
		if c.Records, err = records.ReadIn(ocean.Remembered(ctx, cfg.Ocean.StateDirectory, p.Environ, c.Log), c.component("records")); err != nil {
			return nil, err
		}
	}
	c.Organizations, err = azuredevops.Clients(cfg.AzureDevOps, azuredevops.Shared{
		Store: c.Records, Timeout: cfg.Ocean.ClientTimeout, Transport: c.Network.ThirdParty(), UserAgent: "ado-port/" + opt.Build.Version,
		AuthorityHost: p.Environ["AZURE_AUTHORITY_HOST"], Log: c.component("azuredevops"), Registry: c.metrics,
	})
	if err != nil {
		return nil, err
	}
	sc := Mappings(opt)
	sc.Read, sc.StateDirectory, sc.Log = c.Port.Mapping, c.state, c.Log
	c.Source = resync.NewSource(sc)
	return c, nil
}

// Mappings is how a mapping is used, wherever it comes from. Of the configuration nothing
// else has to be right.
func Mappings(opt Options) resync.SourceConfig {
	cfg := opt.Config
	return resync.SourceConfig{ItemTimeout: cfg.Ocean.ItemTimeout, TTL: cfg.Port.MappingTTL.Duration(), Environ: opt.Effective.JQAccess(&cfg.Ocean, opt.Process.Environ)}
}

func (c *Clients) component(name string) *slog.Logger { return c.Log.With("component", name) }

// Remembered is the state directory of a service with these settings; empty: it has none.
func (c *Clients) Remembered(ctx context.Context) string {
	return ocean.Remembered(ctx, c.Config.Ocean.StateDirectory, c.Process.Environ, c.Log)
}

// Keeper is what looks after the subscriptions, on command; nil without a public address
// and without a queue.
func (c *Clients) Keeper(oldURLs ...string) (*hooks.Keeper, error) {
	kc := c.keeperConfig()
	kc.OldURLs = oldURLs
	g, err := replica.New(c.replicaConfig())
	if err != nil {
		return nil, err
	}
	if g != nil {
		kc.Left = g.Common("hooks-removed")
	}
	return newKeeper(kc)
}

func newKeeper(kc hooks.KeeperConfig) (*hooks.Keeper, error) {
	if kc.URL == "" && kc.Queue == nil {
		return nil, nil //nolint:nilnil // none is a good answer
	}
	return hooks.NewKeeper(kc)
}

func (c *Clients) keeperConfig() hooks.KeeperConfig {
	cfg := c.Config
	account, name := cfg.Ocean.StorageQueue.Parts()
	return hooks.KeeperConfig{
		Organizations: c.Organizations, URL: cfg.Ocean.PublicURL(hooks.Route), Queue: hooks.QueueOf(account, name, cfg.Ocean.StorageQueue.AccountKey.Reveal()),
		Secret: cfg.AzureDevOps.WebhookSecret, Username: cfg.AzureDevOps.WebhookAuthUsername, Registry: c.metrics,
		PerProject: cfg.AzureDevOps.IsProjectsLimited, StateDirectory: c.state,
		Wanted: hooks.WantedBy(c.Source.Current, cfg.Ocean.HasActions()), Log: c.component("hooks"),
	}
}

// openQueue makes what reads the storage queue; nil without one.
func (c *Clients) openQueue(into queue.Receiver) (*queue.Queue, error) {
	q := &c.Config.Ocean.StorageQueue
	account, _ := q.Parts()
	transport := c.Network.ThirdParty()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = queue.Connections, queue.Connections
	return queue.New(queue.Config{
		URL: q.URL, Account: account, Key: q.AccountKey.Reveal(), Into: into, Transport: transport, Registry: c.metrics, Log: c.component("queue"),
	})
}

// ProveQueue sends a message through the storage queue.
func (c *Clients) ProveQueue(ctx context.Context) (other bool, err error) {
	q, err := c.openQueue(nil)
	if err != nil {
		return false, err
	}
	return q.Prove(ctx)
}

// replicaConfig is what several processes share: nothing where each is alone, and of a run
// that ends, which uses what is in its directory.
func (c *Clients) replicaConfig() replica.Config {
	i := &c.Config.Ocean.Integration
	rc := replica.Config{Settings: c.Config.Shared, Name: i.Type + "/" + i.Identifier, Trust: c.Network.ThirdPartyTLS}
	if c.Config.Ocean.EventListener.Type == ocean.ListenOnce {
		rc.Settings = replica.Settings{}
	}
	return rc
}

// ProveSharedQueue has the Redis that several processes share do what they need of it; nil
// where a service would use none.
func (c *Clients) ProveSharedQueue(ctx context.Context) (*replica.Proof, error) {
	return replica.Prove(ctx, c.replicaConfig())
}
