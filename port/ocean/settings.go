package ocean

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/port"
)

// CoreVersion is that of the Ocean core whose contract this program keeps.
const CoreVersion = "0.48.12"

// Settings are the variables of the Ocean core below OCEAN__, except those of
// port.Config, port.Limits and the integration's own, and what this program
// adds to them.
type Settings struct {
	Integration   Integration   `envPrefix:"INTEGRATION__"`
	EventListener EventListener `envPrefix:"EVENT_LISTENER__"`

	// InitializePortResources creates the integration and its default resources.
	InitializePortResources bool `env:"INITIALIZE_PORT_RESOURCES" envDefault:"true" doc:"Create the default blueprints, mapping and pages in Port when the installation is new."`
	// CreatePortResourcesOrigin is Origin's text; empty means unset.
	CreatePortResourcesOrigin string `env:"CREATE_PORT_RESOURCES_ORIGIN" oneof:"Empty,Default,Port" alias:"ocean=Default" doc:"Where the default resources come from: this program, Port, or none; unset lets the program decide."`
	// DefaultResources chooses between the built-in ones.
	DefaultResources string `env:"DEFAULT_RESOURCES" oneof:"compatible,corrected" doc:"Which built-in resources a new installation gets: those of Port's own integration, or the same with their mistakes corrected (work items lead to their columns, scorecard and pages show the repositories, every work item type is accepted). Unset, it is corrected for an installation that is made for the first time, and compatible where it or one of its blueprints exists in Port."`
	// ResourcesPath is relative to the working directory.
	ResourcesPath string `env:"RESOURCES_PATH" envDefault:".port/resources" doc:"Directory with default resources that replace the built-in ones; ignored when it does not exist."`

	// ScheduledResync and ResyncCron are both armed when both are set.
	ScheduledResync Schedule `env:"SCHEDULED_RESYNC_INTERVAL" type:"minutes, duration or cron" doc:"Time between full resyncs, in minutes or as a duration, or a cron expression."`
	// ResyncCron is empty unless set.
	ResyncCron CronSpec `env:"RESYNC_CRON" type:"cron" doc:"Cron expression, in the local time zone unless it begins with CRON_TZ=…, for full resyncs, in addition to OCEAN__SCHEDULED_RESYNC_INTERVAL."`
	// SendRawDataExamples is about the first records of a kind.
	SendRawDataExamples bool `env:"SEND_RAW_DATA_EXAMPLES" envDefault:"true" doc:"Send the first records of every kind to Port, where the mapping editor shows them."`
	// AllowJQEnvironment opens env and $ENV to mappings, without secrets.
	AllowJQEnvironment bool `env:"ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS" envDefault:"true" doc:"Let mappings read environment variables with env and $ENV; secrets are never among them."`
	// ItemTimeout bounds the mapping of one record.
	ItemTimeout time.Duration `env:"PROCESS_IN_QUEUE_TIMEOUT" envDefault:"120s" min:"1s" doc:"Longest time that the mapping of one record may take."`
	// ProcessingMode is accepted and not followed.
	ProcessingMode string `env:"PROCESSING_MODE" envDefault:"dsp" oneof:"dsp,ocean-core" doc:"Accepted for the chart's sake: records are always mapped here and ocean-core is reported."`
	// StrictExit makes ONCE exit with 1 after a failed resync.
	StrictExit bool `env:"STRICT_EXIT" envDefault:"false" doc:"Exit with 1 when a ONCE resync fails, or completes with problems; otherwise 0, as the Python integration does."`
	// OnceEventsOnly needs a StorageQueue.
	OnceEventsOnly bool `env:"ONCE_EVENTS_ONLY" envDefault:"false" doc:"With the listener ONCE and OCEAN__HOOKS__STORAGE_QUEUE_URL: handle the events that have come since the last run, instead of a resync. Where the last run is more than six days old, or the state directory was not kept, it is a full resync all the same."`
	// Verbose is what --verbose sets.
	Verbose bool `env:"VERBOSE" envDefault:"false" doc:"Show every project in the table at the end of a resync, and the expressions that found nothing; --verbose does the same."`
	// DeletionBrake is above 0 and at most 1.
	DeletionBrake Share `env:"DELETION_BRAKE_PER_BLUEPRINT" envDefault:"0.9" type:"number" doc:"Share of the entities of one blueprint, of at least 20, above which a resync deletes none of them, unless the mapping of the blueprint has changed since the last complete resync; 1 switches this off."`
	// StateDirectory is what [StateDirectory] uses.
	StateDirectory string `env:"STATE_DIRECTORY" doc:"Directory for what survives a restart. A named one is the one that is used: while it cannot be, a service waits and answers deliveries 503, and ONCE ends with 1. Otherwise it is XDG_STATE_HOME/ado-port, HOME/.local/state/ado-port or /tmp/ocean/ado-port."`
	// StateRecordsBytes bounds the record store; 0 switches it off.
	StateRecordsBytes int64 `env:"STATE_RECORDS_BYTES" envDefault:"1073741824" min:"0" doc:"Most bytes on disk for what was read of Azure DevOps (compressed): it is what an interrupted resync goes on with, what a changed mapping is applied to, and what need not be read again because it cannot have changed. 0 switches this off. OCEAN__STATE_MEMORY_BYTES is its deprecated name."`
	// ResumeWithin is the age of what an interrupted resync has read.
	ResumeWithin time.Duration `env:"RESUME_WITHIN" envDefault:"1h" min:"0s" doc:"Age up to which what an interrupted resync has read is used by the next one; 0 switches this off."`
	// ReplayWithin is the age of records that a changed mapping is applied to.
	ReplayWithin time.Duration `env:"REPLAY_WITHIN" envDefault:"24h" min:"0s" doc:"Age up to which records are used when the mapping is edited in Port, in place of reading Azure DevOps again; 0 switches this off. The Resync button and the schedule always read."`

	// ClientTimeout is for one request to Azure DevOps.
	ClientTimeout time.Duration `env:"CLIENT_TIMEOUT" envDefault:"60s" min:"1s" doc:"Time within which Azure DevOps has to begin an answer; the whole of a large one may take ten times as long, as long as it keeps coming."`
	// BaseURL is the public address of this process, without trailing slashes.
	BaseURL string `env:"BASE_URL" form:"url" doc:"Public address of this process; live events need it, or OCEAN__HOOKS__STORAGE_QUEUE_URL. OCEAN__INTEGRATION__CONFIG__APP_HOST is its deprecated name."`
	// PathPrefix is the part of the routes before /integration.
	PathPrefix string `env:"PATH_PREFIX" doc:"Prefix of the routes /integration, /metrics, /health, /status.json and the status page."`
	// StatusPage is nil when unset.
	StatusPage *bool `env:"STATUS_PAGE" doc:"Whether the status page and /status.json are served. Without it that depends: with a password of the hooks they are, and ask for it; without one only on the loopback interface, because they name projects."`
	// EventWorkers is a number of goroutines.
	EventWorkers int `env:"EVENT_WORKERS_COUNT" envDefault:"1" min:"1" max:"1000" doc:"Least number of workers for live events."`
	// EventsDebugLogging never shows secrets.
	EventsDebugLogging bool `env:"EVENTS_DEBUG_LOGGING" envDefault:"false" doc:"Accepted and not used: payloads are never logged."`
	// MaxEventProcessing bounds one try of one event.
	MaxEventProcessing time.Duration `env:"MAX_EVENT_PROCESSING_SECONDS" envDefault:"90s" min:"1ms" doc:"Longest time for one attempt to handle a live event."`
	// ShutdownWait bounds the drain of each part.
	ShutdownWait time.Duration `env:"MAX_WAIT_SECONDS_BEFORE_SHUTDOWN" envDefault:"5s" doc:"Time that running work gets to finish at shutdown."`
	// HeartbeatInterval is the time between two status reports.
	HeartbeatInterval time.Duration `env:"STATUS_HEARTBEAT_INTERVAL_SECONDS" envDefault:"10s" min:"1ms" doc:"Time between two reports to Port that a resync is alive."`

	Audit            Audit            `envPrefix:"AUDIT__"`
	StorageQueue     StorageQueue     `envPrefix:"HOOKS__"`
	Metrics          Metrics          `envPrefix:"METRICS__"`
	ActionsProcessor ActionsProcessor `envPrefix:"ACTIONS_PROCESSOR__"`
	SSL              SSL              `envPrefix:"SSL__"`

	// DisableIPBlocker is nil when unset: the blocker is off then.
	DisableIPBlocker *bool `env:"DISABLE_IP_OUTBOUND_BLOCKER" doc:"Set to false to refuse connections to private, loopback and link-local addresses; off by default."`
	// Runtime is always OnPrem after Load.
	Runtime string `env:"RUNTIME" envDefault:"OnPrem" oneof:"OnPrem,Saas" doc:"Only OnPrem; Saas is Port's own hosting and is refused."`
}

