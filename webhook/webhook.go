// Package webhook receives the service hooks of Azure DevOps and hands them to a
// Handler: each at least once, in order within an object, in parallel across
// objects, after they have been stored durably.
//
// A Server is the HTTP surface of the program: hook route, health, metrics, dead
// letters and POST /resync. A delivery is answered 200 when package webhook/spool has it on
// disk; from there workers take all waiting deliveries of one object at once.
// The package does not know what handling means, nor what a payload means: main
// gives it a function that reads the envelope and a Handler.
package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/webhook/spool"
)

// Settings are what the environment says about deliveries, below OCEAN__HOOKS__.
// Zero fields mean the defaults.
type Settings struct {
	// MaxBodyBytes is the largest delivery that is taken, in bytes.
	MaxBodyBytes int64 `env:"MAX_BODY_BYTES" envDefault:"8388608" min:"1024" max:"67108864" doc:"Largest delivery of a service hook that is taken, in bytes."`
	// SpoolMaxBytes bounds what waits, in bytes as stored (compressed).
	SpoolMaxBytes int64 `env:"SPOOL_MAX_BYTES" envDefault:"1073741824" min:"1048576" doc:"Most bytes that deliveries may take while they wait; more are answered 503, and Azure DevOps sends them again."`
	// SpoolMaxDeliveries bounds how many wait.
	SpoolMaxDeliveries int `env:"SPOOL_MAX_DELIVERIES" envDefault:"500000" min:"1" doc:"Most deliveries that may wait; more are answered 503, and Azure DevOps sends them again."`
	// MaxAge is how long a delivery is tried again before it becomes a dead letter.
	MaxAge time.Duration `env:"MAX_AGE" envDefault:"24h" min:"1s" doc:"Time for which a failing delivery is tried again before it becomes a dead letter."`
	// Workers is the number of objects whose deliveries are handled at the same time.
	Workers int `env:"WORKERS" envDefault:"8" min:"1" max:"256" doc:"Objects whose deliveries are handled at the same time."`
}

// Config is what a Server needs. Zero fields mean what their comments say.
type Config struct {
	Settings Settings

	Listener        net.Listener // needed; closed when Run ends
	MetricsListener net.Listener // of /metrics and nothing else; nil: that is a route of Listener
	Prefix          string       // of every route but /docs, /isHealthy and /resync; slashes around it do not matter

	Secret  string // password of the hooks, never shown; empty: none is asked for
	Lenient bool   // deliveries without Authorization are taken although there is a secret
	// Repairing reports that hooks without credentials are being repaired: until
	// that is done their deliveries are answered 503, which Azure DevOps sends
	// again, and not 401, which puts the subscription on probation. nil: never.
	Repairing func() bool

	// Directory of the spool. While it cannot be used, deliveries are answered 503
	// and the service is not ready. Empty: deliveries wait in memory, with a warning.
	Directory string
	Used      bool   // deliveries were received with this Directory before: a spool that is missing is a loss
	Lost      func() // accepted deliveries are gone, a resync brings what they said; must not wait; nil: nobody asks
	// Spool opens another spool than that of Directory; nil: that one. Fenced puts the
	// fence of its claims into the context that the Handler gets.
	Spool  func(context.Context, spool.Config) (Spool, error)
	Fenced func(ctx context.Context, fence func() error) context.Context

	Parse         func(body []byte) (Envelope, error) // an error means that the body is no delivery: 400. Needed
	Handler       Handler                             // nil: nobody handles deliveries here, and they are answered 503
	HandleTimeout time.Duration                       // of one call of the Handler; default 2 min
	ShutdownWait  time.Duration                       // for handlers that run when Run has to end; default 5 s

	// Resync starts a resync, or another one behind the one that runs, without
	// waiting for it. nil, or no Secret: there is no POST /resync.
	Resync func()

	Ready func() bool // besides being able to store deliveries; nil: nothing is

	// Status answers /status.json, / and what lies below /page/; nil: there is none. Because
	// it names projects it asks for Secret. Without a Secret it is only there when the Listener
	// is on the loopback interface, or ShowStatus says so; ShowStatus can also remove it.
	Status     http.Handler
	ShowStatus *bool

	Events   []string             // types of events that are expected; their metrics are there from the start
	Registry *prometheus.Registry // gets the metrics and is what /metrics shows; nil: an own one
	Log      *slog.Logger         // nil: nothing is logged
}

