package agent

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"

	"github.com/ado-port/ado-port/port"
)

// The streamers: ways in which Port hands out invocations.
const (
	Kafka   = "KAFKA"
	Polling = "POLLING"
)

// Config are the settings of port-agent under its names, and a few of ours. An empty
// variable is one that is not set.
type Config struct {
	OrgID        string      `env:"PORT_ORG_ID" doc:"Organization in Port; with KAFKA it begins the names of the topics."`
	ClientID     port.Secret `env:"PORT_CLIENT_ID,required" doc:"Client id of the organization, as Port shows it under Credentials."`
	ClientSecret port.Secret `env:"PORT_CLIENT_SECRET,required" doc:"Client secret that belongs to it. Signatures and secret inputs use it as well."`
	BaseURL      string      `env:"PORT_API_BASE_URL" envDefault:"https://api.getport.io" doc:"Address of the region, without /v1; in the United States it is https://api.us.getport.io."`
	Streamer     string      `env:"STREAMER_NAME" envDefault:"KAFKA" doc:"How Port hands out invocations: KAFKA or POLLING. Port is told so at the start."`
	LogLevel     string      `env:"LOG_LEVEL" envDefault:"INFO" doc:"DEBUG, INFO, WARNING, ERROR or CRITICAL."`
	Detailed     flag        `env:"DETAILED_LOGGING" envDefault:"true" doc:"Add the texts of failed answers to the logs and summaries of runs in Port. The log of the process never has them."`

	LocalPort        flag   `env:"USING_LOCAL_PORT_INSTANCE" envDefault:"false" doc:"KAFKA: do not ask Port for brokers and credentials."`
	Brokers          string `env:"KAFKA_CONSUMER_BOOTSTRAP_SERVERS" doc:"KAFKA: brokers, for USING_LOCAL_PORT_INSTANCE only."`
	SecurityProtocol string `env:"KAFKA_CONSUMER_SECURITY_PROTOCOL" envDefault:"plaintext" doc:"KAFKA: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; Port wants SASL_SSL."`
	Mechanism        string `env:"KAFKA_CONSUMER_AUTHENTICATION_MECHANISM" envDefault:"none" doc:"KAFKA: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or none; Port wants SCRAM-SHA-512."`
	SessionTimeoutMS int    `env:"KAFKA_CONSUMER_SESSION_TIMEOUT_MS" envDefault:"45000" doc:"KAFKA: after so many milliseconds of silence another agent takes over."`
	OffsetReset      string `env:"KAFKA_CONSUMER_AUTO_OFFSET_RESET" envDefault:"earliest" doc:"KAFKA: where a new group begins: earliest (all that is kept is executed) or largest (what comes from now on)."`
	GroupID          string `env:"KAFKA_CONSUMER_GROUP_ID" doc:"KAFKA, required there: name of the consumer group; it has to begin with the organization and a dot, or be the user name of the broker."`
	RunsTopic        string `env:"KAFKA_RUNS_TOPIC" doc:"KAFKA: topic of runs; <PORT_ORG_ID>.runs by default."`
	ChangesTopic     string `env:"KAFKA_CHANGE_LOG_TOPIC" doc:"KAFKA: topic of changes; <PORT_ORG_ID>.change.log by default."`

	Interval       port.Seconds `env:"POLLING_INTERVAL_SECONDS" envDefault:"10" doc:"POLLING: pause between two questions."`
	BatchSize      int          `env:"POLLING_RUNS_BATCH_SIZE" envDefault:"100" doc:"POLLING: most runs to ask for at once. A full answer is followed by the next question without a pause."`
	InitialBackoff port.Seconds `env:"POLLING_INITIAL_BACKOFF_SECONDS" envDefault:"1" doc:"POLLING: pause after the first failure."`
	BackoffFactor  float64      `env:"POLLING_BACKOFF_FACTOR" envDefault:"2.0" doc:"POLLING: by how much it grows with each further failure."`
	MaxBackoff     port.Seconds `env:"POLLING_MAX_BACKOFF_SECONDS" envDefault:"300" doc:"POLLING: longest pause after a failure."`
	BackoffJitter  float64      `env:"POLLING_BACKOFF_JITTER_FACTOR" envDefault:"0.1" doc:"POLLING: share of the pause that is added at random."`
	MaxFailure     port.Seconds `env:"POLLING_MAX_FAILURE_DURATION_SECONDS" envDefault:"3600" doc:"POLLING: end the process when nothing could be asked for so long, so that it is started anew."`
	MappingPath    string       `env:"CONTROL_THE_PAYLOAD_CONFIG_PATH" envDefault:"./control_the_payload_config.json" doc:"Mapping file. Without one the built-in default is used."`
	Timeout        port.Seconds `env:"WEBHOOK_INVOKER_TIMEOUT" envDefault:"30" doc:"Longest wait for a connection to a called service, and for each part of its answer; all together may take ten times as long."`
	VerifySSL      flag         `env:"WEBHOOK_VERIFY_SSL" envDefault:"true" doc:"Verify the certificates of called services. With false there is a warning."`
	Concurrency    int          `env:"AGENT_CONCURRENCY" envDefault:"8" doc:"Ours: how many invocations are executed at the same time. Runs of one action for one entity, and changes of one entity, stay in order."`
	StateDirectory string       `env:"OCEAN__STATE_DIRECTORY" doc:"Ours: directory for what survives a restart."`
	ListenPort     int          `env:"APPLICATION__PORT" envDefault:"8000" doc:"Ours: port of /health/live, /health/ready, /metrics and /status.json; 0 for none. A port that is taken is no error."`

	mapping []*entry
	level   slog.Level
}

