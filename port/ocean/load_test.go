package ocean_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
)

// config is composed as package main does it.
type config struct {
	Application ocean.Application `envPrefix:"APPLICATION__"`
	Ocean       struct {
		ocean.Settings
		port.Limits
		Port  port.Config `envPrefix:"PORT__"`
		Azure azure       `envPrefix:"INTEGRATION__CONFIG__"`
	} `envPrefix:"OCEAN__"`
}

// azure stands for the integration's own settings.
type azure struct {
	AccountMode       string      `env:"ACCOUNT_MODE" envDefault:"Single Account" oneof:"Single Account,Multiple Accounts"`
	OrganizationURL   string      `env:"ORGANIZATION_URL" form:"url"`
	Token             port.Secret `env:"PERSONAL_ACCESS_TOKEN"`
	ClientID          string      `env:"CLIENT_ID"`
	ClientSecret      port.Secret `env:"CLIENT_SECRET"`
	TenantID          string      `env:"TENANT_ID"`
	OrganizationURLs  []string    `env:"ORGANIZATION_URLS"`
	IsProjectsLimited bool        `env:"IS_PROJECTS_LIMITED" envDefault:"true"`
	WebhookSecret     port.Secret `env:"WEBHOOK_SECRET"`
	WebhookUsername   string      `env:"WEBHOOK_AUTH_USERNAME" envDefault:"port"`
	ExcludedTags      []string    `env:"EXCLUDED_TAGS"`
}

// required are the variables without which nothing starts.
func required() map[string]string {
	return map[string]string{"OCEAN__PORT__CLIENT_ID": "the-client-id", "OCEAN__PORT__CLIENT_SECRET": "the-client-secret"}
}

// load parses the sources on top of the required variables.
func load(src ocean.Sources) (*config, *ocean.Effective, error) {
	all := required()
	maps.Copy(all, src.Environ)
	src.Environ = all
	return ocean.Load[config](src)
}

// value is the row of a variable as "value from origin".
func value(eff *ocean.Effective, name string) string {
	for _, r := range eff.Rows {
		if r.Variable == name {
			return r.Value + " from " + string(r.Origin)
		}
	}
	return "no such variable"
}