// An Envelope is what the Server needs to know of a delivery.
type Envelope struct {
	// Key names the object that the delivery is about, organization included.
	// Deliveries of one key are handled in order and together.
	Key string
	// EventType such as git.push. Labels metrics.
	EventType string
	// EventID is the event's own id, the same in every resend; may be empty.
	EventID string
	// SubscriptionID tells deliveries of one event to several subscriptions from
	// several events; may be empty.
	SubscriptionID string
	// Resource is the part of the body that says what happened, to recognize
	// one event that several subscriptions deliver under different ids; may be nil.
	Resource []byte
	// Known says that something speaks for a sender without a password, such as a
	// subscription or an object that exists. The others share a small part of the
	// workers and of the room. Deliveries with the password are always known.
	Known bool
}

// A Delivery is one accepted POST of a hook.
type Delivery = spool.Delivery

// A Spool keeps deliveries until they are handled. What its methods promise is said at
// those of [spool.Spool].
type Spool interface {
	Accept(ctx context.Context, d Delivery, resource []byte) (duplicate bool, err error)
	Take(ctx context.Context) (*spool.Claim, error)
	Finish(c *spool.Claim, err error) spool.Outcome
	Start()
	Stop()
	Close() error

	Dead() iter.Seq2[spool.DeadLetter, error]
	Redrive(ctx context.Context, ids ...uint64) (int, error)
	Drop(ctx context.Context, id uint64) error

	Stats() spool.Stats
	Failing() error
}

// A Handler brings the catalog up to date with deliveries.
type Handler interface {
	// Handle gets all deliveries that wait for key, oldest first; never two calls
	// at once for one key. nil: they are done. An error that wraps ErrPermanent:
	// they are dead letters at once (several are tried one by one first). Any other
	// error: they are tried again, together with what has arrived until then.
	// The bodies belong to the handler.
	Handle(ctx context.Context, key string, deliveries []Delivery) error
}

// ErrPermanent is wrapped by errors of a Handler after which another try is of
// no use.
var ErrPermanent = spool.ErrPermanent

const (
	defaultMaxBody       = 8 << 20
	defaultWorkers       = 8
	defaultHandleTimeout = 2 * time.Minute
	defaultShutdownWait  = 5 * time.Second
)

// withDefaults checks the configuration and fills its zero fields.
func (c Config) withDefaults() (Config, error) {
	if c.Parse == nil {
		return c, errors.New("webhook: Config.Parse is needed")
	}
	if c.Listener == nil {
		return c, errors.New("webhook: Config.Listener is needed")
	}
	if c.Fenced == nil {
		c.Fenced = func(ctx context.Context, _ func() error) context.Context { return ctx }
	}
	s := &c.Settings
	for name, v := range map[string]int64{
		"MAX_BODY_BYTES": s.MaxBodyBytes, "SPOOL_MAX_BYTES": s.SpoolMaxBytes, "SPOOL_MAX_DELIVERIES": int64(s.SpoolMaxDeliveries),
		"MAX_AGE": int64(s.MaxAge), "WORKERS": int64(s.Workers),
	} {
		if v < 0 {
			return c, fmt.Errorf("OCEAN__HOOKS__%s is %d: want a positive value", name, v)
		}
	}
	s.MaxBodyBytes = cmp.Or(s.MaxBodyBytes, defaultMaxBody)
	s.Workers = cmp.Or(s.Workers, defaultWorkers)
	c.HandleTimeout = cmp.Or(c.HandleTimeout, defaultHandleTimeout)
	c.ShutdownWait = cmp.Or(c.ShutdownWait, defaultShutdownWait)
	c.Registry = cmp.Or(c.Registry, prometheus.NewRegistry())
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c, nil
}