// A flag is a boolean in the forms that port-agent takes.
type flag bool

// UnmarshalText takes true, false, 1, 0, yes, no, on, off, t, f, y and n.
func (f *flag) UnmarshalText(text []byte) error {
	b, err := boolean(string(text))
	*f = flag(b)
	return err
}

// Load reads the settings from the environment, from .env in dir where that has
// more, and the mapping file. Every problem is in the error.
func Load(dir string, environ map[string]string) (*Config, error) {
	set := map[string]string{}
	if more, err := godotenv.Read(filepath.Join(dir, ".env")); err == nil {
		merge(set, more)
	}
	merge(set, environ)
	c := &Config{}
	err := env.ParseWithOptions(c, env.Options{Environment: set})
	if err != nil {
		return nil, parseError(err)
	}
	return c, errors.Join(c.check(), c.readMapping(dir))
}

// merge adds what is not empty.
func merge(to, from map[string]string) {
	for name, value := range from {
		if strings.TrimSpace(value) != "" {
			to[name] = value
		}
	}
}

// parseError takes the library's words apart, one line for each variable.
func parseError(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	out := make([]error, 0, len(all.Errors))
	for _, err := range all.Errors {
		var missing env.VarIsNotSetError
		var wrong env.ParseError
		switch {
		case errors.As(err, &missing):
			out = append(out, fmt.Errorf("%s is not set; it is required", missing.Key))
		case errors.As(err, &wrong):
			out = append(out, fmt.Errorf("%s: %w", variableOf(wrong.Name), wrong.Err))
		default:
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}

// variableOf finds the variable of a field.
func variableOf(field string) string {
	for _, v := range Variables() {
		if v.field == field {
			return v.Name
		}
	}
	return field
}

// check refuses what cannot be used, and completes what has defaults.
func (c *Config) check() error {
	var errs []error
	refuse := func(variable, want string) { errs = append(errs, fmt.Errorf("%s: want %s", variable, want)) }
	if u, err := url.Parse(c.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		refuse("PORT_API_BASE_URL", "an address such as https://api.getport.io")
	}
	levels := map[string]slog.Level{"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "WARN": slog.LevelWarn, "ERROR": slog.LevelError, "CRITICAL": slog.LevelError, "FATAL": slog.LevelError, "NOTSET": slog.LevelDebug}
	level, ok := levels[strings.ToUpper(c.LogLevel)]
	if c.level = level; !ok {
		refuse("LOG_LEVEL", "DEBUG, INFO, WARNING, ERROR or CRITICAL")
	}
	switch c.Streamer {
	case Polling:
	case Kafka:
		errs = append(errs, c.checkKafka())
	default:
		refuse("STREAMER_NAME", "KAFKA or POLLING")
	}
	if c.Timeout <= 0 {
		refuse("WEBHOOK_INVOKER_TIMEOUT", "more than 0 seconds")
	}
	if c.BatchSize < 1 {
		refuse("POLLING_RUNS_BATCH_SIZE", "at least 1")
	}
	c.Concurrency = max(c.Concurrency, 1)
	c.Interval = max(c.Interval, port.Seconds(100*time.Millisecond))
	c.InitialBackoff = max(c.InitialBackoff, port.Seconds(100*time.Millisecond))
	c.BackoffFactor = max(c.BackoffFactor, 1)
	return errors.Join(errs...)
}

func (c *Config) checkKafka() error {
	var errs []error
	refuse := func(variable, want string) { errs = append(errs, fmt.Errorf("%s: want %s", variable, want)) }
	if c.OrgID == "" && (c.RunsTopic == "" || c.ChangesTopic == "") {
		refuse("PORT_ORG_ID", "the id of the organization, such as org_XXXXXXXXXXXXXXXX, since STREAMER_NAME is KAFKA")
	}
	if c.GroupID == "" {
		refuse("KAFKA_CONSUMER_GROUP_ID", "the name of a consumer group such as "+cmp.Or(c.OrgID, "org_XXXXXXXXXXXXXXXX")+".agent, since STREAMER_NAME is KAFKA")
	}
	if bool(c.LocalPort) != (c.Brokers != "") {
		refuse("KAFKA_CONSUMER_BOOTSTRAP_SERVERS", "brokers when USING_LOCAL_PORT_INSTANCE is true, and none otherwise")
	}
	c.SecurityProtocol = strings.ToUpper(c.SecurityProtocol)
	if !slices.Contains([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, c.SecurityProtocol) {
		refuse("KAFKA_CONSUMER_SECURITY_PROTOCOL", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
	}
	c.Mechanism = strings.ToUpper(c.Mechanism)
	known := []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}
	if strings.HasPrefix(c.SecurityProtocol, "SASL") && !slices.Contains(known, c.Mechanism) {
		refuse("KAFKA_CONSUMER_AUTHENTICATION_MECHANISM", strings.Join(known, ", "))
	}
	if _, ok := resets[c.OffsetReset]; !ok {
		refuse("KAFKA_CONSUMER_AUTO_OFFSET_RESET", "earliest, largest or error")
	}
	c.RunsTopic = cmp.Or(c.RunsTopic, c.OrgID+".runs")
	c.ChangesTopic = cmp.Or(c.ChangesTopic, c.OrgID+".change.log")
	return errors.Join(errs...)
}

// maxMapping bounds the mapping file in bytes: it is written by hand.
const maxMapping = 4 << 20

func (c *Config) readMapping(dir string) error {
	path := c.MappingPath
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the administrator names it
	switch {
	case errors.Is(err, os.ErrNotExist) && c.MappingPath == "./control_the_payload_config.json":
		text, err = defaultMapping, nil
	case err == nil && len(text) > maxMapping:
		err = fmt.Errorf("it has more than %d bytes", maxMapping)
	}
	if err == nil {
		c.mapping, err = parseMapping(text)
	}
	if err != nil {
		return fmt.Errorf("mapping file %s (CONTROL_THE_PAYLOAD_CONFIG_PATH): %w", path, err)
	}
	return nil
}

// Encrypted says that connections to the brokers are.
func (c *Config) Encrypted() bool { return strings.HasSuffix(c.SecurityProtocol, "SSL") }

// Level is the least level that is logged.
func (c *Config) Level() slog.Level { return c.level }

// Secrets are the values that nothing may show.
func (c *Config) Secrets() []string { return []string{c.ClientSecret.Reveal()} }

// A Variable is one setting, for people.
type Variable struct {
	Name, Default, Meaning string

	field string
}

// Variables returns all settings in their order.
func Variables() []Variable {
	var out []Variable
	for f := range reflect.TypeFor[Config]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("env"), ","); name != "" {
			out = append(out, Variable{Name: name, Default: f.Tag.Get("envDefault"), Meaning: f.Tag.Get("doc"), field: f.Name})
		}
	}
	return out
}