func TestValues(t *testing.T) {
	t.Parallel()
	const tags = "OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS"
	tests := []struct{ name, variable, text, want string }{
		{"default", "OCEAN__CLIENT_TIMEOUT", "", "1m0s from default"},
		{"bare digits are seconds", "OCEAN__CLIENT_TIMEOUT", "120", "2m0s from environment"},
		{"fraction", "OCEAN__CLIENT_TIMEOUT", "1.5", "1.5s from environment"},
		{"duration", "OCEAN__CLIENT_TIMEOUT", "2m", "2m0s from environment"},
		{"days", "OCEAN__CLIENT_TIMEOUT", "2d", "48h0m0s from environment"},
		{"week", "OCEAN__CLIENT_TIMEOUT", " 1 w ", "168h0m0s from environment"},
		{"exponent", "OCEAN__CLIENT_TIMEOUT", "1e+02", "1m40s from environment"},
		{"milliseconds", "OCEAN__ACTIONS_PROCESSOR__VISIBILITY_TIMEOUT_MS", "90000", "1m30s from environment"},
		{"blank is unset", "OCEAN__CLIENT_TIMEOUT", "  ", "1m0s from default"},
		{"null is unset", "OCEAN__SCHEDULED_RESYNC_INTERVAL", "null", " from "},
		{"null means none", "OCEAN__ACTIONS_PROCESSOR__MAX_RUNS_BUFFER_UTIL_PCT_PER_ACTION", "null", "0 from environment"},
		{"minutes", "OCEAN__SCHEDULED_RESYNC_INTERVAL", "45", "45 from environment"},
		{"yes", "OCEAN__STRICT_EXIT", "Yes", "true from environment"},
		{"on", "OCEAN__STRICT_EXIT", "on", "true from environment"},
		{"t", "OCEAN__STRICT_EXIT", "T", "true from environment"},
		{"off", "OCEAN__SEND_RAW_DATA_EXAMPLES", "OFF", "false from environment"},
		{"0", "OCEAN__SEND_RAW_DATA_EXAMPLES", "0", "false from environment"},
		{"n", "OCEAN__SEND_RAW_DATA_EXAMPLES", "n", "false from environment"},
		{"empty boolean", "OCEAN__SEND_RAW_DATA_EXAMPLES", "", "true from default"},
		{"chart's million", "OCEAN__UPSERT_ENTITIES_BATCH_MAX_SIZE_IN_BYTES", "1e+06", "1000000 from environment"},
		{"enum in other case", "OCEAN__EVENT_LISTENER__TYPE", "once", "ONCE from environment"},
		{"enum alias", "OCEAN__CREATE_PORT_RESOURCES_ORIGIN", "Ocean", "Default from environment"},
		{"log level alias", "APPLICATION__LOG_LEVEL", "warn", "WARNING from environment"},
		{"lower-cased", "OCEAN__INTEGRATION__TYPE", "Azure-DevOps", "azure-devops from environment"},
		{"trailing slash", "OCEAN__BASE_URL", "https://ocean.example.com/", "https://ocean.example.com from environment"},
		{"trailing newline", "OCEAN__INTEGRATION__IDENTIFIER", "ado\n", "ado from environment"},
		{"JSON list", tags, `["a","two words"]`, `["a","two words"] from environment`},
		{"commas", tags, "a, b c ,", `["a","b c"] from environment`},
		{"brackets and commas", tags, "[a, b c]", `["a","b c"] from environment`},
		{"Go list", tags, "[archived two words]", `["archived","two","words"] from environment`},
		{"empty list", tags, "[]", "[] from environment"},
		{"numbers in a list", tags, `[1,true]`, `["1","true"] from environment`},
		{"lower-case name", "ocean__client_timeout", "7", "7s from environment"},
		{"URL with token", "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL", "https://me:tokentoken@dev.azure.com/acme", "https://xxxxx@dev.azure.com/acme from environment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, eff, err := load(ocean.Sources{Environ: map[string]string{tt.variable: tt.text}})
			if err != nil {
				t.Fatalf("Load(%s=%q) = %v", tt.variable, tt.text, err)
			}
			if got := value(eff, strings.ToUpper(tt.variable)); got != tt.want {
				t.Errorf("%s=%q is %q, want %q", tt.variable, tt.text, got, tt.want)
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	tests := []struct{ variable, text, want string }{
		{"OCEAN__CLIENT_TIMEOUT", "soon", `OCEAN__CLIENT_TIMEOUT from environment: want a duration of at least 1s such as 90s or 15m (bare digits are seconds), got "soon"`},
		{"OCEAN__CLIENT_TIMEOUT", "0", "of at least 1s"},
		{"OCEAN__CLIENT_TIMEOUT", "-5", "of at least 1s"},
		{"OCEAN__CLIENT_TIMEOUT", "NaN", "want a duration"},
		{"OCEAN__CLIENT_TIMEOUT", "1e300", "want a duration"},
		{"OCEAN__STRICT_EXIT", "maybe", `want true or false, got "maybe"`},
		{"OCEAN__EVENT_WORKERS_COUNT", "1.5", "want a whole number between 1 and 1000"},
		{"OCEAN__EVENT_WORKERS_COUNT", "0x10", "want a whole number"},
		{"OCEAN__EVENT_WORKERS_COUNT", "9999999999999999999999", "want a whole number"},
		{"OCEAN__ACTIONS_PROCESSOR__RUNS_BUFFER_HIGH_WATERMARK", "1001", "between 1 and 1000"},
		{"OCEAN__ACTIONS_PROCESSOR__MAX_RUNS_BUFFER_UTIL_PCT_PER_ACTION", "101", "between 1 and 100"},
		{"OCEAN__INTEGRATION__INCREMENTAL_SYNC_INTERVAL", "20", "want 15, 30 or 60 minutes"},
		{"OCEAN__SCHEDULED_RESYNC_INTERVAL", "0", "at least a second"},
		{"OCEAN__SCHEDULED_RESYNC_INTERVAL", "often", "cron expression"},
		{"OCEAN__RESYNC_CRON", "60", "cron expression of five fields"},
		{"OCEAN__RESYNC_CRON", "TZ=0", "cron expression of five fields"},
		{"OCEAN__EVENT_LISTENER__TYPE", "SQS", "want one of POLLING, KAFKA, WEBHOOK, ONCE, WEBHOOKS_ONLY, ACTIONS_ONLY"},
		{"OCEAN__EVENT_LISTENER", "ONCE", `OCEAN__EVENT_LISTENER from environment: want a JSON object such as {"type":"POLLING"}`},
		{"OCEAN__EVENT_LISTENER", `{"type":"ONCE"`, "want a JSON object"},
		{"OCEAN__EVENT_LISTENER", `["ONCE"]`, "want a JSON object"},
		{"OCEAN__EVENT_LISTENER__TYPE", "WEBHOOK", "OCEAN__EVENT_LISTENER__APP_HOST is not set"},
		{"OCEAN__BASE_URL", "ocean.example.com", "want an http or https URL"},
		{"OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS", `["a",`, `want a list such as ["a","b"] or a,b`},
		{"OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS", `{"a":1}`, "want a list"},
		{"OCEAN__INTEGRATION__CONFIG__APP_HOST", "nowhere", "OCEAN__BASE_URL from legacy alias OCEAN__INTEGRATION__CONFIG__APP_HOST: want an http or https URL"},
		{"OCEAN__RUNTIME", "Saas", "OCEAN__RUNTIME: want OnPrem"},
		{"APPLICATION__PORT", "99999", "between 0 and 65535"},
		{"APPLICATION__LOG_LEVEL", "LOUD", "want one of ERROR, WARNING, INFO, DEBUG, CRITICAL"},
		{"OCEAN__PORT__USER_AGENT_LAYOUT", "sideways", "auto, documented"},
	}
	for _, tt := range tests {
		t.Run(tt.variable+"="+tt.text, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(ocean.Sources{Environ: map[string]string{tt.variable: tt.text}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load(%s=%q) = %v, want an error with %q", tt.variable, tt.text, err, tt.want)
			}
		})
	}
}

// Every problem is told at once, and none of them tells a secret.
func TestAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	_, eff, err := ocean.Load[config](ocean.Sources{
		Environ: map[string]string{
			"OCEAN__PORT":                 `{"client_secret":"hush-hush-hush"`,
			"OCEAN__METRICS__WEBHOOK_URL": "hush-hush-hush",
			"OCEAN__STRICT_EXIT":          "perhaps",
		},
		YAML:   []byte("clientTimeout: later\n"),
		DotEnv: []byte("OCEAN__SEND_RAW_DATA_EXAMPLES=sometimes\n"),
	})
	got := strings.Join(ocean.Problems(err), "\n")
	for _, want := range []string{
		"OCEAN__PORT from environment: want a JSON object",
		"OCEAN__PORT__CLIENT_ID is not set", "OCEAN__PORT__CLIENT_SECRET is not set",
		"OCEAN__METRICS__WEBHOOK_URL from environment: want an http or https URL",
		`OCEAN__STRICT_EXIT from environment: want true or false, got "perhaps"`,
		`OCEAN__CLIENT_TIMEOUT from config.yaml: want a duration of at least 1s such as 90s or 15m (bare digits are seconds), got "later"`,
		`OCEAN__SEND_RAW_DATA_EXAMPLES from .env: want true or false, got "sometimes"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("errors lack %q:\n%s", want, got)
		}
	}
	if len(ocean.Problems(err)) != 7 || strings.Contains(got, "hush") {
		t.Errorf("errors = %s", got)
	}
	if _, ok := errors.AsType[*ocean.ValueError](err); !ok {
		t.Errorf("%T holds no *ValueError", err)
	}
	if len(eff.Rows) == 0 {
		t.Error("no rows beside the errors")
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const v = "OCEAN__EVENT_LISTENER__INTERVAL"
	yaml := []byte("eventListener: {type: POLLING, interval: 1}")
	dot := []byte("OCEAN__EVENT_LISTENER__INTERVAL=2")
	environ := map[string]string{v: "3"}
	tests := []struct {
		name string
		src  ocean.Sources
		want string
	}{
		{"default", ocean.Sources{}, "1m0s from default"},
		{"fallback", ocean.Sources{Fallbacks: map[string]string{v: "9"}}, "9s from command line"},
		{"yaml", ocean.Sources{YAML: yaml, Fallbacks: map[string]string{v: "9"}}, "1s from config.yaml"},
		{".env", ocean.Sources{YAML: yaml, DotEnv: dot}, "2s from .env"},
		{"environment", ocean.Sources{YAML: yaml, DotEnv: dot, Environ: environ}, "3s from environment"},
		{"override", ocean.Sources{YAML: yaml, DotEnv: dot, Environ: environ, Overrides: map[string]string{v: "4"}}, "4s from command line"},
		{"empty falls through", ocean.Sources{YAML: yaml, Environ: map[string]string{v: ""}}, "1s from config.yaml"},
		{"JSON section", ocean.Sources{Environ: map[string]string{"OCEAN__EVENT_LISTENER": `{"interval":5}`}}, "5s from environment (OCEAN__EVENT_LISTENER)"},
		{"variable over section", ocean.Sources{Environ: map[string]string{"OCEAN__EVENT_LISTENER": `{"interval":5}`, v: "6"}}, "6s from environment"},
		{"section over YAML", ocean.Sources{YAML: yaml, Environ: map[string]string{"OCEAN__EVENT_LISTENER": `{"interval":5}`}}, "5s from environment (OCEAN__EVENT_LISTENER)"},
		{"null in a section", ocean.Sources{Environ: map[string]string{"OCEAN__EVENT_LISTENER": `{"interval":null}`}}, "1m0s from default"},
		{"upper case wins", ocean.Sources{Environ: map[string]string{v: "3", "ocean__event_listener__interval": "8"}}, "3s from environment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, eff, err := load(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if got := value(eff, v); got != tt.want {
				t.Errorf("%s is %q, want %q", v, got, tt.want)
			}
		})
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	cfg, eff, err := ocean.Load[config](ocean.Sources{Environ: map[string]string{
		"OCEAN__PORT": `{"clientId":"id-of-json","client_secret":"secret-of-json","baseUrl":"https://api.us.getport.io/"}`,
		"OCEAN__INTEGRATION": `{"identifier":"x","type":"AZURE-devops","config":
			{"organizationUrl":"https://dev.azure.com/a/","personal_access_token":"outer-token","excludedTags":["a","b"]}}`,
		"OCEAN__INTEGRATION__CONFIG":                        `{"personalAccessToken":"inner-token","isProjectsLimited":false}`,
		"OCEAN__INTEGRATION__CONFIG__WEBHOOK_AUTH_USERNAME": "hooks",
		"OCEAN__EVENT_LISTENER":                             `{"type":"KAFKA","brokers":"a:1, b:2","consumerPollTimeout":2,"resyncOnStart":true,"resync_on_start":false}`,
		"OCEAN__SSL":                                        `{"thirdParty":{"x509":{"strict":false}},"port":{"x509Strict":false}}`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := cfg.Ocean
	if o.Port.ClientID.Reveal() != "id-of-json" || o.Port.ClientSecret.Reveal() != "secret-of-json" || !strings.HasPrefix(o.Port.BaseURL, "https://api.us.getport.io") {
		t.Errorf("port = %+v", o.Port)
	}
	if o.Integration.Identifier != "x" || o.Integration.Type != "azure-devops" {
		t.Errorf("integration = %+v", o.Integration)
	}
	if o.Azure.Token.Reveal() != "inner-token" || o.Azure.OrganizationURL != "https://dev.azure.com/a" || o.Azure.IsProjectsLimited ||
		o.Azure.WebhookUsername != "hooks" || !slices.Equal(o.Azure.ExcludedTags, []string{"a", "b"}) {
		t.Errorf("integration.config = %+v", o.Azure)
	}
	l := o.EventListener
	if l.Type != ocean.ListenKafka || !slices.Equal(l.Brokers, []string{"a:1", "b:2"}) || l.ConsumerPollTimeout != 2*time.Second || l.ResyncOnStart {
		t.Errorf("listener = %+v", l)
	}
	if o.SSL.ThirdParty.Strict || o.SSL.Port.Strict || !o.SSL.Port.Verify {
		t.Errorf("ssl = %+v", o.SSL)
	}
	if want := []string{"secret-of-json", "inner-token", "id-of-json"}; !slices.Equal(eff.Secrets(), want) {
		t.Errorf("Secrets() = %q, want %q", eff.Secrets(), want)
	}
	for _, r := range eff.Rows {
		for _, s := range eff.Secrets() {
			if strings.Contains(r.Value, s) {
				t.Errorf("%s shows a secret", r.Variable)
			}
		}
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	cfg, eff, err := ocean.Load[config](ocean.Sources{
		Environ: map[string]string{"MY_ID": "id-from-env", "MY_LISTENER": `{"type":"ONCE"}`},
		DotEnv:  []byte("MY_SECRET='secret$from dotenv'\n"),
		YAML: []byte(`
port: &port
  clientId: "{{ from env MY_ID }}"
  clientSecret: "{{from env MY_SECRET}}"
  baseUrl: "{{ from env NOT_SET }}"
eventListener: "{{ from env MY_LISTENER }}"
initializePortResources: no
scheduledResyncInterval:
integration:
  identifier: 0123
  config:
    organizationUrl: https://dev.azure.com/acme
    excludedTags: [a, "two words", "{{ from env NOT_SET }}"]
    somethingOfMine: {a: {b: c}}
ssl:
  thirdParty: &relaxed
    verify: off
  port: {<<: *relaxed}
`),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := cfg.Ocean
	if o.Port.ClientID.Reveal() != "id-from-env" || o.Port.ClientSecret.Reveal() != "secret$from dotenv" || o.Port.BaseURL != "https://api.getport.io" {
		t.Errorf("port = %q %q %q", o.Port.ClientID.Reveal(), o.Port.ClientSecret.Reveal(), o.Port.BaseURL)
	}
	if o.EventListener.Type != ocean.ListenOnce || o.InitializePortResources || !o.ScheduledResync.IsZero() {
		t.Errorf("settings = %+v", o.Settings)
	}
	if o.Integration.Identifier != "0123" || !slices.Equal(o.Azure.ExcludedTags, []string{"a", "two words"}) {
		t.Errorf("integration = %+v %q", o.Integration, o.Azure.ExcludedTags)
	}
	if o.SSL.Port.Verify || o.SSL.ThirdParty.Verify {
		t.Errorf("ssl = %+v", o.SSL)
	}
	for _, n := range eff.Notices {
		if n.Level >= slog.LevelWarn && n.Variable != "OCEAN__INTEGRATION__CONFIG__SOMETHING_OF_MINE" {
			t.Errorf("warning %s", n)
		}
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	lines := []string{"a: &a [x,x,x,x,x,x,x,x,x,x]"}
	for c := 'b'; c < 'i'; c++ {
		ten := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ",")
		lines = append(lines, fmt.Sprintf("%c: &%c [%s]", c, c, ten))
	}
	bomb := strings.Join(lines, "\n")
	for name, src := range map[string]ocean.Sources{
		"yaml syntax": {YAML: []byte("port: [")},
		"yaml list":   {YAML: []byte("- port")},
		"yaml text":   {YAML: []byte("port")},
		"yaml bomb":   {YAML: []byte(bomb)},
		"yaml loop":   {YAML: []byte("a: &a [*a]")},
		".env":        {DotEnv: []byte("THE SECRET IS hush\x00 'x\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(src)
			if err == nil || strings.Contains(err.Error(), "hush") {
				t.Errorf("Load = %v, want an error without values", err)
			}
		})
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, variable, text, want string }{
		{"unknown", "OCEAN__FOO", "1", "WARN OCEAN__FOO: unknown variable (from environment)"},
		{"slip", "OCEAN__CLIENT_TIMEOT", "1", "WARN OCEAN__CLIENT_TIMEOT: unknown variable (from environment); did you mean OCEAN__CLIENT_TIMEOUT?"},
		{"underscore", "OCEAN__PORT_CLIENT_ID", "1", "WARN OCEAN__PORT_CLIENT_ID: unknown variable (from environment); did you mean OCEAN__PORT__CLIENT_ID?"},
		{"slip in the integration", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACESS_TOKEN", "1", "WARN OCEAN__INTEGRATION__CONFIG__PERSONAL_ACESS_TOKEN: unknown variable (from environment); did you mean OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN?"},
		{"own key in the integration", "OCEAN__INTEGRATION__CONFIG__UNKNOWN_MAP", "map[a:1]", "WARN OCEAN__INTEGRATION__CONFIG__UNKNOWN_MAP: unknown variable (from environment)"},
		{"password", "OCEAN__INTEGRATION__CONFIG__WEBHOOK_PASSWORD", "geheim77", "WARN OCEAN__INTEGRATION__CONFIG__WEBHOOK_PASSWORD: unknown variable (from environment); did you mean OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET?"},
		{"abbreviated", "OCEAN__INTEGRATION__CONFIG__PAT", "geheim77", "WARN OCEAN__INTEGRATION__CONFIG__PAT: unknown variable (from environment); did you mean OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN?"},
		{"other words", "OCEAN__INTEGRATION__CONFIG__ORG_URL", "https://h", "WARN OCEAN__INTEGRATION__CONFIG__ORG_URL: unknown variable (from environment); did you mean OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL?"},
		{"former name", "OCEAN__INTEGRATION__CONFIG__EXCLUDE_TAG_FILTER", "a", "WARN OCEAN__INTEGRATION__CONFIG__EXCLUDE_TAG_FILTER: is deprecated; use OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS"},
		{"application", "APPLICATION__LEVEL", "1", "WARN APPLICATION__LEVEL: unknown variable (from environment)"},
		{"unknown key of a section", "OCEAN__EVENT_LISTENER", `{"type":"ONCE","zzz":1}`, "WARN OCEAN__EVENT_LISTENER__ZZZ: unknown variable (from environment (OCEAN__EVENT_LISTENER))"},
		{"single underscore", "OCEAN_EVENT_WORKERS_COUNT", "2", "INFO OCEAN_EVENT_WORKERS_COUNT: has no effect; the setting is called OCEAN__EVENT_WORKERS_COUNT"},
		{"Go list", "OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS", "[a b]", `WARN OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS: is a list without quotes; it was split at spaces. If an entry holds a space, write JSON such as ["a","two words"]`},
		{"rounded token", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN", "1.234567e+06", "WARN OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN: looks like a number that the chart rounded (such as 1e+06); quote it in the values file"},
		{"personal credentials", "OCEAN__PORT__CLIENT_ID", "me@example.com", "WARN OCEAN__PORT__CLIENT_ID: looks like the credentials of a person; use those of the organization"},
		{"deprecated", "OCEAN__INTEGRATION__CONFIG__APP_HOST", "https://a.example.com", "WARN OCEAN__INTEGRATION__CONFIG__APP_HOST: is deprecated; use OCEAN__BASE_URL"},
		{"mode", "OCEAN__PROCESSING_MODE", "dsp", "INFO OCEAN__PROCESSING_MODE: is accepted; records are mapped here and ocean-core is reported to Port"},
		{"strict", "OCEAN__SSL__PORT__X509__STRICT", "false", "INFO OCEAN__SSL__PORT__X509__STRICT: has no effect here; chain and host name are always verified the same way"},
		{"service link", "OCEAN_AZURE_DEVOPS_X_SERVICE_PORT", "tcp://10.0.0.1:8000", ""},
		{"ignored", "OCEAN__DATABASE__HOST", "db", ""},
		{"ignored section", "OCEAN__STREAMING", `{"enabled":true}`, ""},
		{"ignored of a section", "OCEAN__PORT", `{"ingest_url":"x"}`, ""},
		{"unknown and empty", "OCEAN__FOO", "", ""},
		{"not ours", "OCEANIC", "1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, eff, err := load(ocean.Sources{Environ: map[string]string{tt.variable: tt.text}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range eff.Notices {
				got = append(got, n.Level.String()+" "+n.String())
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("notices of %s=%s = %q, want %q", tt.variable, tt.text, got, tt.want)
			}
		})
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	_, eff, err := load(ocean.Sources{
		Environ: map[string]string{"OCEAN__DATABASE": `{"host":"h"}`, "OCEAN__CACHING_STORAGE_MODE": "disk"},
		YAML:    []byte("streaming: {enabled: true}\nlakehouse: {}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, i := range eff.Ignored {
		got[i.Variable] = i.Reason != ""
	}
	for _, want := range []string{"OCEAN__DATABASE", "OCEAN__CACHING_STORAGE_MODE", "OCEAN__STREAMING"} {
		if !got[want] {
			t.Errorf("%s is not among the ignored %v", want, eff.Ignored)
		}
	}
	for _, n := range eff.Notices {
		t.Errorf("notice %s", n)
	}
}

func TestLegacyAppHost(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"OCEAN__INTEGRATION__CONFIG__APP_HOST": "https://old.example.com/"}
	cfg, eff, err := load(ocean.Sources{Environ: environ})
	if err != nil || cfg.Ocean.BaseURL != "https://old.example.com" {
		t.Errorf("base URL = %q, %v", cfg.Ocean.BaseURL, err)
	}
	if got, want := value(eff, "OCEAN__BASE_URL"), "https://old.example.com from legacy alias OCEAN__INTEGRATION__CONFIG__APP_HOST"; got != want {
		t.Errorf("row = %q, want %q", got, want)
	}
	environ["OCEAN__BASE_URL"] = "https://new.example.com"
	cfg, _, err = load(ocean.Sources{Environ: environ})
	if err != nil || cfg.Ocean.BaseURL != "https://new.example.com" {
		t.Errorf("base URL = %q, %v", cfg.Ocean.BaseURL, err)
	}
}

func TestFormerName(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]ocean.Sources{
		"variable": {Environ: map[string]string{"OCEAN__INTEGRATION__CONFIG__EXCLUDE_TAG_FILTER": "a,b"}},
		"YAML":     {YAML: []byte("integration: {config: {excludeTagFilter: [a, b]}}")},
		"both":     {Environ: map[string]string{"OCEAN__INTEGRATION__CONFIG__EXCLUDE_TAG_FILTER": "c", "OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS": "a,b"}},
	} {
		cfg, _, err := load(src)
		if err != nil || !slices.Equal(cfg.Ocean.Azure.ExcludedTags, []string{"a", "b"}) {
			t.Errorf("%s: tags %q, %v", name, cfg.Ocean.Azure.ExcludedTags, err)
		}
	}
}

// A missing variable of one part does not hide those of another, and a value that
// was refused is not called missing as well.
func TestAllMissingAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := ocean.Load[config](ocean.Sources{Environ: map[string]string{"OCEAN__EVENT_LISTENER__TYPE": "WEBHOOK"}})
	got := strings.Join(ocean.Problems(err), "\n")
	for _, name := range []string{"OCEAN__PORT__CLIENT_ID", "OCEAN__PORT__CLIENT_SECRET", "OCEAN__EVENT_LISTENER__APP_HOST"} {
		if strings.Count(got, name+" is not set") != 1 {
			t.Errorf("%s is not named once:\n%s", name, got)
		}
	}
	_, _, err = ocean.Load[config](ocean.Sources{Environ: map[string]string{"OCEAN__PORT__CLIENT_ID": "id", "OCEAN__PORT__CLIENT_SECRT": "s"}})
	if got := ocean.Problems(err); len(got) != 1 || !strings.HasSuffix(got[0], "; OCEAN__PORT__CLIENT_SECRT is set, which is unknown") {
		t.Errorf("errors = %q", got)
	}
	_, _, err = load(ocean.Sources{Environ: map[string]string{"OCEAN__EVENT_LISTENER__TYPE": "WEBHOOK", "OCEAN__EVENT_LISTENER__APP_HOST": "nowhere"}})
	if got := ocean.Problems(err); len(got) != 1 || strings.Contains(got[0], "is not set") {
		t.Errorf("errors = %q", got)
	}
}

func TestIdentifier(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "my-azure-devops-integration", "TFS": "my-tfs-integration"} {
		cfg, _, err := load(ocean.Sources{Environ: map[string]string{"OCEAN__INTEGRATION__TYPE": text}})
		if err != nil || cfg.Ocean.Integration.Identifier != want {
			t.Errorf("identifier for type %q = %q, %v, want %q", text, cfg.Ocean.Integration.Identifier, err, want)
		}
	}
}

func TestStructMistakes(t *testing.T) {
	t.Parallel()
	type twice struct {
		A string `env:"A__B"`
		B string `env:"A__B"`
	}
	type alike struct {
		A string `env:"A__B"`
		B string `env:"A_B"`
	}
	if _, _, err := ocean.Load[twice](ocean.Sources{}); err == nil {
		t.Error("one variable in two fields is accepted")
	}
	if _, _, err := ocean.Load[alike](ocean.Sources{}); err == nil {
		t.Error("variables that differ in underscores only are accepted")
	}
	if _, _, err := ocean.Load[string](ocean.Sources{}); err == nil {
		t.Error("a string is accepted as a configuration")
	}
}
