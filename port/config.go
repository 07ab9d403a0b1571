package port

import (
	"errors"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Config is how this program reaches Port: the environment variables below
// OCEAN__PORT__, as in section 1.4 of Port's Ocean settings.
type Config struct {
	// ClientID names the credential that Port shows under Credentials.
	ClientID Secret `env:"CLIENT_ID,required" doc:"Client id of the organization, as Port shows it under Credentials."`
	// ClientSecret belongs to ClientID.
	ClientSecret Secret `env:"CLIENT_SECRET,required" doc:"Client secret that belongs to OCEAN__PORT__CLIENT_ID."`
	// BaseURL is the address of the region, without /v1. The region of the United States has https://api.us.getport.io.
	BaseURL string `env:"BASE_URL" envDefault:"https://api.getport.io" form:"url" doc:"Address of the region, without /v1; in the United States it is https://api.us.getport.io."`
	// MappingTTL is how long live events use a mapping before they ask Port for it again, in seconds.
	MappingTTL Seconds `env:"PORT_APP_CONFIG_CACHE_TTL" envDefault:"60" doc:"How long live events use a mapping before they ask Port for it again."`
	// FlagsTTL is how long the feature flags of the organization are remembered, in seconds.
	FlagsTTL Seconds `env:"FEATURE_FLAGS_CACHE_TTL_SECONDS" envDefault:"300" doc:"How long the feature flags of the organization are remembered."`
	// BlueprintTTL is how long a blueprint is remembered, in seconds.
	BlueprintTTL Seconds `env:"BLUEPRINT_CACHE_TTL_SECONDS" envDefault:"120" doc:"How long a blueprint is remembered."`
	// UserAgentLayout orders identifier and version in the name under which entities are written: auto, documented or ocean.
	// auto keeps the order of the entities that Port already holds of this installation.
	UserAgentLayout Layout `env:"USER_AGENT_LAYOUT" envDefault:"auto" oneof:"auto,documented,ocean" doc:"Order of identifier and version in the name under which entities are written; auto keeps that of the entities which Port holds."`
}

// ClientConfig returns what the settings say about a client; the caller adds
// the installation. A time of zero remembers nothing.
func (c Config) ClientConfig() ClientConfig {
	ttl := func(s Seconds) time.Duration { return max(time.Duration(s), 1) }
	return ClientConfig{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, BaseURL: c.BaseURL, UserAgentLayout: c.UserAgentLayout,
		FlagsTTL: ttl(c.FlagsTTL), BlueprintTTL: ttl(c.BlueprintTTL),
	}
}

// Limits are the sizes of requests that write: environment variables directly
// below OCEAN__. Values above what Port accepts are lowered to it.
type Limits struct {
	// UpsertCount is the number of entities written with one request, at most 20.
	UpsertCount int `env:"UPSERT_ENTITIES_BATCH_MAX_LENGTH" envDefault:"20" doc:"Entities written with one request, at most 20."`
	// UpsertBytes is the size of a request that writes entities, at most 1048576.
	UpsertBytes int `env:"UPSERT_ENTITIES_BATCH_MAX_SIZE_IN_BYTES" envDefault:"1048576" doc:"Size of a request that writes entities, at most 1048576 bytes."`
	// DeleteCount is the number of entities deleted with one request, at most 100.
	DeleteCount int `env:"DELETE_ENTITIES_MAX_BATCH_SIZE" envDefault:"1000" doc:"Entities deleted with one request, at most 100."`
}

// What Port accepts in one request (Port's API reference, entities).
const (
	maxUpsertCount = 20
	maxUpsertBytes = 1 << 20
	maxDeleteCount = 100
)

// clamped gives the limits that are used: zero means the default.
func (l Limits) clamped() Limits {
	clamp := func(v, most int) int {
		if v == 0 {
			return most
		}
		return max(1, min(v, most))
	}
	return Limits{
		UpsertCount: clamp(l.UpsertCount, maxUpsertCount),
		UpsertBytes: clamp(l.UpsertBytes, maxUpsertBytes),
		DeleteCount: clamp(l.DeleteCount, maxDeleteCount),
	}
}

// A Secret prints as [redacted] wherever it is formatted, logged or encoded.
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Seconds is a duration that the environment gives as a number of seconds,
// with or without a fraction.
type Seconds time.Duration

// Duration returns s as a duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

// UnmarshalText accepts a number of seconds that is not negative.
func (s *Seconds) UnmarshalText(text []byte) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > maxSeconds {
		return errors.New("expected a number of seconds such as 60 or 0.5")
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}

// maxSeconds keeps a duration far from overflow: a century.
const maxSeconds = 100 * 365 * 24 * 3600

// A Layout is an order of identifier and version in the User-Agent. Port keeps
// the User-Agent of the last writer as the entity's data source, so the layout
// decides which entities are found as ours.
type Layout string

// The layouts. Port's documentation describes one, the Python integration
// writes the other.
const (
	LayoutAuto       Layout = "auto"
	LayoutDocumented Layout = "documented" // port-ocean/<type>/<identifier>/<version>/<feature>
	LayoutOcean      Layout = "ocean"      // port-ocean/<type>/<version>/<identifier>/<feature>
)