// Validate refuses combinations that cannot run.
func (s *Settings) Validate() error {
	var errs []error
	if s.Runtime == "Saas" {
		errs = append(errs, errors.New("OCEAN__RUNTIME: want OnPrem; Saas is for Port's own hosting"))
	}
	if s.EventListener.Type == ListenWebhook && s.EventListener.AppHost == "" {
		errs = append(errs, &ValueError{
			Variable: "OCEAN__EVENT_LISTENER__APP_HOST",
			Expected: "the address at which Port reaches this process, since OCEAN__EVENT_LISTENER__TYPE is WEBHOOK",
		})
	}
	if s.EventsOnly() && s.StorageQueue.URL == "" {
		errs = append(errs, errors.New("OCEAN__ONCE_EVENTS_ONLY is true without OCEAN__HOOKS__STORAGE_QUEUE_URL: want the queue that keeps events between two runs"))
	}
	if s.EventListener.Type == ListenKafka && len(s.EventListener.Brokers) == 0 {
		errs = append(errs, errors.New("OCEAN__EVENT_LISTENER__BROKERS: want at least one broker, as host:port"))
	}
	return errors.Join(errs...)
}

// Schedule merges the two settings that plan a resync, for a process that began at
// start; nil when there is none, and where nothing would heed it. Intervals count
// from the start, so that what Port shows is when a resync comes.
func (s *Settings) Schedule(start time.Time) func(now time.Time) time.Time {
	every, cron := s.Distance(), []Schedule{s.ResyncCron.Schedule}
	if every == 0 {
		cron = append(cron, s.ScheduledResync)
	}
	if !s.EventListener.Listens() || every == 0 && cron[0].IsZero() && cron[1].IsZero() {
		return nil
	}
	return func(now time.Time) (next time.Time) {
		if every > 0 {
			next = start.Add(now.Sub(start).Truncate(every) + every)
		}
		for _, c := range cron {
			if t := c.Next(now); !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		return next
	}
}

// HasActions says whether the installation has its self-service actions run by a
// process like this one: unset, it does where that is all that the process is for.
func (s *Settings) HasActions() bool {
	return override(s.ActionsProcessor.Enabled, s.EventListener.Type == ListenActionsOnly)
}

// RunsActions says whether this process runs them.
func (s *Settings) RunsActions() bool {
	l := &s.EventListener
	return s.HasActions() && l.Type != ListenOnce && override(l.ShouldRunActions, l.Type != ListenWebhooksOnly)
}

// Lookback is how far an incremental resync looks back, 0 where full ones are wanted.
func (i *Integration) Lookback() time.Duration {
	if !override(i.Incremental, false) {
		return 0
	}
	return i.IncrementalInterval.Duration()
}

// Distance is the time between two scheduled resyncs, 0 where there is no fixed one
// or nothing would heed it.
func (s *Settings) Distance() time.Duration {
	if !s.EventListener.Listens() {
		return 0
	}
	return s.ScheduledResync.distance
}

// Setup says how the installation is set up in Port. A process decides only about
// what it does itself, or what a setting says: that actions are processed it says
// when it does so, and that they are not when it is told so. check is asked about a
// mapping before Port gets it; before is asked before anything is made, except by a
// run that ends, which says what is wrong by itself.
func (s *Settings) Setup(check func([]byte) error, before func(context.Context) error) port.SetupConfig {
	c := port.SetupConfig{
		Origin: s.CreatePortResourcesOrigin, InitializeResources: s.InitializePortResources,
		DefaultResources: s.DefaultResources, IncrementalSync: s.Integration.Incremental, CheckMapping: check,
	}
	l := &s.EventListener
	if l.Type != ListenOnce {
		c.BeforeCreate = before
		if c.IncrementalSync != nil {
			c.IncrementalSync = new(bool) // no other listener heeds it
		}
	}
	if runs := s.RunsActions(); runs || s.ActionsProcessor.Enabled != nil && !*s.ActionsProcessor.Enabled {
		c.ActionsProcessing = &runs
	}
	if l.Listens() {
		c.ChangelogDestination = l.destination()
	}
	if info, err := os.Stat(s.ResourcesPath); err == nil && info.IsDir() {
		c.Resources = os.DirFS(s.ResourcesPath)
	}
	return c
}

// BlockPrivateAddresses reports whether the outbound blocker was asked for.
func (s *Settings) BlockPrivateAddresses() bool {
	return s.DisableIPBlocker != nil && !*s.DisableIPBlocker
}

// Prefix is the route prefix with a leading slash and without a trailing one;
// empty when there is none.
func (s *Settings) Prefix() string {
	if p := strings.Trim(s.PathPrefix, "/ "); p != "" {
		return "/" + p
	}
	return ""
}

// PublicURL is the address of a route as it is seen from outside; empty when there is
// no public address.
func (s *Settings) PublicURL(route string) string {
	base := strings.TrimRight(s.BaseURL, "/")
	if base == "" {
		return ""
	}
	return base + s.Prefix() + route
}

// Integration names the installation.
type Integration struct {
	// Identifier is never empty after Load.
	Identifier string `env:"IDENTIFIER" doc:"Name of this installation in Port; my-<type>-integration by default. Entities belong to it."`
	// Type is lower case.
	Type string `env:"TYPE" envDefault:"azure-devops" form:"lower" doc:"Type of the integration in Port, in lower case."`
	// Incremental is honoured by the listener ONCE.
	Incremental *bool `env:"INCREMENTAL_SYNC_ENABLED" doc:"With the listener ONCE: read only what changed in the last interval; off by default. Port is told what is set; while nothing is, it keeps what another process of the installation has told it."`
	// IncrementalInterval is 15, 30 or 60 minutes.
	IncrementalInterval IncrementalInterval `env:"INCREMENTAL_SYNC_INTERVAL" envDefault:"15m" type:"15m | 30m | 1h" doc:"What an incremental resync looks back: 15, 30 or 60 minutes."`
}

// A ListenerType says what starts a resync.
type ListenerType string

// The listeners that Ocean has (https://docs.port.io/context-lake/ingestion/ingest-data-into-port/native-integrations/ocean-framework/event-listeners/).
const (
	ListenPolling      ListenerType = "POLLING"
	ListenKafka        ListenerType = "KAFKA"
	ListenWebhook      ListenerType = "WEBHOOK"
	ListenOnce         ListenerType = "ONCE"
	ListenWebhooksOnly ListenerType = "WEBHOOKS_ONLY"
	ListenActionsOnly  ListenerType = "ACTIONS_ONLY"
)

// EventListener is what Port uses to ask for a resync. Options
// of other types than Type are accepted and unused, as charts always set them.
type EventListener struct {
	Type ListenerType `env:"TYPE" envDefault:"POLLING" oneof:"POLLING,KAFKA,WEBHOOK,ONCE,WEBHOOKS_ONLY,ACTIONS_ONLY" doc:"What starts a resync. ONCE runs one and ends; WEBHOOKS_ONLY and ACTIONS_ONLY run none."`
	// ResyncOnStart is what Begins heeds.
	ResyncOnStart bool `env:"RESYNC_ON_START" envDefault:"true" doc:"POLLING: resync when the process starts. KAFKA and WEBHOOK: where the last resync has not come to its end, or there was none."`
	// Interval is for POLLING.
	Interval time.Duration `env:"INTERVAL" envDefault:"60s" min:"1s" doc:"Time between two questions to Port whether a resync is wanted."`
	// Brokers is for KAFKA.
	Brokers []string `env:"BROKERS" envDefault:"b-1-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196,b-2-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196,b-3-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196" doc:"KAFKA: brokers, as host:port."`
	// SecurityProtocol is for KAFKA.
	SecurityProtocol string `env:"SECURITY_PROTOCOL" envDefault:"SASL_SSL" oneof:"SASL_SSL,SASL_PLAINTEXT,SSL,PLAINTEXT" doc:"KAFKA: how to talk to the brokers."`
	// AuthenticationMechanism is for KAFKA.
	AuthenticationMechanism string `env:"AUTHENTICATION_MECHANISM" envDefault:"SCRAM-SHA-512" oneof:"SCRAM-SHA-512,SCRAM-SHA-256,PLAIN" doc:"KAFKA: how to log in."`
	// KafkaSecurity is for KAFKA.
	KafkaSecurity bool `env:"KAFKA_SECURITY_ENABLED" envDefault:"true" doc:"KAFKA: log in and encrypt as the two settings above say."`
	// ConsumerPollTimeout is accepted and not used.
	ConsumerPollTimeout time.Duration `env:"CONSUMER_POLL_TIMEOUT" envDefault:"1s" doc:"Accepted and not used: messages are waited for as long as it takes."`
	// AppHost is for WEBHOOK, and required there. Ocean treats it as sensitive.
	AppHost port.Secret `env:"APP_HOST" form:"url" doc:"WEBHOOK: address at which Port reaches this process."`
	// The overrides are nil when unset.
	ShouldResync          *bool `env:"SHOULD_RESYNC" doc:"Overrides whether this process resyncs."`
	ShouldProcessWebhooks *bool `env:"SHOULD_PROCESS_WEBHOOKS" doc:"Overrides whether this process handles live events."`
	ShouldRunActions      *bool `env:"SHOULD_RUN_ACTIONS" doc:"Overrides whether this process runs actions, where they are enabled; ONCE never does."`
}

// Resyncs reports whether this process runs resyncs.
func (l *EventListener) Resyncs() bool {
	return override(l.ShouldResync, l.Type != ListenWebhooksOnly && l.Type != ListenActionsOnly)
}

// Listens reports whether this process runs a resync whenever one is due or asked
// for, and not just one.
func (l *EventListener) Listens() bool { return l.Resyncs() && l.Type != ListenOnce }

// Begins reports whether this process begins with a resync. One that Port calls or
// writes to does so only where the last one has not ended, or there was none.
func (l *EventListener) Begins(ended bool) bool {
	return l.Listens() && l.ResyncOnStart && !(ended && l.Called())
}

// destination is where Port is told to bring its requests.
func (l *EventListener) destination() (doc json.RawMessage) {
	to := map[string]string{}
	if l.Called() {
		to["type"] = string(l.Type)
	}
	if l.Type == ListenWebhook {
		to["url"] = l.AppHost.Reveal() + "/resync"
	}
	doc, _ = json.Marshal(to) //nolint:errchkjson // strings always do
	return doc
}

// After says whether this process begins with a resync, and since when requests count
// that came before it, the zero time where they do not: after the last resync.
func (l *EventListener) After(began time.Time, ended bool) (begins bool, since time.Time) {
	if l.Called() {
		since = began
	}
	return l.Begins(ended), since
}

// ReadsKafka reports whether requests are read from Port's topic.
func (l *EventListener) ReadsKafka() bool { return l.Type == ListenKafka && l.Listens() }

// Called reports whether Port itself brings requests here.
func (l *EventListener) Called() bool { return l.Type == ListenKafka || l.Type == ListenWebhook }

// KafkaMechanism is how to sign in to the brokers, empty for not at all.
func (l *EventListener) KafkaMechanism() string {
	if !l.KafkaSecurity || !strings.HasPrefix(l.SecurityProtocol, "SASL_") {
		return ""
	}
	return l.AuthenticationMechanism
}

// KafkaEncrypted reports whether connections to the brokers are encrypted.
func (l *EventListener) KafkaEncrypted() bool {
	return l.KafkaSecurity && strings.HasSuffix(l.SecurityProtocol, "SSL")
}

// ProcessesWebhooks reports whether this process handles live events.
func (l *EventListener) ProcessesWebhooks() bool {
	return override(l.ShouldProcessWebhooks, l.Type != ListenOnce && l.Type != ListenActionsOnly)
}

func override(set *bool, otherwise bool) bool {
	if set != nil {
		return *set
	}
	return otherwise
}

// Audit is about the lines in the log that say what was written and deleted.
type Audit struct {
	Enabled  bool `env:"ENABLED" envDefault:"true" doc:"Log every entity that is written or deleted, at INFO: what was done, why, which members changed, and for a deletion the proof."`
	MaxLines int  `env:"MAX_LINES_PER_RESYNC" envDefault:"1000" min:"0" doc:"Most such lines of one resync; then one says how many more there were. Live events have 600 a minute."`
}

// Metrics is about the custom metrics webhook.
type Metrics struct {
	Enabled bool `env:"ENABLED" envDefault:"false" doc:"Send the progress of resyncs to OCEAN__METRICS__WEBHOOK_URL; the route /metrics is always there."`
	// Port is 0 for the main listener.
	Port       int         `env:"PORT" envDefault:"0" min:"0" max:"65535" doc:"Port on which /metrics is served, and only there; 0 serves it with everything else."`
	WebhookURL port.Secret `env:"WEBHOOK_URL" form:"url" doc:"Address to which every event about a resync is posted that Port gets as well, if OCEAN__METRICS__ENABLED is true. It may hold a token and is never shown."`
}

// Target is where the progress of resyncs is sent; empty: nowhere.
func (m *Metrics) Target() port.Secret {
	if !m.Enabled {
		return ""
	}
	return m.WebhookURL
}

// ActionsProcessor is about self-service actions.
type ActionsProcessor struct {
	Enabled           *bool         `env:"ENABLED" doc:"Run the self-service actions that Port has for this installation, and tell Port so; needs the credentials of a machine user. Unset, only the listener ACTIONS_ONLY does. false takes back what another process has told Port. ONCE and WEBHOOKS_ONLY run none; with true the latter reports the end of what other processes have started."`
	HighWatermark     int           `env:"RUNS_BUFFER_HIGH_WATERMARK" envDefault:"300" min:"1" max:"1000" doc:"Runs that may wait before no more are claimed."`
	VisibilityTimeout time.Duration `env:"VISIBILITY_TIMEOUT_MS" envDefault:"60s" unit:"ms" min:"1ms" max:"600s" doc:"Time for which a claimed run belongs to this process."`
	PollInterval      time.Duration `env:"POLL_CHECK_INTERVAL_SECONDS" envDefault:"10s" min:"1s" doc:"Time between two questions for new runs."`
	Workers           int           `env:"WORKERS_COUNT" envDefault:"3" min:"1" max:"1000" doc:"Runs at the same time."`
	// MaxShare is zero for no limit.
	MaxShare int `env:"MAX_RUNS_BUFFER_UTIL_PCT_PER_ACTION" envDefault:"30" min:"1" max:"100" null:"0" doc:"Percentage of the waiting runs that one action may take; null for no limit."`
}

// SSL is the verification of certificates, per direction.
type SSL struct {
	Port       Verification `envPrefix:"PORT__"`
	ThirdParty Verification `envPrefix:"THIRD_PARTY__"`
}

// Verification is about one direction.
type Verification struct {
	Verify bool `env:"VERIFY" envDefault:"true" doc:"Verify certificates and host names in this direction."`
	Strict bool `env:"X509__STRICT" envDefault:"true" doc:"Accepted; it has no counterpart here, where chain and host name are always verified the same way."`
}

// A Share is a number above 0 and at most 1.
type Share float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Share) UnmarshalText(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(f > 0 && f <= 1) {
		return errors.New("want a number above 0, at most 1")
	}
	*s = Share(f)
	return nil
}

