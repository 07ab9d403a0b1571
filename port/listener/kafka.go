package listener

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// KafkaConfig says where Port's messages are read. All is required but Mechanism and
// Log.
type KafkaConfig struct {
	Brokers []string // host:port
	// Mechanism is SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN; empty: nobody signs in.
	Mechanism string
	// Dial connects to a broker, with TLS where that is wanted.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Topic asks Port for the organization and whether it has a topic that holds
	// nothing but requests; Credentials for those of the broker.
	Topic       func(context.Context) (organization string, requests bool, err error)
	Credentials func(context.Context) (user, password string, err error)
	// Type and Identifier name the installation.
	Type, Identifier string
	Log              *slog.Logger
}

// Kafka reads the messages with which Port asks for resyncs.
type Kafka struct {
	cfg    KafkaConfig
	begun  time.Time   // where a group that has read nothing yet begins
	reader atomic.Bool // partitions are assigned to this process, and can be read

	mu     sync.Mutex
	held   int    // partitions
	failed string // the last failure that was logged
}

// NewKafka makes a Kafka; it dials nothing.
func NewKafka(cfg KafkaConfig) *Kafka {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	return &Kafka{cfg: cfg}
}

// reads says whether messages reach this process. A nil Kafka reads nothing.
func (k *Kafka) reads() bool { return k != nil && k.reader.Load() }

// run reads until ctx is done, and asks for a resync when a message does. pause is
// the time after a failure.
func (k *Kafka) run(ctx context.Context, pause time.Duration, request func()) {
	k.begun = time.Now()
	for {
		err := k.consume(ctx, request)
		if ctx.Err() != nil {
			return
		}
		k.complain(ctx, err)
		if !wait(ctx, pause) {
			return
		}
	}
}

// complain logs a failure, once as long as it lasts. Port is polled meanwhile.
func (k *Kafka) complain(ctx context.Context, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reader.Store(false)
	if text := err.Error(); text != k.failed {
		k.failed = text
		k.cfg.Log.WarnContext(ctx, "port's Kafka topic cannot be read: Port is polled until it can", "err", err)
	}
}

// consume reads the topic as one member of the installation's group: of several
// processes one gets the messages. It returns what keeps it from beginning.
func (k *Kafka) consume(ctx context.Context, request func()) error {
	organization, requests, err := k.cfg.Topic(ctx)
	if err != nil {
		return fmt.Errorf("asking Port for the topic: %w", err)
	}
	topic := organization + ".change.log"
	if requests {
		topic = organization + ".integration.resync.requests"
	}
	k.held = 0 // nobody else looks
	client, err := kgo.NewClient(
		kgo.SeedBrokers(k.cfg.Brokers...), kgo.Dialer(k.cfg.Dial), kgo.SASL(k.mechanisms()...),
		kgo.ConsumerGroup(organization+"."+k.cfg.Type+"."+k.cfg.Identifier), kgo.ConsumeTopics(topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(), kgo.ConsumeStartOffset(kgo.NewOffset().AfterMilli(k.begun.UnixMilli())),
		kgo.WithHooks(groupErrors(func(err error) { k.complain(ctx, err) })),
		kgo.OnPartitionsAssigned(func(ctx context.Context, _ *kgo.Client, p map[string][]int32) { k.assigned(ctx, topic, len(p[topic])) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, p map[string][]int32) { k.assigned(ctx, topic, -len(p[topic])) }),
		kgo.OnPartitionsLost(func(ctx context.Context, _ *kgo.Client, p map[string][]int32) { k.assigned(ctx, topic, -len(p[topic])) }),
	)
	if err != nil {
		return err
	}
	defer k.leave(ctx, client)
	if err := k.reach(ctx, client); err != nil {
		return err
	}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			k.complain(ctx, err)
			wait(ctx, time.Second) // the client tries again by itself
		}
		asked := false
		fetches.EachRecord(func(r *kgo.Record) {
			asked = asked || asksForResync(r.Value, requests, k.cfg.Identifier)
		})
		if asked {
			k.cfg.Log.InfoContext(ctx, "port asks for a resync", "topic", topic)
			request()
		}
		if err := k.commit(ctx, client); err != nil && ctx.Err() == nil {
			k.complain(ctx, err)
		}
	}
}

// reachWait bounds the first answer of a broker.
const reachWait = 20 * time.Second

// reach asks for a sign of life: the client itself tries for ever to connect and to
// sign in, and does not say why it cannot.
func (*Kafka) reach(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	return client.Ping(ctx)
}

// groupErrors is told what ends a membership of the group. The client joins again.
type groupErrors func(error)

// OnGroupManageError is that of kgo.HookGroupManageError.
func (f groupErrors) OnGroupManageError(err error) { f(err) }

// commit says that what was read needs not be read again, also when ctx has just
// ended: without a commit the next process would begin with what comes then.
func (*Kafka) commit(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	return client.CommitUncommittedOffsets(ctx)
}

// leaveWait bounds the last words to the broker.
const leaveWait = 2 * time.Second

// leave gives the partitions to another process at once.
func (*Kafka) leave(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	_ = client.LeaveGroupContext(ctx) // it is forgotten soon anyway
	client.Close()
}

// assigned notes that partitions came (or went). Without one Port is polled.
func (k *Kafka) assigned(ctx context.Context, topic string, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held += n
	k.reader.Store(k.held > 0)
	switch {
	case k.held > 0:
		k.failed = ""
		k.cfg.Log.InfoContext(ctx, "port's Kafka topic is read", "topic", topic)
	case n == 0:
		k.cfg.Log.InfoContext(ctx, "another process of this installation reads Port's Kafka topic: Port is polled meanwhile", "topic", topic)
	}
}

// mechanisms are those of the sign-in. Credentials are asked for at each, since Port
// may change them.
func (k *Kafka) mechanisms() []sasl.Mechanism {
	auth := func(ctx context.Context) (a scram.Auth, err error) {
		a.User, a.Pass, err = k.cfg.Credentials(ctx)
		return a, err
	}
	switch k.cfg.Mechanism {
	case "SCRAM-SHA-512":
		return []sasl.Mechanism{scram.Sha512(auth)}
	case "SCRAM-SHA-256":
		return []sasl.Mechanism{scram.Sha256(auth)}
	case "PLAIN":
		return []sasl.Mechanism{plain.Plain(func(ctx context.Context) (plain.Auth, error) {
			a, err := auth(ctx)
			return plain.Auth{User: a.User, Pass: a.Pass}, err
		})}
	}
	return nil
}

// asksForResync says whether a message asks an installation for a resync. On the
// topic of requests the name is enough; on that of all changes it is a request, or a
// change of the installation that is not the report of a resync's state.
func asksForResync(message []byte, requests bool, identifier string) bool {
	if !rawjson.Valid(message) {
		return false
	}
	m := gjson.ParseBytes(message)
	named := m.Get("context.integrationId").Str == identifier
	if requests || named && m.Get("action").Str == "RESYNC" {
		return named
	}
	after := m.Get("diff.after")
	return after.Get("identifier").Str == identifier && after.Get("changelogDestination.type").Str == "KAFKA" &&
		after.Get("updatedAt").Str != after.Get("resyncState.updatedAt").Str
}