// Application are the variables below APPLICATION__.
type Application struct {
	LogLevel    string `env:"LOG_LEVEL" envDefault:"INFO" oneof:"ERROR,WARNING,INFO,DEBUG,CRITICAL" alias:"warn=WARNING" doc:"Least severe level that is logged."`
	HTTPLogging bool   `env:"ENABLE_HTTP_LOGGING" envDefault:"true" doc:"Send the log to Port, where the integration's page shows it."`
	Port        int    `env:"PORT" envDefault:"8000" min:"0" max:"65535" doc:"Port on which the process listens, on all interfaces."`
}

// ForCommand keeps the log of a command that prints what matters at home, and in it
// what is wrong, or nothing.
func (a *Application) ForCommand(silent bool) {
	a.HTTPLogging = false
	switch {
	case silent:
		a.LogLevel = "CRITICAL"
	case a.Level() == slog.LevelInfo:
		a.LogLevel = "WARNING"
	}
}

// Level is the threshold for slog, INFO unless another one is named.
func (a *Application) Level() slog.Level {
	return map[string]slog.Level{
		"CRITICAL": port.LevelCritical, "ERROR": slog.LevelError, "WARNING": slog.LevelWarn, "DEBUG": slog.LevelDebug,
	}[a.LogLevel]
}
